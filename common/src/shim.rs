//! The signed shim: 24 bytes that carry a key, and proof that it was written by somebody with the secret.
//!
//! ```text
//!   byte  0        1          2      4           8     16    24
//!         version  secret id  epoch  reserved=0  key   tag
//!         | flags
//! ```
//!
//! Numbers are in network order. The tag is SipHash-2-4 of the first 16 bytes, then of the source address masked to its
//! prefix and of the destination address where the flags say that the shim is bound to them. The format is specified,
//! for other implementations, in `docs/wire-format.md`.
//!
//! A block's words ([`Block`]) and addresses are given as numbers, most significant half first; an IPv4 address is the
//! IPv4-mapped IPv6 address `::ffff:a.b.c.d`.

use crate::hash::Sip24;

/// Bytes of a shim.
pub const LEN: usize = 24;

/// The version of the format that is made and accepted.
pub const VERSION: u8 = 1;

/// Seconds of Unix time that an epoch lasts.
pub const EPOCH_SECONDS: u64 = 64;

/// How many epochs before or after the present one a shim is accepted.
pub const EPOCH_TOLERANCE: u16 = 1;

/// What a shim's tag covers beside its first 16 bytes.
pub mod flag {
    /// The source address, masked to a prefix.
    pub const SOURCE: u8 = 1;
    /// The destination address.
    pub const DESTINATION: u8 = 2;
    /// All flags that there are.
    pub const ALL: u8 = SOURCE | DESTINATION;
}

/// A shim's 24 bytes as three numbers: what comes before the key, the key, the tag.
pub type Block = [u64; 3];

/// A secret that verifies shims.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Secret {
    /// The secret, as [`secret_words`] gives it.
    pub key: [u64; 2],
    /// Its public id, 0 to 255: what shims name it by.
    pub id: u32,
    /// 1: shims signed with it are accepted. 0: there is no secret here, or it is being written.
    pub live: u32,
}

const _: () = assert!(size_of::<Secret>() == 24);

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Secret").field("id", &self.id).field("live", &self.live).finish_non_exhaustive()
    }
}

/// What the packet path verifies shims with: the one entry of the kernel map `SIGNING`, which the agent rewrites at
/// run time. Of all zeros, it accepts nothing.
///
/// A packet may see an entry half-written. Therefore the agent first clears [`Secret::live`], then writes, then sets
/// `live`, and does not overwrite a secret with zeros. A packet that is between its look at `live` and its look at the
/// key meanwhile sees parts of two secrets, which nobody has signed with: it is refused, as if it was lost. A torn
/// clock offset is between, or beside, two that differ by what the clock was corrected by, for one packet.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signing {
    /// The two secrets, in any order; the ids of live ones differ.
    pub secrets: [Secret; 2],
    /// Nanoseconds: Unix time less `CLOCK_MONOTONIC`, modulo 2^64.
    pub clock_offset: u64,
    /// The flags ([`flag`]) that a shim must have. It may have others.
    pub require: u8,
    /// How many bits of an IPv4 source a shim bound to its source covers, at most 32.
    pub source_bits4: u8,
    /// How many bits of an IPv6 source a shim bound to its source covers, at most 128.
    pub source_bits6: u8,
    /// Explicit padding.
    pub _pad: [u8; 5],
}

const _: () = assert!(size_of::<Signing>() == 64);

/// What a shim says, beside its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What it is bound to, of [`flag`].
    pub flags: u8,
    /// The public id of the secret that it is signed with.
    pub secret_id: u8,
    /// When it is signed, see [`epoch`].
    pub epoch: u16,
    /// The key.
    pub key: u64,
}

/// The two words of a secret of 16 bytes: little-endian, as SipHash's paper has it.
pub const fn secret_words(bytes: [u8; 16]) -> [u64; 2] {
    let all = u128::from_le_bytes(bytes);
    [all as u64, (all >> 64) as u64]
}

/// The epoch of a time given as nanoseconds since 1970.
#[inline(always)]
pub const fn epoch(unix_ns: u64) -> u16 {
    (unix_ns / (EPOCH_SECONDS * 1_000_000_000)) as u16
}

