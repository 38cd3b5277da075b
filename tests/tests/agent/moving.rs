//! Keys that move while connections are open: none breaks, and new ones open where they belong. Real TCP connections, under a flood of
//! forged SYNs.

mod crowd;
mod flood;
mod lru;
mod steps;

use std::fs;
use std::time::Duration;

use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::policy;
use keysteer_tests::site::{Site, v4, v6};
use nix::sys::signal::Signal;

use super::changes::{apply, until};
use super::health::{all_up, life, state};
use crowd::Crowd;
use flood::Flood;
use lru::Lru;

/// How long flows may be silent in these tests.
const IDLE: Duration = Duration::from_secs(4);

/// Forged SYNs a second, and from one change to the next.
const FLOOD: u32 = 5_000;
const BETWEEN: u32 = 5_000;

/// A policy whose tenant 1 is spread over the pool, tenant 2 on one shard, tenant 4 on two.
struct Wanted {
    /// Shards of the pool, with their weights.
    shards: &'static str,
    /// What is said of keys.
    keys: &'static str,
    /// What is said of migrations.
    migration: &'static str,
    /// What is said of the pool besides.
    pool: &'static str,
}

const SPREAD: &str = "{name: acme, match: {tenant: t1}, pool: all, width: all}
    - {name: globex, match: {tenant: t2}, pool: all}
    - {name: umbrella, match: {tenant: t4}, pool: all, width: 2}";

/// The same for pools of one shard.
const NARROW: &str = "{name: acme, match: {tenant: t1}, pool: all, width: all}
    - {name: globex, match: {tenant: t2}, pool: all}
    - {name: umbrella, match: {tenant: t4}, pool: all}";

impl Wanted {
    const USUAL: Self = Self {
        shards: "a, b, c",
        keys: SPREAD,
        migration: "{idle: 4s, deadline: 10m, pins: 65536}",
        pool: "",
    };

    fn text(&self) -> String {
        let Self { shards, keys, migration, pool } = self;
        let tail = format!(
            r#"
  migration: {migration}
  shards:
    - {{name: a, target: {{interface: {{name: to-a, mac: "02:00:00:00:00:0a"}}}}}}
    - {{name: b, target: {{interface: {{name: to-b, mac: "02:00:00:00:00:0b"}}}}}}
    - {{name: c, target: {{interface: {{name: to-c, mac: "02:00:00:00:00:0c"}}}}}}
  pools: [{{name: all, shards: [{shards}]{pool}}}, {{name: own, shards: [c]}}]
  keys:
    - {keys}
  classes: {{missing: {{pool: all}}, unregistered: {{pool: all}}}}
"#
        );
        policy("", "{name: up0}", &tail)
    }
}

/// Rolls back.
fn roll_back(agent: &Agent) {
    agent.read(&["rollback"]).done();
}

fn audit(agent: &Agent, place: &Place) -> String {
    agent.read_state(&["audit"], place).done()
}

/// Waits until nothing moves.
fn over(agent: &Agent) {
    until("the migration is over", || agent.status().migration.is_none());
}

