//! The tables a decision reads, and their entries.
//!
//! A generation's tables are complete before it is committed and do not change afterwards; that is
//! what makes the open-addressed key table safe to read without locks. Entries are `repr(C)` without
//! padding and their sizes are asserted: they cross the kernel boundary. What most packets read is small and its size
//! a power of two, because a table of a million keys costs what its cache misses cost.

use crate::config::Config;
use crate::migrate::Move;
use crate::overlay::{self, Chosen};
use crate::prefix;
use crate::shim::Signing;

/// A step of the prefix search: everything from `start` up to the next step's start has `value`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefixStep {
    /// First address, left-aligned: all of an IPv4 address, the upper half of an IPv6 one, whose lower
    /// half is [`Tables::prefix_low`].
    pub start: u64,
    /// What the prefix maps to; 0: nothing.
    pub value: u32,
    /// Explicit padding.
    pub _pad: u32,
}

const _: () = assert!(size_of::<PrefixStep>() == 16);

/// One protocol and port range that is ours: protocol and destination port as one number, so that a
/// range test is two comparisons.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Protocol (IANA number) times 65,536 plus the first port; port 0 where any will do.
    pub low: u32,
    /// Protocol times 65,536 plus the last port; port 65,535 where any will do.
    pub high: u32,
}

impl Service {
    /// Ports `low` to `high` of a protocol; 0 to 65,535 for any, and for protocols without ports.
    pub const fn new(protocol: u8, low: u16, high: u16) -> Self {
        let protocol = (protocol as u32) << 16;
        Self { low: protocol | low as u32, high: protocol | high as u32 }
    }

    /// The protocol.
    pub const fn protocol(self) -> u8 {
        (self.low >> 16) as u8
    }

    /// First and last port.
    pub const fn ports(self) -> (u16, u16) {
        (self.low as u16, self.high as u16)
    }

    /// Whether any port will do.
    pub const fn any_port(self) -> bool {
        self.low as u16 == 0 && self.high as u16 == u16::MAX
    }
}

const _: () = assert!(size_of::<Service>() == 8);

/// The most services one destination can have.
pub const SERVICES: usize = 16;

/// What is ours at a destination.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceSet {
    /// How many of `services` count; 0: everything is ours.
    pub len: u32,
    /// Explicit padding.
    pub _pad: u32,
    /// Services, in no particular order.
    pub services: [Service; SERVICES],
}

const _: () = assert!(size_of::<ServiceSet>() == 8 + 8 * SERVICES);

/// What a key's entry says besides its key, id and slot, in 16 bits.
///
/// ```text
///  15           6   5          4        3        2         0
///  [ slot table | sources | direct | denied | level + 1 ]      0: an empty entry
/// ```
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyMeta(u16);

/// How many [`SlotTable`]s a key's entry can tell apart.
pub const SLOT_TABLES: u32 = 1 << 10;

impl KeyMeta {
    /// No key.
    pub const EMPTY: Self = Self(0);

    const LEVEL: u16 = 0b111;
    const DENIED: u16 = 1 << 3;
    const DIRECT: u16 = 1 << 4;
    const SOURCES: u16 = 1 << 5;
    const TABLE: u16 = 6;

    /// A key of level `level` that goes to the shard in its entry, one of the pool that slot table `table` spreads over.
    pub const fn direct(level: u8, table: u16) -> Self {
        Self((level as u16 + 1) & Self::LEVEL | Self::DIRECT | table << Self::TABLE)
    }

    /// A key of level `level`, spread by slot table `table` (under [`SLOT_TABLES`]).
    pub const fn spread(level: u8, table: u16) -> Self {
        Self((level as u16 + 1) & Self::LEVEL | table << Self::TABLE)
    }

    /// The same, denied or not.
    #[must_use]
    pub const fn deny(self, denied: bool) -> Self {
        Self(self.0 & !Self::DENIED | if denied { Self::DENIED } else { 0 })
    }

    /// The same, of a key that lists the sources that may use it, or not.
    #[must_use]
    pub const fn restrict(self, restricted: bool) -> Self {
        Self(self.0 & !Self::SOURCES | if restricted { Self::SOURCES } else { 0 })
    }

    /// Whether only the sources that it lists may use the key.
    #[inline(always)]
    pub const fn is_restricted(self) -> bool {
        self.0 & Self::SOURCES != 0
    }

    /// Whether no key is here.
    #[inline(always)]
    pub const fn is_empty(self) -> bool {
        self.0 & Self::LEVEL == 0
    }

    /// Whether the entry is of level `level`.
    #[inline(always)]
    pub const fn is_level(self, level: u8) -> bool {
        self.0 & Self::LEVEL == level as u16 + 1
    }

