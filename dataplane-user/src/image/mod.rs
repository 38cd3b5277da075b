//! One generation's tables, compiled from a policy: what is copied into BPF maps, and what the host
//! engine decides over. Both homes read the very same values.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use keysteer_common::config::{Bounds, Config};
use keysteer_common::migrate::Move;
use keysteer_common::shared::{Shared, bytes_of};
use keysteer_common::shim::Signing;
use keysteer_common::tables::{
    KeyEntry, Pod, PrefixStep, ServiceSet, ShardEntry, Slot, SlotTable, Tables, target,
};

mod names;

pub use names::{FieldInfo, KeyInfo, Names, SchemaInfo, ShardInfo, TableInfo};

/// The tables and the names behind their numbers.
#[derive(Clone, Default)]
pub struct Image {
    /// Constants of the program.
    pub config: Config,
    /// Buckets of every prefix table; see [`keysteer_common::prefix`].
    pub prefix_index: Vec<u64>,
    /// Steps of every prefix table.
    pub prefix_steps: Vec<PrefixStep>,
    /// Lower halves of the steps' addresses; empty where there are no IPv6 steps.
    pub prefix_low: Vec<u64>,
    /// Service sets by number; entry 0 is never used.
    pub services: Vec<ServiceSet>,
    /// The open-addressed key table: a power of two of entries.
    pub keys: Vec<KeyEntry>,
    /// Upper halves of the entries' keys; empty where the schema has no more than 64 bits.
    pub keys_high: Vec<u64>,
    /// The slot tables: where each begins and how wide it is.
    pub slot_tables: Vec<SlotTable>,
    /// Every slot table's slots, one after the other.
    pub slots: Vec<Slot>,
    /// Shards by dense index.
    pub shards: Vec<ShardEntry>,
    /// The open-addressed table of sets of addresses and the keys that may be used from there; see [`keysteer_common::trust`].
    pub pairs: Vec<u64>,
    /// By shard index, the addresses behind those that are reached by translation; empty where none is.
    pub pods: Vec<Pod>,
    /// By key id, what is stamped on what leaves; see [`keysteer_common::stamp`]. Empty where nothing is.
    pub stamps: Vec<u32>,
    /// What signed keys are verified with.
    pub signing: Signing,
    /// The time that they are judged by: nanoseconds of the monotonic clock.
    pub now: u64,
    /// Operators' words, which hold over this policy and any other.
    pub words: Words,
    /// What moves from a placement before.
    pub moves: Moves,
    /// What the numbers are called.
    pub names: Names,
    /// Whether it may have to steer at TC, where a program of its own does.
    pub tc: bool,
}

/// Operators' words, as the kernel has them: those that are not 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// By key id, of [`keysteer_common::overlay::key_word`].
    pub keys: BTreeMap<u32, u64>,
    /// By shard index, of [`keysteer_common::overlay::shard_word`].
    pub shards: BTreeMap<u32, u64>,
}

/// What moves from a placement before: see [`keysteer_common::migrate`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// By [`keysteer_common::migrate::class_move`] and [`keysteer_common::migrate::key_move`], how each finds its previous shard.
    pub words: Vec<u64>,
    /// Slot tables of the placement before.
    pub tables: Vec<SlotTable>,
    /// Their slots.
    pub slots: Vec<Slot>,
    /// The highest unit that something is counted by, plus one.
    pub units: u32,
    /// For how many flows there is room, where no other generation has made it.
    pub pins: u32,
}

/// The constants hold secrets, and the tables are too long to read.
impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("policy", &self.names.policy).finish_non_exhaustive()
    }
}

impl Words {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.shards.is_empty()
    }
}

impl Image {
    /// How many key ids the counters must hold: the highest id plus one.
    pub fn key_ids(&self) -> u32 {
        self.names.keys.last().map_or(1, |key| key.id + 1)
    }

    /// Whether a shard's target is a CPU.
    pub fn steers_to_cpus(&self) -> bool {
        self.shards.iter().any(|shard| shard.target == target::CPU)
    }

    /// Whether `kernel`, read back from there, has the same tables: each as long or longer, with nothing behind.
    pub fn same_tables(&self, kernel: &Self) -> bool {
        fn same<T: Shared>(ours: &[T], theirs: &[T]) -> bool {
            let (ours, theirs) = (bytes_of(ours), bytes_of(theirs));
            theirs.strip_prefix(ours).is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
        }
        // Those of the tables' own that a program may have otherwise.
        let constants = |config: &Config| Config {
            bounds: Bounds::default(),
            key_probes: 0,
            record: 0,
            overlay: 0,
            migrating: 0,
            // While keys move, shards are kept that the policy does not have any more.
            shards: if kernel.config.migrating == 0 { config.shards } else { 0 },
            ..*config
        };
        let same_shards = || {
            let kept = self.shards.iter().zip(&kernel.shards);
            kernel.config.migrating != 0
                && kernel.shards.len() >= self.shards.len()
                && kept.into_iter().all(|(ours, theirs)| ours == theirs || *ours == ShardEntry::default())
        };
        let same_pods = || {
            let kept = self.pods.iter().zip(&kernel.pods);
            kernel.config.migrating != 0
                && kernel.pods.len() >= self.pods.len()
                && kept.into_iter().all(|(ours, theirs)| ours == theirs || *ours == Pod::default())
        };
        constants(&self.config) == constants(&kernel.config)
            && same(&self.prefix_index, &kernel.prefix_index)
            && same(&self.prefix_steps, &kernel.prefix_steps)
            && same(&self.prefix_low, &kernel.prefix_low)
            && same(&self.services, &kernel.services)
            && same(&self.keys, &kernel.keys)
            && same(&self.keys_high, &kernel.keys_high)
            && same(&self.slot_tables, &kernel.slot_tables)
            && same(&self.slots, &kernel.slots)
            && (same(&self.shards, &kernel.shards) || same_shards())
            && same(&self.pairs, &kernel.pairs)
            && (same(&self.pods, &kernel.pods) || same_pods())
            && same(&self.stamps, &kernel.stamps)
    }

