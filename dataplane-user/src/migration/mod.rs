//! Flows that are there stay where they are while their keys' placement changes: what moves between two generations, and when each
//! move is over. The packet's part is [`keysteer_common::migrate`] and [`keysteer_common::pin`].
//!
//! ```text
//!  moves      the tables in force and the new ones -> how each key that moves finds its previous shard
//!  progress   what was counted, second by second -> whose flows are quiet, how much is left, how long it may take
//! ```

#[cfg(test)]
#[path = "contrast_tests.rs"]
mod contrast;
mod moves;
mod progress;

pub use moves::{Settings, begin, units_of_shards};
pub use progress::{Ended, Progress, Remaining, Turn, Unit};
