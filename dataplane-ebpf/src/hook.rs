//! What the hooks give of a packet beside its bytes. The only file that knows their contexts.

use aya_ebpf::bindings::{__sk_buff, xdp_md};
use aya_ebpf::helpers::{bpf_csum_update, bpf_l4_csum_replace, bpf_skb_pull_data, bpf_xdp_get_buff_len};
use aya_ebpf::programs::{TcContext, XdpContext};
use keysteer_common::access::Segments;
use keysteer_common::checksum::{Change, Pseudo};

unsafe extern "C" {
    // Of nat.rs: declared here, because the benchmark's object has this file and no tables.
    safe fn keysteer_to_pod(context: *mut xdp_md, shard: u32, l3: u32) -> u32;
    safe fn keysteer_to_pod_tc(context: *mut __sk_buff, shard: u32, l3: u32) -> u32;
}

/// Of linux/bpf.h: the checksum covers addresses, and one that is not there stays so.
const BPF_F_PSEUDO_HDR: u32 = 1 << 4;
const BPF_F_MARK_MANGLED_0: u32 = 1 << 5;

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
    fn segments(&self) -> Option<Segments>;
    /// Lets the transport checksum at an offset follow a change of addresses where the hook knows how; addresses of the frame are then read
    /// anew. `None` where the checksum in the frame is all that there is.
    fn follow_pseudo(&self, offset: usize, change: Change, sum: Pseudo) -> Option<bool>;
    /// [`keysteer_common::nat::to_pod`] as a function that is verified once.
    fn to_pod(&self, shard: u32, l3: u32) -> bool;
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
    fn segments(&self) -> Option<Segments> {
        None
    }

    #[inline(always)]
    fn follow_pseudo(&self, _offset: usize, _change: Change, _sum: Pseudo) -> Option<bool> {
        None
    }

    #[inline(always)]
    fn to_pod(&self, shard: u32, l3: u32) -> bool {
        keysteer_to_pod(self.ctx, shard, l3) != 0
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
    fn segments(&self) -> Option<Segments> {
        // SAFETY: as above.
        let (count, size) = unsafe { ((*self.0.skb.skb).gso_segs, (*self.0.skb.skb).gso_size) };
        if count > 1 { Some(Segments { count: count as u64, size: size as u64 }) } else { None }
    }

    #[inline(always)]
    fn follow_pseudo(&self, offset: usize, change: Change, sum: Pseudo) -> Option<bool> {
        let flags = BPF_F_PSEUDO_HDR | if sum.optional { BPF_F_MARK_MANGLED_0 } else { 0 };
        let (skb, difference) = (self.0.skb.skb, change.difference());
        // SAFETY: the context is the one the kernel gave this program; the helper checks the offset.
        let done = unsafe { bpf_l4_csum_replace(skb, offset as u32, 0, difference as u64, flags as u64) };
        if !sum.v4 {
            // The helper takes it that a sum over the whole packet changes with the transport checksum, as it does where an IPv4 header's
            // own makes up for the address. In IPv6 the address itself does (`CHECKSUM_COMPLETE`; for any other packet nothing happens).
            // SAFETY: as above.
            unsafe { bpf_csum_update(skb, difference) };
        }
        Some(done == 0)
    }

    #[inline(always)]
    fn to_pod(&self, shard: u32, l3: u32) -> bool {
        keysteer_to_pod_tc(self.0.skb.skb, shard, l3) != 0
    }
}
