//! More keys than the counters have room for: a larger set is added while packets go on, and none is lost.

use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use keysteer::world::Transport;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::{THREE_SHARDS, policy};
use keysteer_tests::site::{PATIENCE, PORT, Site, v4};

use crate::changes::apply;

/// The smallest set has room for so many ids.
const SMALLEST: u32 = 1_024;

/// `first` (tenant 1) and `more` keys besides, of ports that nobody asks; beyond the smallest set one of tenant 2 too.
fn keys(more: u32) -> String {
    let mut tail = THREE_SHARDS.split("  keys:").next().unwrap().to_owned();
    writeln!(tail, "  keys:\n    - {{name: first, match: {{tenant: t1, port: {PORT}}}, pool: all}}").unwrap();
    for number in 1..more {
        let port = 10_000 + number;
        writeln!(tail, "    - {{name: k{number}, match: {{tenant: t3, port: {port}}}, pool: all}}").unwrap();
    }
    if more > SMALLEST {
        writeln!(tail, "    - {{name: last, match: {{tenant: t2, port: {PORT}}}, pool: all}}").unwrap();
    }
    policy("", "{name: up0}", &(tail + "  classes: {missing: {pool: all}, unregistered: {pool: all}}\n"))
        .replace(
            "fields: [{name: tenant, from: ip.src, table: tenants}]",
            "fields: [{name: tenant, from: ip.src, table: tenants}, {name: port, from: l4.dst_port}]",
        )
}

/// Ends the asking, whatever happens.
struct End<'s>(&'s AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn growing_beyond_a_counter_set_loses_no_count() {
    let site = Site::new(1500);
    let place = Place::new(&keys(0));
    let agent = place.start_as(place.lasting(&site.node));
    let sets = || {
        let root = place.pins().join(format!("abi-{}", keysteer_common::config::ABI));
        place
            .pinboard()
            .run(|| {
                let names = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name());
                names.filter(|name| name.to_string_lossy().starts_with("counters-")).count()
            })
            .unwrap()
    };
    assert_eq!(sets(), 1);
    let (stop, asked) = (AtomicBool::new(false), [AtomicU64::new(0), AtomicU64::new(0)]);
    let ask = |tenant: u8| {
        while !stop.load(Ordering::Relaxed) {
            let exchange = site.ask(Transport::Udp, v4(tenant, 1), 32, PATIENCE).unwrap();
            assert!(exchange.answer.is_some_and(|who| who != "node"));
            asked[usize::from(tenant) - 1].fetch_add(1, Ordering::Relaxed);
        }
    };
    let generation = std::thread::scope(|scope| {
        let _end = End(&stop);
        for tenant in [1, 2] {
            scope.spawn(move || ask(tenant));
        }
        let mut generation = 0;
        // Within the first set, beyond it, beyond the second, and back.
        for more in [SMALLEST / 2, SMALLEST + 100, 3 * SMALLEST, 10] {
            generation = apply(&agent, &place, &keys(more));
        }
        agent.read(&["rollback"]).done();
        generation
    });
    let [first, second] = asked.map(AtomicU64::into_inner);
    assert!(first > 10 && second > 10, "{first} {second}");
    assert_eq!(sets(), 3, "sets are added");

    let status = agent.status();
    assert_eq!(status.policy.generation, generation - 1);
    assert!(status.balanced);
    assert_eq!(agent.key("first").packets, first, "one count, over all sets");
    // Before its key was there, tenant 2 was unregistered.
    let unregistered =
        status.outcomes.iter().find(|it| it.class == "unregistered").map_or(0, |it| it.packets);
    assert!(agent.key("last").id > SMALLEST);
    assert_eq!(agent.key("last").packets + unregistered, second);
    assert!(agent.key("last").packets > 0);
    assert_eq!(agent.shards().iter().map(|shard| shard.packets).sum::<u64>(), first + second);

    // A new agent sums over the same sets.
    let before: Vec<_> = agent.keys().into_iter().map(|key| (key.id, key.packets)).collect();
    drop(agent);
    let agent = place.start(&site.node);
    let after: Vec<_> = agent.keys().into_iter().map(|key| (key.id, key.packets)).collect();
    assert_eq!(after, before);
    assert!(agent.status().balanced);
}
