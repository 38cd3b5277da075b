//! Bounds-checked access to the frame, in the shape that the 6.1 and 6.18 verifiers accept. The only
//! file with packet-pointer `unsafe`.

use core::arch::asm;
use core::intrinsics::is_val_statically_known;

use keysteer_common::access::{POS_MASK, Packet, PacketMut, Pos, Segments, Wire};
use keysteer_common::checksum::{Change, Pseudo, follow};
use keysteer_common::tables::Tables;

use crate::hook::Hook;

/// The frame that the hook `H` was called with.
pub(crate) struct Frame<H> {
    hook: H,
    data: usize,
    end: usize,
    zero: usize,
}

impl<H: Hook> Frame<H> {
    #[inline(always)]
    pub(crate) fn new(hook: H) -> Self {
        let (data, end) = hook.bounds();
        Self { hook, data, end, zero: 0 }
    }

    /// The address of `pos + d`, if `size_of::<T>()` bytes there are inside the frame.
    #[inline(always)]
    fn at<T>(&self, pos: Pos, d: usize) -> Option<usize> {
        if is_val_statically_known(pos.get()) {
            return self.at_constant::<T>(pos.get() + d);
        }
        let mut address = pos.get();
        // Mask and add must not be separated or reordered: LLVM may test one register and add another.
        // SAFETY: plain arithmetic on registers; no memory is touched.
        unsafe {
            asm!(
                "{a} &= {mask}",
                "{a} += {data}",
                a = inout(reg) address,
                data = in(reg) self.data,
                mask = const POS_MASK,
                options(pure, nomem, nostack)
            );
        }
        self.inside::<T>(address + d)
    }

    /// [`Frame::at`] where the position is a constant: the verifier follows it without help.
    #[inline(always)]
    fn at_constant<T>(&self, offset: usize) -> Option<usize> {
        self.inside::<T>(self.data + offset)
    }

    /// `address`, if `size_of::<T>()` bytes there are inside the frame.
    #[inline(always)]
    fn inside<T>(&self, address: usize) -> Option<usize> {
        let mut past = address;
        if size_of::<T>() == 1 {
            // `p + 1 > end` would become `p >= end`, from which the verifier learns no range.
            // SAFETY: plain arithmetic on a register.
            unsafe { asm!("{p} += 1", p = inout(reg) past, options(pure, nomem, nostack)) };
        } else {
            past += size_of::<T>();
        }
        if past > self.end { None } else { Some(address) }
    }
}

impl<H: Hook> Packet for Frame<H> {
    const LENGTH_KNOWN: bool = H::LENGTH_KNOWN;

    #[inline(always)]
    fn linear_len(&self) -> usize {
        self.end - self.data
    }

    #[inline(always)]
    fn frame_len(&self) -> usize {
        self.hook.frame_len()
    }

    #[inline(always)]
    fn ingress(&self) -> u32 {
        self.hook.ingress()
    }

    #[inline(always)]
    fn tag(&self) -> Option<u16> {
        self.hook.tag()
    }

    #[inline(always)]
    fn segments(&self) -> Option<Segments> {
        self.hook.segments()
    }

    #[inline(always)]
    fn load<T: Wire>(&self, pos: Pos, d: usize) -> Option<T> {
        let address = self.at::<T>(pos, d)?;
        // SAFETY: `at` checked that size_of::<T>() bytes from `address` are inside the frame; any bytes
        // are a `T` (`Wire`).
        Some(unsafe { (address as *const T).read_unaligned() })
    }

    #[inline(always)]
    fn arm(&mut self, zero: u64) {
        self.zero = zero as usize;
    }

    #[inline(always)]
    fn forget(&self, mut x: usize) -> usize {
        if is_val_statically_known(x) {
            return x;
        }
        // SAFETY: plain arithmetic on registers.
        unsafe {
            asm!("{x} ^= {zero}", x = inout(reg) x, zero = in(reg) self.zero, options(pure, nomem, nostack));
        }
        x
    }
}

impl<H: Hook> PacketMut for Frame<H> {
    #[inline(always)]
    fn store<T: Wire>(&mut self, pos: Pos, d: usize, value: T) -> Option<()> {
        let address = self.at::<T>(pos, d)?;
        // SAFETY: `at` checked that size_of::<T>() bytes from `address` are inside the frame, which
        // a program at XDP or TC may write; `T` has no padding (`Wire`).
        unsafe { (address as *mut T).write_unaligned(value) };
        Some(())
    }

    #[inline(always)]
    fn follow_pseudo(&mut self, pos: Pos, change: Change, sum: Pseudo) -> Option<()> {
        match self.hook.follow_pseudo(pos.get(), change, sum) {
            None => follow(self, pos, 0, change, sum.optional).map(|_| ()),
            Some(done) => {
                (self.data, self.end) = self.hook.bounds();
                if done { Some(()) } else { None }
            }
        }
    }

    #[inline(always)]
    fn to_pod<T: Tables>(&mut self, _tables: &T, shard: u32, l3: Pos) -> Option<()> {
        if self.hook.to_pod(shard, l3.get() as u32) { Some(()) } else { None }
    }
}
