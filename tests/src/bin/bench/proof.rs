//! The way that every packet of a row takes, and the proof by counters that it did.

use keysteer::counters::{Back, Snapshot};
use keysteer_common::account::Counter;
use keysteer_common::vocabulary::{Class, Reason, Verdict};

/// The way of a row's packets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// They arrive.
    Arrives {
        class: Class,
        verdict: Verdict,
        reason: Reason,
        /// How many keys have packets in each measurement, or [`ANY`].
        keys: usize,
    },
    /// They leave.
    Leaves {
        class: Class,
        /// How many keys have packets in each measurement.
        keys: usize,
        /// How many shards they answer for.
        shards: usize,
    },
}

/// [`Way::Arrives::keys`] where a measurement does not visit every key.
pub(crate) const ANY: usize = usize::MAX;

impl Way {
    /// Whether so many packets, and no others, took it between two moments.
    pub(crate) fn taken(self, before: &Snapshot, after: &Snapshot, packets: u64) -> Result<(), String> {
        match self {
            Self::Arrives { class, verdict, reason, keys } => {
                let outcome = after.outcome(class, reason).packets - before.outcome(class, reason).packets;
                let ended = after.verdict(verdict).packets - before.verdict(verdict).packets;
                if outcome != packets || ended != packets {
                    return Err(format!(
                        "of {packets} packets {outcome} were {class:?} for {reason:?} and {ended} ended as {verdict:?}"
                    ));
                }
                let had = gains(&before.keys, &after.keys).len();
                if keys == ANY { Ok(()) } else { same("keys", had, keys) }
            }
            Self::Leaves { class, keys, shards } => {
                let nothing = Back::default();
                let (before, after) = (back(before, &nothing), back(after, &nothing));
                let left = after.class(class).packets - before.class(class).packets;
                let all = after.sent().packets - before.sent().packets;
                if left != packets || all != packets {
                    return Err(format!("of {packets} packets {left} left as {class:?}, and {all} in all"));
                }
                shared("keys", &gains(&before.keys, &after.keys), keys, packets)?;
                shared("shards", &gains(&before.shards, &after.shards), shards, packets)
            }
        }
    }
}

/// What left, which nothing has where none was counted yet.
fn back<'s>(snapshot: &'s Snapshot, nothing: &'s Back) -> &'s Back {
    snapshot.back.as_ref().unwrap_or(nothing)
}

/// By how many packets counters rose, of those that did. One that was not there before was nothing.
fn gains(before: &[Counter], after: &[Counter]) -> Vec<u64> {
    let before = before.iter().map(|counter| counter.packets).chain(std::iter::repeat(0));
    let gains = after.iter().zip(before).map(|(after, before)| after.packets - before);
    gains.filter(|gain| *gain != 0).collect()
}

/// Whether so many have packets, and all of them together where there are any.
fn shared(what: &str, gains: &[u64], wanted: usize, packets: u64) -> Result<(), String> {
    same(what, gains.len(), wanted)?;
    let sum: u64 = gains.iter().sum();
    if wanted == 0 || sum == packets {
        Ok(())
    } else {
        Err(format!("of {packets} packets {sum} were counted for {what}"))
    }
}

fn same(what: &str, had: usize, wanted: usize) -> Result<(), String> {
    if had == wanted { Ok(()) } else { Err(format!("{had} {what} had packets, not {wanted}")) }
}
