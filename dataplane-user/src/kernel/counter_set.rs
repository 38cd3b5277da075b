//! Maps that generations share: counters and operators' words, by key id and by shard index.
//!
//! When ids outgrow them a larger set is added. Nothing is copied and nothing is lost: a counter is the sum over the
//! sets, and a word is written to each.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::Path;

use aya::maps::{Array, Map, MapData, PerCpuHashMap, PerCpuValues};
use aya::{EbpfLoader, Pod};
use keysteer_common::account::{BackTally, Counter, KeyCounter, KeyEvents, TALLY_SHARDS, Tally, way_of};
use keysteer_common::shared::{Shared, from_bytes};

use super::pins::PinError;
use super::{KernelError, sys};
use crate::counters::{Snapshot, add};
use crate::image::{Image, Words};

/// How many key ids and shard indices a set holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Capacity {
    pub(super) keys: u32,
    pub(super) shards: u32,
    /// Whether the way back is counted too.
    pub(super) back: bool,
}

impl Capacity {
    /// What a policy needs.
    pub(super) fn of(image: &Image) -> Self {
        let shards = u32::try_from(image.shards.len()).unwrap_or(u32::MAX).max(1);
        Self { keys: image.key_ids(), shards, back: image.config.back.count != 0 }
    }

    /// The larger of each.
    pub(super) fn at_least(self, other: Self) -> Self {
        let back = self.back || other.back;
        Self { keys: self.keys.max(other.keys), shards: self.shards.max(other.shards), back }
    }

    /// Whether both fit.
    pub(super) fn holds(self, need: Self) -> bool {
        self.keys >= need.keys && self.shards >= need.shards && self.back >= need.back
    }

    /// Room for `need` in a set that comes after one of this capacity: at least twice as large, so that there are few.
    pub(super) fn grown(self, need: Self) -> Self {
        let grown = |have: u32, need: u32| if need > have { need.max(have.saturating_mul(2)) } else { have };
        let back = self.back || need.back;
        Self { keys: grown(self.keys, need.keys), shards: grown(self.shards, need.shards), back }
    }

    fn entries(self, map: &str) -> u32 {
        match map {
            "TALLIES" => tallies(self.shards),
            "SHARD_WORDS" => self.shards,
            "VERSIONS" => VERSIONS,
            "CLAIMS" => CLAIMS,
            "BACK_TALLIES" if self.back => tallies(self.shards),
            "BACK_TALLIES" | "KEY_BACK" if !self.back => 1,
            _ => self.keys,
        }
    }
}

/// Every version that a schema can have, and 0.
const VERSIONS: u32 = 256;
/// How many pairs of key and interface are told apart that keys are claimed by without right; the rest are counted together.
const CLAIMS: u32 = 4096;

/// How many tallies hold so many shards.
fn tallies(shards: u32) -> u32 {
    shards.div_ceil(TALLY_SHARDS as u32)
}

/// Names in the object, and the bytes of a value.
const MAPS: [(&str, usize); 9] = [
    ("TALLIES", size_of::<Tally>()),
    ("KEY_COUNTERS", size_of::<KeyCounter>()),
    ("KEY_EVENTS", size_of::<KeyEvents>()),
    ("KEY_WORDS", size_of::<u64>()),
    ("SHARD_WORDS", size_of::<u64>()),
    ("VERSIONS", size_of::<Counter>()),
    ("CLAIMS", size_of::<Counter>()),
    ("BACK_TALLIES", size_of::<BackTally>()),
    ("KEY_BACK", size_of::<Counter>()),
];

/// A counter of claims as a map's value.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct Claim(Counter);

// SAFETY: two u64.
unsafe impl Pod for Claim {}

/// Where a program counts, and whose words it heeds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counting<'a> {
    /// In maps of its own, of this capacity.
    Own(Capacity),
    /// In the set pinned in this directory (made there if it is not yet), of this capacity.
    Pinned(&'a Path, Capacity),
    /// In maps of its own, of the second capacity; the words are those of the set pinned in this directory, of the first.
    Aside(&'a Path, Capacity, Capacity),
}

impl Counting<'_> {
    /// Tells the loader how large the maps are, and where they are pinned, if they are: those that are there are used,
    /// the others are made. Gives how much is counted.
    pub(super) fn prepare(self, loader: &mut EbpfLoader<'_>) -> Capacity {
        let (pins, pinned, counted) = match self {
            Counting::Own(capacity) => (None, capacity, capacity),
            Counting::Pinned(pins, capacity) => (Some(pins), capacity, capacity),
            Counting::Aside(pins, pinned, counted) => (Some(pins), pinned, counted),
        };
        for (name, _) in MAPS {
            let aside = matches!(self, Counting::Aside(..)) && !is_words(name);
            let capacity = if aside { counted } else { pinned };
            loader.map_max_entries(name, capacity.entries(name));
            if let Some(pins) = pins.filter(|_| !aside) {
                loader.map_pin_path(name, pins.join(name));
            }
        }
        counted
    }
}

