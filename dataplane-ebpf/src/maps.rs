//! The maps, and the traits of `keysteer_common` over them. Sizes here are placeholders: user space
//! sets them from the policy when it loads the program (decision 9).

use core::arch::asm;

use aya_ebpf::Global;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, CpuMap, DevMap, PerCpuArray};
use keysteer_common::account::{Counter, KeyCounter, KeyEvents, Meters, TALLY_SHARDS, Tally, way};
use keysteer_common::config::Config;
use keysteer_common::headers::Work;
use keysteer_common::state::Area;
use keysteer_common::tables::{
    Exits, KeyEntry, KeyMeta, PrefixStep, ServiceSet, ShardEntry, Slot, SlotTable, Tables,
};
use keysteer_common::vocabulary::{Class, Reason, Verdict};

use crate::table::table;

/// `BPF_F_MMAPABLE`: user space fills tables by memory copy, without a system call per entry.
const MMAPABLE: u32 = 1 << 10;

/// Constant for a loaded program; written by user space before the load.
#[unsafe(no_mangle)]
static CONFIG: Global<Config> = Global::new(Config::ZERO);

table!(prefix_index, ".bss.prefix_index", u64, 0);
table!(prefix_steps, ".bss.prefix_steps", PrefixStep, PrefixStep { start: 0, value: 0, _pad: 0 });
table!(prefix_low, ".bss.prefix_low", u64, 0);
table!(keys, ".bss.keys", KeyEntry, KeyEntry { key: 0, id: 0, place: 0, meta: KeyMeta::EMPTY });
table!(keys_high, ".bss.keys_high", u64, 0);
table!(slot_tables, ".bss.slot_tables", SlotTable, SlotTable { first: 0, width: 0 });
table!(slots, ".bss.slots", Slot, 0);
table!(
    shards,
    ".bss.shards",
    ShardEntry,
    ShardEntry { target: 0, port: 0, destination: [0; 6], source: [0; 6], _pad: [0; 12] }
);

#[map]
static SERVICES: Array<ServiceSet> = Array::with_max_entries(1, MMAPABLE);
#[map]
static WORK: PerCpuArray<Work> = PerCpuArray::with_max_entries(1, 0);
#[map]
static TALLIES: PerCpuArray<Tally> = PerCpuArray::with_max_entries(1, 0);
#[map]
static KEY_COUNTERS: PerCpuArray<KeyCounter> = PerCpuArray::with_max_entries(1, 0);
#[map]
static KEY_EVENTS: PerCpuArray<KeyEvents> = PerCpuArray::with_max_entries(1, 0);
/// By shard index.
#[map]
static DEVICES: DevMap = DevMap::with_max_entries(1, 0);
/// By CPU number.
#[map]
static CPUS: CpuMap = CpuMap::with_max_entries(1, 0);

/// `bpf_redirect_map` falls back to this action where the map has no entry: `XDP_ABORTED`.
const ON_MISS: u64 = 0;

/// This CPU's work area.
pub(crate) struct CpuArea;

impl Area for CpuArea {
    #[inline(always)]
    fn work(&mut self) -> Option<&mut Work> {
        let work = WORK.get_ptr_mut(0)?;
        // SAFETY: the value is this CPU's own, and XDP programs do not nest on a CPU; the borrow of `self`
        // allows one reference at a time.
        Some(unsafe { &mut *work })
    }
}

/// The tables.
pub(crate) struct Maps;

/// Counters and exits.
pub(crate) struct Kernel;

impl Tables for Maps {
    #[inline(always)]
    fn config(&self) -> &Config {
        let config: *const Config;
        // Hides from LLVM that the initial value is known: user space replaces it.
        // SAFETY: loads an address.
        unsafe { asm!("{c} = {s} ll", c = out(reg) config, s = sym CONFIG, options(pure, nomem, nostack)) };
        // SAFETY: CONFIG is a `Config` (`Global` is transparent) in read-only memory, valid for ever.
        unsafe { &*config }
    }