/// A source address masked to its prefix, of `bits4` or `bits6` bits by its family.
#[inline(always)]
pub const fn source_prefix(source: [u64; 2], bits4: u8, bits6: u8) -> [u64; 2] {
    let mapped = source[0] == 0 && source[1] >> 32 == 0xffff;
    let bits = if mapped { 96 + bits4 as u32 } else { bits6 as u32 };
    if bits < 64 {
        [source[0] & !(u64::MAX >> bits), 0]
    } else if bits < 128 {
        [source[0], source[1] & !(u64::MAX >> (bits & 63))]
    } else {
        source
    }
}

/// The tag of the first 16 bytes of a shim, with the addresses where `flags` says so; `source` is masked already.
#[inline(always)]
fn tag(secret: [u64; 2], head: u64, key: u64, flags: u8, source: [u64; 2], destination: [u64; 2]) -> u64 {
    let mut sip = Sip24::new(secret);
    sip.word(head.swap_bytes());
    sip.word(key.swap_bytes());
    if flags & flag::SOURCE != 0 {
        sip.word(source[0].swap_bytes());
        sip.word(source[1].swap_bytes());
    }
    if flags & flag::DESTINATION != 0 {
        sip.word(destination[0].swap_bytes());
        sip.word(destination[1].swap_bytes());
    }
    sip.finish()
}

/// A signed shim. `source` is masked to its prefix ([`source_prefix`]); an address that the flags do not name is not
/// looked at. Flags that there are not are not set.
#[inline(always)]
pub fn sign(secret: [u64; 2], claim: Claim, source: [u64; 2], destination: [u64; 2]) -> Block {
    let flags = claim.flags & flag::ALL;
    let first = (VERSION << 4 | flags) as u64;
    let head = first << 56 | (claim.secret_id as u64) << 48 | (claim.epoch as u64) << 32;
    [head, claim.key, tag(secret, head, claim.key, flags, source, destination)]
}

/// Whether `block` is a shim that a holder of a live secret signed, for these addresses, within an epoch of now:
/// `monotonic_ns` is the time by `CLOCK_MONOTONIC`.
///
/// What is refused before the tag is computed, anybody could see from the packet: the format, the flags, the secret's
/// id, the epoch. From there on the work does not depend on the secret or on the tag.
#[inline(always)]
pub fn verify(
    block: &Block,
    signing: &Signing,
    monotonic_ns: u64,
    source: [u64; 2],
    destination: [u64; 2],
) -> bool {
    let [head, key, claimed] = *block;
    let first = (head >> 56) as u8;
    let flags = first & 0xf;
    if first >> 4 != VERSION || flags & !flag::ALL != 0 || flags & signing.require != signing.require {
        return false;
    }
    if head as u32 != 0 {
        return false;
    }
    let now = epoch(monotonic_ns.wrapping_add(signing.clock_offset));
    let ahead = ((head >> 32) as u16).wrapping_sub(now).wrapping_add(EPOCH_TOLERANCE);
    if ahead > 2 * EPOCH_TOLERANCE {
        return false;
    }
    let id = (head >> 48) as u8 as u32;
    let [one, other] = &signing.secrets;
    let secret = if one.live != 0 && one.id == id {
        one.key
    } else if other.live != 0 && other.id == id {
        other.key
    } else {
        return false;
    };
    let source = source_prefix(source, signing.source_bits4, signing.source_bits6);
    tag(secret, head, key, flags, source, destination) == claimed
}

/// A block's 24 bytes, as they are on the wire.
pub fn to_bytes(block: Block) -> [u8; LEN] {
    let [head, key, tag] = block.map(u64::to_be_bytes);
    let mut bytes = [0; LEN];
    for (to, from) in bytes.iter_mut().zip(head.into_iter().chain(key).chain(tag)) {
        *to = from;
    }
    bytes
}

/// The block of 24 bytes on the wire.
#[inline(always)]
pub fn from_bytes(bytes: [[u8; 8]; 3]) -> Block {
    bytes.map(u64::from_be_bytes)
}
