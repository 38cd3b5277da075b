//! Changes whose keys move in steps: one after the other, or back.

use std::fs;
use std::time::Duration;

use keysteer::world::{Bound, Transport};
use keysteer_tests::site::place::Place;
use keysteer_tests::site::{PORT, SERVICE, Site, v4};
use nix::sys::signal::Signal;

use super::super::changes::{apply, until};
use super::crowd::Crowd;
use super::{NARROW, Wanted, audit, over, roll_back};

/// First a cohort, then all; `more` of what turns it back.
fn steps(shards: &'static str, lasts: &str, abort_if: &str) -> String {
    let rollout = format!(
        r"
  rollout:
    cohorts: {{beta: [globex]}}
    steps:
      - {{cohort: beta, for: {lasts}}}
      - {{percent: 100%, for: 2s}}
    abortIf: {{{abort_if}}}
    least: 5
"
    );
    let migration = "{idle: 3s, deadline: 10m, pins: 4096}";
    let text = Wanted { shards, keys: NARROW, migration, ..Wanted::USUAL }.text();
    // A shard that nobody is behind, and one that drops.
    let beside = "\n    - {name: mute, target: {interface: {name: to-c, mac: \"02:00:00:00:00:ee\"}}}\n    - {name: hole, target: drop}\n  pools:";
    format!("{}{rollout}", text.replacen("\n  pools:", beside, 1))
}

/// Whether a tenant gets a connection within a second.
fn connects(site: &Site, tenant: u8) -> bool {
    let source = std::net::SocketAddr::new(v4(tenant, 1), 0);
    let to = std::net::SocketAddr::new(SERVICE[0], PORT);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let connect = || {
        runtime.block_on(async {
            let bound = Bound::new(Transport::Tcp, source, 0).await.unwrap();
            bound.connect(to, Duration::from_secs(1)).await.unwrap().is_some()
        })
    };
    site.client.run(connect).unwrap()
}

#[test]
fn keys_move_in_steps_and_another_agent_goes_on_with_them() {
    let site = Site::new(1500);
    let abort_if = "failedHandshakes: 20%, slowHandshakes: 50%, resets: 50%, drops: 5%";
    let place = Place::new(&steps("a", "10m", abort_if));
    let mut agent = place.start(&site.node);
    let mut crowd = Crowd::new(&site, false);
    crowd.open(100, &[1, 2, 4, 6]);
    apply(&agent, &place, &steps("b", "10m", abort_if));
    let rollout = agent.status().rollout.unwrap();
    assert_eq!((rollout.generation, rollout.step, rollout.steps, rollout.moved), (2, 1, 2, 1));
    assert!(rollout.held >= 2 && rollout.cohort == "cohort beta", "{rollout:?}");
    crowd.ask_all();
    assert!(crowd.open(20, &[2]).keys().eq(["b"].iter()));
    assert!(crowd.open(30, &[1, 4, 6]).keys().eq(["a"].iter()));
    assert_eq!(site.who(v4(1, 1)), "a");
    // The agent ends, and another knows whose turn it is.
    agent.signal(Signal::SIGKILL);
    assert!(!agent.wait().success());
    agent = place.start(&site.node);
    let rollout = agent.status().rollout.unwrap();
    assert_eq!((rollout.generation, rollout.step, rollout.moved), (2, 1, 1));
    assert!(crowd.open(20, &[2]).keys().eq(["b"].iter()));
    assert!(crowd.open(30, &[1, 4, 6]).keys().eq(["a"].iter()));
    crowd.ask_all();
    until("flows are seen that were answered", || {
        crowd.ask_all();
        agent.status().rollout.is_some_and(|it| it.flows >= 20 && it.failed == 0)
    });
    let metrics = agent.metrics(&site.node);
    assert!(
        metrics.get("keysteer_rollout_step", &[]) == 1.0 && metrics.get("keysteer_rollout_held", &[]) > 1.0
    );
    let shown = agent.read(&["rollout", "show"]).done();
    assert!(shown.contains("1 of 2: cohort beta"), "{shown}");
    // Another change waits for it.
    let other = place.file("other.yaml");
    fs::write(&other, steps("b, c", "10m", abort_if)).unwrap();
    agent.read(&["apply", other.to_str().unwrap()]).refuses(&["generation 2 moves its keys in steps"]);
    fs::write(place.policy(), steps("b, c", "10m", abort_if)).unwrap();
    until("the file waits", || {
        crowd.ask_all();
        agent.status().policy.trouble.is_some_and(|it| it.contains("waits"))
    });
    assert_eq!(agent.status().policy.generation, 2);
    fs::write(place.policy(), steps("b", "10m", abort_if)).unwrap();
    // An operator has seen enough; what is left goes by itself.
    let said = agent.read(&["rollout", "promote"]).done();
    assert!(said.contains("step 2 of 2 has come"), "{said}");
    assert!(crowd.open(20, &[1, 4]).keys().eq(["b"].iter()));
    assert!(crowd.open(10, &[6]).keys().eq(["a"].iter()));
    until("all have moved", || {
        crowd.ask_all();
        agent.status().rollout.is_none()
    });
    assert!(crowd.open(30, &[1, 2, 4, 6]).keys().eq(["b"].iter()));
    crowd.ask_all();
    assert_eq!(crowd.broken(), 0);
    crowd.close();
    over(&agent);
    let audit = audit(&agent, &place);
    assert!(audit.contains("rollout-step") && audit.contains("rolled-out"), "{audit}");
    agent.read(&["rollout", "promote"]).refuses(&["no change is made in steps"]);
}

