//! The two homes side by side: one image loaded into the kernel, and the host engine over the same image.
//!
//! ```text
//!  kernel   the programs, and what they make of a frame and count
//!  host     the engine at both hooks, and whether it agrees with what the kernel did
//!  differ   the first counter in which two snapshots differ
//! ```
//! What is compared of every frame: the action, the bytes that leave, and the whole work area, bit for bit:
//! headers, fields, canonical key and decision. Both homes begin with zeroes and decide each frame over what
//! the frame before left behind, so parts that are not meaningful for a frame must agree too. What is not
//! compared: where a redirect ends (a test run forwards nothing), and time.

mod differ;
mod host;
mod kernel;

use std::fmt;

use keysteer::counters::Snapshot;
use keysteer::image::Image;
use keysteer::kernel::{KernelError, has_tcx};
use keysteer_common::forward::Action;
use keysteer_common::headers::{Headers, Record, Work};
use keysteer_common::vocabulary::Class;

pub use host::{Host, Left};
pub use kernel::{Counted, Kernel, Seen};

/// What a test run without an interface index says it came in by: the namespace's loopback.
const LOOPBACK: u32 = 1;

/// One image in both homes.
#[derive(Debug)]
pub struct Pair<'i> {
    kernel: Kernel,
    host: Host<'i>,
}

impl<'i> Pair<'i> {
    /// Loads `image` into the kernel and into an engine; at TC too, where the kernel has links for that: one that has none is
    /// tested in an emulated machine, which takes most of an hour to verify so many programs. Must be called in a lab
    /// ([`crate::lab::lab`]).
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new(image: &'i Image) -> Result<Self, KernelError> {
        Self::of(image, image, has_tcx())
    }

    /// Like [`Pair::new`], with another image for the kernel: to prove that a difference is seen. `at_tc`: at TC too.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn of(kernel: &Image, host: &'i Image, at_tc: bool) -> Result<Self, KernelError> {
        Ok(Self { kernel: Kernel::new(kernel, host, at_tc)?, host: Host::new(host) })
    }

    /// Tells the host that the interface of a shard has gone; the kernel finds out by itself.
    pub fn lose_exit(&mut self, shard: u16) {
        self.host.lose_exit(shard);
    }

    /// Runs a frame that arrived on interface `ingress` (0: the loopback) through both homes.
    ///
    /// # Errors
    /// They disagree, or the kernel refuses the run.
    pub fn run(&mut self, frame: &[u8], ingress: u32) -> Result<Outcome, Difference> {
        self.see(frame, ingress).map(Seen::into_outcome)
    }

    /// As [`Pair::run`], with all that the kernel did, for other hosts to be compared with it too.
    ///
    /// # Errors
    /// They disagree, or the kernel refuses the run.
    pub fn see(&mut self, frame: &[u8], ingress: u32) -> Result<Seen, Difference> {
        let seen = self.kernel.run(frame, ingress)?;
        self.host.judge(frame, ingress, &seen)?;
        Ok(seen)
    }

    /// What the host counted of moving keys: flows that opened, that found no room, and that are proved.
    pub fn moving(&self) -> [u64; 3] {
        self.host.moving()
    }

    /// The frames that were let leave after the last one that was run, where there is a program for those.
    pub fn left(&self) -> &[Left] {
        self.host.left()
    }

    /// Every counter, once both homes agree on all of them and the sums hold.
    ///
    /// # Errors
    /// They disagree, or a sum does not hold, or the kernel cannot be read.
    pub fn counters(&self) -> Result<Snapshot, Difference> {
        self.counted().map(Counted::into_snapshot)
    }

    /// As [`Pair::counters`], with all that the kernel counted, for other hosts to be compared with it too.
    ///
    /// # Errors
    /// They disagree, or a sum does not hold, or the kernel cannot be read.
    pub fn counted(&self) -> Result<Counted, Difference> {
        let counted = self.kernel.counted()?;
        self.host.judge_counters(&counted)?;
        Ok(counted)
    }
}

/// What became of a frame in one home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the hook returned; `None`: nothing that it may return.
    pub action: Option<Action>,
    /// The frame afterwards.
    pub frame: Vec<u8>,
    /// What was found and decided.
    pub work: Work,
}

/// The homes disagree, or the kernel did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Difference {
    /// About a frame.
    #[error("the homes disagree about a frame\n kernel {kernel}\n host   {host}")]
    Frame {
        /// The kernel's answer.
        kernel: Box<Outcome>,
        /// The host's.
        host: Box<Outcome>,
    },
    /// The program that records and the one that forwards disagree about a frame.
    #[error("the program that forwards says {action:?}, frame {frame:x?}; the one that records {recording}")]
    Variant {
        /// The answer of the one that records.
        recording: Box<Outcome>,
        /// What the other returned.
        action: Option<Action>,
        /// The other's frame.
        frame: Vec<u8>,
    },
    /// About a frame, at TC.
    #[error("at TC the homes disagree about a frame\n kernel {kernel}\n host   {host}")]
    Tc {
        /// The kernel's answer.
        kernel: Box<Outcome>,
        /// The host's.
        host: Box<Outcome>,
    },
    /// About a frame that leaves.
    #[error(
        "about a frame that leaves the homes disagree: {frame:02x?}\n kernel {kernel:02x?}\n host   {host:02x?}"
    )]
    Back {
        /// The frame.
        frame: Vec<u8>,
        /// What the kernel made of it.
        kernel: Vec<u8>,
        /// What the host made of it.
        host: Vec<u8>,
    },
    /// About what was counted.
    #[error("the homes counted differently: {0}")]
    Counters(String),
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

impl Outcome {
    /// Without what a plain frame does not note, because a frame whose first buffer does not hold it all is plain on
    /// the host alone: where the datagram ends, and the headers of a foreign frame.
    fn comparable(&self, other: &Self) -> Self {
        let mut work = self.work;
        work.headers.end = 0;
        let foreign = work.record.decision.class == Class::Foreign as u8;
        if foreign && other.work.headers == Headers::NONE {
            work.headers = Headers::NONE;
        }
        Self { work, ..self.clone() }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Work { headers, record: Record { fields, key, decision }, .. } = &self.work;
        write!(f, "{:?}, {headers:?}, fields {fields:x?}, key {key:x?}, {decision:?}", self.action)?;
        write!(f, ", frame {}", hex(&self.frame))
    }
}

/// Bytes as hexadecimal digits, without spaces, to be pasted elsewhere.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
