//! Native, generic, and merely observing.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use keysteer::world::{Capture, Captured, Direction, Transport};
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::{THREE_SHARDS, policy, usual};
use keysteer_tests::site::{PATIENCE, SERVICE, Site, UP0, icmp, link_addresses, v4};
use nix::sys::signal::Signal;

use super::{answers, shards};

#[test]
fn generic_mode_on_request_steers_the_same() {
    let site = Site::new(1500);
    let place = Place::new(&policy("", "{name: up0, mode: generic}", THREE_SHARDS));
    let agent = place.start(&site.node);
    let status = agent.status();
    assert_eq!((status.interfaces[0].mode.as_str(), &status.interfaces[0].fallback), ("generic", &None));
    assert!(agent.log().contains("up0: attached in generic mode"), "{}", agent.log());
    for (tenant, key, width) in [(1, "acme", 2), (2, "globex", 1)] {
        assert_eq!(answers(&site, tenant, 32), shards(&agent, key));
        assert_eq!(shards(&agent, key).len(), width);
    }
    assert!(agent.status().balanced);
}

#[test]
fn a_device_without_native_xdp_falls_back_and_says_so() {
    let site = Site::new(1500);
    // The loopback driver has no XDP of its own; on veth, beside it, nothing falls back.
    let place = Place::new(&policy("", "{name: lo}, {name: up0}", THREE_SHARDS));
    let mut agent = place.start(&site.node);
    let status = agent.status();
    let at = |name: &str| status.interfaces.iter().find(|at| at.name == name).unwrap();
    assert_eq!(at("lo").mode, "tc");
    let why = at("lo").fallback.clone().expect("the reason is reported");
    assert!(why.contains("refused native XDP") && why.contains("not supported"), "{why}");
    assert_eq!((at(UP0).mode.as_str(), &at(UP0).fallback), ("native", &None));
    assert!(agent.log().contains("lo: attached in tc mode (not native: "), "{}", agent.log());
    let table = agent.read(&["status"]).data();
    assert!(table.contains("not native: the driver refused"), "{table}");
    let metrics = agent.metrics(&site.node);
    assert_eq!(metrics.get("keysteer_interface_info", &[("interface", "lo"), ("mode", "tc")]), 1.0);

    let place = Place::new(&policy("", "{name: up0}, {name: lo, mode: native}", THREE_SHARDS));
    agent.signal(Signal::SIGTERM);
    assert!(agent.wait().success());
    place.refused(&site.node).refuses(&["cannot attach to lo in native mode", "`mode: generic` or `auto`"]);
    // What was attached before the failure is not left.
    assert_eq!(site.attached(UP0), None);
}

#[test]
fn observe_decides_and_counts_and_touches_nothing() {
    let site = Site::new(1500);
    let place = Place::new(&policy("mode: observe", "{name: up0}", THREE_SHARDS));
    let agent = place.start(&site.node);
    // Everybody is answered by the node: also the denied, and those whose class is dropped.
    let arrived = Capture::start(&site.node, Direction::Incoming).unwrap();
    let sent = Capture::start(&site.client, Direction::Outgoing).unwrap();
    for tenant in [1, 2, 3, 5] {
        assert_eq!(answers(&site, tenant, 32), BTreeSet::from(["node".to_owned()]));
    }
    std::thread::sleep(Duration::from_millis(300));
    let up0 = site.node.index(UP0).unwrap();
    let to_service = |captured: Vec<Captured>| -> Vec<_> {
        captured.into_iter().map(|it| it.frame).filter(|frame| is_for_service(frame)).collect()
    };
    let mut sent = to_service(sent.finish().unwrap());
    let mut arrived = arrived.finish().unwrap();
    arrived.retain(|captured| captured.interface == up0);
    let mut arrived = to_service(arrived);
    assert!(sent.len() > 200, "{}", sent.len());
    // Queues per CPU may change the order, nothing else.
    sent.sort();
    arrived.sort();
    assert!(arrived == sent, "{} frames sent, {} arrived as they were sent", sent.len(), arrived.len());

    let status = agent.status();
    assert_eq!(status.policy.mode, "observe");
    assert!(status.balanced);
    let assigned: u64 = agent.keys().iter().map(|key| key.packets).sum();
    let unregistered = status.outcomes.iter().find(|it| it.class == "unregistered").unwrap();
    assert_eq!(status.verdicts["observe"].packets, assigned + unregistered.packets);
    assert_eq!(status.verdicts["drop"].packets, 0);
    assert!(assigned > 0 && unregistered.reason == "class_drop", "what would have happened is counted");
    // What was decided for the shards can be compared with what will be.
    assert_eq!(agent.shards().iter().map(|shard| shard.packets).sum::<u64>(), {
        agent.keys().iter().filter(|key| key.denied.is_none()).map(|key| key.packets).sum::<u64>()
    });
}

/// Whether a frame's IP destination is the service; a neighbour's chatter is not.
fn is_for_service(frame: &[u8]) -> bool {
    let is = |at: usize, octets: &[u8]| frame.get(at..at + octets.len()) == Some(octets);
    SERVICE.iter().any(|address| match address {
        IpAddr::V4(address) => is(12, &[0x08, 0x00]) && is(30, &address.octets()),
        IpAddr::V6(address) => is(12, &[0x86, 0xdd]) && is(38, &address.octets()),
    })
}

#[test]
fn what_is_not_ours_passes_untouched() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let agent = place.start(&site.node);
    // Learnt anew by ARP and neighbour discovery, through the program.
    let replies = Capture::start(&site.client, Direction::Incoming).unwrap();
    let [node, ..] = link_addresses(0, 1);
    let [behind, ..] = link_addresses(1, 2);
    for (number, destination) in [(1, node), (2, behind), (3, SERVICE[0])] {
        // The service's address is ours, but ICMP is none of its services.
        icmp::send(&site.client, v4(1, 1), destination, icmp::echo_request(number));
    }
    let end = Instant::now() + PATIENCE;
    while replies.seen() < 3 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(200));
    let frames = replies.finish().unwrap();
    for number in 1..=3_u16 {
        let [high, low] = number.to_be_bytes();
        let reply = [0x6b, 0x73, high, low];
        let found =
            frames.iter().any(|it| it.frame.get(34) == Some(&0) && it.frame.get(38..42) == Some(&reply));
        assert!(found, "no echo reply {number} among {} frames", frames.len());
    }
    // A host behind the node is reached by its own address, on the service's port.
    for (source, destination) in [(v4(1, 1), link_addresses(2, 2)[0]), (v4(3, 1), link_addresses(2, 2)[0])] {
        let refused = site.ask_at(destination, Transport::Tcp, source, 32, PATIENCE).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "its own stack answered");
    }
    let status = agent.status();
    let [foreign] = &status.outcomes[..] else { panic!("{:?}", status.outcomes) };
    assert_eq!((foreign.class.as_str(), foreign.reason.as_str()), ("foreign", "out_of_scope"));
    assert_eq!(foreign.packets, status.received.packets);
    assert!(agent.keys().iter().all(|key| key.packets == 0));
}