    /// The level; 255 for an empty entry.
    #[inline(always)]
    pub const fn level(self) -> u8 {
        (self.0 & Self::LEVEL).wrapping_sub(1) as u8
    }

    /// Whether every packet of the key is dropped.
    #[inline(always)]
    pub const fn is_denied(self) -> bool {
        self.0 & Self::DENIED != 0
    }

    /// Whether the shard is in the entry.
    #[inline(always)]
    pub const fn is_direct(self) -> bool {
        self.0 & Self::DIRECT != 0
    }

    /// Number of the slot table.
    #[inline(always)]
    pub const fn table(self) -> u32 {
        (self.0 >> Self::TABLE) as u32
    }
}

/// An entry of the open-addressed key table: four to a cache line.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyEntry {
    /// The lower half of the canonical key, masked to its level. The upper half, where a schema has one, is
    /// [`Tables::key_high`].
    pub key: u64,
    /// Dense key id; 0: empty.
    pub id: u32,
    /// Of a key of width 1 the shard that its slot has, because a table does not change once it is committed: most
    /// packets need no slot table. Of any other the slot, a row of its slot table.
    pub place: u16,
    /// Level, slot table, denial, and what `place` is.
    pub meta: KeyMeta,
}

const _: () = assert!(size_of::<KeyEntry>() == 16);

/// [`SlotTable::width`] of keys whose flows spread over the whole pool.
pub const WIDTH_ALL: u32 = 0;

/// How the keys of one pool and width find their shard.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotTable {
    /// First of its slots.
    pub first: u32,
    /// Shards per row (the keys' width), or [`WIDTH_ALL`].
    pub width: u32,
    /// First slot of the pool's table of width 1, for fall-backs; `first` itself where the width is [`WIDTH_ALL`].
    pub pool: u32,
    /// Explicit padding.
    pub _pad: u32,
}

impl SlotTable {
    /// A table whose rows of `width` slots begin at `first`, of the pool whose slots begin at `pool`.
    pub const fn new(first: u32, width: u32, pool: u32) -> Self {
        Self { first, width, pool, _pad: 0 }
    }
}

const _: () = assert!(size_of::<SlotTable>() == 16);

/// Rows of a slot table.
pub const SLOTS: u32 = 65_536;

/// A slot: the shard, or [`crate::headers::NO_SHARD`] for none.
pub type Slot = u16;

/// How a shard is reached.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardEntry {
    /// One of [`target`].
    pub target: u32,
    /// The interface's index, for `INTERFACE` and `NEXT_HOP`; the CPU for `CPU`.
    pub port: u32,
    /// MAC address the frame is sent to, for `INTERFACE` and `NEXT_HOP`.
    pub destination: [u8; 6],
    /// MAC address the frame is sent from (the leaving interface's own).
    pub source: [u8; 6],
    /// Bytes of the longest frame that the interface takes, from the Ethernet header on; 0: any.
    pub most: u32,
    /// Bits of [`exit`].
    pub exit: u32,
    /// Explicit padding.
    pub _pad: u32,
}

const _: () = assert!(size_of::<ShardEntry>() == 32);

/// What is particular about the way out to a shard.
pub mod exit {
    /// The interface is one end of a veth pair whose other end is in another network namespace: at TC ingress a packet is handed to that
    /// end itself (`bpf_redirect_peer`).
    pub const PEER: u32 = 1 << 0;
    /// The destination address is replaced by [`super::Pod`]'s.
    pub const NAT: u32 = 1 << 1;
}

/// The addresses of what is behind a shard whose packets are translated ([`crate::nat`]).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// IPv6 address, as in the packet.
    pub v6: [[u8; 8]; 2],
    /// IPv4 address, as in the packet.
    pub v4: [u8; 4],
    /// Explicit padding.
    pub _pad: [u8; 12],
}

const _: () = assert!(size_of::<Pod>() == 32);

/// What a shard's target is.
pub mod target {
    /// Drop (and the number of a shard that was never set).
    pub const DROP: u32 = 0;
    /// The host's own stack.
    pub const PASS: u32 = 1;
    /// The host's own stack, on a given CPU.
    pub const CPU: u32 = 2;
    /// A local interface.
    pub const INTERFACE: u32 = 3;
    /// A next hop behind an interface.
    pub const NEXT_HOP: u32 = 4;
}

