//! The kernel home: load the object, fill its maps, attach it, read its counters.
//!
//! ```text
//!  load      object + Image -> program, maps filled          (nothing attached yet)
//!  attach    native XDP, else TC, else generic, said which; foreign programs are named and left alone
//!  counters  per-CPU values summed into a Snapshot
//!  test_run  one frame through the very program, for tests
//!  runs      many frames through it, for their decisions alone (record)
//! ```
//! Dropping a [`Dataplane`] detaches it.

pub mod addresses;
mod attach;
mod cleanup;
mod clsact;
mod counter_set;
mod counters;
#[cfg(feature = "bpf-log")]
mod debug_log;
mod error;
mod facts;
pub mod features;
mod fill;
mod filter;
pub mod flows;
mod foreign;
mod home;
pub mod interfaces;
pub(crate) mod ioctl;
mod link;
mod load;
mod native;
pub mod netlink;
mod pair;
pub mod pins;
mod readback;
mod record;
mod requests;
mod runs;
mod signing;
mod steering;
mod survey;
mod sys;
mod tables;
mod test_run;
pub mod xdp_features;

use std::fmt;

pub use attach::{Attachment, Mode, WantedMode};
pub use cleanup::cleanup;
pub use error::KernelError;
pub use foreign::{ForeignProgram, foreign_program, mode_of};
pub use link::{Direction, Link, LinkFacts, Place};
pub use load::check_kernel;
pub use native::{has_native_xdp, has_tcx};
pub use runs::{FRAMES, Runs};
pub use steering::{Counted, Link as SteeredInterface, Seen, Speaker, Steering, Tick};
pub use survey::Pinned;
pub use tables::{KEYS_MAP, change_keys};
pub use test_run::{FRAMES_AT_TC, TestRunOutcome, pin_to_cpu};

/// A loaded program with its maps, and where it is attached.
pub struct Dataplane {
    home: home::Home,
    links: Vec<attach::Attached>,
    /// Its counters and operators' words.
    set: counter_set::CounterSet,
    about: About,
}

/// What is known of a loaded program.
#[derive(Clone, Copy)]
struct About {
    /// What it is made by.
    shape: load::Shape,
    /// How many key ids and shards are counted, of the policy's.
    counted: counter_set::Capacity,
    /// Whether a shard's target is a CPU.
    to_cpu: bool,
    /// How many CPUs the kernel may ever bring up.
    cpus: usize,
}

/// What aya has of the program holds its constants, and these hold secrets.
impl fmt::Debug for Dataplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataplane").field("links", &self.links).finish_non_exhaustive()
    }
}
