//! Recent traffic, from counters: what shares of traffic are shares of.

use std::time::Duration;

use keysteer_common::vocabulary::Class;

use super::types::Live;
use crate::counters::Snapshot;
use crate::policy::Share;

/// Bytes by what they belong to, over some time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// By key id.
    pub keys: Vec<u64>,
    /// By shard index, of the generation in force.
    pub shards: Vec<u64>,
    /// By class, those that a policy decides about, in its order.
    pub classes: [u64; CLASSES.len()],
    /// All that is ours.
    pub live: Live,
}

/// What of a reading of the counters is kept until the next: of many keys it is all that is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Bytes by key id.
    keys: Vec<u64>,
    /// Bytes by shard index.
    shards: Vec<u64>,
    /// Packets and bytes of [`CLASSES`], and of what is assigned.
    classes: [(u64, u64); CLASSES.len()],
    assigned: (u64, u64),
}

impl Sample {
    /// What is kept of a reading.
    pub fn of(snapshot: &Snapshot) -> Self {
        let of = |class: Class| {
            let counter = snapshot.class(class);
            (counter.packets, counter.bytes)
        };
        Self {
            keys: snapshot.keys.iter().map(|counter| counter.bytes).collect(),
            shards: snapshot.shards.iter().map(|shard| shard.bytes).collect(),
            classes: CLASSES.map(of),
            assigned: of(Class::Assigned),
        }
    }
}

/// The classes that a policy decides about, in its order.
pub(super) const CLASSES: [Class; 4] =
    [Class::Missing, Class::Unregistered, Class::Malformed, Class::Unauthenticated];

impl Traffic {
    /// What came between two readings of the counters, `apart`; all since they began without an earlier one.
    pub fn between(earlier: Option<&Sample>, now: &Snapshot, apart: Duration) -> Self {
        let nothing = Sample::default();
        let (earlier, now) = (earlier.unwrap_or(&nothing), Sample::of(now));
        let since = |now: Vec<u64>, before: &[u64]| -> Vec<u64> {
            let before = before.iter().copied().chain(std::iter::repeat(0));
            now.into_iter().zip(before).map(|(now, before)| now.saturating_sub(before)).collect()
        };
        let both = |now: (u64, u64), before: (u64, u64)| {
            (now.0.saturating_sub(before.0), now.1.saturating_sub(before.1))
        };
        let mut classes = now.classes;
        for (class, before) in classes.iter_mut().zip(earlier.classes) {
            *class = both(*class, before);
        }
        let assigned = both(now.assigned, earlier.assigned);
        let live = classes.iter().fold(assigned, |sum, class| (sum.0 + class.0, sum.1 + class.1));
        Self {
            keys: since(now.keys, &earlier.keys),
            shards: since(now.shards, &earlier.shards),
            classes: classes.map(|(_, bytes)| bytes),
            live: Live {
                packets: live.0,
                bytes: live.1,
                milliseconds: u64::try_from(apart.as_millis()).unwrap_or(u64::MAX),
            },
        }
    }

    /// The bytes of a key.
    pub(super) fn key(&self, id: u32) -> u64 {
        self.keys.get(id as usize).copied().unwrap_or(0)
    }
}

/// The share of all live traffic that so many bytes are; none where no traffic was read, or there was none.
pub(super) fn share(traffic: Option<&Traffic>, bytes: f64) -> Option<Share> {
    let whole = traffic?.live.bytes;
    (whole > 0).then(|| Share::of(bytes, whole as f64))
}
