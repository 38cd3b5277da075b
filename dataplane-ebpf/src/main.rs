//! keysteer in the kernel: an XDP program over `keysteer_common`.
//!
//! Thin by rule: [`packet`] gives bounded access to the frame, [`table`] and [`maps`] to the tables and counters,
//! and the entry points call [`keysteer_common::decide`]: one program for each of [`keysteer_common::program`]. No decision is taken here.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![expect(internal_features, reason = "what is constant after inlining needs no mask (packet.rs)")]
#![expect(unstable_features, reason = "inline assembly for BPF gives the verifier its ranges")]

mod maps;
mod packet;
mod table;

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use keysteer_common::decide::{decide, decide_deep};
use keysteer_common::forward::Action;

use crate::maps::{CpuArea, Kernel, Maps};
use crate::packet::Frame;

const _: () = assert!(
    Action::Drop as u32 == xdp_action::XDP_DROP
        && Action::Pass as u32 == xdp_action::XDP_PASS
        && Action::Transmit as u32 == xdp_action::XDP_TX
        && Action::Redirect as u32 == xdp_action::XDP_REDIRECT
);

/// The hook at a device's receive side. `frags`: jumbo frames in several buffers are accepted.
#[xdp(frags)]
#[inline(always)]
fn keysteer_xdp(context: XdpContext) -> u32 {
    let action = decide(&mut Frame::new(&context), &Maps::<false>, &mut Kernel, &mut CpuArea);
    #[cfg(feature = "log")]
    log(&context);
    action as u32
}

/// The same, for policies that ask for more than the outer headers and one schema.
#[xdp(frags)]
#[inline(always)]
fn keysteer_deep(context: XdpContext) -> u32 {
    let action = decide_deep(&mut Frame::new(&context), &Maps::<true>, &mut Kernel, &mut CpuArea);
    #[cfg(feature = "log")]
    log(&context);
    action as u32
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
