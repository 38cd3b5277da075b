//! Every kind of target, in both modes: the packet is where it should be, and counted so.

use std::collections::BTreeMap;

use aya::util::KernelVersion;
use keysteer::world::{Capture, Direction, Transport};
use keysteer_tests::site::foreign::Foreign;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::policy;
use keysteer_tests::site::{ADDRESSES, CLIENT_MAC, ETH0, PATIENCE, SILENCE, Site, UP0_MAC, v4};

/// A shard of each kind, each alone in its pool, each pool for one tenant: 1 to 6 in this order.
pub(super) const EVERY_TARGET: &str = r#"
  shards:
    - {name: port, target: {interface: {name: to-a, mac: "02:00:00:00:00:0a"}}}
    - {name: hop, target: {nextHop: {interface: to-b, mac: "02:00:00:00:00:0b"}}}
    - {name: hairpin, target: {nextHop: {interface: up0, mac: "02:00:00:00:00:c1"}}}
    - {name: here, target: pass}
    - {name: core, target: {cpu: 0}}
    - {name: hole, target: drop}
  pools:
    - {name: p1, shards: [port]}
    - {name: p2, shards: [hop]}
    - {name: p3, shards: [hairpin]}
    - {name: p4, shards: [here]}
    - {name: p5, shards: [core]}
    - {name: p6, shards: [hole]}
  keys:
    - {name: k1, match: {tenant: t1}, pool: p1}
    - {name: k2, match: {tenant: t2}, pool: p2}
    - {name: k3, match: {tenant: t3}, pool: p3}
    - {name: k4, match: {tenant: t4}, pool: p4}
    - {name: k5, match: {tenant: t5}, pool: p5}
    - {name: k6, match: {tenant: t6}, pool: p6}
"#;

#[test]
fn every_target_native() {
    every_target("native");
}

#[test]
fn every_target_generic() {
    every_target("generic");
}

#[test]
fn every_target_at_tc() {
    every_target("tc");
}

#[test]
fn a_cpu_target_at_tc_is_refused() {
    let site = Site::new(1500);
    let place = Place::new(&policy("", "{name: up0, mode: tc}", EVERY_TARGET));
    place.refused(&site.node).refuses(&["cannot attach to up0 at TC", "`cpu` target", "target `pass`"]);
}

#[test]
fn a_cpu_target_in_generic_mode_is_refused_where_the_kernel_would_lose_its_packets() {
    let site = Site::new(1500);
    let place = Place::new(&policy("", "{name: lo}", EVERY_TARGET));
    if KernelVersion::current().unwrap() < KernelVersion::new(6, 9, 0) {
        place.start(&site.node);
        return;
    }
    let said = place.refused(&site.node);
    said.refuses(&["cannot attach to lo in generic mode", "`cpu` target", "Linux 6.9", "target `pass`"]);
    assert_eq!(site.attached("lo"), None);
}

fn every_target(mode: &str) {
    let site = Site::new(1500);
    // Generic mode and CPUs do not go together everywhere (see the next test).
    let core = if mode == "native" { "{cpu: 0}" } else { "pass" };
    let tail = EVERY_TARGET.replace("{cpu: 0}", core);
    let place = Place::new(&policy("", &format!("{{name: up0, mode: {mode}}}"), &tail));
    let agent = place.start(&site.node);
    assert_eq!(agent.status().interfaces[0].mode, mode);

    for (tenant, host) in [(1, "a"), (2, "b"), (4, "node"), (5, "node")] {
        for number in 1..=ADDRESSES {
            assert_eq!(site.who(v4(tenant, number)), host, "{mode}: tenant {tenant}, address {number}");
        }
    }
    // What a veth sends back by XDP_TX wakes its peer only where that has an XDP program too; GRO is not
    // enough, unlike for redirects (veth_xdp_flush in the kernel). Else it lies there until the next frame.
    let _awake = Foreign::attach_native(&site.client, ETH0);
    let back = Capture::start(&site.client, Direction::Incoming).unwrap();
    for tenant in [3, 6] {
        for number in 1..=ADDRESSES {
            let exchange = site.ask(Transport::Udp, v4(tenant, number), 32, SILENCE / 5).unwrap();
            assert_eq!(exchange.answer, None, "{mode}: tenant {tenant}");
        }
    }
    hairpins_came_back(&back.finish().unwrap().into_iter().map(|it| it.frame).collect::<Vec<_>>());

    let sent = u64::from(ADDRESSES);
    for number in 1..=6 {
        let key = agent.key(&format!("k{number}"));
        assert_eq!(key.packets, sent, "{mode}: {key:?}");
        let dropped: BTreeMap<_, _> =
            key.drops.iter().map(|(why, count)| (why.as_str(), count.packets)).collect();
        let wanted = if number == 6 { BTreeMap::from([("target_drop", sent)]) } else { BTreeMap::new() };
        assert_eq!(dropped, wanted, "{mode}: {key:?}");
    }
    for shard in agent.shards() {
        let dropped = if shard.name == "hole" { sent } else { 0 };
        assert_eq!((shard.packets, shard.dropped), (sent, dropped), "{mode}: {shard:?}");
    }
    let status = agent.status();
    assert!(status.balanced);
    let foreign: u64 = status.outcomes.iter().filter(|it| it.class == "foreign").map(|it| it.packets).sum();
    let cpu = u64::from(mode == "native");
    let verdicts = [("interface", 1), ("next_hop", 2), ("cpu", cpu), ("drop", 1), ("observe", 0)];
    for (verdict, targets) in verdicts {
        assert_eq!(status.verdicts[verdict].packets, targets * sent, "{mode}: {verdict}");
    }
    assert_eq!(status.verdicts["pass"].packets, (2 - cpu) * sent + foreign, "{mode}");
}

/// What went out by the interface that it came in by has the next hop's address and the interface's own.
fn hairpins_came_back(frames: &[Vec<u8>]) {
    let service = [203, 0, 113, 10];
    let ours: Vec<_> = frames.iter().filter(|frame| frame.get(30..34) == Some(&service)).collect();
    assert_eq!(ours.len(), usize::from(ADDRESSES));
    for frame in ours {
        assert_eq!((&frame[..6], &frame[6..12]), (&CLIENT_MAC[..], &UP0_MAC[..]), "{frame:02x?}");
        assert_eq!(frame[27], 3, "of tenant 3: {frame:02x?}");
    }
}

#[test]
fn an_exit_that_goes_away_drops_and_says_so() {
    let site = Site::new(1500);
    let tail = EVERY_TARGET.replace("pool: p2}", "pool: p1}");
    let place = Place::new(&policy("", "{name: up0}", &tail));
    let agent = place.start(&site.node);
    assert_eq!(site.who(v4(1, 1)), "a");
    site.node.delete("to-a").unwrap();
    let exchange = site.ask(Transport::Udp, v4(1, 2), 32, SILENCE).unwrap();
    assert_eq!(exchange.answer, None);
    let exchange = site.ask(Transport::Udp, v4(4, 1), 32, PATIENCE).unwrap();
    assert_eq!(exchange.answer.as_deref(), Some("node"), "the others are not concerned");
    let key = agent.key("k1");
    assert_eq!((key.packets, key.drops["no_exit"].packets), (2, 1), "{key:?}");
    let shard = agent.shards().remove(0);
    assert_eq!((shard.packets, shard.dropped), (2, 1), "{shard:?}");
    assert!(agent.status().balanced);
}
