//! The kernel home: load the object, fill its maps, attach it, read its counters.
//!
//! ```text
//!  load      object + Image -> program, maps filled          (nothing attached yet)
//!  attach    native XDP, else generic, said which; foreign programs are named and left alone
//!  counters  per-CPU values summed into a Snapshot
//!  test_run  one frame through the very program, for tests
//!  runs      many frames through it, for their decisions alone (record)
//! ```
//! Dropping a [`Dataplane`] detaches it.

mod attach;
mod counters;
#[cfg(feature = "bpf-log")]
mod debug_log;
mod error;
mod facts;
mod foreign;
pub mod interfaces;
mod load;
mod readback;
mod record;
mod runs;
mod sys;
mod tables;
mod test_run;

use std::fmt;

use aya::Ebpf;

pub use attach::{Attachment, Mode, WantedMode};
pub use error::KernelError;
pub use foreign::{ForeignProgram, foreign_program};
pub use load::check_kernel;
pub use runs::{FRAMES, Runs};
pub use tables::{KEYS_MAP, change_keys};
pub use test_run::{TestRunOutcome, pin_to_cpu};

/// Name of the XDP program in the object.
const PROGRAM: &str = "keysteer_xdp";

/// A loaded program with its maps, and where it is attached.
pub struct Dataplane {
    ebpf: Ebpf,
    links: Vec<attach::Attached>,
    /// How many key ids the counters hold.
    key_ids: u32,
    /// How many shards the counters hold.
    shards: u32,
    /// Whether a shard's target is a CPU.
    to_cpu: bool,
    /// How many CPUs the kernel may ever bring up.
    cpus: usize,
    /// Whether the policy only observes.
    observes: bool,
}

/// What aya has of the program holds its constants, and these hold secrets.
impl fmt::Debug for Dataplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataplane").field("links", &self.links).finish_non_exhaustive()
    }
}
