//! The host home of the decision: the code that runs in the kernel, over an [`Image`] and byte slices,
//! with the same counters.

use keysteer_common::account::Meters;
use keysteer_common::decide::decide;
use keysteer_common::forward::Action;
use keysteer_common::headers::Work;
use keysteer_common::slice::Frame;
use keysteer_common::tables::{Exits, ShardEntry, target};
use keysteer_common::vocabulary::{Class, REASONS, Reason, Verdict};

use crate::counters::Snapshot;
use crate::image::Image;

/// Decides frames over an image and counts them.
#[derive(Debug)]
pub struct Engine<'a> {
    image: &'a Image,
    counts: Counts<'a>,
}

/// Counters and exits of the host home.
#[derive(Debug)]
struct Counts<'a> {
    snapshot: Snapshot,
    shards: &'a [ShardEntry],
    lost: Vec<u32>,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What the hook would return.
    pub action: Action,
    /// Everything that was found and decided.
    pub work: Work,
}

impl<'a> Engine<'a> {
    /// An engine with counters at zero.
    pub fn new(image: &'a Image) -> Self {
        let snapshot = Snapshot::empty(image.key_ids() as usize, image.shards.len());
        Self { image, counts: Counts { snapshot, shards: &image.shards, lost: Vec::new() } }
    }

    /// Decides one frame that arrived on interface `ingress`, rewriting it as the kernel would.
    pub fn decide(&mut self, frame: &mut [u8], ingress: u32) -> Decided {
        let mut work = Work::default();
        let action = self.decide_over(frame, ingress, &mut work);
        Decided { action, work }
    }

    /// Like [`Engine::decide`], over the work area that the previous frame left, as in the kernel: parts of it
    /// that this frame does not have keep their old values.
    pub fn decide_over(&mut self, frame: &mut [u8], ingress: u32, work: &mut Work) -> Action {
        decide(&mut Frame::new(frame, ingress), self.image, &mut self.counts, work)
    }

    /// Decides from now on as if the interface or the CPU of shard `index` had gone.
    pub fn lose_exit(&mut self, index: u16) {
        self.counts.lost.push(index.into());
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Snapshot {
        &self.counts.snapshot
    }
}

impl Exits for Counts<'_> {
    fn to_interface(&mut self, shard: u32) -> bool {
        self.shards
            .get(shard as usize)
            .is_some_and(|entry| matches!(entry.target, target::INTERFACE | target::NEXT_HOP))
            && !self.lost.contains(&shard)
    }

    fn to_cpu(&mut self, cpu: u32) -> bool {
        let mut lost = self.lost.iter().filter_map(|shard| self.shards.get(*shard as usize));
        !lost.any(|entry| entry.target == target::CPU && entry.port == cpu)
    }
}

impl Meters for Counts<'_> {
    fn node(&mut self, class: Class, verdict: Verdict, reason: Reason, bytes: u64) {
        let node = &mut self.snapshot.node;
        for counter in [
            node.verdicts.get_mut(verdict as usize),
            node.outcomes.get_mut(class as usize * REASONS + reason as usize),
        ]
        .into_iter()
        .flatten()
        {
            counter.packets += 1;
            counter.bytes += bytes;
        }
    }

    fn key(&mut self, id: u32, bytes: u64, opens: bool, drop: Option<usize>) {
        if let Some(counter) = self.snapshot.keys.get_mut(id as usize) {
            counter.packets += 1;
            counter.bytes += bytes;
            counter.flows += u64::from(opens);
        }
        if let Some(counter) = drop
            .and_then(|slot| self.snapshot.drops.get_mut(id as usize).and_then(|drops| drops.get_mut(slot)))
        {
            counter.packets += 1;
            counter.bytes += bytes;
        }
    }

    fn shard(&mut self, index: u32, bytes: u64, opens: bool, dropped: bool) {
        if let Some(counter) = self.snapshot.shards.get_mut(index as usize) {
            counter.packets += 1;
            counter.bytes += bytes;
            counter.flows += u64::from(opens);
            counter.dropped += u64::from(dropped);
        }
    }
}