/// Two drains, one of them while the other still runs, a shard that comes back, other weights, all under a flood: no connection breaks.
fn drains_and_returns(pins: &'static str, ipv6: bool, connections: usize) {
    let site = Site::new(1500);
    let wanted = Wanted { migration: pins, keys: NARROW, ..Wanted::USUAL };
    let place = Place::new(&wanted.text());
    let agent = place.start(&site.node);
    let mut crowd = Crowd::new(&site, ipv6);
    crowd.open(connections, &[1, 2, 4, 6]);
    let before = crowd.hosts();
    assert!(before.keys().eq(["a", "b", "c"].iter()), "{before:?}");
    let flood = Flood::start(&site.client, FLOOD);
    flood.more(BETWEEN);
    // Shard a is drained: its connections stay, new ones go elsewhere.
    apply(&agent, &place, &Wanted { shards: "b, c", ..wanted }.text());
    crowd.ask_all();
    let opened = crowd.open(connections / 4, &[1, 2, 4, 6]);
    let status = agent.status().migration.unwrap();
    assert!(status.moving > 0 && status.generation == 2, "{status:?}");
    let room = pins.contains("65536");
    assert!(!room || !opened.contains_key("a"), "{opened:?}");
    crowd.ask_all();
    flood.more(BETWEEN);
    crowd.ask_all();
    // Shard b too, while that still runs.
    apply(&agent, &place, &Wanted { shards: "c", ..wanted }.text());
    crowd.ask_all();
    let opened = crowd.open(connections / 4, &[1, 2, 4, 6]);
    assert!(!room || opened.keys().eq(["c"].iter()), "{opened:?}");
    crowd.ask_all();
    flood.more(BETWEEN);
    crowd.ask_all();
    // Shard a comes back, and b with less than before.
    apply(&agent, &place, &Wanted { shards: "a, c", ..wanted }.text());
    crowd.ask_all();
    crowd.open(connections / 4, &[1, 2, 4, 6]);
    apply(&agent, &place, &wanted.text());
    crowd.ask_all();
    roll_back(&agent);
    crowd.ask_all();
    roll_back(&agent);
    crowd.ask_all();
    until("flows that are left are seen", || agent.status().migration.is_some_and(|it| it.left.packets > 0));
    let status = agent.status().migration.unwrap();
    assert!(status.seconds_at_most > 0 && !status.keys.is_empty(), "{status:?}");
    let flooded = flood.stop();
    println!("{} connections, {flooded} forged SYNs, {} broken; {status:?}", crowd.len(), crowd.broken());
    assert_eq!(crowd.broken(), 0);
    // Once all that is elsewhere has ended, so does the migration.
    crowd.close();
    over(&agent);
    let mut crowd = Crowd::new(&site, ipv6);
    crowd.open(connections / 4, &[1, 2, 4]);
    crowd.ask_all();
    assert_eq!(crowd.broken(), 0);
    assert!(audit(&agent, &place).contains("migrated"), "{}", audit(&agent, &place));
}

#[test]
fn shards_that_are_drained_and_come_back_break_no_connection() {
    drains_and_returns(Wanted::USUAL.migration, false, 1_200);
}

#[test]
fn nor_do_they_over_ipv6() {
    drains_and_returns(Wanted::USUAL.migration, true, 400);
}

#[test]
fn nor_where_there_is_hardly_room_to_remember_flows() {
    drains_and_returns("{idle: 4s, deadline: 10m, pins: 2048}", false, 800);
}

/// What a table of connections does with the same drains under the same flood: why there is none.
#[test]
fn a_table_of_connections_breaks_them() {
    let mut broken = Vec::new();
    for room in [2_048, 8_192] {
        let site = Site::new(1500);
        let mut lru = Lru::attach(&site, room);
        lru.place(&[0, 1, 2]);
        let mut crowd = Crowd::new(&site, false);
        crowd.open(800, &[1, 2, 4, 6]);
        let flood = Flood::start(&site.client, FLOOD);
        let drains: [&[u32]; 3] = [&[1, 2], &[2], &[0, 2]];
        for shards in drains {
            flood.more(BETWEEN);
            lru.place(shards);
            crowd.ask_all();
            crowd.open(200, &[1, 2, 4, 6]);
            crowd.ask_all();
        }
        let flooded = flood.stop();
        println!(
            "room for {room}: {} connections, {flooded} forged SYNs, {} broken",
            crowd.len(),
            crowd.broken()
        );
        broken.push(crowd.broken());
    }
    assert!(broken[0] > 20, "{broken:?}");
}

