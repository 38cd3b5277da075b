//! The maps, and the traits of `keysteer_common` over them. Sizes here are placeholders: user space
//! sets them from the policy when it loads the program (decision 9).

use core::arch::asm;

use aya_ebpf::Global;
use aya_ebpf::helpers::{bpf_ktime_get_coarse_ns, bpf_redirect, bpf_redirect_peer};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, CpuMap, DevMap, LruHashMap, PerCpuArray, PerCpuHashMap};
use keysteer_common::account::{
    BackMeters, BackTally, Counter, KeyCounter, KeyEvents, Meters, TALLY_SHARDS, Tally, way,
};
use keysteer_common::back::NOBODY;
use keysteer_common::config::Config;
use keysteer_common::headers::Work;
use keysteer_common::migrate::Move;
use keysteer_common::overlay::{self, Chosen};
use keysteer_common::prefix;
use keysteer_common::shim::Signing;
use keysteer_common::state::Area;
use keysteer_common::tables::{
    Datagram, Datagrams, Exits, KeyEntry, KeyMeta, Pod, PrefixStep, ServiceSet, ShardEntry, Slot, SlotTable,
    Tables,
};
use keysteer_common::vocabulary::{Class, Reason, Verdict};

use crate::flows;
use crate::table::table;

/// Inserts only what is not there: another packet on this CPU cannot have come between.
pub(crate) const NOEXIST: u64 = 1;

/// `BPF_F_MMAPABLE`: user space fills tables by memory copy, without a system call per entry.
pub(crate) const MMAPABLE: u32 = 1 << 10;

/// Constant for a loaded program; written by user space before the load.
#[unsafe(no_mangle)]
static CONFIG: Global<Config> = Global::new(Config::ZERO);

table!(prefix_index, ".bss.prefix_index", u64, 0);
table!(prefix_steps, ".bss.prefix_steps", PrefixStep, PrefixStep { start: 0, value: 0, _pad: 0 });
table!(prefix_low, ".bss.prefix_low", u64, 0);
table!(keys, ".bss.keys", KeyEntry, KeyEntry { key: 0, id: 0, place: 0, meta: KeyMeta::EMPTY });
table!(keys_high, ".bss.keys_high", u64, 0);
table!(slot_tables, ".bss.slot_tables", SlotTable, SlotTable::new(0, 0, 0));
table!(slots, ".bss.slots", Slot, 0);
table!(
    shards,
    ".bss.shards",
    ShardEntry,
    ShardEntry { target: 0, port: 0, destination: [0; 6], source: [0; 6], most: 0, exit: 0, _pad: 0 }
);
table!(pairs, ".bss.pairs", u64, 0);
table!(pods, ".bss.pods", Pod, Pod { v6: [[0; 8]; 2], v4: [0; 4], _pad: [0; 12] });
table!(stamps, ".bss.stamps", u32, 0);
table!(old_tables, ".bss.old_tables", SlotTable, SlotTable::new(0, 0, 0));
table!(old_slots, ".bss.old_slots", Slot, 0);

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
/// What leaves, by key id, and by class and shard.
#[map]
static KEY_BACK: PerCpuArray<Counter> = PerCpuArray::with_max_entries(1, 0);
#[map]
static BACK_TALLIES: PerCpuArray<BackTally> = PerCpuArray::with_max_entries(1, 0);
/// Operators' words, by key id and by shard index; user space changes them at any time.
#[map]
static KEY_WORDS: Array<u64> = Array::with_max_entries(1, 0);
#[map]
static SHARD_WORDS: Array<u64> = Array::with_max_entries(1, 0);
/// By the version of the schema.
#[map]
static VERSIONS: PerCpuArray<Counter> = PerCpuArray::with_max_entries(256, 0);
/// By [`claim`]: what was claimed without right. What has no room is counted at 0, which user space puts there.
#[map]
static CLAIMS: PerCpuHashMap<u64, Counter> = PerCpuHashMap::with_max_entries(1, 0);
/// What signed keys are verified with; user space changes it at any time.
#[map]
static SIGNING: Array<Signing> = Array::with_max_entries(1, 0);
/// Datagrams whose first fragment was seen, with the index of their key's entry.
#[map]
static DATAGRAMS: LruHashMap<Datagram, u32> = LruHashMap::with_max_entries(1, 0);
/// By shard index.
#[map]
static DEVICES: DevMap = DevMap::with_max_entries(1, 0);
/// The same for programs at TC: the kernel lets programs of one type alone use a map of devices (`bpf_prog_map_compatible`).
#[map]
static DEVICES_TC: DevMap = DevMap::with_max_entries(1, 0);
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

