//! Shards that die and come back, asked over the road that packets take.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::{Duration, Instant};

use keysteer::control::types::Status;
use keysteer::world::{Echo, Transport};
use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::{THREE_SHARDS, policy};
use keysteer_tests::site::{ETH0, Host, PATIENCE, SERVICE, Site, link_addresses, v4};
use nix::sys::signal::Signal;

use super::changes::{apply, until};
use super::{addresses, answers, shards};

/// The port at which shards say whether they live; no packet of the service's.
const LIFE: u16 = 8080;
/// From one question to the next.
const INTERVAL: Duration = Duration::from_millis(200);
/// How many without an answer take a shard out.
const FALL: u32 = 2;
/// What a busy machine may add to a reaction: what it adds in truth is printed, and measured by the bench.
const BUSY: Duration = Duration::from_millis(250);

/// A policy in a mode, with health: shards are asked by `probe`, often.
fn asking(mode: &str, probe: &str, more: &str) -> String {
    let health = format!(
        "health: {{probe: {probe}, interval: 200ms, timeout: 90ms, rise: 2, fall: {FALL}, damping: off{more}}}"
    );
    policy("", &format!("{{name: up0, mode: {mode}}}"), &format!("{THREE_SHARDS}\n  {health}\n"))
}

/// [`asking`] by a TCP connection.
fn by_tcp(mode: &str) -> String {
    asking(mode, &format!("{{tcp: {{port: {LIFE}}}}}"), "")
}

/// A sign of life of a shard, until it is dropped.
pub(super) fn life(host: &Host) -> Echo {
    Echo::start(&host.namespace, host.name, &SERVICE, LIFE).unwrap()
}

fn host<'s>(site: &'s Site, name: &str) -> &'s Host {
    site.shards.iter().find(|host| host.name == name).unwrap()
}

/// How a shard is.
pub(super) fn state(agent: &Agent, name: &str) -> String {
    let shard = agent.shards().into_iter().find(|shard| shard.name == name).unwrap();
    shard.health.map_or_else(|| "unknown".to_owned(), |health| health.state)
}

fn is_up(status: &Status, up: usize) -> bool {
    status.health.as_ref().is_some_and(|health| health.up == up)
}

/// Waits until all shards were asked and answered.
pub(super) fn all_up(agent: &Agent, site: &Site) {
    until("all shards are asked and up", || {
        if !is_up(&agent.status(), 3) {
            return false;
        }
        let metrics = agent.metrics(&site.node);
        let answered =
            |shard| metrics.get("keysteer_health_probes_total", &[("shard", shard), ("result", "answered")]);
        ["a", "b", "c"].into_iter().all(|shard| answered(shard) >= 2.0)
    });
}

/// Who answers a tenant's first address by UDP.
fn who(site: &Site, tenant: u8) -> Option<String> {
    site.ask(Transport::Udp, v4(tenant, 1), 32, Duration::from_millis(100)).unwrap().answer
}