#[test]
fn verbs_show_their_plan_and_drain_without_a_loss() {
    let site = Site::new(1500);
    let wanted = Wanted { keys: NARROW, ..Wanted::USUAL };
    let place = Place::new(&wanted.text());
    let agent = place.start(&site.node);
    let mut crowd = Crowd::new(&site, false);
    crowd.open(120, &[1, 2, 4]);
    let plan = agent.read(&["shard", "drain", "a", "--dry-run"]).done();
    assert!(plan.contains("Keys that move"), "{plan}");
    assert_eq!(agent.status().policy.generation, 1);
    agent.read(&["shard", "drain", "aa"]).refuses(&["there is no shard aa", "did you mean a?"]);
    let said = agent.read(&["shard", "drain", "a"]);
    assert!(said.err.contains("generation 2 is in force"), "{said:?}");
    crowd.ask_all();
    assert!(!crowd.open(60, &[1, 2, 4]).contains_key("a"));
    let status = agent.read(&["status"]).done();
    assert!(status.contains("keys move, about") && status.contains("at the latest"), "{status}");
    // Another policy inherits the drain, and a new agent too.
    apply(&agent, &place, &Wanted { keys: SPREAD, ..wanted }.text());
    assert!(!crowd.open(60, &[1, 2, 4]).contains_key("a"));
    // Other verbs.
    agent.read(&["shard", "weight", "b", "3"]).done();
    agent.read(&["shard", "undrain", "a"]).done();
    assert!(crowd.open(90, &[1, 2, 4]).contains_key("a"));
    let shown = agent.read(&["pool", "show", "all"]).done();
    assert!(shown.contains('3'), "{shown}");
    agent.read(&["pool", "rebalance", "al"]).refuses(&["there is no pool al in force; did you mean all?"]);
    agent.read(&["pool", "rebalance", "all"]).done();
    crowd.ask_all();
    assert_eq!(crowd.broken(), 0);
    // Without waiting for its flows: they are lost with it.
    let with_b = crowd.hosts()["b"];
    agent.read(&["shard", "remove", "b"]).done();
    crowd.ask_all();
    assert_eq!(crowd.broken(), with_b);
    agent.read(&["shard", "drain", "c"]).refuses(&["pool own would have no shard left"]);
    crowd.close();
    let waited = agent.read(&["shard", "undrain", "b", "--wait"]);
    assert!(waited.err.contains("nothing moves any more"), "{waited:?}");
    let audit = audit(&agent, &place);
    for action in
        ["shard-drain", "shard-weight", "shard-undrain", "pool-rebalance", "shard-remove", "migrated"]
    {
        assert!(audit.contains(action), "{action}: {audit}");
    }
}

#[test]
fn keys_that_change_their_pool_or_width_keep_their_connections() {
    let site = Site::new(1500);
    let place = Place::new(&Wanted::USUAL.text());
    let mut agent = place.start(&site.node);
    let mut crowd = Crowd::new(&site, false);
    crowd.open(300, &[1, 2, 4]);
    for keys in [
        // Another pool; another width; a set of its own.
        SPREAD.replace("t1}, pool: all, width: all", "t1}, pool: own"),
        SPREAD
            .replace("t4}, pool: all, width: 2", "t4}, pool: all, width: all")
            .replace("t1}, pool: all, width: all", "t1}, pool: all"),
        SPREAD
            .replace("t2}, pool: all", "t2}, pool: all, shards: [a, b]")
            .replace("width: all", "shards: [c]"),
    ] {
        let text = Wanted { keys: Box::leak(keys.into_boxed_str()), ..Wanted::USUAL }.text();
        apply(&agent, &place, &text);
        crowd.ask_all();
        crowd.open(100, &[1, 2, 4]);
        crowd.ask_all();
        // The agent ends and another goes on.
        agent.signal(Signal::SIGKILL);
        assert!(!agent.wait().success());
        agent = place.start(&site.node);
        crowd.ask_all();
        assert!(agent.status().migration.is_some());
        roll_back(&agent);
        crowd.ask_all();
        crowd.open(100, &[1, 2, 4]);
        crowd.ask_all();
        assert_eq!(crowd.broken(), 0);
    }
}

#[test]
fn forged_syns_on_the_tuples_of_live_connections_capture_none() {
    let site = Site::new(1500);
    let place = Place::new(&Wanted::USUAL.text());
    let agent = place.start(&site.node);
    let mut crowd = Crowd::new(&site, false);
    crowd.open(300, &[1, 2, 4]);
    apply(&agent, &place, &Wanted { shards: "b, c", ..Wanted::USUAL }.text());
    crowd.open(100, &[1, 2, 4]);
    for _ in 0..3 {
        let forged = Flood::forge(&site.client, &crowd.tuples());
        assert_eq!(forged, crowd.len());
        crowd.ask_all();
    }
    assert_eq!(crowd.broken(), 0);
}

