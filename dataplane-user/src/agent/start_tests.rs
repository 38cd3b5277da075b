use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::agent::fake::{Fake, Record};
use crate::agent::steward::{Apply, ChangeError};
use crate::control::types::WordRequest;
use crate::state::overlay::KeyWord;
use crate::state::{Ids, Who};

pub(crate) struct Place {
    _directory: tempfile::TempDir,
    pub(crate) options: Options,
}

const POLICY: &str = include_str!("../../../examples/demo.yaml");

/// The policy of the demo, on interfaces that the fake host has.
pub(crate) fn policy(change: impl Fn(String) -> String) -> String {
    change(POLICY.replace("ks-client", "eth0"))
}

pub(crate) fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        policy: directory.path().join("edge.yaml"),
        state_dir: directory.path().join("state"),
        socket: directory.path().join("run/agent.sock"),
        metrics_address: ([127, 0, 0, 1], 0).into(),
        top_keys: 10,
        pins: PathBuf::from("/unused"),
        detach_on_exit: false,
    };
    fs::write(&options.policy, policy(|text| text)).unwrap();
    Place { _directory: directory, options }
}

fn fails(step: &'static str) -> Fake {
    Fake(Arc::new(Record { fails: Some(step), ..Record::default() }))
}

/// Starts an agent on `fake`; gives what was said where it does not.
pub(crate) fn begin(place: &Place, fake: &Fake) -> Result<Started, String> {
    start(&place.options, Arc::new(fake.clone())).map_err(|error| error.to_string())
}

/// Puts the policy of `text` in force.
pub(crate) fn apply(started: &Started, place: &Place, text: &str) -> Result<u64, ChangeError> {
    fs::write(&place.options.policy, text).unwrap();
    let none = AtomicBool::new(false);
    let bundle = Bundle::read(&place.options.policy).unwrap();
    started.steward.apply(&Apply::by_agent(bundle, "apply", &none)).map(|applied| applied.generation)
}

/// A policy without its last shard's weight as it was.
pub(crate) fn heavier() -> String {
    policy(|text| text.replacen("weight: 2", "weight: 3", 1))
}

#[test]
fn steers_in_order_and_goes_on_when_it_ends() {
    let (place, fake) = (place(), Fake::default());
    let started = begin(&place, &fake).unwrap();
    assert!(place.options.socket.exists());
    assert_eq!(started.steward.node().generation, 1);
    let ids = Ids::open(&place.options.state_dir).unwrap();
    assert!(ids.keys.iter().count() > 0 && ids.shards.iter().count() > 0);
    drop(started);
    assert_eq!(fake.0.steps(), ["open", "compile", "load", "prove", "commit 1 on eth0", "settle 1"]);
    assert!(!place.options.socket.exists());
    assert_eq!(fake.0.pinned.lock().unwrap().links.len(), 1);
}

#[test]
fn a_new_agent_takes_over_without_loading() {
    let (place, fake) = (place(), Fake::default());
    drop(begin(&place, &fake).unwrap());
    fake.0.steps();
    let again = begin(&place, &fake).unwrap();
    let steps = fake.0.steps();
    assert!(steps.contains(&"adopt 1".to_owned()) && !steps.contains(&"load".to_owned()), "{steps:?}");
    assert_eq!(again.steward.node().generation, 1);
}

#[test]
fn a_changed_file_is_applied_at_the_start_and_a_bad_one_is_not() {
    let (place, fake) = (place(), Fake::default());
    drop(begin(&place, &fake).unwrap());
    fs::write(&place.options.policy, heavier()).unwrap();
    let second = begin(&place, &fake).unwrap();
    assert_eq!((second.steward.node().generation, second.trouble.clone()), (2, None));
    drop(second);
    fs::write(&place.options.policy, "nonsense: [").unwrap();
    let third = begin(&place, &fake).unwrap();
    assert_eq!(third.steward.node().generation, 2);
    assert!(third.trouble.clone().is_some_and(|trouble| trouble.contains("edge.yaml")));
}

