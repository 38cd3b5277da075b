//! Whether shards live: asked again and again over the road that packets take, judged, and told to the kernel as words.
//!
//! ```text
//!  checks     who is asked what, of which pools                    made with the tables
//!  schedule   when the next question is due                        no clock: time is a parameter
//!  subject    one shard: rise, fall, flaps, slow start             no clock, no socket
//!  monitor    all of them: time-outs, and the floor of each pool   no clock, no socket
//!  word       what the kernel is told of a shard
//!  ledger     what is known now and was counted, for whoever reads
//!  ask        the questions themselves: sockets that never block
//! ```
//! [`crate::agent::health`] has the clock and the sockets, and runs the rest. Nothing of it outlives the agent but the words in
//! the kernel: what lives is measured anew. A shard that always answers is never taken out, and none is by fewer failures in a
//! row than `fall`.

pub mod ask;
mod checks;
mod ledger;
mod monitor;
mod schedule;
mod subject;
mod word;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::time::Duration;

pub use checks::{Asked, Checks, Pool};
pub use ledger::{Ledger, PoolReport, Report, ShardReport};
pub use monitor::{Monitor, Step};
pub use schedule::seed;
pub use word::{HEALTHS, WHOLE, health_word, inherited};

/// A moment: how long after some beginning, by a clock that never goes back.
pub type Moment = Duration;

/// Why a question has no right answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// None came in time.
    Timeout,
    /// The connection was refused: somebody is there, and does not listen.
    Refused,
    /// The network says that nobody can be reached.
    Unreachable,
    /// The connection broke off, or what came is no HTTP.
    Broken,
    /// Another status than one of those that are right.
    Status(u16),
}

impl Failure {
    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Broken => "broken",
            Self::Status(_) => "status",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no answer in time"),
            Self::Refused => f.write_str("connection refused"),
            Self::Unreachable => f.write_str("unreachable, the network says"),
            Self::Broken => f.write_str("the connection broke off, or the answer is no HTTP"),
            Self::Status(status) => write!(f, "status {status}"),
        }
    }
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A right answer.
    Answered,
    /// None.
    Failed(Failure),
    /// It could not be put, which says nothing of the shard.
    Unasked,
}

impl Outcome {
    /// The names of all in metrics.
    pub const NAMES: [&'static str; 7] =
        ["answered", "timeout", "refused", "unreachable", "broken", "status", "unasked"];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed(failure) => failure.name(),
            Self::Unasked => "unasked",
        }
    }
}

/// What the kernel is to do about a shard of which it is to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing is sent to it.
    Down,
    /// It came back, and has so much of its share, of 255.
    Recovering {
        /// How much.
        share: u8,
    },
}

/// How a shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It answers, or has not failed often enough.
    Up,
    /// It came back, and has so much of its share, of 255.
    Ramp {
        /// How much.
        share: u8,
    },
    /// It does not answer, and nothing is sent to it.
    Down,
    /// It comes and goes: nothing is sent to it until then, also if it answers.
    Held {
        /// Until when.
        until: Moment,
    },
    /// It does not answer, and is used all the same: so many others of a pool do not either that the network is doubted.
    Doubted,
}

impl Condition {
    /// As output has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Ramp { .. } => "ramp",
            Self::Down => "down",
            Self::Held { .. } => "held",
            Self::Doubted => "doubted",
        }
    }

    /// Whether it answers.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Up | Self::Ramp { .. })
    }
}

/// Something that happened. Shards are named by their indices, pools by their place in [`Checks::pools`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A shard does not answer any more.
    Down {
        /// The shard.
        shard: u16,
        /// Why the last question has no answer.
        why: Failure,
        /// How many in a row have none.
        failures: u32,
    },
    /// A shard that was down answers.
    Up {
        /// The shard.
        shard: u16,
        /// How many answers in a row it gave.
        answers: u32,
        /// How long it was down.
        after: Duration,
    },
    /// A shard that went down once more comes and goes.
    Held {
        /// The shard.
        shard: u16,
        /// How long it is kept out.
        span: Duration,
    },
    /// A shard that came back gets more.
    Ramp {
        /// The shard.
        shard: u16,
        /// How much of its share, of 255; then it has all of it.
        share: u8,
    },
    /// So much of a pool does not answer that the network is doubted: all of its shards are used.
    Doubt {
        /// The pool.
        pool: usize,
    },
    /// Enough of a pool answers again.
    Trust {
        /// The pool.
        pool: usize,
    },
}