/// The tables. `APART`: prefixes are searched in a function of its own, which the verifier looks at
/// once; of the program for XDP and plain policies that would cost more than it saves.
pub(crate) struct Maps<const APART: bool>;

/// Counters and exits, of an XDP program or of one at TC.
pub(crate) struct Kernel<const TC: bool>;

/// Counters and exits where packets leave.
pub(crate) struct Back;

/// [`overlay::search`] as a global function, which the verifier looks at once, for any arguments, and not on each of the
/// many ways that lead here. `row` is the row's first slot and, in the upper half, its length; `place` the column and the pool.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn keysteer_search(seed: u64, row: u64, place: u64, but: u64) -> u32 {
    let (column, pool) = (place as u32, (place >> 32) as u32);
    let chosen = Chosen { seed, row: (row as u32, (row >> 32) as u32), column, pool };
    overlay::search(&Maps::<true>, chosen, but) as u32
}

/// [`prefix::last_step`] of IPv4 addresses, likewise.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn keysteer_step4(first: u32, count: u32, address: u64) -> u32 {
    prefix::last_step::<false, _>(&Maps::<true>, first, count, [address, 0])
}

/// [`prefix::last_step`] of IPv6 addresses, likewise.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn keysteer_step6(first: u32, count: u32, high: u64, low: u64) -> u32 {
    prefix::last_step::<true, _>(&Maps::<true>, first, count, [high, low])
}

/// The key of a claim in `CLAIMS`.
#[inline(always)]
fn claim(id: u32, ingress: u32) -> u64 {
    (id as u64) << 32 | ingress as u64
}

impl<const APART: bool> Tables for Maps<APART> {
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

    #[inline(always)]
    fn pod(&self, shard: u32) -> Option<&Pod> {
        Some(pods::get(shard as usize, self.config().bounds.pods))
    }

    #[inline(always)]
    fn stamp(&self, id: u32) -> u32 {
        *stamps::get(id as usize, self.config().bounds.stamps)
    }

    #[inline(always)]
    fn key_word(&self, id: u32) -> u64 {
        // SAFETY: an aligned word in a map value, which user space may change meanwhile.
        KEY_WORDS.get_ptr(id).map_or(0, |word| unsafe { word.read_volatile() })
    }

    #[inline(always)]
    fn search(&self, chosen: Chosen, but: u64) -> Slot {
        let Chosen { seed, row: (row, width), column, pool } = chosen;
        let place = column as u64 | (pool as u64) << 32;
        keysteer_search(seed, row as u64 | (width as u64) << 32, place, but) as Slot
    }

    #[inline(always)]
    fn last_step<const LONG: bool>(&self, first: u32, count: u32, address: [u64; 2]) -> u32 {
        if !APART {
            prefix::last_step::<LONG, Self>(self, first, count, address)
        } else if LONG {
            keysteer_step6(first, count, address[0], address[1])
        } else {
            keysteer_step4(first, count, address[0])
        }
    }

    #[inline(always)]
    fn pair(&self, index: u32) -> Option<u64> {
        Some(*pairs::get(index as usize, self.config().bounds.pairs))
    }

    #[inline(always)]
    fn signing(&self) -> Option<&Signing> {
        SIGNING.get(0)
    }

    #[inline(always)]
    fn now(&self) -> u64 {
        // SAFETY: takes nothing and touches no memory.
        unsafe { bpf_ktime_get_coarse_ns() }
    }

    #[inline(always)]
    fn shard_word(&self, shard: u32) -> u64 {
        // SAFETY: as in `key_word`.
        SHARD_WORDS.get_ptr(shard).map_or(0, |word| unsafe { word.read_volatile() })
    }

    #[inline(always)]
    fn moving(&self, at: u32) -> Move {
        flows::moving(at)
    }

    #[inline(always)]
    fn old_table(&self, index: u32) -> Option<&SlotTable> {
        Some(old_tables::get(index as usize, self.config().bounds.old_tables))
    }

    #[inline(always)]
    fn old_slot(&self, index: u32) -> Option<Slot> {
        Some(*old_slots::get(index as usize, self.config().bounds.old_slots))
    }

    #[inline(always)]
    fn epoch(&self) -> u64 {
        flows::epoch()
    }
}

impl<const TC: bool> Exits for Kernel<TC> {
    #[inline(always)]
    fn to_interface(&mut self, shard: u32, peer: bool) -> bool {
        if !TC {
            return DEVICES.redirect(shard, ON_MISS).is_ok();
        }
        // The kernel takes a device that goes out of the map; to redirect to one that has gone would be a silent drop.
        match DEVICES_TC.get_ifindex(shard) {
            Some(device) => {
                // SAFETY: takes numbers, and notes them for when the program has returned.
                unsafe { if peer { bpf_redirect_peer(device, 0) } else { bpf_redirect(device, 0) } };
                true
            }
            None => false,
        }
    }

