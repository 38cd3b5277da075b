//! What parsing found: positions and facts, and the record of one packet's decision.
//!
//! These live in a per-CPU map value in the kernel, not on its stack: the 6.1 verifier removed live
//! code when they were on the stack behind a derived pointer (see `docs/architecture.md`).
//! A field is only meaningful when its bit in [`Headers::found`] is set.

use crate::inside::Inside;
use crate::vocabulary::Fault;

/// Bits of [`Headers::found`].
pub mod found {
    /// An IPv4 header at `l3`.
    pub const IPV4: u16 = 1 << 0;
    /// An IPv6 header at `l3`.
    pub const IPV6: u16 = 1 << 1;
    /// One VLAN tag in `outer_tci`.
    pub const VLAN: u16 = 1 << 2;
    /// A second VLAN tag in `inner_tci`.
    pub const VLAN_INNER: u16 = 1 << 3;
    /// `protocol` is the transport protocol (the extension headers could be walked).
    pub const PROTOCOL: u16 = 1 << 4;
    /// `source_port` and `destination_port`.
    pub const PORTS: u16 = 1 << 5;
    /// One of several fragments of a datagram, the first included. A flow hash must not use ports.
    pub const FRAGMENT: u16 = 1 << 6;
    /// A TCP segment that opens a flow: SYN without ACK.
    pub const OPENS: u16 = 1 << 7;
    /// An ICMP error: addresses, ports and protocol are those of the quoted packet, turned round so
    /// that they are the flow it answers.
    pub const QUOTED: u16 = 1 << 8;
    /// Neighbour discovery or multicast listener discovery: never ours.
    pub const DISCOVERY: u16 = 1 << 9;
    /// A fragment other than the first: what is behind the IP header is not at its beginning.
    pub const LATER: u16 = 1 << 10;
}

/// Positions and facts of one frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// What of the rest is meaningful: bits of [`found`].
    pub found: u16,
    /// The Ethernet type after VLAN tags.
    pub ether_type: u16,
    /// Outer VLAN tag control information.
    pub outer_tci: u16,
    /// Inner VLAN tag control information.
    pub inner_tci: u16,
    /// Position of the IP header.
    pub l3: u16,
    /// Position of what follows the IP header (and, once walked, its extension headers).
    pub l4: u16,
    /// Position of the flow's source address, 4 or 16 bytes.
    pub source: u16,
    /// Position of the flow's destination address, 4 or 16 bytes.
    pub destination: u16,
    /// Source port of the flow.
    pub source_port: u16,
    /// Destination port of the flow.
    pub destination_port: u16,
    /// Transport protocol (IANA number); before the extension headers are walked, the next header.
    pub protocol: u8,
    /// A [`Fault`], where the frame is malformed.
    pub fault: u8,
    /// Position just after what can be read of the IP datagram: its own length, or the frame's where that is less or is all
    /// that says it; at most 65,535. For the parse's own use: of a [`crate::parse::plain`] frame it is not noted.
    pub end: u16,
    /// Explicit padding.
    pub _pad: [u8; 8],
}

const _: () = assert!(size_of::<Headers>() == 32);

impl Headers {
    /// Nothing found.
    pub const NONE: Self = Self {
        found: 0,
        ether_type: 0,
        outer_tci: 0,
        inner_tci: 0,
        l3: 0,
        l4: 0,
        source: 0,
        destination: 0,
        source_port: 0,
        destination_port: 0,
        protocol: 0,
        fault: 0,
        end: 0,
        _pad: [0; 8],
    };

    /// Whether something is wrong with the frame.
    #[inline(always)]
    pub const fn is_broken(&self) -> bool {
        self.fault != Fault::None as u8
    }

    /// Whether every bit of `bits` was found.
    #[inline(always)]
    pub const fn has(&self, bits: u16) -> bool {
        self.found & bits == bits
    }

