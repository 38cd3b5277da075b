//! Translation as global functions, which the verifier looks at once and not on each of the ways that lead here: see
//! [`keysteer_common::nat`]. Where the policy asks for none, nothing of them is left.

use aya_ebpf::bindings::{__sk_buff, xdp_md};
use aya_ebpf::programs::{TcContext, XdpContext};
use keysteer_common::access::{MAX_POS, Packet, Pos};
use keysteer_common::back::NOBODY;
use keysteer_common::nat;
use keysteer_common::state::Area;
use keysteer_common::tables::Tables;

use crate::hook::{Hook, Skb};
use crate::maps::{CpuArea, Maps};
use crate::packet::Frame;
use crate::{ALL, OUTER};

/// [`nat::to_pod`] of a frame at XDP, whose IP header is at `l3`; 1 where it was done.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn keysteer_to_pod(context: *mut xdp_md, shard: u32, l3: u32) -> u32 {
    let context = XdpContext::new(context);
    to_pod(&mut Frame::new(&context), shard, l3)
}

/// [`nat::to_pod`] of a packet at TC.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn keysteer_to_pod_tc(context: *mut __sk_buff, shard: u32, l3: u32) -> u32 {
    let context = TcContext::new(context);
    to_pod(&mut Frame::new(Skb::<ALL>::new(&context)), shard, l3)
}

/// [`nat::from_pod`] of a packet that leaves: the shard's index, or [`NOBODY`].
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn keysteer_from_pod(context: *mut __sk_buff) -> u32 {
    let tables = &Maps::<true>;
    if tables.config().back.nat == 0 {
        return NOBODY;
    }
    let context = TcContext::new(context);
    let mut frame = Frame::new(Skb::<OUTER>::new(&context));
    let mut area = CpuArea;
    let Some(work) = area.work() else { return NOBODY };
    frame.arm(work.zero);
    nat::from_pod(&mut frame, tables, &mut work.headers)
}

#[inline(always)]
fn to_pod<H: Hook>(frame: &mut Frame<H>, shard: u32, l3: u32) -> u32 {
    let tables = &Maps::<true>;
    if tables.config().back.nat == 0 || l3 > MAX_POS as u32 {
        return 0;
    }
    let mut area = CpuArea;
    let Some(work) = area.work() else { return 0 };
    frame.arm(work.zero);
    nat::to_pod(frame, tables, shard, Pos::from_stored(l3 as u16)).is_some().into()
}