/// Whether a map holds words.
fn is_words(name: &str) -> bool {
    matches!(name, "KEY_WORDS" | "SHARD_WORDS")
}

/// One set of maps.
pub(super) struct CounterSet {
    pub(super) capacity: Capacity,
    maps: [Map; MAPS.len()],
    cpus: usize,
}

impl CounterSet {
    /// The set of a loaded object, whose maps are taken out of it.
    pub(super) fn take(
        mut map: impl FnMut(&str) -> Option<Map>,
        capacity: Capacity,
        cpus: usize,
    ) -> Result<Self, KernelError> {
        let mut taken = Vec::with_capacity(MAPS.len());
        for (name, _) in MAPS {
            taken.push(map(name).ok_or_else(|| KernelError::Object { what: format!("map {name}") })?);
        }
        let maps = taken.try_into().map_err(|_| KernelError::Object { what: "counters".to_owned() })?;
        let mut set = Self { capacity, maps, cpus };
        set.make_room_for_claims()?;
        Ok(set)
    }

    /// A pinned set, checked map by map; `None` for one that was never completed.
    pub(super) fn open(directory: &Path, cpus: usize) -> Result<Option<Self>, KernelError> {
        let mut maps = Vec::with_capacity(MAPS.len());
        let mut capacity = Capacity { keys: 0, shards: 0, back: false };
        for (name, size) in MAPS {
            let path = directory.join(name);
            if !path.exists() {
                return Ok(None);
            }
            let (map, entries) = open_map(&path, name, Some(size))?;
            match name {
                "KEY_COUNTERS" => capacity.keys = entries,
                "SHARD_WORDS" => capacity.shards = entries,
                "KEY_BACK" => capacity.back = entries > 1,
                _ => {}
            }
            maps.push((path, map, entries));
        }
        for ((path, _, entries), (name, _)) in maps.iter().zip(MAPS) {
            if *entries != capacity.entries(name) {
                return Err(PinError::strange(path, format!("{entries} entries")).into());
            }
        }
        let maps = maps.into_iter().map(|(_, map, _)| map).collect::<Vec<_>>().try_into();
        let maps = maps.map_err(|_| KernelError::Object { what: "counters".to_owned() })?;
        Ok(Some(Self { capacity, maps, cpus }))
    }

    /// The maps, by name.
    pub(super) fn maps(&self) -> impl Iterator<Item = (&str, &Map)> {
        MAPS.iter().map(|(name, _)| *name).zip(&self.maps)
    }

    /// Adds what was counted, summed over CPUs, to `snapshot`, which is as long as the set or longer.
    pub(super) fn add_to(&self, snapshot: &mut Snapshot) -> Result<(), KernelError> {
        self.add_carried_to(snapshot)?;
        self.per_cpu::<KeyEvents>(2, |index, from| {
            if let Some(to) = snapshot.events.get_mut(index) {
                to.flows += from.flows;
                for (to, from) in to.drops.iter_mut().zip(from.drops) {
                    add(to, from);
                }
            }
        })
    }

    /// [`CounterSet::add_to`] but for keys' events, which are the larger part.
    pub(super) fn add_carried_to(&self, snapshot: &mut Snapshot) -> Result<(), KernelError> {
        self.per_cpu::<Tally>(0, |index, tally| {
            for (number, counter) in tally.ways.into_iter().enumerate() {
                if let Some((class, verdict, reason)) = way_of(number) {
                    snapshot.node.count(class, verdict, reason, counter);
                }
            }
            let shards = snapshot.shards.iter_mut().skip(index * TALLY_SHARDS);
            for (to, from) in shards.zip(tally.shards) {
                to.packets += from.packets;
                to.bytes += from.bytes;
                to.flows += from.flows;
                to.dropped += from.dropped;
            }
        })?;
        self.per_cpu::<KeyCounter>(1, |index, from| {
            if let Some(to) = snapshot.keys.get_mut(index) {
                add(to, from);
            }
        })?;
        self.per_cpu::<Counter>(5, |index, from| {
            if let (Ok(version), true) = (u8::try_from(index), from.packets != 0) {
                add(snapshot.versions.entry(version).or_default(), from);
            }
        })?;
        self.claims(&mut snapshot.claims)?;
        if self.capacity.back { self.add_back_to(snapshot) } else { Ok(()) }
    }

