//! Flows that opened while placements change, and what is counted of them: [`keysteer_common::pin`] over maps.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, PerCpuArray};
use keysteer_common::account::Counter;
use keysteer_common::migrate::Move;
use keysteer_common::pin::{Between, Happened, Moving, Pin, Pins, Said, Settle, Side, filter, settle};
use keysteer_common::tables::Tables;

use crate::maps::{Back, Kernel, MMAPABLE, Maps, NOEXIST};

/// How each key and class finds its previous shard; user space ends a move by one store.
#[map]
static MOVES: Array<u64> = Array::with_max_entries(1, MMAPABLE);
/// By unit.
#[map]
static MOVING: PerCpuArray<Moving> = PerCpuArray::with_max_entries(1, 0);
/// By a flow's hash. All of it is there from the beginning, and nothing is pushed out of it.
#[map]
static PINS: HashMap<u64, Pin> = HashMap::with_max_entries(1, 0);
/// Which flows may have one: [`filter`].
#[map]
static FILTER: Array<u64> = Array::with_max_entries(filter::ALL, MMAPABLE);
/// What pins are dated by.
#[map]
static EPOCH: Array<u64> = Array::with_max_entries(1, MMAPABLE);

/// How a key or a class finds its previous shard.
#[inline(always)]
pub(crate) fn moving(at: u32) -> Move {
    // SAFETY: an aligned word in a map value, which user space may change meanwhile.
    Move(MOVES.get_ptr(at).map_or(0, |word| unsafe { word.read_volatile() }))
}

/// A word of the filter.
#[inline(always)]
fn filter_word(at: u32) -> u64 {
    // SAFETY: as in `moving`.
    FILTER.get_ptr(at).map_or(0, |word| unsafe { word.read_volatile() })
}

/// What pins are dated by now.
#[inline(always)]
pub(crate) fn epoch() -> u64 {
    // SAFETY: as in `moving`.
    EPOCH.get_ptr(0).map_or(0, |word| unsafe { word.read_volatile() })
}

/// [`settle`] as a global function, which the verifier looks at once, for any arguments: what it takes is packed into numbers.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn keysteer_settle(
    flow: u64,
    moving: u64,
    between: u64,
    said: u64,
    carried: u64,
) -> u32 {
    let said = Said::unpack(said, carried);
    settle(&mut Flows, &Maps::<true>, flow, Move(moving), Between::unpack(between), said) as u32
}

#[inline(always)]
fn ask(flow: u64, moving: Move, between: Between, said: Said) -> u16 {
    let (said, carried) = said.pack();
    keysteer_settle(flow, moving.0, between.pack(), said, carried) as u16
}

impl<const TC: bool> Settle for Kernel<TC> {
    #[inline(always)]
    fn settle<T: Tables>(&mut self, _: &T, flow: u64, moving: Move, between: Between, said: Said) -> u16 {
        ask(flow, moving, between, said)
    }
}

impl Settle for Back {
    #[inline(always)]
    fn settle<T: Tables>(&mut self, _: &T, flow: u64, moving: Move, between: Between, said: Said) -> u16 {
        ask(flow, moving, between, said)
    }
}

/// The maps.
struct Flows;

/// This CPU's counters of a unit.
#[inline(always)]
fn unit(unit: u32) -> Option<&'static mut Moving> {
    // SAFETY: this CPU's own value; callers drop the reference before they ask for another.
    MOVING.get_ptr_mut(unit).map(|moving| unsafe { &mut *moving })
}

impl Pins for Flows {
    #[inline(always)]
    fn pin(&mut self, flow: u64) -> Option<Pin> {
        let word = filter_word(filter::word(flow, filter_word(filter::ASKED)));
        if word & filter::bit(flow) == 0 {
            return None;
        }
        let pin = PINS.get_ptr(&flow)?;
        // SAFETY: three aligned words in a map value, each of which another CPU may write meanwhile: each is whole.
        unsafe {
            Some(Pin {
                proved: Side((&raw const (*pin).proved.0).read_volatile()),
                offered: Side((&raw const (*pin).offered.0).read_volatile()),
                seen: (&raw const (*pin).seen).read_volatile(),
            })
        }
    }

    #[inline(always)]
    fn offer(&mut self, flow: u64, pin: Pin) -> bool {
        if PINS.insert(&flow, &pin, NOEXIST).is_err() {
            return false;
        }
        // Behind the pin, whose words need no room on the stack any more. A packet that comes in between goes to the previous shard, as one
        // that comes before.
        for half in 0..2 {
            if let Some(word) = FILTER.get_ptr_mut(filter::word(flow, half)) {
                // SAFETY: one atomic instruction on an aligned word in a map value, which everybody else reads and writes at once, too. Rust
                // has no atomics for a target without compare-and-swap, which BPF's first versions were.
                unsafe {
                    core::arch::asm!("lock *(u64 *)({word} + 0) |= {bit}", word = in(reg) word, bit = in(reg) filter::bit(flow));
                }
            }
        }
        true
    }

    #[inline(always)]
    fn renew(&mut self, flow: u64, pin: Pin) {
        let Some(there) = PINS.get_ptr_mut(&flow) else { return };
        // SAFETY: as in `pin`. What is proved is written first: the offer that it came of means the same until it goes.
        unsafe {
            (&raw mut (*there).proved.0).write_volatile(pin.proved.0);
            (&raw mut (*there).offered.0).write_volatile(pin.offered.0);
            (&raw mut (*there).seen).write_volatile(pin.seen);
        }
    }

    #[inline(always)]
    fn left(&mut self, at: u32, flow: u64, carried: Counter, span: u32) {
        let Some(moving) = unit(at) else { return };
        moving.left.add(carried);
        moving.mark(flow, span);
    }

    #[inline(always)]
    fn happened(&mut self, at: u32, what: Happened) {
        if let Some(moving) = unit(at) {
            moving.count(what);
        }
    }
}