#[test]
fn a_step_whose_flows_are_not_answered_is_taken_back_and_nobody_else_notices() {
    let site = Site::new(1500);
    let abort_if = "failedHandshakes: 20%";
    let place = Place::new(&steps("a", "10m", abort_if));
    let agent = place.start(&site.node);
    let mut crowd = Crowd::new(&site, false);
    crowd.open(60, &[1, 2, 4]);
    apply(&agent, &place, &steps("mute", "10m", abort_if));
    assert_eq!(agent.status().rollout.unwrap().step, 1);
    crowd.ask_all();
    crowd.open(20, &[1, 4]);
    for _ in 0..8 {
        assert!(!connects(&site, 2));
    }
    until("it is taken back", || agent.status().policy.generation == 1);
    assert!(agent.status().rollout.is_none());
    assert!(connects(&site, 2));
    assert!(crowd.open(30, &[1, 2, 4]).keys().eq(["a"].iter()));
    crowd.ask_all();
    assert_eq!(crowd.broken(), 0);
    let audit = audit(&agent, &place);
    assert!(audit.contains("step 1: failedHandshakes: "), "{audit}");
    let kept = agent.read(&["generations", "-o", "json"]).done();
    assert!(kept.contains("failedHandshakes"), "{kept}");
    // At once it is an operator's own risk; going back is as ever.
    let file = place.file("mute.yaml");
    fs::write(&file, steps("mute", "10m", abort_if)).unwrap();
    agent.read(&["apply", file.to_str().unwrap(), "--at-once"]).done();
    assert!(agent.status().rollout.is_none() && !connects(&site, 1));
    roll_back(&agent);
    assert!(connects(&site, 1));
}

#[test]
fn a_step_whose_packets_are_dropped_is_taken_back() {
    let site = Site::new(1500);
    let place = Place::new(&steps("a", "10m", "drops: 10%"));
    let agent = place.start(&site.node);
    assert_eq!(site.who(v4(2, 1)), "a");
    apply(&agent, &place, &steps("hole", "10m", "drops: 10%"));
    until("it is taken back", || {
        for _ in 0..4 {
            site.ask(Transport::Udp, v4(2, 1), 32, Duration::from_millis(20)).unwrap();
        }
        assert_eq!(site.who(v4(1, 1)), "a");
        agent.status().policy.generation == 1
    });
    assert_eq!(site.who(v4(2, 1)), "a");
    assert!(audit(&agent, &place).contains("step 1: drops: "));
}

#[test]
fn a_host_that_is_started_anew_amid_the_steps_begins_with_the_policy_before() {
    let site = Site::new(1500);
    let abort_if = "failedHandshakes: 20%";
    let place = Place::new(&steps("a", "10m", abort_if));
    let mut agent = place.start(&site.node);
    apply(&agent, &place, &steps("b", "10m", abort_if));
    assert_eq!((site.who(v4(2, 1)), site.who(v4(1, 1))), ("b".to_owned(), "a".to_owned()));
    agent.signal(Signal::SIGKILL);
    assert!(!agent.wait().success());
    place.clean_up(&site.node).done();
    let agent = place.start(&site.node);
    assert_eq!((site.who(v4(2, 1)), site.who(v4(1, 1))), ("a".to_owned(), "a".to_owned()));
    assert!(agent.status().rollout.is_none());
    let audit = audit(&agent, &place);
    assert!(audit.contains("before its steps were over"), "{audit}");
}
