//! Agents on a host that is imagined, whose state directory somebody damaged.

mod damage;
mod tables;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::agent::fake::Fake;
use crate::agent::meter::Source as _;
use crate::agent::start::Started;
use crate::agent::start::tests::{Place, apply, begin, heavier, place};
use crate::control::types::WordRequest;
use crate::image::Words;
use crate::state::overlay::{KeyWord, ShardWord};
use crate::state::{Ids, Overlay, Secrets, Who, audit};

/// What must not change, whatever happens to the state.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    keys: BTreeMap<String, u32>,
    shards: BTreeMap<String, u16>,
    flow: [u64; 2],
    words: Words,
}

/// What steers on `fake`, as packets meet it.
fn kept(fake: &Fake) -> Kept {
    let pinned = fake.0.pinned.lock().unwrap();
    let on: Vec<u64> = pinned.links.values().copied().collect();
    let [number] = on[..] else { panic!("one interface, one generation: {on:?}") };
    let image = &pinned.generations[&number];
    let entry = |name: &str| image.names.keys.iter().find(|key| key.name == name).map(|key| key.id).unwrap();
    let keys = image.names.keys.iter().map(|key| (key.name.clone(), entry(&key.name)));
    let shards = image.names.policy_shards().map(|(index, shard)| (shard.name.clone(), index));
    Kept {
        keys: keys.collect(),
        shards: shards.collect(),
        flow: image.config.flow_secret,
        words: pinned.words.clone(),
    }
}

/// A policy without spread keys, whose tables take the longest to compile.
fn small() -> String {
    heavier().replace("tier: spread", "tier: standard")
}

/// A node on which much was done: keys came and went, a key is denied and a shard disabled.
fn lived() -> (Place, Fake) {
    let (place, fake) = (place(), Fake::default());
    let first = small()
        .replace("weight: 3", "weight: 2")
        .replace("  keys:\n", "  keys:\n    - {name: old, match: {tenant: umbrella}, tier: standard}\n");
    fs::write(&place.options.policy, first).unwrap();
    let started = begin(&place, &fake).unwrap();
    apply(&started, &place, &small()).unwrap();
    let said = WordRequest { reason: Some("abuse".to_owned()), seconds: None };
    started.steward.key_word("acme", Some(KeyWord::Deny), &said, Who::this()).unwrap();
    started.steward.key_word("initech", Some(KeyWord::Allow), &said, Who::this()).unwrap();
    started.steward.shard_word("b", Some(ShardWord::Disabled), &said, Who::this()).unwrap();
    drop(started);
    (place, fake)
}

/// Every file of a directory with its content, but the lock.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(directory: &Path, below: &str, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{below}{}", path.file_name().unwrap().to_str().unwrap());
            if path.is_dir() {
                walk(&path, &format!("{name}/"), found);
            } else if name != "lock" {
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(directory, "", &mut found);
    found
}

/// What the audit log says was rebuilt.
fn rebuilt(place: &Place) -> Vec<String> {
    let entries = audit::list(&place.options.state_dir, &Default::default()).unwrap();
    let rebuilt = entries.into_iter().filter(|entry| entry.event.action == "rebuild");
    rebuilt.filter_map(|entry| Some(entry.event.subject?.to_string())).collect()
}

/// Checks that a damaged node is taken over as it was, that the state is whole afterwards, and that what is new gets
/// numbers that nobody had.
fn goes_on(place: &Place, fake: &Fake, before: &Kept, what: &str) -> Started {
    fake.0.steps();
    let started = begin(place, fake).unwrap_or_else(|error| panic!("{what}: {error}"));
    let steps = fake.0.steps();
    assert!(!steps.contains(&"detach".to_owned()), "{what}: {steps:?}");
    assert_eq!(&kept(fake), before, "{what}");
    let state = &place.options.state_dir;
    assert_eq!(Secrets::read(state).unwrap().flow, before.flow, "{what}");
    let ids = Ids::open(state).unwrap();
    assert!(before.keys.values().all(|id| ids.keys.iter().any(|(_, it)| it == *id)), "{what}");
    // An entry in the middle is for `keysteer audit verify` to find, not for every start.
    let verdict = audit::verify(state).unwrap();
    assert!(matches!(verdict, audit::Verdict::Whole(_)) || what.starts_with("audit.jsonl"), "{what}");
    let overlay = Overlay::open(state).unwrap();
    assert_eq!((overlay.keys().len(), overlay.shards().len()), (2, 1), "{what}");
    let pinned: Vec<u64> = fake.0.pinned.lock().unwrap().generations.keys().copied().collect();
    let live = started.steward.node().generation;
    assert!(pinned.contains(&live) && pinned.len() <= 2, "{what}: {live} of {pinned:?}");
    started
}
