//! Tables over restarts, and from node to node.

use std::fs;
use std::sync::Arc;

use crate::agent::fake::Fake;
use crate::agent::meter::Source as _;
use crate::agent::start::tests::{Place, apply, begin, heavier, place, policy};
use crate::placement::Placement;
use crate::state::{Who, audit};

fn digest(started: &crate::agent::start::Started) -> String {
    started.steward.node().placement.digest()
}

/// A node whose tables have a history: they are not those of a new node.
fn lived() -> (Place, Fake, String) {
    let (place, fake) = (place(), Fake::default());
    let started = begin(&place, &fake).unwrap();
    let seed = digest(&started);
    apply(&started, &place, &heavier()).unwrap();
    let digest = digest(&started);
    assert_ne!(digest, seed);
    assert_eq!(started.steward.node().placement.version, 2);
    let policy = started.steward.desk().policy.clone().unwrap();
    let bundle: crate::policy::Bundle = started.steward.desk().generations.bundle(2).unwrap();
    assert_ne!(Placement::next(None, &bundle.parse().unwrap()).digest(), digest);
    drop((policy, started));
    (place, fake, digest)
}

#[test]
fn a_new_agent_goes_on_with_the_tables_and_a_rollback_has_those_of_before() {
    let (place, fake, before) = lived();
    fake.0.steps();
    let again = begin(&place, &fake).unwrap();
    let steps = fake.0.steps();
    assert!(steps.contains(&"adopt 2".to_owned()) && !steps.contains(&"load".to_owned()), "{steps:?}");
    assert_eq!(digest(&again), before);
    again.steward.rollback(&Who::this(), None).unwrap();
    let first: crate::policy::Bundle = again.steward.desk().generations.bundle(1).unwrap();
    assert_eq!(digest(&again), Placement::next(None, &first.parse().unwrap()).digest());
}

#[test]
fn lost_tables_are_read_back_from_what_is_pinned() {
    for damage in ["gone", "spoiled"] {
        let (place, fake, before) = lived();
        let file = place.options.state_dir.join("generations/2.placement");
        match damage {
            "gone" => fs::remove_file(&file).unwrap(),
            _ => fs::write(&file, "spoiled").unwrap(),
        }
        fake.0.steps();
        let again = begin(&place, &fake).unwrap();
        assert_eq!((again.steward.node().generation, digest(&again)), (2, before.clone()), "{damage}");
        assert!(!fake.0.steps().contains(&"load".to_owned()), "{damage}");
        drop(again);
        assert_eq!(digest(&begin(&place, &fake).unwrap()), before, "{damage}");
    }
}

#[test]
fn a_node_that_joins_late_imports_the_tables_and_agrees() {
    let (old_place, old_fake, digest_there) = lived();
    let old = begin(&old_place, &old_fake).unwrap();
    let exported = old.steward.exported();

    let (place, fake) = (place(), Fake::default());
    fs::write(&place.options.policy, heavier()).unwrap();
    let late = begin(&place, &fake).unwrap();
    assert_ne!(digest(&late), digest_there);
    for (bytes, what) in [(&exported[..exported.len() - 2], "export it again"), (b"", "export it again")] {
        let error = late.steward.import(bytes, Who::this()).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    let imported = late.steward.import(&exported, Who::this()).unwrap();
    assert_eq!((imported.digest.as_str(), imported.in_force), (digest_there.as_str(), false));
    // It is kept until an apply takes it up.
    drop(late);
    let late = begin(&place, &fake).unwrap();
    assert_ne!(digest(&late), digest_there);
    assert_eq!(apply(&late, &place, &heavier()).unwrap(), 2);
    assert_eq!(digest(&late), digest_there);
    assert!(late.steward.import(&exported, Who::this()).unwrap().in_force);
    assert!(!place.options.state_dir.join("imported.placement").exists());
    // From here on the nodes agree, whatever their operators say of shards.
    let next = policy(|text| text.replacen("weight: 2", "weight: 5", 1));
    let asked = crate::control::types::WordRequest::default();
    let word = Some(crate::state::overlay::ShardWord::Disabled);
    let shard = late.steward.node().names.policy_shards().next().unwrap().1.name.clone();
    late.steward.shard_word(&shard, word, &asked, Who::this()).unwrap();
    apply(&late, &place, &next).unwrap();
    apply(&old, &old_place, &next).unwrap();
    assert_eq!(digest(&late), digest(&old));
    let entries = audit::list(&place.options.state_dir, &Default::default()).unwrap();
    let results: Vec<audit::Outcome> = entries
        .into_iter()
        .filter(|entry| entry.event.action == "placement-import")
        .map(|entry| entry.event.result)
        .collect();
    assert_eq!(results[..3], [audit::Outcome::Refused, audit::Outcome::Refused, audit::Outcome::Ok]);
}

#[test]
fn tables_of_other_shards_are_refused() {
    let (place, fake, _) = lived();
    let here = begin(&place, &fake).unwrap();
    let mut other = here.steward.node().placement.as_ref().clone();
    let (name, pool) = other.pools.pop_first().unwrap();
    let mut pool = pool.as_ref().clone();
    pool.shards.last_mut().unwrap().name.push_str("-other");
    other.pools.insert(name, Arc::new(pool));
    let error = here.steward.import(&crate::state::generations::export(&other), Who::this()).unwrap_err();
    assert!(error.to_string().contains("has shard"), "{error}");
}
