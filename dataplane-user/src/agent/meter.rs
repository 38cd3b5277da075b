//! What the agent reads from the dataplane. The local API, the metrics and their tests know the kernel
//! only through this.

use std::sync::Arc;

use super::node::Node;
use super::steward::Posted;
use crate::control::types::{MapStatus, ProgramStatus};
use crate::counters::Snapshot;
use crate::health::Report;
use crate::image::Image;

/// A failure below: its message says in one line what went wrong and what to do next.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A loaded program's counters, tables and facts.
pub trait Meter: Send + Sync {
    /// All counters, summed over CPUs.
    ///
    /// # Errors
    /// The kernel does not hand them out.
    fn counters(&self) -> Result<Snapshot, Cause>;

    /// The tables that it decides over, read from the kernel; without their names.
    ///
    /// # Errors
    /// The kernel does not hand them out.
    fn tables(&self) -> Result<Image, Cause>;

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

/// A meter, and what its numbers are called now.
pub trait Source: Meter {
    /// What is in force.
    fn node(&self) -> Arc<Node>;

    /// What changes have done.
    fn posted(&self) -> Posted;

    /// What is known of shards that are asked whether they live; nothing where none is.
    fn health(&self) -> Option<Report>;
}
