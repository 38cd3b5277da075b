//! Tables as vectors, counters as a list of what was counted, and frames.

use std::collections::BTreeMap;

use etherparse::{Ethernet2Header, PacketBuilder, PacketBuilderStep};

use crate::account::{Counter, Meters};
use crate::config::{Config, LevelConfig, PrefixIndex, SchemaConfig};
use crate::forward::Action;
use crate::headers::{Headers, Work};
use crate::migrate::Move;
use crate::pin::{Between, Happened, Moving, Pin, Pins, Said, Settle, settle};
use crate::program::Program;
use crate::shim::Signing;
use crate::slice::Frame;
use crate::tables::{
    Datagram, Datagrams, Exits, KeyEntry, KeyMeta, Pod, PrefixStep, SLOTS, ServiceSet, ShardEntry, Slot,
    SlotTable, Tables, WIDTH_ALL, target,
};
use crate::vocabulary::{Class, Reason, Verdict};

/// One call of [`Meters`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Node(Class, Verdict, Reason, u64),
    Key { id: u32, bytes: u64 },
    KeyDropped { id: u32, bytes: u64, drop: usize },
    Shard { index: u32, bytes: u64 },
    ShardDropped(u32),
    Opened { key: Option<u32>, shard: Option<u32> },
    Version { version: u8, bytes: u64 },
    Claim { id: u32, ingress: u32, bytes: u64 },
}

/// What one decision reads and counts.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) config: Config,
    pub(super) prefix_index: Vec<u64>,
    pub(super) prefix_steps: Vec<PrefixStep>,
    pub(super) services: Vec<ServiceSet>,
    pub(super) prefix_low: Vec<u64>,
    pub(super) keys: Vec<KeyEntry>,
    pub(super) keys_high: Vec<u64>,
    pub(super) slot_tables: Vec<SlotTable>,
    pub(super) slots: Vec<Slot>,
    pub(super) shards: Vec<ShardEntry>,
    /// By shard index.
    pub(super) pods: Vec<Pod>,
    /// By key id.
    pub(super) stamps: Vec<u32>,
    /// Sets of sources and the keys that they may use.
    pub(super) pairs: Vec<u64>,
    pub(super) signing: Signing,
    pub(super) now: u64,
    /// Operators' words.
    pub(super) key_words: Vec<(u32, u64)>,
    pub(super) shard_words: Vec<(u32, u64)>,
    /// By index.
    pub(super) moves: Vec<(u32, Move)>,
    pub(super) old_tables: Vec<SlotTable>,
    pub(super) old_slots: Vec<Slot>,
    pub(super) epoch: u64,
}

/// Where counts and exits are noted.
#[derive(Debug, Default)]
pub(super) struct Noted {
    pub(super) counts: Vec<Count>,
    /// Exits that are not there.
    pub(super) gone: bool,
    /// Datagrams that are remembered.
    pub(super) datagrams: Vec<(Datagram, u32)>,
    /// Flows that are pinned, and how many can be.
    pub(super) pins: BTreeMap<u64, Pin>,
    pub(super) room: usize,
    /// What went elsewhere, by unit: packets; and what happened to flows.
    pub(super) left: BTreeMap<u32, u64>,
    pub(super) moving: BTreeMap<u32, Moving>,
}

pub(super) const KEY_ID: u32 = 7;
pub(super) const SHARD_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xaa];
pub(super) const NODE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xbb];

impl World {
    /// Everything is in scope; one field, the DSCP, whose value 34 is a key of width 1 on shard 0 of
    /// two; both shards are interfaces. All of every other class passes.
    pub(super) fn new() -> Self {
        let mut world = Self::default();
        let everything = PrefixIndex { value: 1, ..PrefixIndex::default() };
        world.config.scope.v4 = everything;
        world.config.scope.v6 = everything;
        world.config.fields[0][0].carrier = crate::carrier::Carrier::IpDscp as u8;
        world.config.fields[0][0].mask = [0, 0x3f];
        world.config.levels[0] =
            LevelConfig { mask: [0, 0x3f], multipliers: [3, 5], fields: 1, ..Default::default() };
        world.config.schemas[0] = SchemaConfig { levels: 1, fields: 1, version: 1, ..Default::default() };
        world.config.record = 1;
        world.config.shards = 2;
        world.slot_tables = vec![SlotTable::new(0, WIDTH_ALL, 0)];
        world.slots = (0..SLOTS).map(|slot| (slot % 2) as Slot).collect();
        world.shards = vec![
            ShardEntry {
                target: target::INTERFACE,
                port: 9,
                destination: SHARD_MAC,
                source: NODE_MAC,
                ..Default::default()
            };
            2
        ];
        world.key(KeyEntry { key: 34, id: KEY_ID, place: 0, meta: KeyMeta::direct(0, 0) });
        world
    }

