//! Clients that are not alone, or go away.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use keysteer::control::types::GenerationStatus;
use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::binary::{self, Said};
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::{THREE_SHARDS, policy};
use keysteer_tests::site::{Site, v4};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::changes::{apply, globex_on, until};

/// `acme` and `globex` both on shard `shard` alone, in a policy of that name.
fn both_on(shard: &str) -> String {
    let tail = THREE_SHARDS
        .replace("shards: [a, b, c]}", &format!("shards: [{shard}]}}"))
        .replace("pool: all, width: 2", "pool: all");
    policy("", "{name: up0}", &tail).replace("{name: test}", &format!("{{name: on-{shard}}}"))
}

fn generations(agent: &Agent) -> Vec<GenerationStatus> {
    serde_json::from_str(&agent.read(&["generations", "-o", "json"]).done()).unwrap()
}

#[test]
fn of_two_that_race_one_is_told_or_both_succeed_in_order() {
    let site = Site::new(1500);
    let place = Place::new(&both_on("a"));
    let agent = place.start(&site.node);
    let files = ["b", "c"].map(|shard| {
        let file = place.file(&format!("{shard}.yaml"));
        fs::write(&file, both_on(shard)).unwrap();
        file
    });
    let (mut done, mut told) = (0, 0);
    for round in 0..8 {
        let before = generations(&agent)[0].number;
        let started = files.each_ref().map(|file| {
            let mut command = binary::command(&["apply", "-o", "json"]);
            command.arg(file).arg("--socket").arg(place.socket());
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        });
        let said: Vec<Said> = started.into_iter().map(|it| it.wait_with_output().unwrap().into()).collect();
        for said in &said {
            match said.code {
                Some(0) => done += 1,
                _ => {
                    said.refuses(&["another change is being made"]);
                    told += 1;
                }
            }
        }
        // What is in force is one of them as a whole: the one that succeeded last.
        let (status, list) = (agent.status(), generations(&agent));
        let live = list.iter().find(|it| it.status == "live").unwrap();
        assert_eq!((status.policy.generation, &status.policy.name), (live.number, &live.policy));
        let made: Vec<_> = list.iter().filter(|it| it.number > before).collect();
        let changed = said.iter().filter(|said| said.out.contains("\"changed\": true")).count();
        assert_eq!(made.len(), changed, "round {round}: {said:?} {list:?}");
        assert!(made.iter().all(|it| it.status != "failed"), "{list:?}");
        let shard = live.policy.strip_prefix("on-").unwrap();
        assert_eq!([site.who(v4(1, 1)), site.who(v4(2, 1))], [shard, shard], "round {round}");
    }
    assert!(done >= 8, "{done} done, {told} told");
    agent.read_state(&["audit", "verify"], &place).done();
}

/// A rollback that names what it goes back from is not surprised by a change in between.
#[test]
fn whoever_says_what_they_go_back_from_is_told_of_a_change_in_between() {
    let site = Site::new(1500);
    let place = Place::new(&globex_on("a"));
    let agent = place.start(&site.node);
    assert_eq!(apply(&agent, &place, &globex_on("b")), 2);
    assert_eq!(apply(&agent, &place, &globex_on("c")), 3);
    agent.read(&["rollback", "--from", "2"]).refuses(&["generation 3 is in force, not 2"]);
    assert_eq!(site.who(v4(2, 1)), "c");
}

#[test]
fn a_client_that_goes_away_leaves_the_old_or_the_new() {
    let site = Site::new(1500);
    let place = Place::new(&both_on("a"));
    let agent = place.start(&site.node);
    let begun = Instant::now();
    assert_eq!(apply(&agent, &place, &both_on("b")), 2);
    let whole = begun.elapsed();
    let mut live = "b".to_owned();
    for part in 0..12_u32 {
        let shard = if live == "b" { "c" } else { "b" };
        fs::write(place.file("new.yaml"), both_on(shard)).unwrap();
        let mut command = binary::command(&["apply"]);
        command.arg(place.file("new.yaml")).arg("--socket").arg(place.socket());
        let mut client = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * part / 10);
        // It may have ended by itself already.
        let _ = kill(Pid::from_raw(client.id().cast_signed()), Signal::SIGINT);
        let finished = client.wait().unwrap().success();
        // The agent may still be at it, and makes no plan before it is through.
        until("the agent is through", || {
            agent.read(&["plan", place.file("new.yaml").to_str().unwrap()]).code == Some(0)
        });
        let list = generations(&agent);
        assert!(list.iter().all(|it| it.status != "prepared"), "{list:?}");
        assert_eq!(agent.status().policy.generation, live_of(&list));
        let now = agent.status().policy.name.strip_prefix("on-").unwrap().to_owned();
        assert!(now == shard || (!finished && now == live), "{finished}: {now} instead of {shard}");
        assert_eq!([site.who(v4(1, 1)), site.who(v4(2, 1))], [now.clone(), now.clone()]);
        live = now;
    }
    // Whoever comes next has the way free.
    until("a change can be made", || {
        std::thread::sleep(Duration::from_millis(10));
        fs::write(place.file("new.yaml"), both_on("a")).unwrap();
        agent.read(&["apply", place.file("new.yaml").to_str().unwrap()]).code == Some(0)
    });
    assert_eq!(site.who(v4(1, 1)), "a");
    agent.read_state(&["audit", "verify"], &place).done();
}

fn live_of(list: &[GenerationStatus]) -> u64 {
    list.iter().find(|it| it.status == "live").map_or(0, |it| it.number)
}
