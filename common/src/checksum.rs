//! Internet checksums that follow a change of what they cover (RFC 1071, RFC 1624).
//!
//! A change is the one's complement sum of what goes, inverted, and of what comes. Words are taken as they lie in memory: the sum does not
//! care, and it is how the kernel's helpers want it.

use crate::access::{PacketMut, Pos};

/// A change of 16-bit words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change(u32);

impl Change {
    /// Nothing changes.
    pub const NONE: Self = Self(0);

    /// One word becomes another.
    #[inline(always)]
    pub const fn word(from: [u8; 2], to: [u8; 2]) -> Self {
        Self(!u16::from_ne_bytes(from) as u32 + u16::from_ne_bytes(to) as u32)
    }

    /// Four bytes become others.
    #[inline(always)]
    pub const fn four(from: [u8; 4], to: [u8; 4]) -> Self {
        Self::word([from[0], from[1]], [to[0], to[1]]).and(Self::word([from[2], from[3]], [to[2], to[3]]))
    }

    /// Sixteen bytes become others.
    #[inline(always)]
    pub const fn sixteen(from: [[u8; 8]; 2], to: [[u8; 8]; 2]) -> Self {
        Self::eight(from[0], to[0]).and(Self::eight(from[1], to[1]))
    }

    #[inline(always)]
    const fn eight(from: [u8; 8], to: [u8; 8]) -> Self {
        let (from, to) = (u64::from_ne_bytes(from), u64::from_ne_bytes(to));
        Self(sum(!from) + sum(to))
    }

    /// Both changes. A few dozen of them do not overflow.
    #[inline(always)]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// As the kernel's helpers take it (`__wsum`).
    #[inline(always)]
    pub const fn difference(self) -> u32 {
        self.0
    }

    /// What a checksum becomes.
    #[inline(always)]
    pub const fn apply(self, checksum: [u8; 2]) -> [u8; 2] {
        let sum = !u16::from_ne_bytes(checksum) as u32 + fold(self.0);
        (!(fold(sum) as u16)).to_ne_bytes()
    }
}

/// The sum of the four words of `word`.
#[inline(always)]
const fn sum(word: u64) -> u32 {
    (word & 0xffff) as u32 + (word >> 16 & 0xffff) as u32 + (word >> 32 & 0xffff) as u32 + (word >> 48) as u32
}

/// Puts the carries back in.
#[inline(always)]
const fn fold(sum: u32) -> u32 {
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum & 0xffff) + (sum >> 16)
}

/// Which checksum of a transport header over addresses (its pseudo header).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pseudo {
    /// Of IPv4, whose own header's checksum makes up for the change of address in a sum over the whole packet.
    pub v4: bool,
    /// 0 is none, and none becomes 0 (UDP).
    pub optional: bool,
}

/// Lets the checksum at `pos + d` follow `change`, in the frame alone, and gives how it changed itself.
#[inline(always)]
pub fn follow<P: PacketMut>(
    packet: &mut P,
    pos: Pos,
    d: usize,
    change: Change,
    optional: bool,
) -> Option<Change> {
    let before = packet.load::<[u8; 2]>(pos, d)?;
    if optional && u16::from_ne_bytes(before) == 0 {
        return Some(Change::NONE);
    }
    let mut after = change.apply(before);
    if optional && u16::from_ne_bytes(after) == 0 {
        after = [0xff, 0xff];
    }
    packet.store(pos, d, after)?;
    Some(Change::word(before, after))
}