    /// Makes `entry` the only key.
    pub(super) fn key(&mut self, entry: KeyEntry) {
        // Two entries, and every probe finds it.
        self.keys = vec![entry; 2];
        self.config.key_mask = 1;
        self.config.key_shift = 63;
        self.config.key_probes = 1;
    }

    /// Denies the only key.
    pub(super) fn deny(&mut self) {
        self.keys.iter_mut().for_each(|key| key.meta = key.meta.deny(true));
    }

    /// Decides a frame that arrived on interface 3.
    pub(super) fn decide(&self, frame: &mut [u8], noted: &mut Noted) -> (Action, Work) {
        let mut work = Work::default();
        let packet = &mut Frame::new(frame, 3);
        let action = match Program::of(&self.config) {
            Program::Headers => crate::decide::decide(packet, self, noted, &mut work),
            Program::Deep => crate::decide::decide_deep(packet, self, noted, &mut work),
        };
        (action, work)
    }
}

impl Tables for World {
    fn config(&self) -> &Config {
        &self.config
    }
    fn prefix_index(&self, index: u32) -> Option<u64> {
        self.prefix_index.get(index as usize).copied()
    }
    fn prefix_step(&self, index: u32) -> Option<&PrefixStep> {
        self.prefix_steps.get(index as usize)
    }
    fn service_set(&self, index: u32) -> Option<&ServiceSet> {
        self.services.get(index as usize)
    }
    fn key_entry(&self, index: u64) -> Option<&KeyEntry> {
        self.keys.get(index as usize)
    }
    fn prefix_low(&self, index: u32) -> Option<u64> {
        self.prefix_low.get(index as usize).copied()
    }
    fn key_high(&self, index: u64) -> Option<u64> {
        self.keys_high.get(index as usize).copied()
    }
    fn slot_table(&self, index: u32) -> Option<&SlotTable> {
        self.slot_tables.get(index as usize)
    }
    fn slot(&self, index: u32) -> Option<Slot> {
        self.slots.get(index as usize).copied()
    }
    fn shard(&self, index: u32) -> Option<&ShardEntry> {
        self.shards.get(index as usize)
    }
    fn pod(&self, shard: u32) -> Option<&Pod> {
        self.pods.get(shard as usize)
    }
    fn stamp(&self, id: u32) -> u32 {
        self.stamps.get(id as usize).copied().unwrap_or_default()
    }
    fn pair(&self, index: u32) -> Option<u64> {
        self.pairs.get(index as usize).copied()
    }
    fn signing(&self) -> Option<&Signing> {
        Some(&self.signing)
    }
    fn now(&self) -> u64 {
        self.now
    }
    fn key_word(&self, id: u32) -> u64 {
        word(&self.key_words, id)
    }
    fn shard_word(&self, shard: u32) -> u64 {
        word(&self.shard_words, shard)
    }
    fn moving(&self, at: u32) -> Move {
        self.moves.iter().find(|(index, _)| *index == at).map_or(Move::NONE, |(_, it)| *it)
    }
    fn old_table(&self, index: u32) -> Option<&SlotTable> {
        self.old_tables.get(index as usize)
    }
    fn old_slot(&self, index: u32) -> Option<Slot> {
        self.old_slots.get(index as usize).copied()
    }
    fn epoch(&self) -> u64 {
        self.epoch
    }
}