/// How long it takes until somebody else than `name` answers a tenant.
fn until_elsewhere(site: &Site, tenant: u8, name: &str) -> Duration {
    let begun = Instant::now();
    loop {
        if who(site, tenant).is_some_and(|answer| answer != name) {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody but {name} answers");
    }
}

#[test]
fn a_dead_shard_is_left_in_time_and_used_again_when_it_is_back() {
    for mode in ["native", "tc"] {
        let site = Site::new(1500);
        let mut alive: Vec<Option<Echo>> = site.shards.iter().map(|host| Some(life(host))).collect();
        let place = Place::new(&by_tcp(mode));
        let agent = place.start(&site.node);
        all_up(&agent, &site);
        let [globex] = shards(&agent, "globex").into_iter().collect::<Vec<_>>().try_into().unwrap();
        let acme = shards(&agent, "acme");
        assert_eq!(answers(&site, 1, 32), acme);

        // Width 1: the next in the key's own order, which is one and the same for all of its flows.
        let at = site.shards.iter().position(|host| host.name == globex).unwrap();
        let dies = Instant::now();
        alive[at] = None;
        until_elsewhere(&site, 2, &globex);
        let took = dies.elapsed();
        println!(
            "{mode}: shard {globex} refuses, and packets go elsewhere after {took:?} (interval x fall: {:?})",
            INTERVAL * FALL
        );
        assert!(took <= INTERVAL * FALL + BUSY, "{mode}: {took:?}");
        let other = answers(&site, 2, 32);
        assert!(other.len() == 1 && !other.contains(&globex), "{mode}: {other:?}");
        // Width 2: within the row, while one lives there.
        let row: std::collections::BTreeSet<_> =
            acme.iter().filter(|name| **name != globex).cloned().collect();
        assert_eq!(answers(&site, 1, 32), row, "{mode}");
        until("it is shown", || state(&agent, &globex) == "down");
        let shown = agent.read(&["shard", "list"]).done();
        assert!(shown.contains("HEALTH") && shown.contains("down since 20"), "{shown}");
        let status = agent.read(&["status"]).done();
        assert!(
            status.contains("2 of 3 shards that are asked answer") && status.contains("connection refused"),
            "{status}"
        );
        let metrics = agent.metrics(&site.node);
        assert_eq!(metrics.get("keysteer_shard_health", &[("shard", &globex)]), 0.0);
        assert_eq!(
            metrics.get("keysteer_health_transitions_total", &[("shard", &globex), ("to", "down")]),
            1.0
        );
        let log = agent.log();
        assert!(log.contains("a shard does not answer"), "{log}");
        let micros =
            log.split("micros=").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        println!("{mode}: the kernel had it {micros:?} us after the last failure");
        assert!(micros.is_some_and(|micros| micros <= 10_000), "{log}");
        assert_eq!(agent.status().words, [], "operators said nothing");

        // Back after `rise` answers.
        alive[at] = Some(life(host(&site, &globex)));
        until("it is back", || state(&agent, &globex) == "up");
        assert_eq!(answers(&site, 2, 32), [globex.clone()].into(), "{mode}");
        assert_eq!(answers(&site, 1, 32), acme, "{mode}");
        // Probes are in nobody's counters.
        assert!(agent.status().balanced, "{mode}");
        drop(alive);
    }
}

#[test]
fn one_that_is_silent_is_left_in_time() {
    let site = Site::new(1500);
    let _alive: Vec<Echo> = site.shards.iter().map(life).collect();
    let place = Place::new(&by_tcp("native"));
    let agent = place.start(&site.node);
    all_up(&agent, &site);
    let name = site.who(v4(2, 1));
    let dies = Instant::now();
    host(&site, &name).namespace.down(ETH0).unwrap();
    // Questions are put one after the other, of which some are lost.
    until_elsewhere(&site, 2, &name);
    let took = dies.elapsed();
    println!(
        "shard {name} is silent, and packets go elsewhere after {took:?} (interval x fall: {:?})",
        INTERVAL * FALL
    );
    assert!(took <= INTERVAL * FALL + BUSY, "{took:?}");
    until("it is shown", || agent.read(&["status"]).done().contains("no answer in time"));
}

#[test]
fn when_all_are_silent_the_network_is_doubted_and_nothing_is_taken_out() {
    let site = Site::new(1500);
    let mut alive: Vec<Echo> = site.shards.iter().map(life).collect();
    let place = Place::new(&by_tcp("native"));
    let agent = place.start(&site.node);
    all_up(&agent, &site);
    let [acme, globex] = ["acme", "globex"].map(|key| shards(&agent, key));
    alive.clear();
    until("the pool is doubted", || agent.status().health.is_some_and(|health| health.up == 0));
    assert_eq!(agent.status().health.unwrap().doubted, ["all"]);
    assert_eq!((answers(&site, 1, 32), answers(&site, 2, 32)), (acme.clone(), globex.clone()));
    assert_eq!(state(&agent, "a"), "doubted");
    assert!(agent.read(&["status"]).done().contains("the network is doubted"));
    assert_eq!(agent.metrics(&site.node).get("keysteer_pool_doubted", &[("pool", "all")]), 1.0);
    // Two of three are enough to trust it again: the third is out.
    let dead = globex.first().unwrap().clone();
    alive.extend(site.shards.iter().filter(|host| host.name != dead).map(life));
    until("the pool is trusted", || state(&agent, &dead) == "down");
    let other = answers(&site, 2, 32);
    assert!(!other.contains(&dead), "{other:?}");
}

#[test]
fn health_and_operators_both_hold_and_a_restart_keeps_the_dead_out() {
    let site = Site::new(1500);
    let mut alive: Vec<Option<Echo>> = site.shards.iter().map(|host| Some(life(host))).collect();
    let text = by_tcp("native").replace("damping: off", "damping: off, floor: 0%");
    let place = Place::new(&text);
    let mut agent = place.start_as(place.lasting(&site.node));
    all_up(&agent, &site);
    alive[0] = None;
    until("a is down", || state(&agent, "a") == "down");
    agent.read(&["shard", "disable", "b"]).done();
    assert_eq!(answers(&site, 2, 32), ["c".to_owned()].into());
    // A key of width 2 does not leave its row: the one that is only thought dead is asked, not the one that is disabled.
    let row = shards(&agent, "acme");
    let left = ["c", "a"].into_iter().find(|name| row.contains(*name)).unwrap();
    assert_eq!(answers(&site, 1, 32), [left.to_owned()].into());
    assert!(agent.read(&["shard", "list"]).done().contains("disabled, up"));
    // Without an agent, and with the next one.
    agent.signal(Signal::SIGKILL);
    agent.wait();
    assert_eq!(answers(&site, 2, 32), ["c".to_owned()].into());
    agent = place.start_as(place.lasting(&site.node));
    assert_eq!(agent.status().policy.generation, 1, "nothing was loaded anew");
    for _ in 0..10 {
        assert_eq!(who(&site, 2).as_deref(), Some("c"));
    }
    until("a is still out", || state(&agent, "a") == "down");
    agent.read(&["shard", "enable", "b"]).done();
    assert!(!answers(&site, 1, 32).contains("a"));
    alive[0] = Some(life(&site.shards[0]));
    until("a is back", || state(&agent, "a") == "up");
    assert_eq!(answers(&site, 1, 32), shards(&agent, "acme"));
    // A policy that asks nobody takes back what was said, and one that asks again begins anew.
    alive[0] = None;
    until("a is down again", || state(&agent, "a") == "down");
    apply(&agent, &place, &policy("", "{name: up0, mode: native}", THREE_SHARDS));
    until("nobody is asked", || agent.status().health.is_none());
    assert_eq!(answers(&site, 1, 32), shards(&agent, "acme"));
    apply(&agent, &place, &text);
    until("a is down by the new policy", || agent.status().health.is_some() && state(&agent, "a") == "down");
    assert!(!answers(&site, 1, 32).contains("a"));
    agent.signal(Signal::SIGTERM);
    agent.wait();
    let _last = place.start(&site.node);
    assert!(!answers(&site, 1, 32).contains("a"));
}

#[test]
fn a_change_under_way_does_not_delay_a_word() {
    let site = Site::new(1500);
    let mut alive: Vec<Option<Echo>> = site.shards.iter().map(|host| Some(life(host))).collect();
    let place = Place::new(&by_tcp("native"));
    let agent = place.start(&site.node);
    all_up(&agent, &site);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let changes = scope.spawn(|| {
            let mut changes = 0;
            while !stop.load(Ordering::Relaxed) {
                changes += 1;
                let text = by_tcp("native").replace("team-globex", &format!("team-{changes}"));
                apply(&agent, &place, &text);
            }
            changes
        });
        for round in 0..3 {
            let name = site.who(v4(2, 1));
            let at = site.shards.iter().position(|host| host.name == name).unwrap();
            let dies = Instant::now();
            alive[at] = None;
            until_elsewhere(&site, 2, &name);
            let took = dies.elapsed();
            println!("round {round}: packets go elsewhere after {took:?}, while policies change");
            assert!(took <= INTERVAL * FALL + 2 * BUSY, "{took:?}");
            alive[at] = Some(life(&site.shards[at]));
            until("it is back", || state(&agent, &name) == "up");
        }
        stop.store(true, Ordering::Relaxed);
        assert!(changes.join().unwrap() > 0);
    });
    assert!(agent.status().balanced);
}