    #[inline(always)]
    fn to_cpu(&mut self, cpu: u32) -> bool {
        // At TC there is no such way: user space refuses policies that ask for it.
        !TC && CPUS.redirect(cpu, ON_MISS).is_ok()
    }
}

impl<const TC: bool> Datagrams for Kernel<TC> {
    #[inline(always)]
    fn remember(&mut self, datagram: &Datagram, entry: u32) {
        // Without room the later fragments meet what the policy says of such.
        let _ = DATAGRAMS.insert(datagram, entry, 0);
    }

    #[inline(always)]
    fn forget(&mut self, datagram: &Datagram) {
        // Nothing was noted, most often.
        let _ = DATAGRAMS.remove(datagram);
    }

    #[inline(always)]
    fn recall(&mut self, datagram: &Datagram) -> Option<u32> {
        // SAFETY: a word, which another CPU may replace meanwhile: one datagram's or another's, it is an index.
        DATAGRAMS.get_ptr(datagram).map(|entry| unsafe { entry.read_volatile() })
    }
}

impl Exits for Back {
    #[inline(always)]
    fn to_interface(&mut self, shard: u32, _peer: bool) -> bool {
        // A peer is handed packets by programs at TC ingress alone.
        Kernel::<true>.to_interface(shard, false)
    }

    #[inline(always)]
    fn to_cpu(&mut self, _cpu: u32) -> bool {
        false
    }
}

impl BackMeters for Back {
    #[inline(always)]
    fn node_back(&mut self, class: Class, carried: Counter, shard: u32) {
        let first = if shard == NOBODY { 0 } else { shard / TALLY_SHARDS as u32 };
        let Some(tally) = BACK_TALLIES.get_ptr_mut(first) else { return };
        // SAFETY: this CPU's own value; nothing else refers to it.
        let tally = unsafe { &mut *tally };
        if let Some(counter) = tally.classes.get_mut(class as usize) {
            counter.add(carried);
        }
        if shard != NOBODY {
            tally.shards[shard as usize % TALLY_SHARDS].add(carried);
        }
    }

    #[inline(always)]
    fn key_back(&mut self, id: u32, carried: Counter) {
        if let Some(counter) = KEY_BACK.get_ptr_mut(id) {
            // SAFETY: this CPU's own value; nothing else refers to it.
            unsafe { &mut *counter }.add(carried);
        }
    }
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

impl<const TC: bool> Meters for Kernel<TC> {
    #[inline(always)]
    fn node(&mut self, class: Class, verdict: Verdict, reason: Reason, carried: Counter, shard: Option<u32>) {
        let Some(tally) = tally(shard.unwrap_or(0)) else { return };
        if let Some(counter) = tally.ways.get_mut(way(class, verdict, reason)) {
            counter.add(carried);
        }
        if let Some(shard) = shard {
            let counter = &mut tally.shards[shard as usize % TALLY_SHARDS];
            counter.packets += carried.packets;
            counter.bytes += carried.bytes;
        }
    }

    #[inline(always)]
    fn key(&mut self, id: u32, carried: Counter) {
        if let Some(counter) = KEY_COUNTERS.get_ptr_mut(id) {
            // SAFETY: this CPU's own value; nothing else refers to it.
            unsafe { &mut *counter }.add(carried);
        }
    }

    #[inline(always)]
    fn key_dropped(&mut self, id: u32, carried: Counter, drop: usize) {
        if let Some(counter) = events(id).and_then(|events| events.drops.get_mut(drop)) {
            counter.add(carried);
        }
    }

    #[inline(always)]
    fn shard_dropped(&mut self, shard: u32, packets: u64) {
        if let Some(tally) = tally(shard) {
            tally.shards[shard as usize % TALLY_SHARDS].dropped += packets;
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

    #[inline(always)]
    fn version(&mut self, version: u8, carried: Counter) {
        if let Some(counter) = VERSIONS.get_ptr_mut(version as u32) {
            // SAFETY: this CPU's own value; nothing else refers to it.
            unsafe { &mut *counter }.add(carried);
        }
    }

    #[inline(always)]
    fn claim(&mut self, id: u32, ingress: u32, carried: Counter) {
        let key = claim(id, ingress);
        let counter = match CLAIMS.get_ptr_mut(&key) {
            Some(counter) => counter,
            None if CLAIMS.insert(&key, &carried, NOEXIST).is_ok() => return,
            None => match CLAIMS.get_ptr_mut(&0) {
                Some(counter) => counter,
                None => return,
            },
        };
        // SAFETY: this CPU's own value; nothing else refers to it.
        unsafe { &mut *counter }.add(carried);
    }
}