#[test]
fn what_was_applied_stands_until_the_file_changes() {
    let (place, fake) = (place(), Fake::default());
    let first = begin(&place, &fake).unwrap();
    let file = fs::read_to_string(&place.options.policy).unwrap();
    assert_eq!(apply(&first, &place, &heavier()).unwrap(), 2);
    fs::write(&place.options.policy, file).unwrap();
    drop(first);
    assert_eq!(begin(&place, &fake).unwrap().steward.node().generation, 2);
}

#[test]
fn rollback_is_a_commit_of_what_is_loaded_and_keeps_words() {
    let (place, fake) = (place(), Fake::default());
    let started = begin(&place, &fake).unwrap();
    let steward = &started.steward;
    assert!(matches!(steward.rollback(&Who::this(), None), Err(ChangeError::Unknown(_))));
    apply(&started, &place, &heavier()).unwrap();
    steward.key_word("acme", Some(KeyWord::Deny), &WordRequest::default(), Who::this()).unwrap();
    let words = fake.0.pinned.lock().unwrap().words.clone();
    assert_eq!(words.keys.len(), 1);
    fake.0.steps();
    let back = steward.rollback(&Who::this(), Some(2)).unwrap();
    assert_eq!((back.generation, back.from), (1, 2));
    // Keys move back, and their flows stay.
    assert_eq!(fake.0.steps(), ["compile", "vary 1", "commit 1 on eth0", "settle 1", "compile"]);
    assert_eq!(fake.0.pinned.lock().unwrap().words, words);
    assert!(matches!(steward.rollback(&Who::this(), Some(2)), Err(ChangeError::Conflict(_))));
    assert_eq!(steward.rollback(&Who::this(), Some(1)).unwrap().generation, 2);
    // Words survive the agent, too.
    fake.0.pinned.lock().unwrap().words = Default::default();
    drop(started);
    let again = begin(&place, &fake).unwrap();
    assert_eq!(fake.0.pinned.lock().unwrap().words, words);
    again.steward.key_word("acme", None, &WordRequest::default(), Who::this()).unwrap();
    assert_eq!(fake.0.pinned.lock().unwrap().words.keys.len(), 0);
}

#[test]
fn what_means_the_same_changes_nothing() {
    let (place, fake) = (place(), Fake::default());
    let started = begin(&place, &fake).unwrap();
    assert_eq!(apply(&started, &place, &policy(|text| format!("# A comment.\n{text}"))).unwrap(), 1);
}

#[test]
fn a_failure_leaves_what_was_there() {
    for step in ["open", "compile", "load", "prove", "commit 1 on eth0"] {
        let (place, fake) = (place(), fails(step));
        let error = begin(&place, &fake).err().unwrap();
        assert!(error.contains("planted"), "{step}: {error}");
        let pinned = fake.0.pinned.lock().unwrap();
        assert!(
            pinned.links.is_empty() && pinned.generations.is_empty() && pinned.intent.is_none(),
            "{step}"
        );
        assert!(!place.options.socket.exists(), "{step}");
    }
}

