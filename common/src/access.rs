//! Bounded access to a packet, the one thing the two homes do differently.
//!
//! Invariant: a [`Pos`] is never above [`MAX_POS`], so that the kernel's masking of offsets (which
//! gives the verifier their range) never changes a value; the host home asserts it in debug builds.

use crate::checksum::{Change, Pseudo, follow};
use crate::hint::rare;
use crate::nat;
use crate::tables::Tables;

/// The farthest a header may start, in bytes from the start of the frame. Headers beyond it are
/// treated as cut off.
pub const MAX_POS: usize = 1536;

/// The mask that the kernel applies to offsets: the next power of two above [`MAX_POS`], minus one.
pub const POS_MASK: usize = 2047;

const _: () = assert!(MAX_POS <= POS_MASK);

/// A type that can be read from any bytes at any alignment.
///
/// # Safety
/// Every bit pattern is a valid value, there is no padding, and the alignment is 1.
pub unsafe trait Wire: Copy + 'static {}

// SAFETY: a byte array has no invalid pattern, no padding and alignment 1.
unsafe impl<const N: usize> Wire for [u8; N] {}

/// How far [`Pos::plus`] may go in all beyond a checked position.
pub const MAX_PLUS: usize = POS_MASK - MAX_POS;

/// An offset into the frame: at most [`MAX_POS`] where it was checked, and [`MAX_PLUS`] more where
/// constants were added since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pos(usize);

impl Pos {
    /// The first byte of the frame.
    pub const START: Self = Self(0);

    /// A position read back from where it was stored with [`Pos::store`].
    #[inline(always)]
    pub const fn from_stored(stored: u16) -> Self {
        Self(stored as usize)
    }

    /// `N` bytes further on: unchecked, for fixed offsets inside a header that begins at a checked
    /// position. The sum of such steps must stay within [`MAX_PLUS`].
    #[inline(always)]
    pub const fn plus<const N: usize>(self) -> Self {
        const { assert!(N <= MAX_PLUS / 4) };
        Self(self.0 + N)
    }

    /// The position as it is kept in [`crate::headers::Headers`].
    #[inline(always)]
    pub const fn store(self) -> u16 {
        self.0 as u16
    }

    /// The offset in bytes.
    #[inline(always)]
    pub const fn get(self) -> usize {
        self.0
    }
}

/// Drivers that spread a frame over several buffers put at least so much into the first.
const SPLIT: usize = 256;

/// What frames a packet stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// How many.
    pub count: u64,
    /// Bytes of payload in each but the last (`gso_size`).
    pub size: u64,
}

/// Reads of a frame. Every read is checked; what lies outside is `None`.
pub trait Packet {
    /// Bytes that can be read here: the whole frame, or its linear part where the kernel keeps a
    /// jumbo frame in several buffers.
    fn linear_len(&self) -> usize;

    /// Bytes of the whole frame, however it is kept. May cost a helper call.
    fn frame_len(&self) -> usize;

    /// Whether [`Packet::frame_len`] costs nothing.
    const LENGTH_KNOWN: bool = false;

    /// Bytes of the frame as far as they cost nothing. A short linear part is taken for the whole without asking the kernel; should
    /// it not be, the IP length says so, and [`crate::parse::network`] asks.
    #[inline(always)]
    fn quick_len(&self) -> usize {
        let linear = self.linear_len();
        if Self::LENGTH_KNOWN {
            self.frame_len()
        } else if linear < SPLIT {
            linear
        } else {
            rare();
            self.frame_len()
        }
    }

    /// The tag control information of the outer VLAN tag, where the hook keeps that beside the frame and not in it.
    #[inline(always)]
    fn tag(&self) -> Option<u16> {
        None
    }

    /// What frames the kernel makes of it later (GSO), where that is more than one.
    #[inline(always)]
    fn segments(&self) -> Option<Segments> {
        None
    }

    /// The interface index on which the frame arrived.
    fn ingress(&self) -> u32;

    /// Reads a `T` at `pos + d`; `d` must be a constant at the call.
    fn load<T: Wire>(&self, pos: Pos, d: usize) -> Option<T>;