/// A server that answers every request with a status.
fn serve_status(host: &Host, status: &Arc<AtomicU16>) {
    let status = Arc::clone(status);
    let (ready, started) = std::sync::mpsc::channel();
    // It ends with the test.
    let thread = host.namespace.spawn(move || {
        let listener = TcpListener::bind(SocketAddr::new(SERVICE[0], LIFE))?;
        ready.send(()).unwrap();
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else { continue };
            let mut request = [0; 1024];
            if let Ok(many) = connection.read(&mut request) {
                let request = String::from_utf8_lossy(&request[..many]).into_owned();
                let right = request.starts_with("GET /healthz HTTP/1.1\r\n")
                    && request.contains("Host: shop.example\r\n");
                let status = if right { status.load(Ordering::Relaxed) } else { 404 };
                let _ = write!(connection, "HTTP/1.1 {status} whatever\r\nContent-Length: 0\r\n\r\n");
            }
        }
        Ok(())
    });
    drop(thread.unwrap());
    started.recv().unwrap();
}

#[test]
fn pages_and_echoes_are_asked_for_too() {
    let site = Site::new(1500);
    let statuses: Vec<_> = site
        .shards
        .iter()
        .map(|host| {
            let status = Arc::new(AtomicU16::new(200));
            serve_status(host, &status);
            status
        })
        .collect();
    let http = format!("{{http: {{port: {LIFE}, path: /healthz, host: shop.example, status: [200, 204]}}}}");
    let place = Place::new(&asking("tc", &http, ""));
    let agent = place.start(&site.node);
    all_up(&agent, &site);
    statuses[1].store(503, Ordering::Relaxed);
    until("b is down", || state(&agent, "b") == "down");
    assert!(agent.read(&["status"]).done().contains("status 503"));
    assert!(!answers(&site, 1, 32).contains("b"));
    statuses[1].store(204, Ordering::Relaxed);
    until("b is up", || state(&agent, "b") == "up");

    // By echoes, of both families.
    for address in SERVICE {
        apply(&agent, &place, &asking("tc", "{icmp: {}}", &format!(", address: \"{address}\"")));
        let before = agent.metrics(&site.node);
        until("echoes are answered", || {
            let metrics = agent.metrics(&site.node);
            ["a", "b", "c"].into_iter().all(|shard| {
                let labels = [("shard", shard), ("result", "answered")];
                let name = "keysteer_health_probes_total";
                metrics.get(name, &labels) >= before.get(name, &labels) + 5.0
            })
        });
        assert!(is_up(&agent.status(), 3), "{:?}", agent.status().health);
    }
    site.shards[2].namespace.down(ETH0).unwrap();
    until("c is down", || state(&agent, "c") == "down");
    assert!(addresses(1).filter(|it| it.is_ipv4()).all(|source| {
        let exchange = site.ask(Transport::Udp, source, 32, PATIENCE).unwrap();
        exchange.answer.is_some_and(|answer| answer != "c")
    }));
}

#[test]
fn translated_pods_are_asked_at_their_own_addresses() {
    let site = Site::of_pods(1500);
    let life = |number: u8| {
        let host = &site.shards[usize::from(number) - 1];
        Echo::start(&host.namespace, host.name, &link_addresses(number, 2), LIFE).unwrap()
    };
    let mut alive = vec![life(1), life(2), life(3)];
    let text = super::egress::pods("native").replace(
        "  egress: {}\n",
        &format!("  health: {{probe: {{tcp: {{port: {LIFE}}}}}, interval: 200ms, timeout: 90ms, fall: {FALL}, damping: off}}\n"),
    );
    let place = Place::new(&text);
    let agent = place.start(&site.node);
    all_up(&agent, &site);
    alive.remove(1);
    until("b is down", || state(&agent, "b") == "down");
    assert!(!answers(&site, 2, 32).contains("b"));
}
