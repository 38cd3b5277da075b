use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::agent::fake::Fake;
use crate::agent::meter::Source as _;
use crate::agent::start::tests::{apply, begin, heavier, place, policy};
use crate::control::types::WordRequest;
use crate::health::{WHOLE, Wanted, health_word};
use crate::state::Who;
use crate::state::overlay::ShardWord;

const HEALTH: &str = "  health: {probe: {tcp: {port: 443}}}\n  keys:\n";

fn asking(text: &str) -> String {
    text.replacen("  keys:\n", HEALTH, 1)
}

fn down(indices: &[u32]) -> BTreeMap<u32, u64> {
    indices.iter().map(|index| (*index, health_word(Some(Wanted::Down)))).collect()
}

fn in_kernel(fake: &Fake) -> BTreeSet<u32> {
    fake.0.pinned.lock().unwrap().words.shards.keys().copied().collect()
}

#[test]
fn words_of_health_and_of_operators_are_heeded_both() {
    let (place, fake) = (place(), Fake::default());
    fs::write(&place.options.policy, policy(|text| asking(&text))).unwrap();
    let started = begin(&place, &fake).unwrap();
    let steward = &started.steward;
    let name = |index: u16| steward.node().names.shard(index).unwrap().to_owned();
    let say =
        |index, word| steward.shard_word(&name(index), word, &WordRequest::default(), Who::this()).unwrap();
    steward.say_health(down(&[0, 1])).unwrap();
    assert_eq!(in_kernel(&fake), [0, 1].into());
    say(1, Some(ShardWord::Disabled));
    assert_eq!((in_kernel(&fake), steward.disabled()), ([0, 1].into(), [1].into()));
    // It answers again, and stays out for the operator's word.
    steward.say_health(down(&[0])).unwrap();
    assert_eq!(in_kernel(&fake), [0, 1].into());
    say(1, None);
    assert_eq!(in_kernel(&fake), [0].into());
    // A change of the policy leaves what is said, and the operators' list is theirs alone.
    apply(&started, &place, &asking(&heavier())).unwrap();
    assert_eq!(in_kernel(&fake), [0].into());
    assert!(steward.standing().is_empty());
    // It is back whole; the program that the change brought finds flows that it lost, until these have ended.
    steward.say_health(BTreeMap::new()).unwrap();
    assert_eq!((in_kernel(&fake), steward.returned()), ([0].into(), vec![0]));
    assert_eq!(fake.0.pinned.lock().unwrap().words.shards[&0], WHOLE);
    steward.is_whole(0).unwrap();
    assert_eq!(in_kernel(&fake), [].into());
}

#[test]
fn nothing_is_said_twice() {
    let (place, fake) = (place(), Fake::default());
    fs::write(&place.options.policy, policy(|text| asking(&text))).unwrap();
    let started = begin(&place, &fake).unwrap();
    fake.0.steps();
    started.steward.say_health(down(&[0])).unwrap();
    started.steward.say_health(down(&[0])).unwrap();
    assert_eq!(fake.0.steps(), ["say"], "beside the ground, and once");
}

#[test]
fn a_new_agent_leaves_those_out_that_were_until_they_are_measured() {
    let (place, fake) = (place(), Fake::default());
    fs::write(&place.options.policy, policy(|text| asking(&text))).unwrap();
    let first = begin(&place, &fake).unwrap();
    let name = first.steward.node().names.shard(1).unwrap().to_owned();
    first.steward.shard_word(&name, Some(ShardWord::Disabled), &WordRequest::default(), Who::this()).unwrap();
    first.steward.say_health(down(&[0])).unwrap();
    drop(first);
    let second = begin(&place, &fake).unwrap();
    assert_eq!((second.steward.unwell(), second.steward.disabled()), ([0].into(), [1].into()));
    assert_eq!(in_kernel(&fake), [0, 1].into());
    // The policy asks nobody any more: whoever keeps health takes it back.
    apply(&second, &place, &policy(|text| text)).unwrap();
    let keeper = crate::agent::health::Keeper::default();
    keeper.look(&second.steward);
    assert_eq!(second.steward.returned(), [0]);
    second.steward.is_whole(0).unwrap();
    assert_eq!(in_kernel(&fake), [1].into());
    assert_eq!(second.steward.health(), None);
}

#[test]
fn a_policy_that_asks_heeds_words_before_there_are_any() {
    let (place, fake) = (place(), Fake::default());
    fs::write(&place.options.policy, policy(|text| asking(&text))).unwrap();
    let started = begin(&place, &fake).unwrap();
    let overlay = |number| fake.0.pinned.lock().unwrap().generations[&number].config.overlay;
    assert_eq!(overlay(1), 1);
    // One that asks nobody costs nothing.
    apply(&started, &place, &policy(|text| text)).unwrap();
    assert_eq!(overlay(2), 0);
    // And such a change is one, in both directions.
    assert_eq!(apply(&started, &place, &policy(|text| asking(&text))).unwrap(), 3);
}
