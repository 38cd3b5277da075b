//! What is exported of a key: one value per series.

use keysteer_common::account::{Counter, KEY_DROP_REASONS};

use crate::counters::Snapshot;

/// A key's counters as they are exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Frames.
    pub packets: u64,
    /// Bytes of those frames.
    pub bytes: u64,
    /// TCP flows opened.
    pub flows: u64,
    /// What left: packets and bytes.
    pub sent: Counter,
    /// Of the frames, the dropped, by [`keysteer_common::account::drop_slot`].
    pub drops: [u64; KEY_DROP_REASONS],
}

/// The latest reading of a key, but for what was sent, which most nodes do not count: there is one for each key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) packets: u64,
    bytes: u64,
    flows: u64,
    drops: [u64; KEY_DROP_REASONS],
}

impl Reading {
    /// Without what was sent.
    pub(super) const fn of(tally: &Tally) -> Self {
        let Tally { packets, bytes, flows, drops, sent: _ } = *tally;
        Self { packets, bytes, flows, drops }
    }

    /// With what was sent.
    pub(super) const fn with(self, sent: Counter) -> Tally {
        let Self { packets, bytes, flows, drops } = self;
        Tally { packets, bytes, flows, sent, drops }
    }
}

impl Tally {
    /// The counters of key `id`; zero when the snapshot does not reach that far.
    pub fn of(snapshot: &Snapshot, id: u32) -> Self {
        let key = snapshot.keys.get(id as usize).copied().unwrap_or_default();
        let events = snapshot.events.get(id as usize).copied().unwrap_or_default();
        Self {
            packets: key.packets,
            bytes: key.bytes,
            flows: events.flows,
            sent: snapshot
                .back
                .as_ref()
                .and_then(|back| back.keys.get(id as usize))
                .copied()
                .unwrap_or_default(),
            drops: events.drops.map(|counter| counter.packets),
        }
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.flows += other.flows;
        self.sent.add(other.sent);
        for (drops, more) in self.drops.iter_mut().zip(other.drops) {
            *drops += more;
        }
    }

    /// What was counted since `earlier`. A counter that fell, which kernel counters do not, counts as
    /// unmoved: a series must not fall with it.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut drops = self.drops;
        for (drop, earlier) in drops.iter_mut().zip(earlier.drops) {
            *drop = drop.saturating_sub(earlier);
        }
        Self {
            packets: self.packets.saturating_sub(earlier.packets),
            bytes: self.bytes.saturating_sub(earlier.bytes),
            flows: self.flows.saturating_sub(earlier.flows),
            sent: Counter {
                packets: self.sent.packets.saturating_sub(earlier.sent.packets),
                bytes: self.sent.bytes.saturating_sub(earlier.sent.bytes),
            },
            drops,
        }
    }
}
