//! The maps, and the traits of `keysteer_common` over them. Sizes here are placeholders: user space
//! sets them from the policy when it loads the program (decision 9).

use core::arch::asm;

use aya_ebpf::Global;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, CpuMap, DevMap, PerCpuArray};
use keysteer_common::account::{Counter, KeyCounter, KeyDrops, Meters, NodeCounters, ShardCounter};
use keysteer_common::config::Config;
use keysteer_common::state::CpuState;
use keysteer_common::tables::{Exits, KeyEntry, PrefixStep, ServiceSet, ShardEntry, SlotWord, Tables};
use keysteer_common::vocabulary::{Class, REASONS, Reason, Verdict};

/// `BPF_F_MMAPABLE`: user space fills tables by memory copy, without a system call per entry.
const MMAPABLE: u32 = 1 << 10;

/// Constant for a loaded program; written by user space before the load.
#[unsafe(no_mangle)]
static CONFIG: Global<Config> = Global::new(Config::ZERO);

#[map]
static CPU_STATE: PerCpuArray<CpuState> = PerCpuArray::with_max_entries(1, 0);
#[map]
static PREFIX_INDEX: Array<u64> = Array::with_max_entries(1, MMAPABLE);
#[map]
static PREFIX_STEPS: Array<PrefixStep> = Array::with_max_entries(1, MMAPABLE);
#[map]
static SERVICES: Array<ServiceSet> = Array::with_max_entries(1, MMAPABLE);
#[map]
static KEYS: Array<KeyEntry> = Array::with_max_entries(1, MMAPABLE);
#[map]
static SLOTS: Array<SlotWord> = Array::with_max_entries(1, MMAPABLE);
#[map]
static SHARDS: Array<ShardEntry> = Array::with_max_entries(1, MMAPABLE);
#[map]
static KEY_COUNTERS: PerCpuArray<KeyCounter> = PerCpuArray::with_max_entries(1, 0);
#[map]
static KEY_DROPS: PerCpuArray<KeyDrops> = PerCpuArray::with_max_entries(1, 0);
#[map]
static SHARD_COUNTERS: PerCpuArray<ShardCounter> = PerCpuArray::with_max_entries(1, 0);
/// By shard index.
#[map]
static DEVICES: DevMap = DevMap::with_max_entries(1, 0);
/// By CPU number.
#[map]
static CPUS: CpuMap = CpuMap::with_max_entries(1, 0);

/// `bpf_redirect_map` falls back to this action where the map has no entry: `XDP_ABORTED`.
const ON_MISS: u64 = 0;

/// This CPU's state. `None` cannot happen (index 0 of a one-entry array), and the verifier wants it
/// asked.
#[inline(always)]
pub(crate) fn cpu_state() -> Option<&'static mut CpuState> {
    let state = CPU_STATE.get_ptr_mut(0)?;
    // SAFETY: the value is this CPU's own, and XDP programs do not nest on a CPU: nothing else holds a
    // reference while this one lives.
    Some(unsafe { &mut *state })
}

/// The tables in BPF maps.
pub(crate) struct Maps;

/// Tables, counters and exits.
pub(crate) struct Kernel<'a> {
    node: &'a mut NodeCounters,
}

impl<'a> Kernel<'a> {
    /// The tables, which are static.
    pub(crate) const TABLES: Maps = Maps;

    /// Counters and exits for one packet.
    #[inline(always)]
    pub(crate) fn new(node: &'a mut NodeCounters) -> Self {
        Self { node }
    }
}

impl Tables for Maps {
    #[inline(always)]
    fn config(&self) -> &Config {
        let mut config = (&raw const CONFIG).cast::<Config>();
        // Hides from LLVM that the initial value is known: user space replaces it. A real instruction,
        // because an empty barrier duplicates line information, which the kernel refuses.
        // SAFETY: a register move.
        unsafe { asm!("{c} = {c}", c = inout(reg) config, options(pure, nomem, nostack)) };
        // SAFETY: CONFIG is a `Config` (`Global` is transparent) in read-only memory, valid for ever.
        unsafe { &*config }
    }

    #[inline(always)]
    fn prefix_index(&self, index: u32) -> Option<u64> {
        PREFIX_INDEX.get(index).copied()
    }

    #[inline(always)]
    fn prefix_step(&self, index: u32) -> Option<&PrefixStep> {
        PREFIX_STEPS.get(index)
    }

    #[inline(always)]
    fn service_set(&self, index: u32) -> Option<&ServiceSet> {
        SERVICES.get(index)
    }

    #[inline(always)]
    fn key_entry(&self, index: u32) -> Option<&KeyEntry> {
        KEYS.get(index)
    }

    #[inline(always)]
    fn slot(&self, index: u32) -> Option<SlotWord> {
        SLOTS.get(index).copied()
    }

    #[inline(always)]
    fn shard(&self, index: u32) -> Option<&ShardEntry> {
        SHARDS.get(index)
    }
}

impl Exits for Kernel<'_> {
    #[inline(always)]
    fn to_interface(&mut self, shard: u32) -> bool {
        DEVICES.redirect(shard, ON_MISS).is_ok()
    }

    #[inline(always)]
    fn to_cpu(&mut self, cpu: u32) -> bool {
        CPUS.redirect(cpu, ON_MISS).is_ok()
    }
}

#[inline(always)]
fn add(counter: &mut Counter, bytes: u64) {
    counter.packets += 1;
    counter.bytes += bytes;
}

impl Meters for Kernel<'_> {
    #[inline(always)]
    fn node(&mut self, class: Class, verdict: Verdict, reason: Reason, bytes: u64) {
        if let Some(counter) = self.node.verdicts.get_mut(verdict as usize) {
            add(counter, bytes);
        }
        if let Some(counter) = self.node.outcomes.get_mut(class as usize * REASONS + reason as usize) {
            add(counter, bytes);
        }
    }

    #[inline(always)]
    fn key(&mut self, id: u32, bytes: u64, opens: bool, drop: Option<usize>) {
        if let Some(counter) = KEY_COUNTERS.get_ptr_mut(id) {
            // SAFETY: this CPU's own value; nothing else refers to it.
            let counter = unsafe { &mut *counter };
            counter.packets += 1;
            counter.bytes += bytes;
            counter.flows += opens as u64;
        }
        if let Some(slot) = drop
            && let Some(drops) = KEY_DROPS.get_ptr_mut(id)
        {
            // SAFETY: this CPU's own value; nothing else refers to it.
            if let Some(counter) = unsafe { &mut *drops }.get_mut(slot) {
                add(counter, bytes);
            }
        }
    }

    #[inline(always)]
    fn shard(&mut self, index: u32, bytes: u64, opens: bool, dropped: bool) {
        if let Some(counter) = SHARD_COUNTERS.get_ptr_mut(index) {
            // SAFETY: this CPU's own value; nothing else refers to it.
            let counter = unsafe { &mut *counter };
            counter.packets += 1;
            counter.bytes += bytes;
            counter.flows += opens as u64;
            counter.dropped += dropped as u64;
        }
    }
}
