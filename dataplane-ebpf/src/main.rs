//! keysteer in the kernel: an XDP program over `keysteer_common`.
//!
//! Thin by rule: [`packet`] gives bounded access to the frame, [`maps`] to the tables and counters,
//! and the entry point calls [`keysteer_common::decide::decide`]. No decision is taken here.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![expect(internal_features, reason = "what is constant after inlining needs no mask (packet.rs)")]
#![expect(unstable_features, reason = "inline assembly for BPF gives the verifier its ranges")]

mod maps;
mod packet;

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use keysteer_common::decide::decide;
use keysteer_common::forward::Action;

use crate::maps::{Kernel, cpu_state};
use crate::packet::Frame;

/// The hook at a device's receive side. `frags`: jumbo frames in several buffers are accepted.
#[xdp(frags)]
#[inline(always)]
fn keysteer_xdp(context: XdpContext) -> u32 {
    let Some(state) = cpu_state() else {
        return xdp_action::XDP_PASS;
    };
    let mut frame = Frame::new(&context, state.zero as usize);
    let mut kernel = Kernel::new(&mut state.node);
    let action = decide(&mut frame, &Kernel::TABLES, &mut kernel, &mut state.work);
    #[cfg(feature = "log")]
    aya_log_ebpf::debug!(
        &context,
        "class {} verdict {} reason {} key {} shard {}",
        state.work.decision.class,
        state.work.decision.verdict,
        state.work.decision.reason,
        state.work.decision.key_id,
        state.work.decision.shard
    );
    match action {
        Action::Pass => xdp_action::XDP_PASS,
        Action::Drop => xdp_action::XDP_DROP,
        Action::Transmit => xdp_action::XDP_TX,
        Action::Redirect => xdp_action::XDP_REDIRECT,
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
