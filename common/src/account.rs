//! One slot per key, one per shard, one per class and reason, one per verdict, all per CPU.
//!
//! The sums that must hold exactly at rest, over packets and over bytes:
//! `received = Σ verdicts = Σ (class, reason) = Σ keys + Σ classes other than assigned`, and a key's
//! drops are part of the key.

use crate::hint::rare;
use crate::seeded::bug;
use crate::vocabulary::{CLASSES, Class, Reason, VERDICTS, Verdict};

/// Packets and bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Frames; of a packet that the kernel cuts into frames later, those.
    pub packets: u64,
    /// Bytes of those frames, from the Ethernet header on, without preamble and checksum.
    pub bytes: u64,
}

impl Counter {
    /// One frame of so many bytes.
    #[inline(always)]
    pub const fn frame(bytes: u64) -> Self {
        Self { packets: 1, bytes }
    }

    /// Counts more.
    #[inline(always)]
    pub const fn add(&mut self, more: Self) {
        self.packets += more.packets;
        self.bytes += more.bytes;
    }
}

/// What a key received: every frame of it, whatever became of it.
pub type KeyCounter = Counter;

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
pub const KEY_DROP_REASONS: usize = 5;

/// A key's drops, by [`drop_slot`].
pub type KeyDrops = [Counter; KEY_DROP_REASONS];

/// What happens to a key more rarely than a frame, apart from what every frame touches.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyEvents {
    /// Flows opened: TCP segments with SYN and without ACK.
    pub flows: u64,
    /// Of the key's frames, those dropped.
    pub drops: KeyDrops,
}

const _: () = assert!(size_of::<KeyEvents>() == 8 + 16 * KEY_DROP_REASONS);

/// Where a key's drops for `reason` are counted in [`KeyDrops`]; `None` when it is no drop of a key.
pub const fn drop_slot(reason: Reason) -> Option<usize> {
    match reason {
        Reason::Denied => Some(0),
        Reason::TargetDrop => Some(1),
        Reason::NoShard => Some(2),
        Reason::NoExit => Some(3),
        Reason::TooBig => Some(4),
        Reason::OutOfScope
        | Reason::Steered
        | Reason::ClassPass
        | Reason::ClassDrop
        | Reason::FragmentPass
        | Reason::FragmentDrop => None,
    }
}

/// How many counters a node has: one for each way that a frame can end, so that one addition counts it by
/// class, reason and verdict.
pub const WAYS: usize = CLASSES * WAYS_OF_CLASS;
const WAYS_OF_CLASS: usize = 64;
/// Reasons below this number have one verdict each; a steered frame has its target's.
const STEERED_WAYS: usize = WAYS_OF_CLASS - VERDICTS;
/// From here on, the same reasons of frames that were only observed: generations of either mode share counters.
const OBSERVED_WAYS: usize = STEERED_WAYS / 2;

const _: () = assert!(Reason::ALL.len() <= OBSERVED_WAYS);

/// The number of the counter for frames of `class` that ended with `verdict` for `reason`.
#[inline(always)]
pub const fn way(class: Class, verdict: Verdict, reason: Reason) -> usize {
    let last = match reason {
        Reason::Steered => STEERED_WAYS + verdict as usize,
        _ if verdict as u8 == Verdict::Observe as u8 => OBSERVED_WAYS + reason as usize,
        _ => reason as usize,
    };
    class as usize * WAYS_OF_CLASS + last
}

/// Class, verdict and reason of counter `way`; `None` for a number that nothing is counted under.
pub fn way_of(way: usize) -> Option<(Class, Verdict, Reason)> {
    let class = Class::from_number((way / WAYS_OF_CLASS) as u8)?;
    let last = way % WAYS_OF_CLASS;
    if last >= STEERED_WAYS {
        return Some((class, Verdict::from_number((last - STEERED_WAYS) as u8)?, Reason::Steered));
    }
    if let Some(reason) = last.checked_sub(OBSERVED_WAYS) {
        return Some((class, Verdict::Observe, Reason::from_number(reason as u8)?));
    }
    let reason = Reason::from_number(last as u8)?;
    let verdict = match reason {
        Reason::OutOfScope | Reason::ClassPass | Reason::FragmentPass => Verdict::Pass,
        _ => Verdict::Drop,
    };
    Some((class, verdict, reason))
}