#[test]
fn a_failed_apply_leaves_the_live_generation_and_is_journalled() {
    let (place, fake) = (place(), fails("commit 2 on eth0"));
    let started = begin(&place, &fake).unwrap();
    let error = apply(&started, &place, &heavier()).unwrap_err();
    assert!(error.to_string().contains("planted"), "{error}");
    assert_eq!(fake.0.pinned.lock().unwrap().generations.keys().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(started.steward.node().generation, 1);
    let generations = started.steward.generations();
    assert_eq!(generations[0].status, "failed");
    let audit = crate::state::audit::list(&place.options.state_dir, &Default::default()).unwrap();
    assert_eq!(audit.last().unwrap().event.action, "apply");
    assert_eq!(audit.last().unwrap().event.result, crate::state::audit::Outcome::Failed);
}

#[test]
fn a_second_agent_touches_nothing() {
    let place = place();
    let _first = begin(&place, &Fake::default()).unwrap();
    let second = Fake::default();
    let error = start(&place.options, Arc::new(second.clone())).err().unwrap();
    assert!(matches!(error, AgentError::StateInUse { .. }), "{error}");
    let options = Options { state_dir: place.options.state_dir.with_extension("2"), ..place.options.clone() };
    let error = start(&options, Arc::new(second.clone())).err().unwrap().to_string();
    assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
    assert!(second.0.steps().is_empty());
}

#[test]
fn a_busy_port_is_named_before_anything_is_opened() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = place();
    let options = Options { metrics_address: taken.local_addr().unwrap(), ..place.options.clone() };
    let fake = Fake::default();
    let error = start(&options, Arc::new(fake.clone())).err().unwrap().to_string();
    assert!(error.contains(&taken.local_addr().unwrap().to_string()), "{error}");
    assert!(error.contains("--metrics-address"), "{error}");
    assert!(fake.0.steps().is_empty());
    assert!(!options.socket.exists());
}

#[test]
fn damaged_state_stops_the_start() {
    let place = place();
    fs::create_dir_all(&place.options.state_dir).unwrap();
    fs::write(place.options.state_dir.join("secrets"), "short").unwrap();
    let fake = Fake::default();
    let error = begin(&place, &fake).err().unwrap();
    assert!(error.contains("secrets"), "{error}");
    assert!(!fake.0.steps().contains(&"load".to_owned()));
}

#[test]
fn what_changes_did_is_posted_for_who_only_reads() {
    let (place, fake) = (place(), Fake::default());
    fs::create_dir_all(&place.options.state_dir).unwrap();
    let old = place.options.state_dir.join("keys-in-force.json");
    fs::write(&old, "[1]").unwrap();
    let started = begin(&place, &fake).unwrap();
    assert!(!old.exists(), "nobody reads it any more");
    let posted = || started.steward.posted();
    let count =
        |action: &str, result: &'static str| posted().changes.get(&(action.to_owned(), result)).copied();
    assert_eq!((count("start", "ok"), count("apply", "ok"), posted().last), (Some(1), Some(0), None));
    assert!(posted().file_in_force && posted().applied_at.is_some() && posted().words.is_empty());
    apply(&started, &place, &heavier()).unwrap();
    assert!(apply(&started, &place, "nonsense: []").is_err());
    let said = WordRequest { reason: Some("abuse".to_owned()), seconds: None };
    started.steward.key_word("acme", Some(KeyWord::Deny), &said, Who::this()).unwrap();
    assert_eq!((count("apply", "ok"), count("key-deny", "ok"), posted().last), (Some(1), Some(1), Some(1)));
    let words = posted().words;
    assert_eq!((words.len(), words[0].name.as_str(), words[0].word.as_str()), (1, "acme", "deny"));
    started.steward.rollback(&Who::this(), None).unwrap();
    assert_eq!((count("rollback", "ok"), posted().last), (Some(1), Some(2)));
    // The plan says what the word overrules.
    let bundle = Bundle::read(&{
        fs::write(&place.options.policy, heavier()).unwrap();
        place.options.policy.clone()
    });
    let plan = started.steward.plan(&bundle.unwrap(), &[], None, false).unwrap();
    assert_eq!((plan.words.len(), plan.words[0].name.as_str()), (1, "acme"));
    let without = crate::plan::Plan { words: Vec::new(), ..plan.clone() };
    assert_eq!(plan.digest(), without.digest(), "words are no part of the change");
    drop(started);
    fs::write(&place.options.policy, policy(|text| text)).unwrap();
    // A take-over knows when the policy came into force, and what stands.
    let again = begin(&place, &fake).unwrap();
    assert_eq!((again.steward.posted().words.len(), again.steward.posted().last), (1, Some(2)));
}
