//! Who may assert keys: the rules of interfaces, and the sources of keys as a prefix table and a table of pairs.
//!
//! ```text
//!  every address  --prefix table-->  number of the set of keys that may come from there
//!  (set, key)     --pairs-->         there or not
//! ```
//! Prefixes nest or are disjoint, so the set of a prefix is that of the one around it and the keys that list itself.
//! Equal sets share a number.

use std::collections::{BTreeMap, HashMap};

use ipnet::IpNet;
use keysteer_common::config::{Config, INTERFACES, InterfaceConfig, MAX_KEY_PROBES, PrefixTable};
use keysteer_common::trust::{pair, pair_home};

use super::devices::ways_in;
use super::keys::Placed;
use super::{CompileError, prefixes};
use crate::kernel::interfaces::Interfaces;
use crate::policy::{Policy, Schema, TrustRule};

/// The most pairs of a set and a key: 64 MiB of table.
const MOST: usize = 4 << 20;
/// The smallest table of pairs.
const SMALLEST: usize = 16;
/// How often it is doubled beyond what the number of pairs asks for.
const DOUBLINGS: u32 = 4;

/// What may be asserted where; the first is for interfaces that the policy does not name. None without `spec.trust`.
pub(super) fn interfaces(
    policy: &Policy,
    schemas: &[Schema],
    host: &Interfaces,
) -> (u32, [InterfaceConfig; INTERFACES]) {
    let mut configs = [InterfaceConfig::default(); INTERFACES];
    let Some(trust) = &policy.trust else { return (0, configs) };
    // What the host does not have was said of spec.interfaces, and that two names of one device have one rule of devices.
    let mut named: Vec<(u32, &TrustRule)> = Vec::new();
    for rule in &trust.interfaces {
        for index in ways_in(host, &rule.name) {
            if named.iter().all(|(known, _)| *known != index) {
                named.push((index, &rule.rule));
            }
        }
    }
    let mut count = 0;
    for (config, (index, rule)) in configs.iter_mut().zip([(0, &trust.default)].into_iter().chain(named)) {
        *config = interface(index, rule, schemas);
        count += 1;
    }
    (count, configs)
}

fn interface(index: u32, rule: &TrustRule, schemas: &[Schema]) -> InterfaceConfig {
    let mut config = InterfaceConfig { index, ..InterfaceConfig::default() };
    for ((nth, allowed), schema) in config.allowed.iter_mut().enumerate().zip(schemas) {
        *allowed = rule.allowed(schema);
        config.verify |= u8::from(rule.verifies(schema)) << nth;
    }
    config
}

/// Which key may come from where.
#[derive(Debug)]
pub(super) struct Sources {
    table: PrefixTable,
    pub(super) pairs: Vec<u64>,
    probes: u32,
}

impl Sources {
    /// What the program is told of it.
    pub(super) fn tell(&self, config: &mut Config) {
        config.has_sources = 1;
        config.sources = self.table;
        config.pair_mask = u32::try_from(self.pairs.len().saturating_sub(1)).unwrap_or(u32::MAX);
        config.pair_probes = self.probes;
    }
}

/// The sources of the policy's keys, of which `entries` are; none where no key lists any.
pub(super) fn sources(
    policy: &Policy,
    entries: &[Placed],
    prefixes: &mut prefixes::Tables,
) -> Result<Option<Sources>, CompileError> {
    let mut sets = Sets::default();
    let mut lists: BTreeMap<IpNet, Vec<u32>> = BTreeMap::new();
    let mut numbers: HashMap<&[IpNet], u32> = HashMap::new();
    for (key, placed) in policy.keys.iter().zip(entries) {
        let Some(sources) = key.sources.as_deref() else { continue };
        let group = *numbers.entry(sources).or_insert_with(|| {
            let group = sets.groups.len() as u32;
            sets.groups.push(Vec::new());
            for source in sources {
                lists.entry(*source).or_default().push(group);
            }
            group
        });
        if let Some(group) = sets.groups.get_mut(group as usize) {
            group.push(placed.entry.id);
        }
    }
    if sets.groups.is_empty() {
        return Ok(None);
    }
    let mut found: Vec<(IpNet, u32)> = Vec::with_capacity(lists.len());
    // The prefixes around the one at hand: in their order a wider one comes before those inside of it.
    let mut around: Vec<(IpNet, u32)> = Vec::new();
    for (prefix, groups) in lists {
        while around.last().is_some_and(|(outer, _)| !outer.contains(&prefix)) {
            around.pop();
        }
        let outer = around.last().map_or(0, |(_, set)| *set);
        let set = sets.with(outer, groups)?;
        around.push((prefix, set));
        found.push((prefix, set));
    }
    let table = prefixes.add("the sources of keys", &found)?;
    let (pairs, probes) = arrange(&sets.pairs(), MAX_KEY_PROBES)?;
    Ok(Some(Sources { table, pairs, probes }))
}