    /// Adds what left.
    fn add_back_to(&self, snapshot: &mut Snapshot) -> Result<(), KernelError> {
        let back = snapshot.back.get_or_insert_default();
        back.keys.resize(snapshot.keys.len(), Counter::default());
        back.shards.resize(snapshot.shards.len(), Counter::default());
        self.per_cpu::<BackTally>(7, |index, tally| {
            for (to, from) in back.classes.iter_mut().zip(tally.classes) {
                add(to, from);
            }
            for (to, from) in back.shards.iter_mut().skip(index * TALLY_SHARDS).zip(tally.shards) {
                add(to, from);
            }
        })?;
        self.per_cpu::<Counter>(8, |index, from| {
            if let Some(to) = back.keys.get_mut(index) {
                add(to, from);
            }
        })
    }

    /// Adds what was claimed without right.
    fn claims(&self, claims: &mut BTreeMap<(u32, u32), Counter>) -> Result<(), KernelError> {
        for claim in self.claims_map()?.iter() {
            let (key, values) = claim.map_err(|error| KernelError::other("read the claims", error))?;
            let total = values.iter().fold(Counter::default(), |mut total, value| {
                add(&mut total, value.0);
                total
            });
            if total.packets != 0 {
                add(claims.entry(((key >> 32) as u32, key as u32)).or_default(), total);
            }
        }
        Ok(())
    }

    /// Puts the entry there that claims without room are counted in, unless it is.
    fn make_room_for_claims(&mut self) -> Result<(), KernelError> {
        let (name, _) = MAPS[6];
        if self.claims_map()?.get(&0, 0).is_ok() {
            return Ok(());
        }
        let zeros = PerCpuValues::try_from(vec![Claim(Counter::default()); self.cpus]);
        let zeros = zeros.map_err(failed("fill", name))?;
        let mut map: PerCpuHashMap<&mut MapData, u64, Claim> =
            (&mut self.maps[6]).try_into().map_err(|error| KernelError::other("use the claims", error))?;
        map.insert(0, zeros, 0).map_err(|error| KernelError::other("fill the claims", error))
    }

    fn claims_map(&self) -> Result<PerCpuHashMap<&MapData, u64, Claim>, KernelError> {
        (&self.maps[6]).try_into().map_err(|error| KernelError::other("use the claims", error))
    }

    /// Operators' words.
    pub(super) fn words(&self) -> Result<Words, KernelError> {
        Ok(Words { keys: self.read_words(3)?, shards: self.read_words(4)? })
    }

    fn read_words(&self, at: usize) -> Result<BTreeMap<u32, u64>, KernelError> {
        let (name, _) = MAPS[at];
        let Map::Array(data) = &self.maps[at] else { return Err(no_array(name)) };
        let entries = self.capacity.entries(name);
        let values =
            sys::read_batch(data.fd().as_fd(), entries, size_of::<u64>()).map_err(failed("read", name))?;
        let words = values.chunks_exact(size_of::<u64>()).filter_map(from_bytes::<u64>);
        Ok((0..).zip(words).filter(|(_, word)| *word != 0).collect())
    }

    /// Writes words into maps that have none.
    pub(super) fn write(&mut self, words: &Words) -> Result<(), KernelError> {
        words.keys.iter().try_for_each(|(id, word)| self.set_key_word(*id, *word))?;
        words.shards.iter().try_for_each(|(index, word)| self.set_shard_word(*index, *word))
    }

    /// Makes `words` all that there are. Those that hold already are never missing meanwhile.
    pub(super) fn replace(&mut self, words: &Words) -> Result<(), KernelError> {
        let before = self.words()?;
        self.write(words)?;
        for id in before.keys.keys().filter(|id| !words.keys.contains_key(id)) {
            self.set_key_word(*id, 0)?;
        }
        for index in before.shards.keys().filter(|index| !words.shards.contains_key(index)) {
            self.set_shard_word(*index, 0)?;
        }
        Ok(())
    }

    /// Sets the word on a key; an id beyond the set is left out.
    pub(super) fn set_key_word(&mut self, id: u32, word: u64) -> Result<(), KernelError> {
        self.set_word(3, id, word)
    }

