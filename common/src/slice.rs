//! The host's packet: a frame in a byte slice.

use crate::access::{POS_MASK, Packet, PacketMut, Pos, Wire};

/// A whole Ethernet frame and where it arrived.
#[derive(Debug)]
pub struct Frame<'a> {
    bytes: &'a mut [u8],
    ingress: u32,
}

impl<'a> Frame<'a> {
    /// A frame that arrived on the interface with index `ingress`.
    pub fn new(bytes: &'a mut [u8], ingress: u32) -> Self {
        Self { bytes, ingress }
    }

    /// Where `size_of::<T>()` bytes at `pos + d` are, if inside.
    fn range<T>(&self, pos: Pos, d: usize) -> Option<core::ops::Range<usize>> {
        debug_assert!(pos.get() <= POS_MASK, "a position that the kernel's mask would change");
        let start = pos.get() + d;
        let end = start + size_of::<T>();
        (end <= self.bytes.len()).then_some(start..end)
    }
}

impl Packet for Frame<'_> {
    fn linear_len(&self) -> usize {
        self.bytes.len()
    }

    fn frame_len(&self) -> usize {
        self.bytes.len()
    }

    fn ingress(&self) -> u32 {
        self.ingress
    }

    fn load<T: Wire>(&self, pos: Pos, d: usize) -> Option<T> {
        let bytes = self.bytes.get(self.range::<T>(pos, d)?)?;
        // SAFETY: `bytes` is exactly size_of::<T>() long, and any bytes are a `T` (`Wire`).
        Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
    }
}

impl PacketMut for Frame<'_> {
    fn store<T: Wire>(&mut self, pos: Pos, d: usize, value: T) -> Option<()> {
        let range = self.range::<T>(pos, d)?;
        let bytes = self.bytes.get_mut(range)?;
        // SAFETY: `bytes` is exactly size_of::<T>() long and ours to write; `T` has no padding (`Wire`).
        unsafe { bytes.as_mut_ptr().cast::<T>().write_unaligned(value) };
        Some(())
    }
}
