//! Decisions, summed.

use std::collections::{BTreeMap, HashMap};

use keysteer_common::account::Counter;
use keysteer_common::vocabulary::{CLASSES, Class, REASONS, Reason};

use super::line::Line;
use crate::image::{Image, Names};

/// Packets and bytes of a replay.
#[derive(Clone, Debug)]
pub struct Tally {
    /// All of them.
    pub all: Counter,
    /// Frames that the capture has not kept whole.
    pub cut: u64,
    /// Frames that the kernel takes no test run of, decided here.
    pub elsewhere: u64,
    classes: [Counter; CLASSES],
    reasons: [Counter; REASONS],
    /// By key id.
    keys: Vec<Counter>,
    /// By shard index.
    shards: Vec<Counter>,
    /// By version of the schema: those with a registered key.
    pub versions: BTreeMap<u32, Counter>,
    /// By name of a pool: packets that a shard was looked for in it.
    pools: HashMap<String, u64>,
}

fn add(to: Option<&mut Counter>, bytes: u64) {
    if let Some(to) = to {
        to.packets += 1;
        to.bytes += bytes;
    }
}

impl Tally {
    /// All zero, for an image.
    pub(super) fn new(image: &Image) -> Self {
        let names = &image.names;
        Self {
            all: Counter::default(),
            cut: 0,
            elsewhere: 0,
            classes: [Counter::default(); CLASSES],
            reasons: [Counter::default(); REASONS],
            keys: vec![Counter::default(); image.key_ids() as usize],
            shards: vec![Counter::default(); names.shards.len()],
            versions: BTreeMap::new(),
            pools: HashMap::new(),
        }
    }

    /// Adds a packet, of which so many bytes are missing.
    pub(super) fn add(&mut self, line: &Line<'_>, missing: u32, elsewhere: bool) {
        let bytes = line.bytes.into();
        add(Some(&mut self.all), bytes);
        add(self.classes.get_mut(line.class as usize), bytes);
        add(self.reasons.get_mut(line.reason as usize), bytes);
        if let Some(key) = line.key {
            add(self.keys.get_mut(key.id as usize), bytes);
            add(line.schema.map(|version| self.versions.entry(version).or_default()), bytes);
        }
        if let Some(shard) = line.shard {
            add(self.shards.get_mut(usize::from(shard)), bytes);
        }
        if let Some(pool) = line.pool {
            match self.pools.get_mut(pool) {
                Some(packets) => *packets += 1,
                None => {
                    self.pools.insert(pool.to_owned(), 1);
                }
            }
        }
        self.cut += u64::from(missing > 0);
        self.elsewhere += u64::from(elsewhere);
    }

    /// Of a class.
    pub fn class(&self, class: Class) -> Counter {
        self.classes.get(class as usize).copied().unwrap_or_default()
    }

    /// That ended for a reason.
    pub fn reason(&self, reason: Reason) -> Counter {
        self.reasons.get(reason as usize).copied().unwrap_or_default()
    }

    /// Of the key with this id.
    pub fn key(&self, id: u32) -> Counter {
        self.keys.get(id as usize).copied().unwrap_or_default()
    }

    /// For the shard with this index.
    pub fn shard(&self, index: usize) -> Counter {
        self.shards.get(index).copied().unwrap_or_default()
    }

    /// How many packets each shard would have if those of its pools were spread exactly by weight.
    pub fn by_weight(&self, names: &Names) -> Vec<f64> {
        let mut shares = vec![0.0; names.shards.len()];
        // In one order, so that sums are the same every time.
        let pools: BTreeMap<&String, &u64> = self.pools.iter().collect();
        for (pool, packets) in pools {
            let members = || names.shards.iter().enumerate().filter(|(_, it)| it.pools.contains(pool));
            let weights: f64 = members().map(|(_, shard)| f64::from(shard.weight)).sum();
            for (at, shard) in members() {
                if let Some(share) = shares.get_mut(at) {
                    *share += *packets as f64 * f64::from(shard.weight) / weights;
                }
            }
        }
        shares
    }
}
