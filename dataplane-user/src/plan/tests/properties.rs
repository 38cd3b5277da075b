//! Plans of random pairs of policies, against what packets meet.

use std::collections::{BTreeMap, BTreeSet};

use keysteer_common::tables::{KeyEntry, SLOTS, Tables as _, WIDTH_ALL};
use proptest::prelude::*;

use super::world::{TENANTS, World, worlds};
use super::*;
use crate::engine::Engine;

/// Both sides of a change, compiled with the ids of one registry.
fn compiled(old: &World, new: &World, reverse: bool) -> (Compiled, Compiled) {
    let mut ids = Ids::default();
    let old = Compiled::of(&bundle(&old.text(false)), &mut ids).unwrap();
    (old, Compiled::of(&bundle(&new.text(reverse)), &mut ids).unwrap())
}

/// Keys by id, those that are steered.
fn steered(side: &Compiled) -> BTreeMap<u32, &KeyEntry> {
    let entries = side.image.keys.iter().filter(|entry| !entry.meta.is_empty() && !entry.meta.is_denied());
    entries.map(|entry| (entry.id, entry)).collect()
}

/// Flow hashes that tell ways apart: so many columns in their upper bits, each with so many slots in their lower.
#[derive(Clone, Copy)]
struct Hashes {
    columns: u64,
    slots: u64,
}

/// Columns of rows of 1, 2, 3 and 4 shards are each some of so many.
const COLUMNS: u64 = 12;

impl Hashes {
    /// Those that tell every way apart that a key has by these entries.
    fn of(ways: &[(&Compiled, &KeyEntry)]) -> Self {
        let mut hashes = Self { columns: 1, slots: 1 };
        for (side, entry) in ways.iter().filter(|(_, entry)| !entry.meta.is_direct()) {
            match side.image.slot_table(entry.meta.table()).unwrap().width {
                WIDTH_ALL => hashes.slots = u64::from(SLOTS),
                _ => hashes.columns = COLUMNS,
            }
        }
        hashes
    }

    /// The shards that a key's flows of these hashes go to: read from the tables as the packet path does.
    fn shards<'s>(self, side: &'s Compiled, entry: &KeyEntry) -> Vec<&'s str> {
        let name = |index: u16| side.image.names.shard(index).unwrap();
        let all = 0..self.columns * self.slots;
        if entry.meta.is_direct() {
            return all.map(|_| name(entry.place)).collect();
        }
        let table = side.image.slot_table(entry.meta.table()).unwrap();
        let shard = |nth: u64| {
            let (column, slot) = (nth / self.slots, nth % self.slots);
            let at = if table.width == WIDTH_ALL {
                u64::from(table.first) + slot
            } else {
                // In the middle of a column.
                let hash = (column * 2 + 1) * (1 << 32) / (2 * self.columns);
                let column = (hash * u64::from(table.width)) >> 32;
                u64::from(table.first) + u64::from(entry.place) * u64::from(table.width) + column
            };
            name(side.image.slots[at as usize])
        };
        all.map(shard).collect()
    }
}

/// A datagram of a tenant.
fn frame(tenant: usize, port: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0]);
    frame.extend([10, 0, 0, tenant as u8, 203, 0, 113, 9]);
    frame.extend(port.to_be_bytes());
    frame.extend([1, 187, 0, 12, 0, 0, 1, 2, 3, 4]);
    frame
}

