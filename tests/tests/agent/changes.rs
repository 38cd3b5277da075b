//! Changes under way: apply, rollback, operators' words, the followed file, take-over. Every one on real packets.

use std::fs;
use std::time::{Duration, Instant};

use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::{THREE_SHARDS, policy, usual};
use keysteer_tests::site::{Site, UP0, v4};
use nix::sys::signal::Signal;

/// The usual policy with `globex` on shard `shard` alone.
pub(crate) fn globex_on(shard: &str) -> String {
    let tail = THREE_SHARDS
        .replace(
            "pools: [{name: all, shards: [a, b, c]}]",
            &format!("pools: [{{name: all, shards: [a, b, c]}}, {{name: own, shards: [{shard}]}}]"),
        )
        .replace(
            "{name: globex, match: {tenant: t2}, pool: all",
            "{name: globex, match: {tenant: t2}, pool: own",
        );
    policy("", "{name: up0}", &tail)
}

/// Applies a policy by the command line.
pub(crate) fn apply(agent: &Agent, place: &Place, text: &str) -> u64 {
    let file = place.file("new.yaml");
    fs::write(&file, text).unwrap();
    let said = agent.read(&["apply", file.to_str().unwrap(), "-o", "json"]);
    let done: serde_json::Value = serde_json::from_str(&said.done()).unwrap();
    done["generation"].as_u64().unwrap()
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn apply_moves_what_it_says_and_rollback_moves_it_back() {
    let site = Site::new(1500);
    let place = Place::new(&globex_on("a"));
    let agent = place.start(&site.node);
    assert_eq!(site.who(v4(2, 1)), "a");
    let plan = {
        fs::write(place.file("new.yaml"), globex_on("b")).unwrap();
        agent.read(&["plan", place.file("new.yaml").to_str().unwrap()]).done()
    };
    assert!(plan.contains("globex"), "{plan}");
    assert_eq!(apply(&agent, &place, &globex_on("b")), 2);
    assert_eq!(site.who(v4(2, 1)), "b");
    let back = agent.read(&["rollback", "--from", "2", "-o", "json"]).done();
    assert!(back.contains("\"generation\": 1") || back.contains("\"generation\":1"), "{back}");
    assert_eq!(site.who(v4(2, 1)), "a");
    agent.read(&["rollback", "--from", "2"]).refuses(&["generation 1 is in force, not 2"]);
    // The same again plans to nothing.
    assert_eq!(apply(&agent, &place, &globex_on("a")), 1);
    let status = agent.status();
    assert!(status.balanced && status.received.packets > 0);
}

#[test]
fn a_saved_plan_is_done_exactly_or_not_at_all() {
    let site = Site::new(1500);
    let place = Place::new(&globex_on("a"));
    let agent = place.start(&site.node);
    let (new, saved) = (place.file("new.yaml"), place.file("saved.plan"));
    fs::write(&new, globex_on("b")).unwrap();
    agent.read(&["plan", new.to_str().unwrap(), "--out", saved.to_str().unwrap()]).done();
    assert_eq!(apply(&agent, &place, &globex_on("c")), 2);
    agent.read(&["apply", "--plan", saved.to_str().unwrap()]).refuses(&["plan again"]);
    assert_eq!(site.who(v4(2, 1)), "c");
    agent.read(&["rollback"]).done();
    agent.read(&["apply", "--plan", saved.to_str().unwrap()]).done();
    assert_eq!(site.who(v4(2, 1)), "b");
}

#[test]
fn words_hold_over_rollbacks_restarts_and_new_policies() {
    let site = Site::new(1500);
    let place = Place::new(&globex_on("a"));
    let mut agent = place.start_as(place.lasting(&site.node));
    assert_eq!(apply(&agent, &place, &globex_on("b")), 2);
    agent.read(&["key", "deny", "globex", "--reason", "abuse"]).done();
    assert_eq!(site.try_who(v4(2, 1)), None);
    agent.read(&["rollback"]).done();
    assert_eq!(site.try_who(v4(2, 1)), None, "a rollback does not revive it");
    agent.signal(Signal::SIGKILL);
    agent.wait();
    assert_eq!(site.try_who(v4(2, 1)), None, "nor does the agent's end");
    let agent = place.start(&site.node);
    assert_eq!(site.try_who(v4(2, 1)), None, "nor a new agent");
    assert_eq!(apply(&agent, &place, &globex_on("c")), 3);
    assert_eq!(site.try_who(v4(2, 1)), None, "nor a new policy");
    agent.read(&["key", "clear", "globex"]).done();
    assert_eq!(site.who(v4(2, 1)), "c");
    // A disabled shard's traffic goes elsewhere, and there is no elsewhere in a pool of one.
    agent.read(&["shard", "disable", "c", "--for", "1s"]).done();
    assert_eq!(site.try_who(v4(2, 1)), None);
    for number in 1..=4 {
        assert!(["a", "b"].contains(&site.who(v4(1, number)).as_str()));
    }
    until("the word expires", || site.try_who(v4(2, 1)).is_some_and(|who| who == "c"));
    let audit = agent.read_state(&["audit", "-o", "jsonl"], &place).done();
    for action in ["start", "apply", "key-deny", "rollback", "key-clear", "shard-disable", "word-expired"] {
        assert!(audit.contains(&format!("\"{action}\"")), "{action}: {audit}");
    }
    agent.read_state(&["audit", "verify"], &place).done();
}

#[test]
fn the_policy_file_is_followed_and_a_bad_one_is_shown() {
    let site = Site::new(1500);
    let place = Place::new(&globex_on("a"));
    let agent = place.start(&site.node);
    fs::write(place.policy(), globex_on("b")).unwrap();
    until("the change is taken up", || agent.status().policy.generation == 2);
    assert_eq!(site.who(v4(2, 1)), "b");
    fs::write(place.policy(), "spec: [").unwrap();
    until("the trouble is shown", || agent.status().policy.trouble.is_some());
    assert_eq!(agent.status().policy.generation, 2);
    assert_eq!(site.who(v4(2, 1)), "b");
    fs::write(place.policy(), globex_on("c")).unwrap();
    until("the next change is taken up", || {
        let policy = agent.status().policy;
        policy.generation == 3 && policy.trouble.is_none()
    });
    assert_eq!(site.who(v4(2, 1)), "c");
}

#[test]
fn a_stopped_agent_leaves_packets_going_and_cleanup_ends_them() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let mut agent = place.start_as(place.lasting(&site.node));
    let program = agent.status().program.id;
    let before = agent.key("globex").packets;
    agent.signal(Signal::SIGTERM);
    assert!(agent.wait().success());
    assert_eq!(site.attached(UP0), Some(program));
    assert!(site.who(v4(2, 1)) != "node");
    let mut agent = place.start_as(place.lasting(&site.node));
    assert_eq!(agent.status().program.id, program);
    assert!(agent.key("globex").packets > before, "what passed meanwhile is counted");
    assert!(agent.status().balanced);
    place.clean_up(&site.node).refuses(&["another agent uses"]);
    agent.signal(Signal::SIGTERM);
    agent.wait();
    place.clean_up(&site.node).done();
    assert_eq!(site.attached(UP0), None);
    assert_eq!(site.who(v4(2, 1)), "node");
}
