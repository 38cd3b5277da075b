//! Recent traffic, from counters: what shares of traffic are shares of.

use std::time::Duration;

use keysteer_common::account::{Counter, ShardCounter};
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

/// The classes that a policy decides about, in its order.
pub(super) const CLASSES: [Class; 4] =
    [Class::Missing, Class::Unregistered, Class::Malformed, Class::Unauthenticated];

impl Traffic {
    /// What came between two readings of the counters, `apart`; all since they began without an earlier one.
    pub fn between(earlier: Option<&Snapshot>, now: &Snapshot, apart: Duration) -> Self {
        let nothing = Snapshot::default();
        let earlier = earlier.unwrap_or(&nothing);
        let bytes = |counters: &[Counter], before: &[Counter]| -> Vec<u64> {
            let before = before.iter().map(|counter| counter.bytes).chain(std::iter::repeat(0));
            counters.iter().zip(before).map(|(now, before)| now.bytes.saturating_sub(before)).collect()
        };
        let shard_bytes =
            |shards: &[ShardCounter]| shards.iter().map(|shard| shard.bytes).collect::<Vec<u64>>();
        let before = shard_bytes(&earlier.shards).into_iter().chain(std::iter::repeat(0));
        let shards =
            shard_bytes(&now.shards).into_iter().zip(before).map(|(now, before)| now.saturating_sub(before));
        let of = |class: Class| {
            let (now, before) = (now.class(class), earlier.class(class));
            (now.packets.saturating_sub(before.packets), now.bytes.saturating_sub(before.bytes))
        };
        let classes = CLASSES.map(of);
        let assigned = of(Class::Assigned);
        let live = classes.iter().fold(assigned, |sum, class| (sum.0 + class.0, sum.1 + class.1));
        Self {
            keys: bytes(&now.keys, &earlier.keys),
            shards: shards.collect(),
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
