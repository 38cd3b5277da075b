//! Changes that are made in steps: whose turn comes when, and what is thought of those who moved.
//!
//! ```text
//!  turns   a step for each move          (kept: the bounds of the steps that are shares)
//!  judge   what was counted, against what the policy allows
//! ```
//! A move whose turn has not come is [held](keysteer_common::migrate::Move::held) in the kernel; its turn is one store.

mod judge;
mod turns;

pub use judge::{Counted, judge};
pub use turns::Turns;
