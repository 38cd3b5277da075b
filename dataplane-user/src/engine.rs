//! The host home of the decision: the code that runs in the kernel, over an [`Image`] and byte slices,
//! with the same counters.

use std::collections::BTreeMap;

use keysteer_common::account::{BackMeters, Counter, Meters, ShardCounter};
use keysteer_common::back::{NOBODY, way_back};
use keysteer_common::decide::{decide, decide_deep};
use keysteer_common::forward::Action;
use keysteer_common::headers::Work;
use keysteer_common::migrate::Move;
use keysteer_common::nat;
use keysteer_common::pin::{Between, Happened, Moving, Pin, Pins, Said, Settle, settle};
use keysteer_common::program::Program;
use keysteer_common::slice::Frame;
use keysteer_common::tables::{Datagram, Datagrams, Exits, ShardEntry, Tables, target};
use keysteer_common::vocabulary::{Class, Reason, Verdict};

use crate::counters::{Back, Snapshot};
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
    /// The datagrams that are remembered; every one of them, where the kernel's table is bounded.
    datagrams: BTreeMap<Datagram, u32>,
    /// Flows that opened while their key moves.
    pins: BTreeMap<u64, Pin>,
    room: usize,
    moving: BTreeMap<u32, Moving>,
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
        Self::counting(image, image.key_ids())
    }

    /// [`Engine::new`] that counts keys of ids under `keys` alone: counters of a million take time to make.
    pub fn counting(image: &'a Image, keys: u32) -> Self {
        let keys = image.key_ids().min(keys);
        let snapshot = Snapshot::empty(keys as usize, image.shards.len());
        Self {
            image,
            counts: Counts {
                snapshot,
                shards: &image.shards,
                lost: Vec::new(),
                datagrams: BTreeMap::new(),
                pins: BTreeMap::new(),
                room: image.moves.pins as usize,
                moving: BTreeMap::new(),
            },
        }
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
        let packet = &mut Frame::new(frame, ingress);
        match Program::of(&self.image.config) {
            Program::Headers => decide(packet, self.image, &mut self.counts, work),
            Program::Deep => decide_deep(packet, self.image, &mut self.counts, work),
        }
    }

    /// Sees one frame leave by `interface`, rewriting it as the kernel would: counts it as what it answers, translates and stamps it. See
    /// [`keysteer_common::back`].
    pub fn see_leave(&mut self, frame: &mut [u8], interface: u32) {
        let back = &self.image.config.back;
        let mut work = Work::default();
        let packet = &mut Frame::new(frame, interface);
        let shard = if back.nat != 0 { nat::from_pod(packet, self.image, &mut work.headers) } else { NOBODY };
        if back.count != 0 || back.stamps != 0 {
            way_back(packet, self.image, &mut self.counts, &mut work, shard);
        }
    }

    /// Decides from now on as if the interface or the CPU of shard `index` had gone.
    pub fn lose_exit(&mut self, index: u16) {
        self.counts.lost.push(index.into());
    }

    /// What was counted of moving keys, by unit.
    pub fn moving(&self) -> &BTreeMap<u32, Moving> {
        &self.counts.moving
    }

    /// How many flows are proved to be where they opened while their key moves.
    pub fn proved(&self) -> u64 {
        self.counts.pins.values().filter(|pin| pin.proved.is()).count() as u64
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Snapshot {
        &self.counts.snapshot
    }
}

impl Exits for Counts<'_> {
    fn to_interface(&mut self, shard: u32, _peer: bool) -> bool {
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

impl Datagrams for Counts<'_> {
    fn remember(&mut self, datagram: &Datagram, entry: u32) {
        self.datagrams.insert(*datagram, entry);
    }

    fn forget(&mut self, datagram: &Datagram) {
        self.datagrams.remove(datagram);
    }

    fn recall(&mut self, datagram: &Datagram) -> Option<u32> {
        self.datagrams.get(datagram).copied()
    }
}