    #[inline(always)]
    fn prefix_index(&self, index: u32) -> Option<u64> {
        Some(*prefix_index::get(index as usize, self.config().bounds.prefix_index))
    }

    #[inline(always)]
    fn prefix_step(&self, index: u32) -> Option<&PrefixStep> {
        Some(prefix_steps::get(index as usize, self.config().bounds.prefix_steps))
    }

    #[inline(always)]
    fn prefix_low(&self, index: u32) -> Option<u64> {
        Some(*prefix_low::get(index as usize, self.config().bounds.prefix_low))
    }

    #[inline(always)]
    fn service_set(&self, index: u32) -> Option<&ServiceSet> {
        SERVICES.get(index)
    }

    #[inline(always)]
    fn key_entry(&self, index: u64) -> Option<&KeyEntry> {
        Some(keys::get(index as usize, self.config().bounds.keys))
    }

    #[inline(always)]
    fn key_high(&self, index: u64) -> Option<u64> {
        Some(*keys_high::get(index as usize, self.config().bounds.keys_high))
    }

    #[inline(always)]
    fn slot_table(&self, index: u32) -> Option<&SlotTable> {
        Some(slot_tables::get(index as usize, self.config().bounds.slot_tables))
    }

    #[inline(always)]
    fn slot(&self, index: u32) -> Option<Slot> {
        Some(*slots::get(index as usize, self.config().bounds.slots))
    }

    #[inline(always)]
    fn shard(&self, index: u32) -> Option<&ShardEntry> {
        Some(shards::get(index as usize, self.config().bounds.shards))
    }
}

impl Exits for Kernel {
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

/// The tally that shard `shard` is in.
#[inline(always)]
fn tally(shard: u32) -> Option<&'static mut Tally> {
    let tally = TALLIES.get_ptr_mut(shard / TALLY_SHARDS as u32)?;
    // SAFETY: this CPU's own value; callers drop the reference before they ask for another.
    Some(unsafe { &mut *tally })
}

/// What happens to key `id` more rarely than a frame.
#[inline(always)]
fn events(id: u32) -> Option<&'static mut KeyEvents> {
    let events = KEY_EVENTS.get_ptr_mut(id)?;
    // SAFETY: as in `tally`.
    Some(unsafe { &mut *events })
}

impl Meters for Kernel {
    #[inline(always)]
    fn node(&mut self, class: Class, verdict: Verdict, reason: Reason, bytes: u64, shard: Option<u32>) {
        let Some(tally) = tally(shard.unwrap_or(0)) else { return };
        if let Some(counter) = tally.ways.get_mut(way(class, verdict, reason)) {
            add(counter, bytes);
        }
        if let Some(shard) = shard {
            let counter = &mut tally.shards[shard as usize % TALLY_SHARDS];
            counter.packets += 1;
            counter.bytes += bytes;
        }
    }

    #[inline(always)]
    fn key(&mut self, id: u32, bytes: u64) {
        if let Some(counter) = KEY_COUNTERS.get_ptr_mut(id) {
            // SAFETY: this CPU's own value; nothing else refers to it.
            add(unsafe { &mut *counter }, bytes);
        }
    }

    #[inline(always)]
    fn key_dropped(&mut self, id: u32, bytes: u64, drop: usize) {
        if let Some(counter) = events(id).and_then(|events| events.drops.get_mut(drop)) {
            add(counter, bytes);
        }
    }

    #[inline(always)]
    fn shard_dropped(&mut self, shard: u32) {
        if let Some(tally) = tally(shard) {
            tally.shards[shard as usize % TALLY_SHARDS].dropped += 1;
        }
    }

    #[inline(always)]
    fn opened(&mut self, key: Option<u32>, shard: Option<u32>) {
        if let Some(events) = key.and_then(events) {
            events.flows += 1;
        }
        if let Some(shard) = shard
            && let Some(tally) = tally(shard)
        {
            tally.shards[shard as usize % TALLY_SHARDS].flows += 1;
        }
    }
}
