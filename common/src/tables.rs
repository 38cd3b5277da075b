//! The tables a decision reads, and their entries.
//!
//! A generation's tables are complete before it is committed and do not change afterwards; that is
//! what makes the open-addressed key table safe to read without locks. Entries are `repr(C)` without
//! padding and their sizes are asserted: they cross the kernel boundary.

use crate::config::Config;

/// A step of the prefix search: everything from `start` up to the next step's start has `value`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefixStep {
    /// First address, left-aligned in 128 bits, most significant half first.
    pub start: [u64; 2],
    /// What the prefix maps to; 0: nothing.
    pub value: u32,
    /// Explicit padding.
    pub _pad: u32,
}

const _: () = assert!(size_of::<PrefixStep>() == 24);

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

/// Bits of [`KeyEntry::flags`].
pub mod key_flag {
    /// Every packet of the key is dropped.
    pub const DENIED: u8 = 1 << 0;
}

/// [`KeyEntry::width`] of a key whose flows spread over the whole pool.
pub const WIDTH_ALL: u16 = 0;

/// An entry of the open-addressed key table; `id` 0 is an empty entry.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyEntry {
    /// The canonical key, masked to its level.
    pub key: [u64; 2],
    /// Dense key id; 0: empty.
    pub id: u32,
    /// First entry of the slot table of the key's pool and width.
    pub slots: u32,
    /// The key's slot: a row of that table.
    pub slot: u16,
    /// Shards per row of that table (the key's width), or [`WIDTH_ALL`].
    pub width: u16,
    /// The level that the entry belongs to.
    pub level: u8,
    /// Bits of [`key_flag`].
    pub flags: u8,
    /// Explicit padding.
    pub _pad: u16,
}

const _: () = assert!(size_of::<KeyEntry>() == 32);

/// Rows of a slot table.
pub const SLOTS: u32 = 65_536;

/// A slot's word. Bits 0..16 are the current shard, [`crate::headers::NO_SHARD`] for none; the rest
/// is zero until migrations use it.
pub type SlotWord = u64;

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
    /// Explicit padding.
    pub _pad: [u8; 4],
}

const _: () = assert!(size_of::<ShardEntry>() == 24);

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

/// Look-up of one generation's tables. An index outside a table is `None`.
pub trait Tables {
    /// What is constant for the program.
    fn config(&self) -> &Config;
    /// An entry of the prefix index; see [`crate::prefix`].
    fn prefix_index(&self, index: u32) -> Option<u64>;
    /// A step of the prefix search.
    fn prefix_step(&self, index: u32) -> Option<&PrefixStep>;
    /// What is ours at a destination.
    fn service_set(&self, index: u32) -> Option<&ServiceSet>;
    /// An entry of the key table.
    fn key_entry(&self, index: u32) -> Option<&KeyEntry>;
    /// A slot.
    fn slot(&self, index: u32) -> Option<SlotWord>;
    /// A shard.
    fn shard(&self, index: u32) -> Option<&ShardEntry>;
}

/// The ways out of the node that need the kernel's help.
pub trait Exits {
    /// Hands the frame to the interface of shard `shard`; false when it has gone.
    fn to_interface(&mut self, shard: u32) -> bool;
    /// Hands the frame to `cpu`; false when it is not in the CPU map.
    fn to_cpu(&mut self, cpu: u32) -> bool;
}