    /// Sets the word on a shard; an index beyond the set is left out.
    pub(super) fn set_shard_word(&mut self, index: u32, word: u64) -> Result<(), KernelError> {
        self.set_word(4, index, word)
    }

    fn set_word(&mut self, at: usize, index: u32, word: u64) -> Result<(), KernelError> {
        let (name, _) = MAPS[at];
        if index >= self.capacity.entries(name) {
            return Ok(());
        }
        let mut map: Array<&mut MapData, u64> =
            (&mut self.maps[at]).try_into().map_err(|error| KernelError::other("use the words", error))?;
        map.set(index, word, 0).map_err(|error| KernelError::other("write an operator's word", error))
    }

    /// Calls `each` with the index and every CPU's value of each entry of a per-CPU array.
    fn per_cpu<T: Shared>(&self, at: usize, each: impl FnMut(usize, T)) -> Result<(), KernelError> {
        let (name, _) = MAPS[at];
        per_cpu(&self.maps[at], name, self.capacity.entries(name), self.cpus, each)
    }
}

/// Calls `each` with the index and every CPU's value of the first `entries` entries of a per-CPU array.
pub(super) fn per_cpu<T: Shared>(
    map: &Map,
    name: &'static str,
    entries: u32,
    cpus: usize,
    mut each: impl FnMut(usize, T),
) -> Result<(), KernelError> {
    let Map::PerCpuArray(data) = map else { return Err(no_array(name)) };
    // The kernel rounds each CPU's value up to 8 bytes.
    let size = size_of::<T>().next_multiple_of(8);
    let values = sys::read_batch(data.fd().as_fd(), entries, size * cpus).map_err(failed("read", name))?;
    for (at, bytes) in values.chunks_exact(size).enumerate() {
        if let Some(value) = from_bytes::<T>(bytes) {
            each(at / cpus, value);
        }
    }
    Ok(())
}

fn no_array(name: &str) -> KernelError {
    KernelError::Object { what: format!("array map {name}") }
}

fn failed(operation: &'static str, map: &'static str) -> impl FnOnce(std::io::Error) -> KernelError {
    move |cause| KernelError::Map { operation, map, megabytes: 0, cause }
}

/// `BPF_F_MMAPABLE` and `BPF_F_RDONLY_PROG` of linux/bpf.h.
const MMAPABLE: u32 = 1 << 10;
const READ_ONLY: u32 = 1 << 7;

/// Opens a pinned map that must be of the kind and value size that the object says; gives it with its number of
/// entries.
pub(super) fn open_map(path: &Path, name: &str, value: Option<usize>) -> Result<(Map, u32), KernelError> {
    let strange = |what: String| KernelError::from(PinError::strange(path, what));
    let data = MapData::from_pin(path).map_err(|error| strange(error.to_string()))?;
    let info = data.info().map_err(|error| strange(error.to_string()))?;
    let size = info.value_size() as usize;
    let key = if matches!(name, "CLAIMS" | "PINS") { 8 } else { 4 };
    if info.key_size() != key || value.is_some_and(|value| value != size) {
        return Err(strange(format!("keys of {} and values of {size} bytes", info.key_size())));
    }
    let flags = if matches!(name, "SERVICES" | "MOVES" | "EPOCH" | "FILTER") { MMAPABLE } else { 0 };
    // The kernel adds to a section's flags that programs may only read it, and to a device map's the same.
    if info.map_flags() & !READ_ONLY != flags {
        return Err(strange(format!("flags {:#x}", info.map_flags())));
    }
    let entries = info.max_entries();
    let map = Map::from_map_data(data).map_err(|error| strange(error.to_string()))?;
    let per_cpu = matches!(
        name,
        "TALLIES"
            | "KEY_COUNTERS"
            | "KEY_EVENTS"
            | "VERSIONS"
            | "WORK"
            | "BACK_TALLIES"
            | "KEY_BACK"
            | "MOVING"
    );
    let right = match (&map, name) {
        (Map::PerCpuArray(_), _) => per_cpu,
        (Map::PerCpuHashMap(_), "CLAIMS") | (Map::HashMap(_), "PINS") => true,
        (Map::DevMap(_), "DEVICES" | "DEVICES_TC") | (Map::CpuMap(_), "CPUS") => true,
        (Map::Array(_), _) => !per_cpu,
        _ => false,
    };
    if right { Ok((map, entries)) } else { Err(strange("another kind of map".to_owned())) }
}