#[test]
fn datagrams_that_are_held_stay_until_they_are_quiet() {
    let site = Site::new(1500);
    let only = |shards| Wanted { shards, keys: NARROW, pool: ", udp: hold", ..Wanted::USUAL }.text();
    let place = Place::new(&only("a"));
    let agent = place.start(&site.node);
    for source in [v4(2, 1), v6(2, 1)] {
        assert_eq!(site.who(source), "a");
    }
    apply(&agent, &place, &only("b"));
    for _ in 0..6 {
        std::thread::sleep(IDLE / 5);
        assert_eq!((site.who(v4(2, 1)), site.who(v6(2, 1))), ("a".to_owned(), "a".to_owned()));
    }
    over(&agent);
    assert_eq!(site.who(v4(2, 1)), "b");
    // Without that they flip.
    fs::write(place.policy(), only("b").replace("udp: hold", "udp: flip")).unwrap();
    until("the file is in force", || agent.status().policy.generation == 3);
    apply(&agent, &place, &only("a").replace("udp: hold", "udp: flip"));
    assert_eq!(site.who(v4(2, 1)), "a");
}

#[test]
fn at_the_deadline_what_is_left_is_cut_off_and_counted() {
    let site = Site::new(1500);
    let wanted = Wanted { migration: "{idle: 4s, deadline: 5s, pins: 1024}", keys: NARROW, ..Wanted::USUAL };
    let place = Place::new(&Wanted { shards: "a", ..wanted }.text());
    let agent = place.start(&site.node);
    let mut crowd = Crowd::new(&site, false);
    crowd.open(40, &[2]);
    apply(&agent, &place, &Wanted { shards: "b", ..wanted }.text());
    while agent.status().migration.is_some() {
        crowd.ask_all();
        std::thread::sleep(Duration::from_millis(300));
    }
    crowd.ask_all();
    assert_eq!(crowd.broken(), 40);
    let audit = audit(&agent, &place);
    let about: u64 =
        (30..=50).filter(|cut| audit.contains(&format!("about {cut} flows were cut off"))).count() as u64;
    assert_eq!(about, 1, "{audit}");
}

#[test]
fn a_shard_that_comes_back_takes_no_connection_from_others() {
    let site = Site::new(1500);
    let mut alive: Vec<_> = site.shards.iter().map(|host| Some(life(host))).collect();
    let health = "\n  health: {probe: {tcp: {port: 8080}}, interval: 200ms, timeout: 90ms, rise: 2, fall: 2, damping: off, slowStart: 2s}\n";
    let place = Place::new(&format!("{}{health}", Wanted::USUAL.text()));
    let agent = place.start(&site.node);
    all_up(&agent, &site);
    let mut crowd = Crowd::new(&site, false);
    crowd.open(200, &[1, 2, 4]);
    let with_a = crowd.hosts()["a"];
    alive[0] = None;
    until("shard a is down", || state(&agent, "a") == "down");
    // Its own connections are lost, and nobody else's.
    crowd.ask_all();
    assert_eq!(crowd.broken(), with_a);
    let opened = crowd.open(200, &[1, 2, 4]);
    assert!(!opened.contains_key("a"), "{opened:?}");
    // Time for the program to be there that leaves flows where they are.
    std::thread::sleep(Duration::from_secs(2));
    alive[0] = Some(life(&site.shards[0]));
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(500));
        crowd.ask_all();
        crowd.open(20, &[1, 2, 4]);
    }
    until("shard a is up", || state(&agent, "a") == "up");
    let opened = crowd.open(100, &[1, 2, 4]);
    assert!(opened.contains_key("a"), "{opened:?}");
    crowd.ask_all();
    assert_eq!(crowd.broken(), with_a);
    // Once those have ended it is a shard like any.
    crowd.close();
    until("the steady program is back", || {
        agent.status().maps.iter().all(|map| map.name != "MOVING" || map.entries <= 1)
    });
}
