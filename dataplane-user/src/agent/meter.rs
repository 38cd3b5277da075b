//! What the agent reads from the dataplane. The local API, the metrics and their tests know the kernel
//! only through this.

use crate::control::types::{MapStatus, ProgramStatus};
use crate::counters::Snapshot;

/// A failure below: its message says in one line what went wrong and what to do next.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A table that the program decides over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Buckets of the prefix tables.
    PrefixIndex,
    /// Their steps.
    PrefixSteps,
    /// Service sets.
    Services,
    /// The key table.
    Keys,
    /// Slot tables.
    Slots,
    /// Shards.
    Shards,
}

/// A loaded program's counters, tables and facts.
pub trait Meter: Send + Sync {
    /// All counters, summed over CPUs.
    ///
    /// # Errors
    /// The kernel does not hand them out.
    fn counters(&self) -> Result<Snapshot, Cause>;

    /// The bytes of one entry of a table; none beyond its end.
    ///
    /// # Errors
    /// The kernel does not hand it out.
    fn entry(&self, table: Table, index: u32) -> Result<Option<Vec<u8>>, Cause>;

    /// The program.
    ///
    /// # Errors
    /// The kernel does not describe it.
    fn program(&self) -> Result<ProgramStatus, Cause>;

    /// Its maps.
    ///
    /// # Errors
    /// The kernel does not describe them.
    fn maps(&self) -> Result<Vec<MapStatus>, Cause>;
}
