//! State that is lost or damaged while packets flow: the next agent goes on without losing one of them, or a count.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keysteer::fault::Step;
use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::{THREE_SHARDS, policy};
use keysteer_tests::site::{ADDRESSES, PORT, SERVICE, Site, UP0, v4};
use nix::sys::signal::Signal;

/// The usual keys, and `hooli` (tenant 4), which operators deny.
fn hooli() -> String {
    let tail =
        THREE_SHARDS.replace("  classes:", "    - {name: hooli, match: {tenant: t4}, pool: all}\n  classes:");
    policy("", "{name: up0}", &tail)
}

/// Whose flows are watched: `acme` is spread over two shards, `globex` is on one.
const WATCHED: [u8; 2] = [1, 2];
/// Where they come from.
const FROM: u16 = 40_000;

/// What became of the watched flows.
#[derive(Debug, Default)]
struct Seen {
    /// By source: who answered it.
    shards: BTreeMap<IpAddr, String>,
    /// By tenant: how many questions were asked.
    asked: BTreeMap<u8, u64>,
    /// What went wrong, the first of it.
    wrong: Option<String>,
}

/// Asks by every watched flow, one question after the other, until it is told to stop. Every question must be answered, and
/// by whoever answered the flow before.
fn ask_until(site: &Site, stop: &AtomicBool) -> Seen {
    let asked = site.client.run(|| {
        let sources =
            WATCHED.into_iter().flat_map(|tenant| (1..=ADDRESSES).map(move |it| (tenant, v4(tenant, it))));
        let flows: Vec<(u8, IpAddr, UdpSocket)> = sources
            .map(|(tenant, source)| {
                let socket = UdpSocket::bind(SocketAddr::new(source, FROM)).unwrap();
                socket.connect(SocketAddr::new(SERVICE[0], PORT)).unwrap();
                socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                (tenant, source, socket)
            })
            .collect();
        let mut seen = Seen::default();
        while !stop.load(Ordering::Relaxed) && seen.wrong.is_none() {
            for (tenant, source, socket) in &flows {
                *seen.asked.entry(*tenant).or_default() += 1;
                let mut answer = [0; 64];
                let answered = socket.send(b"?").and_then(|_| socket.recv(&mut answer));
                let who = match answered {
                    Ok(length) => String::from_utf8_lossy(&answer[..length]).trim().to_owned(),
                    Err(error) => {
                        seen.wrong = Some(format!("{source} got no answer: {error}"));
                        break;
                    }
                };
                let before = seen.shards.entry(*source).or_insert_with(|| who.clone());
                if *before != who {
                    seen.wrong = Some(format!("{source} was answered by {before}, and then by {who}"));
                }
            }
        }
        seen
    });
    asked.unwrap()
}

/// Runs `story` while the watched flows ask.
fn while_packets_flow(site: &Site, story: impl FnOnce()) -> Seen {
    /// Stops the asking also where the story fails.
    struct Stop<'s>(&'s AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask_until(site, &stop));
        {
            let _stop = Stop(&stop);
            story();
        }
        asking.join().unwrap()
    })
}