    /// Marks `bits` as found.
    #[inline(always)]
    pub fn set(&mut self, bits: u16) {
        self.found |= bits;
    }

    /// Records what is wrong with the frame.
    #[inline(always)]
    pub const fn fail(&mut self, fault: Fault) {
        self.fault = fault as u8;
    }
}

/// How many fields a schema can have.
pub const FIELDS: usize = 4;
/// How many levels a schema can have.
pub const LEVELS: usize = 4;
/// How many versions of the schema can be accepted at once.
pub const SCHEMAS: usize = 4;
/// How many levels they can have together.
pub const ALL_LEVELS: usize = 7;
/// [`Decision::level`] when no level matched.
pub const NO_LEVEL: u8 = 0xff;
/// [`Decision::shard`] when no shard was chosen.
pub const NO_SHARD: u16 = 0xffff;

/// [`Decision::slot`] when none was read: the key's entry names its shard, or there is none.
pub const NO_SLOT: u32 = u32::MAX;

/// What was decided and why. All numbers are of [`crate::vocabulary`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The key's dense id; 0 when the class is not `assigned`.
    pub key_id: u32,
    /// Index into the slots that was read, or [`NO_SLOT`].
    pub slot: u32,
    /// The flow hash; 0 when none was needed.
    pub flow: u32,
    /// The shard's dense index, or [`NO_SHARD`].
    pub shard: u16,
    /// Bit `i` is set when field `i` of the schema has a value.
    pub present: u8,
    /// Index, among those of all schemas, of the level whose look-up succeeded, or [`NO_LEVEL`].
    pub level: u8,
    /// Bit `i` is set when level `i` was looked up.
    pub tried: u8,
    /// A [`crate::vocabulary::Class`].
    pub class: u8,
    /// A [`crate::vocabulary::Verdict`].
    pub verdict: u8,
    /// A [`crate::vocabulary::Reason`].
    pub reason: u8,
    /// Bytes of the frame as received.
    pub bytes: u32,
    /// Of an `unauthenticated` packet the id of the key that it claims; else 0.
    pub claimed: u32,
    /// Index of the schema that `present`, the fields and the key are of.
    pub schema: u8,
    /// Explicit padding.
    pub _pad: [u8; 3],
}

const _: () = assert!(size_of::<Decision>() == 32);

impl Decision {
    /// Nothing decided yet.
    pub const NONE: Self = Self {
        key_id: 0,
        slot: NO_SLOT,
        flow: 0,
        shard: NO_SHARD,
        present: 0,
        level: NO_LEVEL,
        tried: 0,
        class: 0,
        verdict: 0,
        reason: 0,
        bytes: 0,
        claimed: 0,
        schema: 0,
        _pad: [0; 3],
    };
}

impl Default for Decision {
    fn default() -> Self {
        Self::NONE
    }
}

/// What a packet's decision was made from, and the decision: written only by a program that records
/// ([`crate::config::Config::record`]).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The fields' values as extracted, before any prefix table: most significant half first.
    /// Entry `i` is meaningful when bit `i` of `decision.present` is set, and for a field behind a
    /// prefix table also when the address is in no prefix.
    pub fields: [[u64; 2]; FIELDS],
    /// The canonical key: present fields in schema order, most significant first.
    pub key: [u64; 2],
    /// What was decided.
    pub decision: Decision,
}

/// The work area of one CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Always zero, which the verifier does not know: see [`crate::access::Packet::forget`].
    pub zero: u64,
    /// Positions and facts, of a frame that is parsed in full or recorded.
    pub headers: Headers,
    /// What is beyond them, of a frame that the deep program parses.
    pub inside: Inside,
    /// The fields of the schema that is looked at, for the deep program.
    pub fields: [[u64; 2]; FIELDS],
    /// What was found and decided.
    pub record: Record,
}

const _: () = assert!(size_of::<Work>() == 8 + 32 + 48 + 64 + 64 + 16 + 32);
