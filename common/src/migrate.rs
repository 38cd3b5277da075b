//! Keys whose placement changes: flows that are there stay where they are, new ones go to the new place, until nothing is left on
//! the old one. Only a program that was loaded for it does this ([`crate::config::Config::migrating`]).
//!
//! ```text
//!  the key's move   none: its shard, as ever
//!  previous shard   by the old placement                 current shard   by the new one
//!  what is it?      opens a flow, is of one, says nothing           (pin.rs decides)
//! ```
//! User space ends a key's move by one store, once its flows have been quiet for long enough.

use crate::access::{Packet, Pos, load_u32};
use crate::headers::{Headers, NO_SHARD, found};
use crate::overlay::shard_word;
use crate::parse::transport::{TCP, UDP};
use crate::pin::{Between, Said, Settle, sign};
use crate::place::Placed;
use crate::select::{Choice, whole_flow};
use crate::state::Frame;
use crate::tables::{SLOTS, SlotTable, Tables, WIDTH_ALL};

/// How the flows of a key, or of a class that is spread over a pool, find the shard that they were with before. One word, which user
/// space changes at once.
///
/// ```text
///  63      32 31      20 19     18       17      16       15      0
///  [ unit   | table    | held | strays | holds | direct | place  ]      0: nothing moves
/// ```
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Move(pub u64);

impl Move {
    /// Nothing moves.
    pub const NONE: Self = Self(0);

    const DIRECT: u64 = 1 << 16;
    const HOLDS: u64 = 1 << 17;
    const STRAYS: u64 = 1 << 18;
    const HELD: u64 = 1 << 19;
    const TABLE: u32 = 20;

    /// From one shard.
    pub const fn from_shard(unit: u32, shard: u16) -> Self {
        Self((unit as u64) << 32 | Self::DIRECT | shard as u64)
    }

    /// From slot `place` of old slot table `table` (under 4,096).
    pub const fn from_table(unit: u32, table: u16, place: u16) -> Self {
        Self((unit as u64) << 32 | ((table & 0xfff) as u64) << Self::TABLE | place as u64)
    }

    /// The same; datagrams that say nothing of their flow stay where they were, or not.
    #[must_use]
    pub const fn hold(self, holds: bool) -> Self {
        Self(self.0 & !Self::HOLDS | if holds { Self::HOLDS } else { 0 })
    }

    /// The same; some flows may be pinned to shards that are neither the current nor the previous one, or not.
    #[must_use]
    pub const fn stray(self, strays: bool) -> Self {
        Self(self.0 & !Self::STRAYS | if strays { Self::STRAYS } else { 0 })
    }

    /// The same; its turn has not come and all its flows stay, also those that open, or it has.
    #[must_use]
    pub const fn held(self, held: bool) -> Self {
        Self(self.0 & !Self::HELD | if held { Self::HELD } else { 0 })
    }