impl Settle for Noted {
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

impl Pins for Noted {
    fn pin(&mut self, flow: u64) -> Option<Pin> {
        self.pins.get(&flow).copied()
    }
    fn offer(&mut self, flow: u64, pin: Pin) -> bool {
        let fits = self.pins.len() < self.room;
        if fits {
            assert_eq!(self.pins.insert(flow, pin), None);
        }
        fits
    }
    fn renew(&mut self, flow: u64, pin: Pin) {
        assert!(self.pins.insert(flow, pin).is_some());
    }
    fn left(&mut self, unit: u32, _flow: u64, carried: Counter, _span: u32) {
        *self.left.entry(unit).or_default() += carried.packets;
    }
    fn happened(&mut self, unit: u32, what: Happened) {
        self.moving.entry(unit).or_default().count(what);
    }
}

fn word(words: &[(u32, u64)], of: u32) -> u64 {
    words.iter().find(|(at, _)| *at == of).map_or(0, |(_, word)| *word)
}

impl Exits for Noted {
    fn to_interface(&mut self, _shard: u32, _peer: bool) -> bool {
        !self.gone
    }
    fn to_cpu(&mut self, _cpu: u32) -> bool {
        !self.gone
    }
}

impl Datagrams for Noted {
    fn remember(&mut self, datagram: &Datagram, entry: u32) {
        self.datagrams.push((*datagram, entry));
    }
    fn forget(&mut self, datagram: &Datagram) {
        self.datagrams.retain(|(at, _)| at != datagram);
    }
    fn recall(&mut self, datagram: &Datagram) -> Option<u32> {
        self.datagrams.iter().rev().find_map(|(at, entry)| (at == datagram).then_some(*entry))
    }
}

impl Meters for Noted {
    fn node(
        &mut self,
        class: Class,
        verdict: Verdict,
        reason: Reason,
        Counter { packets, bytes }: Counter,
        shard: Option<u32>,
    ) {
        assert_eq!(packets, 1);
        self.counts.push(Count::Node(class, verdict, reason, bytes));
        self.counts.extend(shard.map(|index| Count::Shard { index, bytes }));
    }
    fn key(&mut self, id: u32, Counter { packets, bytes }: Counter) {
        assert_eq!(packets, 1);
        self.counts.push(Count::Key { id, bytes });
    }
    fn key_dropped(&mut self, id: u32, Counter { packets, bytes }: Counter, drop: usize) {
        assert_eq!(packets, 1);
        self.counts.push(Count::KeyDropped { id, bytes, drop });
    }
    fn shard_dropped(&mut self, shard: u32, packets: u64) {
        assert_eq!(packets, 1);
        self.counts.push(Count::ShardDropped(shard));
    }
    fn opened(&mut self, key: Option<u32>, shard: Option<u32>) {
        self.counts.push(Count::Opened { key, shard });
    }
    fn version(&mut self, version: u8, Counter { packets, bytes }: Counter) {
        assert_eq!(packets, 1);
        self.counts.push(Count::Version { version, bytes });
    }
    fn claim(&mut self, id: u32, ingress: u32, Counter { packets, bytes }: Counter) {
        assert_eq!(packets, 1);
        self.counts.push(Count::Claim { id, ingress, bytes });
    }
}

/// The parsing stages alone.
pub(super) fn headers(frame: &mut [u8]) -> Headers {
    crate::look::headers_of(&Frame::new(frame, 3))
}

pub(super) const CLIENT: [u8; 4] = [10, 1, 2, 3];
pub(super) const SERVICE: [u8; 4] = [203, 0, 113, 10];
pub(super) const CLIENT6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3];
pub(super) const SERVICE6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10];

fn ethernet2() -> PacketBuilderStep<Ethernet2Header> {
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
}

/// An IPv4 UDP frame from the client to the service with DSCP 34 and 20 bytes of payload.
pub(super) fn udp4() -> Vec<u8> {
    let mut frame = Vec::new();
    ethernet2().ipv4(CLIENT, SERVICE, 60).udp(1111, 443).write(&mut frame, &[7; 20]).unwrap();
    frame[15] = 34 << 2;
    frame
}

/// An IPv6 TCP SYN from the client to the service with DSCP 34.
pub(super) fn syn6() -> Vec<u8> {
    let mut frame = Vec::new();
    let tcp = ethernet2().ipv6(CLIENT6, SERVICE6, 60).tcp(1111, 443, 9, 1000).syn();
    tcp.write(&mut frame, &[]).unwrap();
    // Version 6, traffic class 0x88, flow label 0.
    frame[14] = 0x68;
    frame[15] = 0x80;
    frame
}

/// `frame` with VLAN tags put in, outermost first.
pub(super) fn with_vlans(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let mut tagged = frame[..12].to_vec();
    for (tpid, tci) in tags {
        tagged.extend(tpid.to_be_bytes());
        tagged.extend(tci.to_be_bytes());
    }
    tagged.extend(&frame[12..]);
    tagged
}

/// An Ethernet frame around an IP packet.
pub(super) fn framed(ether_type: u16, ip: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    frame.extend(ether_type.to_be_bytes());
    frame.extend(ip);
    frame
}

/// An IPv4 packet, its length right and its checksum not (nothing reads it).
pub(super) fn ipv4(protocol: u8, source: [u8; 4], destination: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let mut ip = vec![0x45, 34 << 2, length[0], length[1], 0, 1, 0, 0, 60, protocol, 0, 0];
    ip.extend(source);
    ip.extend(destination);
    ip.extend(payload);
    ip
}

/// An IPv6 packet.
pub(super) fn ipv6(next: u8, source: [u8; 16], destination: [u8; 16], payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut ip = vec![0x68, 0x80, 0, 0, length[0], length[1], next, 60];
    ip.extend(source);
    ip.extend(destination);
    ip.extend(payload);
    ip
}

/// A UDP header with this payload length.
pub(super) fn udp(source: u16, destination: u16, payload: usize) -> Vec<u8> {
    let mut udp = source.to_be_bytes().to_vec();
    udp.extend(destination.to_be_bytes());
    udp.extend(u16::try_from(8 + payload).unwrap().to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(vec![7; payload]);
    udp
}

pub(super) const UDP: u8 = 17;
pub(super) const IPV4: u16 = 0x0800;
pub(super) const IPV6: u16 = 0x86dd;
