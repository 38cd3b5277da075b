//! The agent killed at every step that has a name, on real packets: whatever it was doing, packets go on by the old policy
//! or the new one, and the next agent finishes or undoes it.

use std::fs;

use keysteer::fault::Step;
use keysteer_tests::site::binary;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::{THREE_SHARDS, policy};
use keysteer_tests::site::{Site, v4};
use nix::sys::signal::Signal;

/// `globex` alone on shard `shard`, steered on `interfaces`; in the driver what leaves by them is counted as well.
fn globex_on(shard: &str, interfaces: &str) -> String {
    let egress = if interfaces.contains("mode: tc") { "" } else { "  egress: {}\n" };
    let tail = format!("{THREE_SHARDS}{egress}")
        .replace(
            "pools: [{name: all, shards: [a, b, c]}]",
            &format!("pools: [{{name: all, shards: [a, b, c]}}, {{name: own, shards: [{shard}]}}]"),
        )
        .replace(
            "{name: globex, match: {tenant: t2}, pool: all",
            "{name: globex, match: {tenant: t2}, pool: own",
        );
    policy("", interfaces, &tail)
}

/// The client's side, and that of shard `c` too, which the story lets go.
const BOTH: &str = "{name: up0}, {name: to-c}";
const CLIENT: &str = "{name: up0}";
/// The same at TC.
const BOTH_AT_TC: &str = "{name: up0, mode: tc}, {name: to-c, mode: tc}";
const CLIENT_AT_TC: &str = "{name: up0, mode: tc}";

/// The steps at which what is attached changes, or is found.
const OF_FILTERS: [Step; 16] = [
    Step::FilterMarked,
    Step::FilterAdded,
    Step::Held,
    Step::FilterDeleted,
    Step::Intent,
    Step::NewAttached,
    Step::LinkUpdated,
    Step::Unlinked,
    Step::Committed,
    Step::Settled,
    Step::VariantPinned,
    Step::VariantLinked,
    Step::VariantAlone,
    Step::VariantInPlace,
    Step::Opened,
    Step::TakenOver,
];

/// What is done while the agent may die: on `a` from the start, then on `b` and no more on shard `c`'s interface, then `initech` is allowed, and back to `a`.
/// Gives how far it came.
fn story(place: &Place, site: &Site, client: &str, step: Step) -> (usize, bool) {
    let mut command = place.lasting(&site.node);
    command.env("KEYSTEER_FAULT", step.name());
    let Some(mut agent) = place.try_start_as(command) else { return (0, true) };
    let new = place.file("new.yaml");
    fs::write(&new, globex_on("b", client)).unwrap();
    let acts: [&[&str]; 3] = [&["apply", new.to_str().unwrap()], &["key", "deny", "acme"], &["rollback"]];
    for (at, act) in acts.into_iter().enumerate() {
        let done = agent.read(act).code == Some(0);
        if !done || agent.has_ended() {
            assert_eq!(agent.wait().code(), None, "{}", agent.log());
            return (at + usize::from(done), true);
        }
    }
    agent.signal(Signal::SIGTERM);
    assert!(agent.wait().success());
    (3, false)
}

#[test]
fn every_step_leaves_the_old_or_the_new() {
    let steps: Vec<Step> = Step::ALL.iter().filter(|step| !Step::FILTERS.contains(step)).copied().collect();
    die_at(&steps, Place::new, BOTH, CLIENT);
}

#[test]
fn every_step_with_classic_filters_leaves_the_old_or_the_new() {
    die_at(&OF_FILTERS, Place::classic, BOTH_AT_TC, CLIENT_AT_TC);
}

/// The story, ended at each of these steps, which all must be reached.
fn die_at(steps: &[Step], place: fn(&str) -> Place, both: &str, client: &str) {
    binary::demand_root();
    let site = Site::new(1500);
    let mut reached = Vec::new();
    for step in steps {
        let place = place(&globex_on("a", both));
        let (mut done, mut died) = story(&place, &site, client, *step);
        if !died {
            // Reached by a take-over alone.
            let mut command = place.lasting(&site.node);
            command.env("KEYSTEER_FAULT", step.name());
            died = place.try_start_as(command).is_none();
            done = 3;
        }
        if died {
            reached.push(*step);
        }
        let steered = site.try_who(v4(2, 1));
        if done > 0 {
            // On from what was acknowledged, perhaps one act further.
            let may: &[&str] = match done {
                1 => &["a", "b"],
                2 => &["b"],
                _ => &["a", "b"],
            };
            assert!(
                steered.as_deref().is_some_and(|who| may.contains(&who)),
                "{step}: {done} done, {steered:?}"
            );
        }
        let agent = place.start(&site.node);
        let status = agent.status();
        assert!(status.balanced, "{step}");
        let after = site.try_who(v4(2, 1));
        assert!(after.as_deref().is_some_and(|who| ["a", "b"].contains(&who)), "{step}: {after:?}");
        if done >= 2 {
            assert_eq!(site.try_who(v4(1, 1)), None, "{step}: what was denied stays denied");
        }
        // What it found it can go on with.
        let new = place.file("new.yaml");
        fs::write(&new, globex_on("c", client)).unwrap();
        agent.read(&["apply", new.to_str().unwrap()]).done();
        assert_eq!(site.who(v4(2, 1)), "c", "{step}");
        agent.read_state(&["audit", "verify"], &place).done();
    }
    let missed: Vec<_> = steps.iter().filter(|step| !reached.contains(step)).collect();
    assert!(missed.is_empty(), "never reached: {missed:?}");
}
