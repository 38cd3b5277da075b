//! One slot per key, one per shard, one per class and reason, one per verdict, all per CPU.
//!
//! The sums that must hold exactly at rest, over packets and over bytes:
//! `received = Σ verdicts = Σ (class, reason) = Σ keys + Σ classes other than assigned`, and a key's
//! drops are part of the key.

use crate::headers::{NO_SHARD, Work, found};
use crate::seeded::bug;
use crate::vocabulary::{CLASSES, Class, REASONS, Reason, VERDICTS, Verdict};

/// Packets and bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Frames.
    pub packets: u64,
    /// Bytes of those frames, from the Ethernet header on, without preamble and checksum.
    pub bytes: u64,
}

/// What a key received.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyCounter {
    /// Every frame of the key, whatever became of it.
    pub packets: u64,
    /// Bytes of those frames.
    pub bytes: u64,
    /// Flows opened: TCP segments with SYN and without ACK.
    pub flows: u64,
}

/// What a shard was given.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardCounter {
    /// Frames decided for the shard.
    pub packets: u64,
    /// Bytes of those frames.
    pub bytes: u64,
    /// Flows opened towards it.
    pub flows: u64,
    /// Of `packets`, those dropped because its exit had gone or its target is `drop`.
    pub dropped: u64,
}

/// How many reasons a key's drops are told apart by.
pub const KEY_DROP_REASONS: usize = 4;

/// A key's drops, by [`drop_slot`].
pub type KeyDrops = [Counter; KEY_DROP_REASONS];

/// Where a key's drops for `reason` are counted in [`KeyDrops`]; `None` when it is no drop of a key.
pub const fn drop_slot(reason: Reason) -> Option<usize> {
    match reason {
        Reason::Denied => Some(0),
        Reason::TargetDrop => Some(1),
        Reason::NoShard => Some(2),
        Reason::NoExit => Some(3),
        Reason::OutOfScope | Reason::Steered | Reason::ClassPass | Reason::ClassDrop => None,
    }
}

/// Counters of the node as a whole.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeCounters {
    /// By [`Verdict`] number.
    pub verdicts: [Counter; VERDICTS],
    /// By class number times [`REASONS`] plus reason number.
    pub outcomes: [Counter; CLASSES * REASONS],
}

impl Default for NodeCounters {
    fn default() -> Self {
        Self { verdicts: [Counter::default(); VERDICTS], outcomes: [Counter::default(); CLASSES * REASONS] }
    }
}

/// Where counts go.
pub trait Meters {
    /// Counts a frame at the node.
    fn node(&mut self, class: Class, verdict: Verdict, reason: Reason, bytes: u64);
    /// Counts a frame for a key, and in its drops when `drop` is a slot of [`KeyDrops`].
    fn key(&mut self, id: u32, bytes: u64, opens: bool, drop: Option<usize>);
    /// Counts a frame for a shard.
    fn shard(&mut self, index: u32, bytes: u64, opens: bool, dropped: bool);
}

/// Counts what was decided. Called once per frame, after its action could last fail.
#[inline(always)]
pub fn account<M: Meters>(meters: &mut M, work: &mut Work, class: Class, verdict: Verdict, reason: Reason) {
    work.decision.class = class as u8;
    work.decision.verdict = verdict as u8;
    work.decision.reason = reason as u8;
    let bytes = work.decision.bytes as u64;
    meters.node(class, verdict, reason, bytes);
    if class as u8 == Class::Foreign as u8 {
        return;
    }
    let opens = work.headers.has(found::OPENS);
    let dropped = verdict as u8 == Verdict::Drop as u8;
    if class as u8 == Class::Assigned as u8 {
        meters.key(
            work.decision.key_id,
            bytes,
            opens,
            if bug!(Account, dropped, false) { drop_slot(reason) } else { None },
        );
    }
    if work.decision.shard != NO_SHARD {
        meters.shard(work.decision.shard as u32, bytes, opens, dropped);
    }
}
