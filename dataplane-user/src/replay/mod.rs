//! Captured packets through the decision: what a policy would do with traffic that has been.
//!
//! ```text
//!  offline   a policy -> an image for no host in particular
//!  engine    frame -> decision: by the program in the kernel (test runs), or by the same code here
//!  line      decision -> names: the object that is printed of each packet
//!  tally     decisions, summed
//! ```
//! Nothing is attached, forwarded, or counted in the maps of a running agent: the kernel's program is another
//! copy of it, with maps of its own, that ends with the replay.

mod engine;
mod line;
mod offline;
mod tally;
pub use engine::{Engine, Kernel};
pub use line::Line;
pub use offline::compile;
pub use tally::Tally;

use crate::capture::Packet;
use crate::image::Image;
use crate::kernel::KernelError;
use crate::policy::Policy;

/// Packets through an engine, one after the other.
#[derive(Debug)]
pub struct Replay<'i> {
    policy: &'i Policy,
    image: &'i Image,
    engine: Engine<'i>,
    tally: Tally,
    packets: u64,
}

impl<'i> Replay<'i> {
    /// A replay by a policy and what it was compiled to, with nothing counted yet.
    pub fn new(policy: &'i Policy, image: &'i Image, engine: Engine<'i>) -> Self {
        Self { policy, image, engine, tally: Tally::new(image), packets: 0 }
    }

    /// Decides a packet. Packets are numbered from 1, through all captures.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn packet(&mut self, packet: &mut Packet<'_>) -> Result<Line<'i>, KernelError> {
        self.packets += 1;
        let (work, elsewhere) = self.engine.decide(packet.frame)?;
        let line = Line::new(self.packets, &work, self.policy, self.image);
        self.tally.add(&line, packet.missing, elsewhere);
        Ok(line)
    }

    /// What was decided so far, summed.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}
