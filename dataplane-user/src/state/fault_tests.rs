//! The agent's use of its state, killed at every step.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use super::audit::{Event, Filter, Outcome, Verdict, list, verify};
use super::generations::{Record, Status};
use super::overlay::{KeyWord, Word};
use super::{Audit, Generations, KeyIds, Overlay, ShardIds, StateError, Timestamp, Who};
use crate::fault::Step;

/// Where the session below has its state, when it is told.
const PLACE: &str = "KEYSTEER_TEST_STATE";

/// Of the steps, those that are the state's.
const STEPS: [Step; 10] = [
    Step::BeforeIdsSaved,
    Step::AfterIdsSaved,
    Step::BeforePreparedRecorded,
    Step::AfterPreparedRecorded,
    Step::BeforeLiveRecorded,
    Step::AfterLiveRecorded,
    Step::BeforeOverlaySaved,
    Step::AfterOverlaySaved,
    Step::BeforeAuditAppended,
    Step::AfterAuditAppended,
];

/// An apply and a word about a key.
fn session(directory: &Path) -> Result<(), StateError> {
    let (mut keys, mut shards) = (KeyIds::open(directory)?, ShardIds::open(directory)?);
    let mut generations = Generations::open(directory)?;
    let (mut overlay, mut audit) = (Overlay::open(directory)?, Audit::open(directory)?);
    let number = generations.next_number();
    keys.id("prod;tenant=a");
    keys.id(&format!("prod;tenant={number}"));
    shards.index("a");
    shards.index(&number.to_string());
    keys.save(directory)?;
    shards.save(directory)?;
    generations.put_bundle(number, &"text")?;
    generations.put(Record {
        number,
        parent: generations.live().map(|record| record.number),
        made_at: Timestamp::now(),
        action: "apply".to_owned(),
        by: Who::this(),
        policy: "edge".to_owned(),
        bundle: String::new(),
        abi: 1,
        interfaces: Vec::new(),
        schema: 1,
        keys: 1,
        shards: 1,
        key_ids: keys.given(),
        shard_ids: shards.given(),
        plan: None,
        shares: Default::default(),
        rollout: None,
        status: Status::Prepared,
    })?;
    generations.set_live(number)?;
    audit.append(Event { to: Some(number), ..Event::new(Who::this(), "apply", Outcome::Ok) })?;
    let since = Timestamp::now();
    let word = Word { word: KeyWord::Deny, reason: None, by: Who::this(), since, until: None };
    overlay.set_key("prod;tenant=a", word);
    overlay.save(directory)
}

/// By itself a test like others; what [`every_step_can_be_the_last`] runs and kills.
#[test]
fn a_session_leaves_what_it_should() {
    let temporary = tempfile::tempdir().unwrap();
    let place = std::env::var_os(PLACE);
    let directory = place.as_deref().map_or(temporary.path(), Path::new);
    session(directory).unwrap();
    assert!(Generations::open(directory).unwrap().live().is_some());
}

#[test]
fn every_step_can_be_the_last() {
    for step in STEPS {
        for earlier in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let directory = directory.path();
            if earlier {
                session(directory).unwrap();
            }
            let before = u64::from(earlier);
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "state::fault_tests::a_session_leaves_what_it_should"])
                .env(PLACE, directory)
                .env("KEYSTEER_FAULT", step.name())
                .output()
                .unwrap();
            assert_eq!(child.status.signal(), Some(9), "{step} was not reached: {child:?}");

            // Everything can be opened, and is of before the step or of after it.
            let keys = KeyIds::open(directory).unwrap();
            let shards = ShardIds::open(directory).unwrap();
            let generations = Generations::open(directory).unwrap();
            generations.check_registries(&keys, &shards).unwrap();
            let passed = |other: Step| {
                let place = |step| STEPS.iter().position(|other| *other == step);
                // The audit entry comes before the overlay here.
                let order = |step| match step {
                    Step::BeforeOverlaySaved | Step::AfterOverlaySaved => place(step).map(|at| at + 10),
                    _ => place(step),
                };
                order(other) <= order(step)
            };
            let ids = if passed(Step::AfterIdsSaved) { before + 2 } else { before * 2 };
            assert_eq!(u64::from(keys.given()), ids, "{step}");
            let prepared = passed(Step::AfterPreparedRecorded) && !passed(Step::AfterLiveRecorded);
            assert_eq!(generations.prepared().count(), usize::from(prepared), "{step}");
            let live = before + u64::from(passed(Step::AfterLiveRecorded));
            assert_eq!(generations.live().map_or(0, |record| record.number), live, "{step}");
            assert_eq!(generations.last().is_some(), live == 2);
            let entries = list(directory, &Filter::default()).unwrap().len() as u64;
            assert_eq!(entries, before + u64::from(passed(Step::AfterAuditAppended)), "{step}");
            assert!(
                matches!(verify(directory).unwrap(), Verdict::Whole(report) if report.entries == entries)
            );
            let denied = Overlay::open(directory).unwrap().key("prod;tenant=a").is_some();
            assert_eq!(denied, earlier || passed(Step::AfterOverlaySaved), "{step}");

            // And the next agent goes on.
            session(directory).unwrap();
        }
    }
}