impl Settle for Counts<'_> {
    fn settle<T: Tables>(
        &mut self,
        tables: &T,
        flow: u64,
        moving: Move,
        between: Between,
        said: Said,
    ) -> u16 {
        settle(self, tables, flow, moving, between, said)
    }
}

impl Pins for Counts<'_> {
    fn pin(&mut self, flow: u64) -> Option<Pin> {
        self.pins.get(&flow).copied()
    }

    fn offer(&mut self, flow: u64, pin: Pin) -> bool {
        let fits = self.pins.len() < self.room;
        if fits {
            self.pins.insert(flow, pin);
        }
        fits
    }

    fn renew(&mut self, flow: u64, pin: Pin) {
        self.pins.insert(flow, pin);
    }

    fn left(&mut self, unit: u32, flow: u64, carried: Counter, span: u32) {
        let moving = self.moving.entry(unit).or_default();
        moving.left.add(carried);
        moving.mark(flow, span);
    }

    fn happened(&mut self, unit: u32, what: Happened) {
        self.moving.entry(unit).or_default().count(what);
    }
}

impl Meters for Counts<'_> {
    fn node(&mut self, class: Class, verdict: Verdict, reason: Reason, carried: Counter, shard: Option<u32>) {
        self.snapshot.node.count(class, verdict, reason, carried);
        if let Some(counter) = self.shard(shard) {
            counter.packets += carried.packets;
            counter.bytes += carried.bytes;
        }
    }

    fn key(&mut self, id: u32, carried: Counter) {
        if let Some(counter) = self.snapshot.keys.get_mut(id as usize) {
            counter.add(carried);
        }
    }

    fn key_dropped(&mut self, id: u32, carried: Counter, drop: usize) {
        let events = self.snapshot.events.get_mut(id as usize);
        if let Some(counter) = events.and_then(|events| events.drops.get_mut(drop)) {
            counter.add(carried);
        }
    }

    fn shard_dropped(&mut self, shard: u32, packets: u64) {
        if let Some(counter) = self.shard(Some(shard)) {
            counter.dropped += packets;
        }
    }

    fn opened(&mut self, key: Option<u32>, shard: Option<u32>) {
        if let Some(events) = key.and_then(|id| self.snapshot.events.get_mut(id as usize)) {
            events.flows += 1;
        }
        if let Some(counter) = self.shard(shard) {
            counter.flows += 1;
        }
    }

    fn version(&mut self, version: u8, carried: Counter) {
        self.snapshot.versions.entry(version).or_default().add(carried);
    }

    fn claim(&mut self, id: u32, ingress: u32, carried: Counter) {
        self.snapshot.claims.entry((id, ingress)).or_default().add(carried);
    }
}

impl BackMeters for Counts<'_> {
    fn node_back(&mut self, class: Class, carried: Counter, shard: u32) {
        let back = self.back();
        if let Some(counter) = back.classes.get_mut(class as usize) {
            counter.add(carried);
        }
        if let Some(counter) = back.shards.get_mut(shard as usize) {
            counter.add(carried);
        }
    }

    fn key_back(&mut self, id: u32, carried: Counter) {
        if let Some(counter) = self.back().keys.get_mut(id as usize) {
            counter.add(carried);
        }
    }
}

impl Counts<'_> {
    /// Counters of the way back, at zero where nothing was counted yet.
    fn back(&mut self) -> &mut Back {
        let (keys, shards) = (self.snapshot.keys.len(), self.snapshot.shards.len());
        self.snapshot.back.get_or_insert_with(|| Back {
            keys: vec![Counter::default(); keys],
            shards: vec![Counter::default(); shards],
            ..Back::default()
        })
    }

    fn shard(&mut self, shard: Option<u32>) -> Option<&mut ShardCounter> {
        self.snapshot.shards.get_mut(shard? as usize)
    }
}
