//! What the program keeps per CPU in one map value: one look-up per packet serves the work area and
//! the node's counters.

use crate::account::NodeCounters;
use crate::headers::Work;

/// The per-CPU map value.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuState {
    /// Always zero, which the verifier does not know: see [`crate::access::Packet::forget`].
    pub zero: u64,
    /// The packet being decided; afterwards, the last one decided on this CPU.
    pub work: Work,
    /// The node's counters.
    pub node: NodeCounters,
}

const _: () = assert!(size_of::<CpuState>() == 8 + size_of::<Work>() + (8 + 8 * 32) * 16);
