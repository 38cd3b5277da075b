//! keysteer in the kernel: programs over `keysteer_common`.
//!
//! Thin by rule: [`hook`] and [`packet`] give bounded access to the frame, [`table`], [`maps`] and [`flows`] to the tables, counters and flows,
//! and the entry points call [`keysteer_common::decide`]: one for each program and hook of [`keysteer_common::program`]. No decision is taken here.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![expect(internal_features, reason = "what is constant after inlining needs no mask (packet.rs)")]
#![expect(unstable_features, reason = "inline assembly for BPF gives the verifier its ranges")]

mod flows;
mod hook;
mod maps;
mod nat;
mod packet;
mod table;

use aya_ebpf::bindings::{TC_ACT_REDIRECT, TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action};
use aya_ebpf::helpers::{bpf_redirect, bpf_skb_change_type};
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use keysteer_common::access::MAX_POS;
use keysteer_common::back::{NOBODY, probe, way_back};
use keysteer_common::decide::{decide, decide_deep};
use keysteer_common::forward::Action;
use keysteer_common::tables::Tables;

use crate::hook::Skb;
use crate::maps::{Back, CpuArea, Kernel, Maps};
use crate::nat::keysteer_from_pod;
use crate::packet::Frame;

const _: () = assert!(
    Action::Drop as u32 == xdp_action::XDP_DROP
        && Action::Pass as u32 == xdp_action::XDP_PASS
        && Action::Transmit as u32 == xdp_action::XDP_TX
        && Action::Redirect as u32 == xdp_action::XDP_REDIRECT
);

/// `PACKET_HOST` of linux/if_packet.h.
const PACKET_HOST: u32 = 0;

/// The hook at a device's receive side. `frags`: jumbo frames in several buffers are accepted.
#[xdp(frags)]
#[inline(always)]
fn keysteer_xdp(context: XdpContext) -> u32 {
    let action = decide(&mut Frame::new(&context), &Maps::<false>, &mut Kernel::<false>, &mut CpuArea);
    #[cfg(feature = "log")]
    log(&context);
    action as u32
}

/// The same, for policies that ask for more than the outer headers and one schema.
#[xdp(frags)]
#[inline(always)]
fn keysteer_deep(context: XdpContext) -> u32 {
    let action = decide_deep(&mut Frame::new(&context), &Maps::<true>, &mut Kernel::<false>, &mut CpuArea);
    #[cfg(feature = "log")]
    log(&context);
    action as u32
}

/// Bytes in which the outer headers are, apart from long chains of extension headers.
pub(crate) const OUTER: usize = 256;
/// Bytes beyond which no header begins, and what follows the last.
pub(crate) const ALL: usize = MAX_POS + 64;

/// The hook of traffic control, where the kernel has made a packet of its own of the frame.
#[classifier]
#[inline(always)]
fn keysteer_tc(context: TcContext) -> i32 {
    let frame = &mut Frame::new(Skb::<OUTER>::new(&context));
    at_tc(&context, decide(frame, &Maps::<true>, &mut Kernel::<true>, &mut CpuArea))
}

/// The same, for policies that ask for more than the outer headers and one schema.
#[classifier]
#[inline(always)]
fn keysteer_tc_deep(context: TcContext) -> i32 {
    let frame = &mut Frame::new(Skb::<ALL>::new(&context));
    at_tc(&context, decide_deep(frame, &Maps::<true>, &mut Kernel::<true>, &mut CpuArea))
}

/// An action as TC has it. What is not steered away goes on to whoever is attached behind.
#[inline(always)]
fn at_tc(context: &TcContext, action: Action) -> i32 {
    match action {
        Action::Drop => TC_ACT_SHOT as i32,
        Action::Pass => TC_ACT_UNSPEC,
        // SAFETY: the context is the kernel's; the helper takes numbers, and notes them.
        Action::Transmit => unsafe { bpf_redirect((*context.skb.skb).ifindex, 0) as i32 },
        Action::Redirect => {
            // SAFETY: as above.
            unsafe {
                // What was not for this host by its address would not be for the pod either that it is handed to.
                if (*context.skb.skb).pkt_type != PACKET_HOST {
                    bpf_skb_change_type(context.skb.skb, PACKET_HOST);
                }
            }
            TC_ACT_REDIRECT as i32
        }
    }
}

/// The hook where packets leave.
#[classifier]
#[inline(always)]
fn keysteer_back(context: TcContext) -> i32 {
    let tables = &Maps::<true>;
    let back = &tables.config().back;
    // SAFETY: the context is the one the kernel gave this program.
    let mark = unsafe { (*context.skb.skb).mark };
    if back.probes != 0
        && let Some(action) = probe(&mut Frame::new(Skb::<OUTER>::new(&context)), tables, &mut Back, mark)
    {
        // Where it leaves, the road has been taken.
        // SAFETY: as above; programs at TC may write the mark.
        unsafe { (*context.skb.skb).mark = 0 };
        return match action {
            Action::Pass => TC_ACT_UNSPEC,
            Action::Redirect => TC_ACT_REDIRECT as i32,
            Action::Drop | Action::Transmit => TC_ACT_SHOT as i32,
        };
    }
    let shard = if back.nat != 0 { keysteer_from_pod(context.skb.skb) } else { NOBODY };
    if back.count != 0 || back.stamps != 0 {
        way_back(&mut Frame::new(Skb::<OUTER>::new(&context)), tables, &mut Back, &mut CpuArea, shard);
    }
    TC_ACT_UNSPEC
}

/// Logs what was recorded.
#[cfg(feature = "log")]
#[inline(always)]
fn log(context: &XdpContext) {
    if let Some(work) = keysteer_common::state::Area::work(&mut CpuArea) {
        let decision = &work.record.decision;
        aya_log_ebpf::debug!(
            context,
            "class {} verdict {} reason {} key {} shard {}",
            decision.class,
            decision.verdict,
            decision.reason,
            decision.key_id,
            decision.shard
        );
    }
}

/// A reachable panic becomes an endless loop, which the verifier refuses to load.
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