    /// Heeds `words` from now on, as a program in the kernel does that is loaded while there are any, or for a policy that asks
    /// whether shards live.
    pub fn heed(&mut self, words: Words) {
        self.words = words;
        self.config.overlay = (self.has_words() || self.foresees_words()).into();
    }

    /// Whether words may come at any moment, which cannot wait for another variant of the program: the policy asks whether shards
    /// live.
    pub fn foresees_words(&self) -> bool {
        self.names.health.is_some()
    }

    /// Has `moves` under way, or nothing.
    pub fn migrate(&mut self, moves: Option<Moves>) {
        self.config.migrating = moves.is_some().into();
        self.moves = moves.unwrap_or_default();
    }

    /// Whether operators have a word to say.
    pub fn has_words(&self) -> bool {
        !self.words.keys.is_empty() || !self.words.shards.is_empty()
    }

    /// Bytes of the policy's tables, as the kernel will hold them (without counters).
    pub fn table_bytes(&self) -> usize {
        size_of_val(self.prefix_index.as_slice())
            + size_of_val(self.prefix_steps.as_slice())
            + size_of_val(self.services.as_slice())
            + size_of_val(self.prefix_low.as_slice())
            + size_of_val(self.keys.as_slice())
            + size_of_val(self.keys_high.as_slice())
            + size_of_val(self.slot_tables.as_slice())
            + size_of_val(self.slots.as_slice())
            + size_of_val(self.shards.as_slice())
            + size_of_val(self.pairs.as_slice())
            + size_of_val(self.pods.as_slice())
            + size_of_val(self.stamps.as_slice())
    }

    /// The number that `address` maps to in `table`, through the code that runs in the kernel.
    pub fn find_prefix(&self, table: &keysteer_common::config::PrefixTable, address: IpAddr) -> u32 {
        match address {
            IpAddr::V4(address) => keysteer_common::prefix::find4(self, table, address.to_bits()),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                keysteer_common::prefix::find6(self, table, [(bits >> 64) as u64, bits as u64])
            }
        }
    }
}

impl Tables for Image {
    fn config(&self) -> &Config {
        &self.config
    }

    fn prefix_index(&self, index: u32) -> Option<u64> {
        self.prefix_index.get(index as usize).copied()
    }

    fn prefix_step(&self, index: u32) -> Option<&PrefixStep> {
        self.prefix_steps.get(index as usize)
    }

    fn service_set(&self, index: u32) -> Option<&ServiceSet> {
        self.services.get(index as usize)
    }

    fn key_entry(&self, index: u64) -> Option<&KeyEntry> {
        self.keys.get(index as usize)
    }

    fn prefix_low(&self, index: u32) -> Option<u64> {
        self.prefix_low.get(index as usize).copied()
    }

    fn key_high(&self, index: u64) -> Option<u64> {
        self.keys_high.get(index as usize).copied()
    }

    fn slot_table(&self, index: u32) -> Option<&SlotTable> {
        self.slot_tables.get(index as usize)
    }

    fn slot(&self, index: u32) -> Option<Slot> {
        self.slots.get(index as usize).copied()
    }

    fn shard(&self, index: u32) -> Option<&ShardEntry> {
        self.shards.get(index as usize)
    }

    fn pod(&self, shard: u32) -> Option<&Pod> {
        self.pods.get(shard as usize)
    }

    fn stamp(&self, id: u32) -> u32 {
        self.stamps.get(id as usize).copied().unwrap_or_default()
    }

    fn pair(&self, index: u32) -> Option<u64> {
        self.pairs.get(index as usize).copied()
    }

    fn signing(&self) -> Option<&Signing> {
        Some(&self.signing)
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn key_word(&self, id: u32) -> u64 {
        self.words.keys.get(&id).copied().unwrap_or_default()
    }

    fn shard_word(&self, shard: u32) -> u64 {
        self.words.shards.get(&shard).copied().unwrap_or_default()
    }

    fn moving(&self, at: u32) -> Move {
        Move(self.moves.words.get(at as usize).copied().unwrap_or_default())
    }

    fn old_table(&self, index: u32) -> Option<&SlotTable> {
        self.moves.tables.get(index as usize)
    }

    fn old_slot(&self, index: u32) -> Option<Slot> {
        self.moves.slots.get(index as usize).copied()
    }

    fn epoch(&self) -> u64 {
        0
    }
}
