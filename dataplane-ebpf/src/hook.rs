//! What the hooks give of a packet beside its bytes. The only file that knows their contexts.

use aya_ebpf::helpers::{bpf_skb_pull_data, bpf_xdp_get_buff_len};
use aya_ebpf::programs::{TcContext, XdpContext};

/// A hook's context.
pub(crate) trait Hook {
    /// Whether [`Hook::frame_len`] costs nothing.
    const LENGTH_KNOWN: bool;
    /// Addresses of the first byte that can be read, and of the first that cannot.
    fn bounds(&self) -> (usize, usize);
    /// Bytes of the whole frame.
    fn frame_len(&self) -> usize;
    /// Index of the interface that it came in by.
    fn ingress(&self) -> u32;
    /// The VLAN tag that is kept beside the frame.
    fn tag(&self) -> Option<u16>;
    /// How many frames the kernel makes of it later, where that is more than one.
    fn segments(&self) -> Option<u64>;
}

impl Hook for &XdpContext {
    const LENGTH_KNOWN: bool = false;

    #[inline(always)]
    fn bounds(&self) -> (usize, usize) {
        (self.data(), self.data_end())
    }

    #[inline(always)]
    fn frame_len(&self) -> usize {
        // SAFETY: the context is the one the kernel gave this program.
        unsafe { bpf_xdp_get_buff_len(self.ctx) as usize }
    }

    #[inline(always)]
    fn ingress(&self) -> u32 {
        self.ingress_ifindex() as u32
    }

    #[inline(always)]
    fn tag(&self) -> Option<u16> {
        None
    }

    #[inline(always)]
    fn segments(&self) -> Option<u64> {
        None
    }
}

/// A packet at TC, of which `REACH` bytes at least are where they can be read, or all.
pub(crate) struct Skb<'a, const REACH: usize>(&'a TcContext);

impl<'a, const REACH: usize> Skb<'a, REACH> {
    #[inline(always)]
    pub(crate) fn new(context: &'a TcContext) -> Self {
        let it = Self(context);
        let (data, end) = it.bounds();
        let wanted = if it.frame_len() < REACH { it.frame_len() } else { REACH };
        if end - data < wanted {
            // What cannot be had is then found cut off.
            // SAFETY: the context is the one the kernel gave this program; addresses are read anew.
            unsafe { bpf_skb_pull_data(context.skb.skb, wanted as u32) };
        }
        it
    }
}

impl<const REACH: usize> Hook for Skb<'_, REACH> {
    const LENGTH_KNOWN: bool = true;

    #[inline(always)]
    fn bounds(&self) -> (usize, usize) {
        (self.0.data(), self.0.data_end())
    }

    #[inline(always)]
    fn frame_len(&self) -> usize {
        self.0.len() as usize
    }

    #[inline(always)]
    fn ingress(&self) -> u32 {
        // SAFETY: the context is the one the kernel gave this program.
        unsafe { (*self.0.skb.skb).ifindex }
    }

    #[inline(always)]
    fn tag(&self) -> Option<u16> {
        // SAFETY: as above.
        let skb = unsafe { &*self.0.skb.skb };
        if skb.vlan_present != 0 { Some(skb.vlan_tci as u16) } else { None }
    }

    #[inline(always)]
    fn segments(&self) -> Option<u64> {
        // SAFETY: as above.
        let segments = unsafe { (*self.0.skb.skb).gso_segs };
        if segments > 1 { Some(segments as u64) } else { None }
    }
}