/// The files of a state directory that mean something.
fn files(state: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in ["", "key-ids", "generations"] {
        for entry in fs::read_dir(state.join(name)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_string_lossy().into_owned();
            if path.is_file() && !name.ends_with("/lock") && !name.contains(".damaged-") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Every key's and shard's number, by name.
fn numbers(agent: &Agent) -> Vec<(String, u32)> {
    let keys = agent.keys().into_iter().map(|key| (key.name, key.id));
    keys.chain(agent.shards().into_iter().map(|shard| (shard.name, shard.index.into()))).collect()
}

/// Kills the agent, damages its state, and starts the next.
fn next(site: &Site, place: &Place, agent: &mut Agent, damage: impl FnOnce()) -> Agent {
    agent.signal(Signal::SIGKILL);
    agent.wait();
    damage();
    place.start_as(place.lasting(&site.node))
}

#[test]
fn every_file_in_turn_while_packets_flow() {
    let site = Site::new(1500);
    let place = Place::new(&hooli());
    let mut agent = place.start_as(place.lasting(&site.node));
    agent.read(&["key", "deny", "hooli", "--reason", "abuse"]).done();
    agent.read(&["shard", "disable", "c"]).done();
    assert_eq!(site.try_who(v4(4, 1)), None);
    let (before, first) = (numbers(&agent), agent.status());
    let mut generation = 0;
    let seen = while_packets_flow(&site, || {
        let names: Vec<PathBuf> = files(&place.state())
            .iter()
            .map(|path| path.strip_prefix(place.state()).unwrap().to_owned())
            .collect();
        assert_eq!(names.len(), 11, "{names:?}");
        for name in &names {
            for flips in [true, false] {
                // What a repair before it made may be called otherwise: bundles and placements have the number of their generation.
                let path = match name.extension() {
                    Some(kind) if kind == "bundle" || kind == "placement" => {
                        let same = |path: &PathBuf| path.extension().is_some_and(|it| it == kind);
                        files(&place.state()).into_iter().find(same).unwrap()
                    }
                    _ => place.state().join(name),
                };
                agent = next(&site, &place, &mut agent, || {
                    let mut bytes = fs::read(&path).unwrap();
                    fs::remove_file(&path).unwrap();
                    if flips {
                        // Near the end, where the log's last entry is, but in the part of the secrets that flows go by.
                        let at = if name.ends_with("secrets") { 3 } else { bytes.len() - 5 };
                        bytes[at] ^= 0x01;
                        fs::write(&path, bytes).unwrap();
                    }
                });
                let what = format!("{} {}", name.display(), if flips { "changed" } else { "deleted" });
                assert_eq!(numbers(&agent), before, "{what}: {}", agent.log());
                // Which file was taken up last is forgotten without harm.
                // So are tables that are the policy's own.
                let own = name.extension().is_some_and(|kind| kind == "placement");
                let silent = own || name.ends_with("followed") || name.ends_with("key-ids.json") && !flips;
                assert!(silent || agent.log().contains("warning: "), "{what}: {}", agent.log());
                assert!(agent.status().policy.generation >= generation, "{what}");
                generation = agent.status().policy.generation;
                assert_eq!(site.try_who(v4(4, 1)), None, "{what}: what was denied stays denied");
                agent.read_state(&["audit", "verify"], &place).done();
                let words = agent.read(&["status"]).done();
                assert!(words.contains("1 key denied, 1 shard disabled"), "{what}: {words}");
            }
        }
        agent = next(&site, &place, &mut agent, || fs::remove_dir_all(place.state()).unwrap());
        assert_eq!(numbers(&agent), before, "everything: {}", agent.log());
        agent.read(&["rollback"]).refuses(&["there is no generation to go back to"]);
    });
    assert_eq!(seen.wrong, None);
    assert!(seen.shards.values().all(|who| who != "node" && who != "c"), "{seen:?}");
    for (key, tenant) in [("acme", 1), ("globex", 2)] {
        assert_eq!(agent.key(key).packets, seen.asked[&tenant], "{key}: every packet is counted, once");
    }
    let status = agent.status();
    assert!(status.balanced && status.received.packets > first.received.packets);
    assert_eq!(site.try_who(v4(4, 1)), None);
    agent.read(&["key", "clear", "hooli"]).done();
    assert!(site.try_who(v4(4, 1)).is_some());
}

#[test]
fn a_rebuild_that_is_killed_anywhere_is_done_by_the_next_agent() {
    let site = Site::new(1500);
    let place = Place::new(&hooli());
    let mut agent = place.start_as(place.lasting(&site.node));
    agent.read(&["key", "deny", "hooli"]).done();
    let before = numbers(&agent);
    let mut reached = Vec::new();
    let seen = while_packets_flow(&site, || {
        for step in Step::ALL {
            agent.signal(Signal::SIGKILL);
            agent.wait();
            fs::remove_dir_all(place.state()).unwrap();
            let mut command = place.lasting(&site.node);
            command.env("KEYSTEER_FAULT", step.name());
            if let Some(mut survivor) = place.try_start_as(command) {
                survivor.signal(Signal::SIGKILL);
                survivor.wait();
            } else {
                reached.push(*step);
            }
            agent = place.start_as(place.lasting(&site.node));
            assert_eq!(numbers(&agent), before, "{step}: {}", agent.log());
            assert_eq!(site.try_who(v4(4, 1)), None, "{step}");
            agent.read_state(&["audit", "verify"], &place).done();
        }
    });
    assert_eq!(seen.wrong, None);
    assert_eq!(agent.key("acme").packets, seen.asked[&1]);
    for step in [
        Step::AfterIdsSaved,
        Step::AfterOverlaySaved,
        Step::BeforeAuditAppended,
        Step::AfterPreparedRecorded,
        Step::Loaded,
        Step::Pinned,
        Step::Intent,
        Step::LinkUpdated,
        Step::AfterLiveRecorded,
        Step::Settled,
        Step::WordsWritten,
    ] {
        assert!(reached.contains(&step), "{step} was not reached: {reached:?}");
    }
}

#[test]
fn without_a_policy_to_read_the_pins_by_nothing_is_touched() {
    let site = Site::new(1500);
    let place = Place::new(&hooli());
    let mut agent = place.start_as(place.lasting(&site.node));
    let program = agent.status().program.id;
    let who = site.who(v4(2, 1));
    agent.signal(Signal::SIGKILL);
    agent.wait();
    fs::remove_dir_all(place.state()).unwrap();
    for text in [
        "spec: [".to_owned(),
        hooli().replace("from: ip.src, table: tenants", "from: ip.dst, table: tenants"),
    ] {
        fs::write(place.policy(), text).unwrap();
        place.refused(&site.node).refuses(&["generation 1 steers on", "the policy in force", "--cleanup"]);
        assert_eq!((site.attached(UP0), site.who(v4(2, 1))), (Some(program), who.clone()));
        assert_eq!(files_of(&place), ["lock"]);
    }
    fs::write(place.policy(), hooli()).unwrap();
    let agent = place.start(&site.node);
    assert_eq!((agent.status().policy.generation, site.who(v4(2, 1))), (2, who));
}

/// Names in the state directory.
fn files_of(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.state()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