fn close(share: Share, exact: f64) -> bool {
    (share.as_f64() - exact).abs() < 2e-6
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Which keys move, how much of their flows, and what hangs on each shard: by the tables, hash by hash.
    #[test]
    fn what_moves_is_what_the_tables_say((old, new) in (worlds(), worlds())) {
        let (before, after) = compiled(&old, &new, false);
        let plan = plan(Some(before.side()), after.side(), &Context::default());
        let (one, other) = (steered(&before), steered(&after));
        let mut moved = BTreeMap::new();
        let mut stay = 0;
        let mut parts: [BTreeMap<String, f64>; 2] = Default::default();
        let mut lost: [BTreeMap<String, u64>; 2] = Default::default();
        for (nth, (side, entries)) in [(&before, &one), (&after, &other)].into_iter().enumerate() {
            for entry in entries.values() {
                let shards = Hashes::of(&[(side, entry)]).shards(side, entry);
                let mut of: BTreeMap<&str, f64> = BTreeMap::new();
                for shard in &shards {
                    *of.entry(shard).or_default() += 1.0 / shards.len() as f64;
                }
                if let [only] = of.keys().collect::<Vec<_>>().as_slice() {
                    *lost[nth].entry((**only).to_owned()).or_default() += 1;
                }
                for (shard, part) in of {
                    *parts[nth].entry(shard.to_owned()).or_default() += part / entries.len() as f64;
                }
            }
        }
        for (id, entry) in &one {
            let Some(next) = other.get(id) else { continue };
            stay += 1;
            let hashes = Hashes::of(&[(&before, entry), (&after, next)]);
            let (from, to) = (hashes.shards(&before, entry), hashes.shards(&after, next));
            let differ = from.iter().zip(&to).filter(|(from, to)| from != to).count();
            if differ > 0 {
                let sets = [from.clone(), to].map(|shards| shards.into_iter().collect::<BTreeSet<_>>());
                let name = &after.image.names.key(*id).unwrap().name;
                moved.insert(name.clone(), (differ as f64 / from.len() as f64, sets));
            }
        }
        prop_assert_eq!((plan.moves.of, plan.moves.keys.keys), (stay, moved.len() as u64));
        for key in &plan.moves.list.items {
            let (part, [from, to]) = &moved[&key.name];
            prop_assert!(close(key.flows, *part), "{}: {} or {part}", key.name, key.flows);
            let set = |list: &List<String>| list.items.iter().cloned().collect::<BTreeSet<_>>();
            let minus = |one: &BTreeSet<&str>, other: &BTreeSet<&str>| {
                one.difference(other).map(|shard| (*shard).to_owned()).collect::<BTreeSet<_>>()
            };
            prop_assert_eq!((set(&key.leaves), set(&key.comes)), (minus(from, to), minus(to, from)));
            prop_assert_eq!(set(&key.before), minus(from, &BTreeSet::new()));
            prop_assert_eq!(set(&key.after), minus(to, &BTreeSet::new()));
        }
        for shard in &plan.shards {
            for (nth, radius) in [shard.before, shard.after].into_iter().enumerate() {
                let part = parts[nth].get(&shard.shard).copied().unwrap_or(0.0);
                let radius = radius.unwrap_or_default();
                prop_assert!(close(radius.keys, part), "{}: {} or {part}", shard.shard, radius.keys);
                prop_assert_eq!(radius.lost, lost[nth].get(&shard.shard).copied().unwrap_or(0));
            }
        }
    }

    /// Packets of a key that does not move go where they went; of one that moves, about as many elsewhere as was
    /// said; and what was counted of them is the traffic that is said to move.
    #[test]
    fn packets_meet_what_was_planned((old, new) in (worlds(), worlds())) {
        const FLOWS: u16 = 300;
        let (before, after) = compiled(&old, &new, false);
        let mut engines = [Engine::new(&before.image), Engine::new(&after.image)];
        let mut elsewhere: BTreeMap<usize, u16> = BTreeMap::new();
        for tenant in 0..TENANTS {
            for port in 0..FLOWS {
                let [one, other] = [0, 1].map(|side| {
                    let decided = engines[side].decide(&mut frame(tenant, port), 2).work.record.decision;
                    let image = if side == 0 { &before.image } else { &after.image };
                    (decided.key_id, image.names.shard(decided.shard).map(str::to_owned))
                });
                if let ((from, Some(one)), (to, Some(other))) = (one, other)
                    && from == to && from > 0 && one != other
                {
                    *elsewhere.entry(tenant).or_default() += 1;
                }
            }
        }
        let traffic = Traffic::between(None, engines[0].counters(), std::time::Duration::from_secs(1));
        prop_assert_eq!(traffic.live.packets, TENANTS as u64 * u64::from(FLOWS));
        let context = Context { traffic: Some(&traffic), ..Context::default() };
        let plan = plan(Some(before.side()), after.side(), &context);
        let mut moves: BTreeMap<usize, &Move> = BTreeMap::new();
        for key in &plan.moves.list.items {
            moves.insert(key.name.split('-').nth(1).unwrap().parse().unwrap(), key);
            prop_assert!(close(key.traffic.unwrap(), 1.0 / TENANTS as f64));
        }
        for tenant in 0..TENANTS {
            let seen = f64::from(elsewhere.get(&tenant).copied().unwrap_or(0)) / f64::from(FLOWS);
            let said = moves.get(&tenant).map_or(0.0, |key| key.flows.as_f64());
            // Flows are hashed: six times the standard deviation at most, and none or all where that is said.
            let spread = 6.0 * (said * (1.0 - said) / f64::from(FLOWS)).sqrt();
            prop_assert!((seen - said).abs() <= spread + 1e-9, "tenant {tenant}: {seen} or {said}");
        }
        let carried = plan.moves.keys.keys as f64 / TENANTS as f64;
        prop_assert!(close(plan.moves.keys.traffic.unwrap(), carried));
        // A shard's measured traffic is about what was made of keys and classes.
        for radius in plan.shards.iter().filter_map(|shard| shard.before) {
            let (Some(seen), Some(said)) = (radius.measured, radius.traffic) else { continue };
            prop_assert!((seen.as_f64() - said.as_f64()).abs() < 0.05, "{seen} or {said}");
        }
    }

    /// What means the same plans to nothing; and a plan there and back tells the same from both ends.
    #[test]
    fn unchanged_is_empty_and_back_is_the_mirror((old, new) in (worlds(), worlds())) {
        let (before, same) = compiled(&old, &old, true);
        let none = plan(Some(before.side()), same.side(), &Context::default());
        prop_assert!(none.is_empty(), "{none:#?}");
        let (before, after) = compiled(&old, &new, true);
        let there = plan(Some(before.side()), after.side(), &Context::default());
        let back = plan(Some(after.side()), before.side(), &Context::default());
        prop_assert_eq!(there.is_empty(), back.is_empty());
        prop_assert_eq!((there.keys.added.keys, there.keys.removed.keys), (back.keys.removed.keys, back.keys.added.keys));
        prop_assert_eq!((there.keys.denied, there.keys.allowed), (back.keys.allowed, back.keys.denied));
        prop_assert_eq!(&there.keys.fields, &back.keys.fields);
        prop_assert_eq!((there.moves.keys, there.moves.of), (back.moves.keys, back.moves.of));
        for (one, other) in there.shards.iter().zip(&back.shards) {
            prop_assert_eq!((one.before, one.after), (other.after, other.before));
        }
        for (one, other) in there.overlap.iter().zip(&back.overlap) {
            prop_assert_eq!((&one.before, &one.after), (&other.after, &other.before));
        }
        // Twice the same is the same, digit by digit.
        let again = plan(Some(before.side()), after.side(), &Context::default());
        prop_assert_eq!(again.digest(), there.digest());
    }

    /// A class that is spread moves slot by slot.
    #[test]
    fn classes_move_by_slots((old, new) in (worlds(), worlds())) {
        let (before, after) = compiled(&old, &new, false);
        let plan = plan(Some(before.side()), after.side(), &Context::default());
        let slots = |side: &Compiled, pool: Option<usize>| -> Option<Vec<String>> {
            let pool = format!("p{}", pool?);
            let table = side.image.names.tables.iter().find(|table| table.pool == pool && table.width == 1).unwrap();
            let slots = &side.image.slots[table.first as usize..][..SLOTS as usize];
            Some(slots.iter().map(|shard| side.image.names.shard(*shard).unwrap().to_owned()).collect())
        };
        let said = plan.classes.iter().find(|class| class.class == "unregistered").map(|class| class.flows);
        match (slots(&before, old.unregistered), slots(&after, new.unregistered)) {
            (None, None) => prop_assert_eq!(said, None),
            (None, Some(_)) | (Some(_), None) => prop_assert_eq!(said, Some(Share::ALL)),
            (Some(one), Some(other)) => {
                let differ = one.iter().zip(&other).filter(|(one, other)| one != other).count();
                prop_assert!(close(said.unwrap_or_default(), differ as f64 / f64::from(SLOTS)));
                prop_assert_eq!(said.is_none(), differ == 0 && old.unregistered == new.unregistered);
            }
        }
        prop_assert!(plan.classes.iter().all(|class| class.class == "unregistered"));
    }
}