    /// Gives [`Packet::forget`] what it needs: a zero that the verifier does not know for one. Called once, before any
    /// position that is not a constant.
    #[inline(always)]
    fn arm(&mut self, _zero: u64) {}

    /// Makes the verifier forget what it knows of `x`, so that paths which differ only in `x` merge.
    #[inline(always)]
    fn forget(&self, x: usize) -> usize {
        x
    }

    /// `n` bytes further on, or `None` beyond [`MAX_POS`].
    #[inline(always)]
    fn advance(&self, pos: Pos, n: usize) -> Option<Pos> {
        let to = self.forget(pos.0 + n);
        if to > MAX_POS { None } else { Some(Pos(to)) }
    }
}

/// Writes to a frame.
pub trait PacketMut: Packet {
    /// Writes `value` at `pos + d`, or does nothing and says `None` where that is outside.
    fn store<T: Wire>(&mut self, pos: Pos, d: usize, value: T) -> Option<()>;

    /// Lets the transport checksum at `pos` follow a change of the addresses that it covers. The kernel may have left it to the
    /// device, which the hook then knows.
    #[inline(always)]
    fn follow_pseudo(&mut self, pos: Pos, change: Change, sum: Pseudo) -> Option<()>
    where
        Self: Sized,
    {
        follow(self, pos, 0, change, sum.optional).map(|_| ())
    }

    /// [`nat::to_pod`], after which nothing is read of the frame any more.
    #[inline(always)]
    fn to_pod<T: Tables>(&mut self, tables: &T, shard: u32, l3: Pos) -> Option<()>
    where
        Self: Sized,
    {
        nat::to_pod(self, tables, shard, l3)
    }
}

/// Reads a big-endian u16.
#[inline(always)]
pub fn load_u16<P: Packet>(packet: &P, pos: Pos, d: usize) -> Option<u16> {
    Some(u16::from_be_bytes(packet.load::<[u8; 2]>(pos, d)?))
}

/// Reads a big-endian u32.
#[inline(always)]
pub fn load_u32<P: Packet>(packet: &P, pos: Pos, d: usize) -> Option<u32> {
    Some(u32::from_be_bytes(packet.load::<[u8; 4]>(pos, d)?))
}

/// Reads 16 bytes as two big-endian halves, the more significant first.
#[inline(always)]
pub fn load_u128<P: Packet>(packet: &P, pos: Pos, d: usize) -> Option<[u64; 2]> {
    let halves = packet.load::<[[u8; 8]; 2]>(pos, d)?;
    Some([u64::from_be_bytes(halves[0]), u64::from_be_bytes(halves[1])])
}

/// Reads `length` bytes, 1 to 16, as one number in two halves, the more significant first. The length must be known to the
/// verifier, like `d`.
#[inline(always)]
pub fn load_bytes<P: Packet>(packet: &P, pos: Pos, d: usize, length: u8) -> Option<[u64; 2]> {
    if length & 16 != 0 {
        return load_u128(packet, pos, d);
    }
    let (mut high, mut low) = (0, 0);
    let mut at = d;
    if length & 8 != 0 {
        low = u64::from_be_bytes(packet.load::<[u8; 8]>(pos, at)?);
        at += 8;
    }
    if length & 4 != 0 {
        high = low >> 32;
        low = low << 32 | load_u32(packet, pos, at)? as u64;
        at += 4;
    }
    if length & 2 != 0 {
        high = high << 16 | low >> 48;
        low = low << 16 | load_u16(packet, pos, at)? as u64;
        at += 2;
    }
    if length & 1 != 0 {
        high = high << 8 | low >> 56;
        low = low << 8 | packet.load::<[u8; 1]>(pos, at)?[0] as u64;
    }
    Some([high, low])
}

// SAFETY: byte arrays: no invalid pattern, no padding, alignment 1.
unsafe impl Wire for [[u8; 8]; 2] {}
// SAFETY: as above.
unsafe impl Wire for [[u8; 8]; 3] {}