/// How many shards' counters there are in one [`Tally`].
pub const TALLY_SHARDS: usize = 256;

/// The node's counters and some shards', in one per-CPU value, so that one look-up serves both. There are as many
/// as it takes for all shards; the node's counters are the sums over them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// By [`way`].
    pub ways: [Counter; WAYS],
    /// By shard index modulo [`TALLY_SHARDS`].
    pub shards: [ShardCounter; TALLY_SHARDS],
}

// The kernel's bound for a value of a per-CPU map (`PCPU_MIN_UNIT_SIZE`, Linux 6.1).
const _: () = assert!(size_of::<Tally>() == 16 * WAYS + 32 * TALLY_SHARDS && size_of::<Tally>() <= 32_768);

/// What leaves a node that it saw coming, some shards' and by class, in one per-CPU value: see [`crate::back`]. There are as many as it takes
/// for all shards; the classes' counters are the sums over them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackTally {
    /// By class number.
    pub classes: [Counter; CLASSES],
    /// By shard index modulo [`TALLY_SHARDS`].
    pub shards: [Counter; TALLY_SHARDS],
}

const _: () = assert!(size_of::<BackTally>() == 16 * CLASSES + 16 * TALLY_SHARDS);

/// Where counts of the way back go.
pub trait BackMeters {
    /// Counts a packet at the node, and for the shard whose answer it is, if any ([`crate::back::NOBODY`]).
    fn node_back(&mut self, class: Class, carried: Counter, shard: u32);
    /// Counts a packet for a key.
    fn key_back(&mut self, id: u32, carried: Counter);
}

/// Where counts go.
pub trait Meters {
    /// Counts a frame at the node, and for the shard that it was decided for.
    fn node(&mut self, class: Class, verdict: Verdict, reason: Reason, carried: Counter, shard: Option<u32>);
    /// Counts a frame for a key.
    fn key(&mut self, id: u32, carried: Counter);
    /// Counts a dropped frame in slot `drop` of a key's [`KeyDrops`].
    fn key_dropped(&mut self, id: u32, carried: Counter, drop: usize);
    /// Counts so many frames for a shard as dropped.
    fn shard_dropped(&mut self, shard: u32, packets: u64);
    /// Counts an opened flow for the key and the shard that there are.
    fn opened(&mut self, key: Option<u32>, shard: Option<u32>);
    /// Counts a frame of a key for the version of the schema that its key was read by.
    fn version(&mut self, version: u8, carried: Counter);
    /// Counts a frame that claims key `id` (0: one that is not registered) on interface `ingress` without right.
    fn claim(&mut self, id: u32, ingress: u32, carried: Counter);
}

/// What there is to count of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// What it is: most often one frame.
    pub carried: Counter,
    /// Whether it opens a flow.
    pub opens: bool,
    /// The key's id, when the class is `assigned`.
    pub key: Option<u32>,
    /// The shard that was chosen.
    pub shard: Option<u32>,
    /// The version of the schema, where those are counted.
    pub version: Option<u8>,
    /// What is claimed without right: key id and interface.
    pub claim: Option<(u32, u32)>,
}

/// Counts what was decided. Called once per frame, after its action could last fail.
#[inline(always)]
pub fn account<M: Meters>(meters: &mut M, counted: Counted, class: Class, verdict: Verdict, reason: Reason) {
    let Counted { carried, opens, key, shard, version, claim } = counted;
    meters.node(class, verdict, reason, carried, shard);
    if let Some(version) = version {
        meters.version(version, carried);
    }
    if let Some((id, ingress)) = claim {
        meters.claim(id, ingress, carried);
    }
    if let Some(id) = key {
        meters.key(id, carried);
    }
    if verdict as u8 == Verdict::Drop as u8 {
        if let (Some(id), Some(slot)) = (key, bug!(Account, drop_slot(reason), None)) {
            meters.key_dropped(id, carried, slot);
        }
        if let Some(shard) = shard {
            meters.shard_dropped(shard, carried.packets);
        }
    }
    if opens {
        rare();
        meters.opened(key, shard);
    }
}