    /// What it is counted by, from 1; 0 where nothing moves.
    #[inline(always)]
    pub const fn unit(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The previous shard, or the slot of [`Move::table`].
    #[inline(always)]
    pub const fn place(self) -> u16 {
        self.0 as u16
    }

    /// Whether [`Move::place`] is the shard.
    #[inline(always)]
    pub const fn is_direct(self) -> bool {
        self.0 & Self::DIRECT != 0
    }

    /// Number of the old slot table.
    #[inline(always)]
    pub const fn table(self) -> u32 {
        (self.0 >> Self::TABLE) as u32 & 0xfff
    }

    /// Whether datagrams stay.
    #[inline(always)]
    pub const fn holds(self) -> bool {
        self.0 & Self::HOLDS != 0
    }

    /// Whether flows may be pinned elsewhere.
    #[inline(always)]
    pub const fn has_strays(self) -> bool {
        self.0 & Self::STRAYS != 0
    }

    /// Whether its turn has not come.
    #[inline(always)]
    pub const fn is_held(self) -> bool {
        self.0 & Self::HELD != 0
    }
}

/// The index of a class's move in [`Tables::moving`].
#[inline(always)]
pub const fn class_move(class: usize) -> u32 {
    class as u32
}

/// The index of a key's move in [`Tables::moving`]: those of classes come first.
#[inline(always)]
pub const fn key_move(id: u32) -> u32 {
    id + crate::vocabulary::CLASSES as u32
}

/// The unit that counts what a recovering shard still has elsewhere. Those of moving keys are behind those of all shards.
#[inline(always)]
pub const fn shard_unit(shard: u16) -> u32 {
    shard as u32 + 1
}

/// The shard of a packet for which `choice` was made by the tables, while some placement changes; `at` is its move's index.
#[inline(always)]
pub(crate) fn migrate<P: Packet, T: Tables, H: Settle>(
    packet: &P,
    tables: &T,
    home: &mut H,
    frame: &Frame<'_>,
    placed: Placed<'_>,
    at: u32,
    choice: Choice,
) -> u16 {
    let mut moving = tables.moving(at);
    let (mut current, mut recovers, mut share) = (choice.shard, false, 0);
    if tables.config().overlay != 0 {
        let word = tables.shard_word(current as u32);
        current = placed.around(tables, choice, word);
        recovers = word & shard_word::RECOVERING != 0 && current == choice.shard;
        share = (word >> shard_word::SHARE) as u8;
    }
    if moving.0 == Move::NONE.0 && !recovers {
        return current;
    }
    let headers = frame.headers;
    let hash = whole_flow(packet, tables.config().flow_secret, headers);
    let mut opens = current;
    let mut previous = if moving.0 == Move::NONE.0 {
        moving = Move::from_shard(shard_unit(current), 0);
        placed.beside(tables, Choice { flow: hash as u32, ..choice })
    } else {
        was(tables, moving, hash as u32)
    };
    if previous == NO_SHARD {
        previous = current;
    }
    if moving.is_held() || (recovers && (hash >> 48) as u8 > share) {
        opens = previous;
    }
    let said = Said { carried: frame.carried, ..said(packet, tables, frame) };
    home.settle(tables, hash, moving, Between { current, previous, opens }, said)
}

/// The shard that a flow was with before.
#[inline(always)]
fn was<T: Tables>(tables: &T, moving: Move, flow: u32) -> u16 {
    if moving.is_direct() {
        return moving.place();
    }
    let Some(SlotTable { first, width, .. }) = tables.old_table(moving.table()) else { return NO_SHARD };
    let slot = if *width == WIDTH_ALL {
        flow & (SLOTS - 1)
    } else {
        (moving.place() as u32).wrapping_mul(*width) + ((flow as u64 * *width as u64) >> 32) as u32
    };
    tables.old_slot(first.wrapping_add(slot)).unwrap_or(NO_SHARD)
}

/// What a packet says of its flow.
#[inline(always)]
fn said<P: Packet, T: Tables>(packet: &P, tables: &T, frame: &Frame<'_>) -> Said {
    let headers = frame.headers;
    let nothing = Said { sign: sign::LOOSE, sequence: 0, resets: false, carried: frame.carried };
    if headers.has(found::FRAGMENT) || !headers.has(found::PORTS) {
        return nothing;
    }
    if headers.has(found::QUOTED) {
        // Of an answer, which carries nothing here, the header is its own.
        let resets = headers.protocol == TCP && frame.carried.packets == 0 && resets(packet, headers);
        return Said {
            sign: if headers.protocol == TCP || is_quic(tables, headers) { sign::ABOUT } else { sign::LOOSE },
            resets,
            ..nothing
        };
    }
    let at = Pos::from_stored(headers.l4);
    if headers.protocol == TCP {
        let sign = if frame.opens { sign::OPENS } else { sign::SEGMENT };
        let sequence = load_u32(packet, at, 4).unwrap_or(0);
        return Said { sign, sequence, resets: resets(packet, headers), ..nothing };
    }
    if is_quic(tables, headers) {
        return Said { sign: quic(packet, at), ..nothing };
    }
    nothing
}

/// Whether a TCP segment resets its connection (RST, RFC 9293, 3.1).
#[inline(always)]
fn resets<P: Packet>(packet: &P, headers: &Headers) -> bool {
    packet.load::<[u8; 1]>(Pos::from_stored(headers.l4), 13).is_some_and(|[flags]| flags & 4 != 0)
}

/// Whether a flow is QUIC's, by its port.
#[inline(always)]
fn is_quic<T: Tables>(tables: &T, headers: &Headers) -> bool {
    headers.protocol == UDP && headers.destination_port == tables.config().ports.quic
}

/// Version 2 of QUIC (RFC 9369), whose packet types are numbered from 1 on.
const QUIC_V2: u32 = 0x6b33_43cf;

/// What a QUIC packet says of its flow, behind the UDP header at `at`.
#[inline(always)]
fn quic<P: Packet>(packet: &P, at: Pos) -> u32 {
    let Some([first]) = packet.load::<[u8; 1]>(at, 8) else { return sign::SHORT };
    let version = load_u32(packet, at, 9).unwrap_or(0);
    // A short header, or a version negotiation, which clients do not send.
    if first & 0x80 == 0 || version == 0 {
        return sign::SHORT;
    }
    let kind = (first >> 4).wrapping_sub(if version == QUIC_V2 { 1 } else { 0 }) & 3;
    match kind {
        0 => sign::INITIAL,
        1 => sign::EARLY,
        2 => sign::HANDSHAKE,
        _ => sign::SHORT,
    }
}
