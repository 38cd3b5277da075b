//! The benchmark's wrapper, an object of its own: `BPF_PROG_TEST_RUN` feeds the same buffer to every
//! repeat, so this program puts the frame's addresses back, varies the flow, and tail-calls the pristine
//! program under test. What it costs itself is measured with an empty program behind it.
//!
//! Beside it, for a test, a table of connections (`lru.rs`).
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![expect(internal_features, reason = "what is constant after inlining needs no mask (packet.rs)")]
#![expect(unstable_features, reason = "inline assembly for BPF gives the verifier its ranges")]

use aya_ebpf::Global;
use aya_ebpf::bindings::{TC_ACT_STOLEN, TC_ACT_UNSPEC, xdp_action};
use aya_ebpf::macros::{classifier, map, xdp};
use aya_ebpf::maps::{PerCpuArray, ProgramArray};
use aya_ebpf::programs::{TcContext, XdpContext};
use keysteer_common::access::{PacketMut, Pos};

#[path = "../hook.rs"]
mod hook;
#[path = "../lru.rs"]
mod lru;
#[path = "../packet.rs"]
mod packet;

use hook::Skb;
use packet::Frame;

/// What varies: iteration `i` has number `r = i * STRIDE`. Offsets of 0 vary nothing.
#[repr(C)]
#[derive(Clone, Copy)]
struct Variation {
    /// Where a big-endian u32 is written: `word_base + (r & word_mask)`.
    word_offset: u32,
    word_base: u32,
    word_mask: u32,
    /// Where a big-endian u16 is written: `port_base + ((r >> port_shift) & port_mask)`.
    port_offset: u32,
    port_base: u32,
    port_mask: u32,
    port_shift: u32,
    /// Odd: visits every number once in 2^32 iterations, in an order that caches cannot guess.
    stride: u32,
    /// Both MAC addresses, as they were.
    addresses: [u8; 12],
    _pad: u32,
}

#[unsafe(no_mangle)]
static VARIATION: Global<Variation> = Global::new(Variation {
    word_offset: 0,
    word_base: 0,
    word_mask: 0,
    port_offset: 0,
    port_base: 0,
    port_mask: 0,
    port_shift: 0,
    stride: 1,
    addresses: [0; 12],
    _pad: 0,
});

#[map]
static ITERATION: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);
/// The program under test.
#[map]
static UNDER_TEST: ProgramArray = ProgramArray::with_max_entries(1, 0);
/// The same for programs at TC: an array holds programs of one type.
#[map]
static UNDER_TEST_TC: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Restores, varies, and calls the program under test.
#[xdp(frags)]
#[inline(always)]
fn bench_wrapper(context: XdpContext) -> u32 {
    if vary(&mut Frame::new(&context)).is_some() {
        // SAFETY: a tail call does not return; where it fails the run is marked as aborted.
        let _ = unsafe { UNDER_TEST.tail_call(&context, 0) };
    }
    xdp_action::XDP_ABORTED
}

/// The same at TC; what XDP calls aborted is there what nobody else returns.
#[classifier]
#[inline(always)]
fn bench_wrapper_tc(context: TcContext) -> i32 {
    if vary(&mut Frame::new(Skb::<256>::new(&context))).is_some() {
        // SAFETY: as above.
        let _ = unsafe { UNDER_TEST_TC.tail_call(&context, 0) };
    }
    TC_ACT_STOLEN as i32
}

/// Writes the iteration's flow.
#[inline(always)]
fn vary<P: PacketMut>(frame: &mut P) -> Option<()> {
    let variation = VARIATION.load();
    let iteration = ITERATION.get_ptr_mut(0)?;
    // SAFETY: this CPU's own value; nothing else refers to it.
    let i = unsafe {
        *iteration += 1;
        *iteration
    };
    let r = (i as u32).wrapping_mul(variation.stride);
    let a = variation.addresses;
    frame.store(Pos::START, 0, [a[0], a[1], a[2], a[3], a[4], a[5]])?;
    frame.store(Pos::START, 6, [a[6], a[7], a[8], a[9], a[10], a[11]])?;
    if variation.word_offset != 0 {
        let word = variation.word_base.wrapping_add(r & variation.word_mask);
        frame.store(Pos::from_stored(variation.word_offset as u16), 0, word.to_be_bytes())?;
    }
    if variation.port_offset != 0 {
        let port = variation.port_base.wrapping_add((r >> (variation.port_shift & 31)) & variation.port_mask);
        frame.store(Pos::from_stored(variation.port_offset as u16), 0, (port as u16).to_be_bytes())?;
    }
    Some(())
}

/// An empty program, to know what the wrapper and the test run cost.
#[xdp(frags)]
#[inline(always)]
fn bench_empty(_context: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

/// The same at TC.
#[classifier]
#[inline(always)]
fn bench_empty_tc(_context: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

/// Sends back what came, to compare live frames with.
#[xdp(frags)]
#[inline(always)]
fn bench_transmit(_context: XdpContext) -> u32 {
    xdp_action::XDP_TX
}

/// Takes what arrives.
#[xdp(frags)]
#[inline(always)]
fn bench_drop(_context: XdpContext) -> u32 {
    xdp_action::XDP_DROP
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