/// Sets of keys, as sets of groups: the keys of a group have the same sources.
#[derive(Default)]
struct Sets {
    /// By group: the ids of its keys.
    groups: Vec<Vec<u32>>,
    /// By number, from 1: its groups, ascending.
    sets: Vec<Vec<u32>>,
    /// The number of each set.
    numbers: HashMap<Vec<u32>, u32>,
    /// The number of a set and more groups.
    known: HashMap<(u32, Vec<u32>), u32>,
    /// How many keys all sets have.
    pairs: usize,
}

impl Sets {
    fn get(&self, set: u32) -> &[u32] {
        let at = (set as usize).checked_sub(1);
        at.and_then(|at| self.sets.get(at)).map_or(&[], Vec::as_slice)
    }

    /// The number of set `set` (0: the empty one) with `groups` in it.
    fn with(&mut self, set: u32, groups: Vec<u32>) -> Result<u32, CompileError> {
        let asked = (set, groups);
        if let Some(known) = self.known.get(&asked) {
            return Ok(*known);
        }
        let mut union = [self.get(set), &asked.1].concat();
        union.sort_unstable();
        union.dedup();
        let number = match self.numbers.get(&union) {
            Some(number) => *number,
            None => {
                let keys = union.iter().filter_map(|group| self.groups.get(*group as usize));
                self.pairs += keys.map(Vec::len).sum::<usize>();
                if self.pairs > MOST {
                    return Err(CompileError::Sources { most: MOST });
                }
                self.sets.push(union.clone());
                let number = self.sets.len() as u32;
                self.numbers.insert(union, number);
                number
            }
        };
        self.known.insert(asked, number);
        Ok(number)
    }

    fn pairs(&self) -> Vec<u64> {
        let mut pairs = Vec::with_capacity(self.pairs);
        for (number, set) in (1..).zip(&self.sets) {
            let keys = set.iter().filter_map(|group| self.groups.get(*group as usize)).flatten();
            pairs.extend(keys.map(|key| pair(number, *key)));
        }
        pairs
    }
}

/// The table of pairs, none of which is further than `most` entries from its home, and how far they are at most.
fn arrange(pairs: &[u64], most: u32) -> Result<(Vec<u64>, u32), CompileError> {
    let smallest = (pairs.len() * 2).next_power_of_two().max(SMALLEST);
    let tried = (0..=DOUBLINGS).find_map(|doubling| try_arrange(pairs, smallest << doubling, most));
    tried.ok_or(CompileError::KeyTable { keys: pairs.len(), entries: smallest << DOUBLINGS })
}

/// By the Robin Hood rule, as the key table is.
fn try_arrange(pairs: &[u64], capacity: usize, most: u32) -> Option<(Vec<u64>, u32)> {
    let mask = u32::try_from(capacity - 1).ok()?;
    let mut table = vec![0_u64; capacity];
    let mut probes = 0;
    for pair in pairs {
        let mut pair = *pair;
        let mut at = pair_home(pair, mask);
        let mut distance = 0;
        loop {
            let place = table.get_mut(at as usize)?;
            if *place == 0 {
                *place = pair;
                probes = probes.max(distance + 1);
                break;
            }
            let there = at.wrapping_sub(pair_home(*place, mask)) & mask;
            if there < distance {
                probes = probes.max(distance + 1);
                std::mem::swap(place, &mut pair);
                distance = there;
            }
            distance += 1;
            if distance >= most {
                return None;
            }
            at = at.wrapping_add(1) & mask;
        }
    }
    Some((table, probes))
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