/// Look-up of one generation's tables, and of the overlay that all generations share. An index outside a table is
/// `None`.
pub trait Tables {
    /// What is constant for the program.
    fn config(&self) -> &Config;
    /// An entry of the prefix index; see [`crate::prefix`].
    fn prefix_index(&self, index: u32) -> Option<u64>;
    /// A step of the prefix search.
    fn prefix_step(&self, index: u32) -> Option<&PrefixStep>;
    /// The lower half of the address at which an IPv6 step starts.
    fn prefix_low(&self, index: u32) -> Option<u64>;
    /// What is ours at a destination.
    fn service_set(&self, index: u32) -> Option<&ServiceSet>;
    /// An entry of the key table.
    fn key_entry(&self, index: u64) -> Option<&KeyEntry>;
    /// The upper half of the key of an entry; asked only where [`crate::config::Config::wide`] is set.
    fn key_high(&self, index: u64) -> Option<u64>;
    /// A slot table.
    fn slot_table(&self, index: u32) -> Option<&SlotTable>;
    /// A slot.
    fn slot(&self, index: u32) -> Option<Slot>;
    /// A shard.
    fn shard(&self, index: u32) -> Option<&ShardEntry>;
    /// The addresses behind a shard that is reached by translation; asked of those alone.
    fn pod(&self, shard: u32) -> Option<&Pod>;
    /// What is stamped on the traffic of a key that leaves: see [`crate::stamp`]. 0: nothing.
    fn stamp(&self, id: u32) -> u32;
    /// The operators' word on a key, of [`crate::overlay::key_word`]; 0: none. Asked only where
    /// [`crate::config::Config::overlay`] is set.
    fn key_word(&self, id: u32) -> u64;
    /// The first shard in a decision's order of whose word no bit of `but` is said: see [`crate::overlay::around`].
    #[inline(always)]
    fn search(&self, chosen: Chosen, but: u64) -> Slot
    where
        Self: Sized,
    {
        overlay::search(self, chosen, but)
    }
    /// An entry of the open-addressed table of pairs: which set of addresses may use which key; see [`crate::trust`]. 0: none.
    fn pair(&self, index: u32) -> Option<u64>;
    /// What signed keys are verified with; `None` where there is nothing.
    fn signing(&self) -> Option<&Signing>;
    /// The monotonic clock in nanoseconds, to a few milliseconds.
    fn now(&self) -> u64;
    /// The value of the last step at or before `address` among `count` steps from `first`: see [`crate::prefix`].
    #[inline(always)]
    fn last_step<const LONG: bool>(&self, first: u32, count: u32, address: [u64; 2]) -> u32
    where
        Self: Sized,
    {
        prefix::last_step::<LONG, Self>(self, first, count, address)
    }
    /// The word on a shard, of [`crate::overlay::shard_word`]; 0: none. As [`Tables::key_word`].
    fn shard_word(&self, shard: u32) -> u64;
    /// How flows that were there before find their shard, by [`crate::migrate::key_move`] or [`crate::migrate::class_move`]. Asked only where
    /// [`crate::config::Config::migrating`] is set, as the next three.
    fn moving(&self, at: u32) -> Move;
    /// A slot table of a placement before.
    fn old_table(&self, index: u32) -> Option<&SlotTable>;
    /// A slot of one of those.
    fn old_slot(&self, index: u32) -> Option<Slot>;
    /// What pins are dated by: seconds, and in the upper half the number of a span of them. User space counts.
    fn epoch(&self) -> u64;
}

/// The ways out of the node that need the kernel's help.
pub trait Exits {
    /// Hands the frame to the interface of shard `shard`, or where `peer` says so to the other end of the veth pair that it is one end
    /// of; false when it has gone.
    fn to_interface(&mut self, shard: u32, peer: bool) -> bool;
    /// Hands the frame to `cpu`; false when it is not in the CPU map.
    fn to_cpu(&mut self, cpu: u32) -> bool;
}

/// What tells the datagrams apart whose fragments are under way (RFC 791, RFC 8200).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Datagram {
    /// Source address, most significant half first; of IPv4 in the low 32 bits.
    pub source: [u64; 2],
    /// Destination address.
    pub destination: [u64; 2],
    /// Identification.
    pub id: u32,
    /// Transport protocol, as every fragment says it.
    pub protocol: u32,
}

const _: () = assert!(size_of::<Datagram>() == 40);

/// The bounded memory of datagrams whose first fragment was seen. What does not fit takes the place of the oldest.
pub trait Datagrams {
    /// Notes the index of the key's entry that the first fragment of `datagram` had.
    fn remember(&mut self, datagram: &Datagram, entry: u32);
    /// Notes that the first fragment of `datagram` had none.
    fn forget(&mut self, datagram: &Datagram);
    /// What was noted of `datagram`.
    fn recall(&mut self, datagram: &Datagram) -> Option<u32>;
}
