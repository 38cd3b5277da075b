//! The way back: what leaves is counted for the key and the shard that it answers for, and stamped.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use keysteer::control::types::Key;
use keysteer::world::{Capture, Captured, Direction, Transport};
use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::pods::LONG;
use keysteer_tests::site::policy::{THREE_SHARDS, policy};
use keysteer_tests::site::{ETH0, PATIENCE, PORT, SERVICE, SILENCE, Site, UP0, link_addresses, v4, v6};
use nix::sys::signal::Signal;

use super::changes::{apply, until};
use super::{addresses, all_answered_during, answers, shards};

/// A policy in a mode, with something on the way back.
fn with_egress(mode: &str, egress: &str) -> String {
    policy("", &format!("{{name: up0, mode: {mode}}}"), &format!("{THREE_SHARDS}\n  egress: {egress}\n"))
}

/// Bytes of an answer of `name` by UDP, on the wire.
fn answer_bytes(source: IpAddr, name: &str) -> u64 {
    let headers = if source.is_ipv4() { 14 + 20 + 8 } else { 14 + 40 + 8 };
    headers + name.len() as u64 + 1
}

/// What was sent for a key, once so many packets were.
fn sent(agent: &Agent, key: &str, packets: u64) -> (u64, u64) {
    until("what left is counted", || agent.key(key).sent.is_some_and(|sent| sent.packets >= packets));
    let sent = agent.key(key).sent.unwrap();
    (sent.packets, sent.bytes)
}

#[test]
fn answers_are_counted_exactly_for_their_key_and_shard() {
    for mode in ["native", "tc"] {
        let site = Site::new(1500);
        let place = Place::new(&with_egress(mode, "{}"));
        let agent = place.start(&site.node);
        assert_eq!(agent.status().egress.unwrap().interfaces, [UP0]);
        let back = Capture::start(&site.client, Direction::Incoming).unwrap();
        let mut by_shard: BTreeMap<String, u64> = BTreeMap::new();
        let (mut packets, mut bytes) = (0, 0);
        for source in addresses(1) {
            let answer = site.ask(Transport::Udp, source, 32, PATIENCE).unwrap().answer.unwrap();
            packets += 1;
            bytes += answer_bytes(source, &answer);
            *by_shard.entry(answer).or_default() += 1;
        }
        let arrived = back.finish().unwrap();
        let seen: u64 = answers_of(&arrived).iter().map(|frame| frame.len() as u64).sum();
        assert_eq!(seen, bytes, "{mode}: what the client's interface saw is what is expected");
        assert_eq!(sent(&agent, "acme", packets), (packets, bytes), "{mode}");
        let counted: BTreeMap<String, u64> =
            agent.shards().into_iter().map(|it| (it.name, it.sent.unwrap().packets)).collect();
        for shard in ["a", "b", "c"] {
            let wanted = by_shard.get(shard).copied().unwrap_or_default();
            assert_eq!(counted[shard], wanted, "{mode}: shard {shard}");
        }
        assert_eq!(agent.key("globex").sent.unwrap().packets, 0);
        let status = agent.status();
        assert_eq!(status.egress.unwrap().sent["assigned"].packets, packets, "{mode}");
        assert!(status.balanced);
        // Metrics have the same.
        let metrics = agent.metrics(&site.node);
        let label = [("key", "acme"), ("scope", "key")];
        assert_eq!(metrics.get("keysteer_key_sent_packets_total", &label), packets as f64);
        assert_eq!(metrics.get("keysteer_key_sent_bytes_total", &label), bytes as f64);
    }
}

/// The answers of the service among frames.
fn answers_of(frames: &[Captured]) -> Vec<&[u8]> {
    let of = |frame: &[u8]| match frame.get(12..14) {
        Some([0x08, 0x00]) => frame.get(34..36) == Some(&7000_u16.to_be_bytes()),
        Some([0x86, 0xdd]) => frame.get(54..56) == Some(&7000_u16.to_be_bytes()),
        _ => false,
    };
    frames.iter().map(|it| it.frame.as_slice()).filter(|frame| of(frame)).collect()
}

#[test]
fn what_leaves_has_the_key_stamped_on_it() {
    let site = Site::new(1500);
    let egress = "{stamp: {ip.dscp: {acme: 34, globex: 10}, ipv6.flow_label: {acme: 74565}}}";
    let place = Place::new(&with_egress("native", egress));
    let _agent = place.start(&site.node);
    for (tenant, dscp, label) in [(1, 34, 74_565), (2, 10, u32::MAX)] {
        let back = Capture::start(&site.client, Direction::Incoming).unwrap();
        answers(&site, tenant, 32);
        let arrived = back.finish().unwrap();
        let answers = answers_of(&arrived);
        assert!(answers.len() >= 2 * addresses(tenant).count(), "{}", answers.len());
        for frame in answers {
            if frame[12..14] == [0x08, 0x00] {
                assert_eq!(frame[15] >> 2, dscp, "tenant {tenant}");
            } else {
                let word = u32::from_be_bytes(frame[14..18].try_into().unwrap());
                assert_eq!(word >> 22 & 0x3f, u32::from(dscp), "tenant {tenant}");
                assert!(label == u32::MAX || word & 0xf_ffff == label, "tenant {tenant}: {word:x}");
            }
        }
    }
}

#[test]
fn what_a_sender_of_its_own_sends_is_its_keys() {
    let site = Site::new(1500);
    let [pod, _] = link_addresses(2, 2);
    let place = Place::new(&with_egress("native", &format!("{{senders: {{{pod}: globex}}}}")));
    let agent = place.start(&site.node);
    let sender = &site.shards[1].namespace;
    let size = 100;
    for _ in 0..3 {
        // To somebody who does not listen: nothing that was asked for.
        sender
            .run(|| {
                std::net::UdpSocket::bind((pod, 0))
                    .unwrap()
                    .send_to(&vec![b'x'; size], (v4(5, 1), 9))
                    .unwrap()
            })
            .unwrap();
    }
    assert_eq!(sent(&agent, "globex", 3), (3, 3 * (14 + 20 + 8 + size as u64)));
    assert_eq!(agent.key("globex").packets, 0);
}

#[test]
fn the_way_back_comes_and_goes_with_the_policy_and_survives_crashes_under_traffic() {
    let site = Site::new(1500);
    let place = Place::new(&with_egress("native", "{}"));
    let mut agent = place.start(&site.node);
    all_answered_during(&site, || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        let (before, _) = sent(&agent, "acme", 1);
        agent.signal(Signal::SIGKILL);
        agent.wait();
        std::thread::sleep(std::time::Duration::from_millis(200));
        agent = place.start(&site.node);
        let (after, _) = sent(&agent, "acme", before + 1);
        assert!(after > before, "counting goes on without an agent: {before} and {after}");
        apply(&agent, &place, &policy("", "{name: up0, mode: native}", THREE_SHARDS));
        assert_eq!(agent.status().egress, None);
        let (stopped, _) = sent(&agent, "acme", 1);
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert_eq!(sent(&agent, "acme", 1).0, stopped, "what was counted stays, and nothing is added");
        agent.read(&["rollback"]).done();
        sent(&agent, "acme", stopped + 1);
    });
    assert!(agent.status().balanced);
}

/// Pods with addresses of their own, which do not own the service's.
const PODS: &str = r#"
  shards:
    - {name: a, target: {interface: {name: to-a, mac: "02:00:00:00:00:0a", nat: true, addresses: [192.0.2.6, "2001:db8:ff01::2"]}}}
    - {name: b, target: {interface: {name: to-b, mac: "02:00:00:00:00:0b", nat: true, addresses: [192.0.2.10, "2001:db8:ff02::2"]}}}
    - {name: c, target: {interface: {name: to-c, mac: "02:00:00:00:00:0c", nat: true, addresses: [192.0.2.14, "2001:db8:ff03::2"]}}}
  pools: [{name: all, shards: [a, b, c]}]
  keys:
    - {name: acme, match: {tenant: t1}, pool: all, width: 2, owner: team-acme}
    - {name: globex, match: {tenant: t2}, pool: all, owner: team-globex}
  classes: {missing: {pool: all}, unregistered: drop}
  egress: {}
"#;

/// [`PODS`], and a service that sends long answers.
pub(crate) fn pods(mode: &str) -> String {
    let policy = policy("", &format!("{{name: up0, mode: {mode}}}"), PODS);
    policy.replace("udp/7000]", &format!("udp/7000, tcp/{LONG}]"))
}

#[test]
fn pods_that_do_not_own_the_address_answer_by_translation() {
    for mode in ["native", "generic", "tc"] {
        let site = Site::of_pods(1500);
        let place = Place::new(&pods(mode));
        let agent = place.start(&site.node);
        // TCP and UDP, IPv4 and IPv6; large ones go in several segments each way.
        for (tenant, key, size) in [(1, "acme", 32), (2, "globex", 32), (1, "acme", 30_000)] {
            let found = answers_by(&site, tenant, size);
            assert_eq!(found, shards(&agent, key), "{mode}: {key}");
        }
        // What a pod does on its own is not touched.
        let [pod, _] = link_addresses(1, 2);
        let back = Capture::start(&site.client, Direction::Incoming).unwrap();
        site.shards[0]
            .namespace
            .run(|| std::net::UdpSocket::bind((pod, 4_000)).unwrap().send_to(b"own", (v4(5, 1), 9)).unwrap())
            .unwrap();
        until("it arrives", || back.seen() >= 1);
        let arrived = back.finish().unwrap();
        let IpAddr::V4(address) = pod else { unreachable!() };
        assert!(arrived.iter().any(|it| it.frame.get(26..30) == Some(&address.octets()[..])), "{mode}");
        assert!(agent.status().balanced, "{mode}");
        assert!(sent(&agent, "acme", 1).0 > 0);
    }
}

/// Who answers a tenant: large questions by TCP alone, because fragments have no ports on the way back.
fn answers_by(site: &Site, tenant: u8, size: usize) -> BTreeSet<String> {
    if size < 1_400 {
        return answers(site, tenant, size);
    }
    let ask = |source| site.ask(Transport::Tcp, source, size, PATIENCE).unwrap().answer.unwrap();
    addresses(tenant).map(ask).collect()
}

#[test]
fn at_tc_the_kernel_finishes_checksums_that_were_left_to_the_device() {
    let site = Site::of_pods(1500);
    let place = Place::new(&pods("tc"));
    let agent = place.start(&site.node);
    // Both sides leave them open, as with a real device.
    site.leave_checksums_to_devices();
    assert_eq!(answers_by(&site, 1, 32), shards(&agent, "acme"));
    assert_eq!(answers_by(&site, 1, 30_000), shards(&agent, "acme"));
}

#[test]
fn path_mtu_discovery_works_through_the_node() {
    for mode in ["native", "tc"] {
        let site = Site::of_pods(1500);
        let place = Place::new(&pods(mode));
        let agent = place.start(&site.node);
        // From a router beyond the node, about what the service sent.
        for source in [v4(2, 1), v6(2, 1)] {
            let exchange = site.ask(Transport::Udp, source, 32, PATIENCE).unwrap();
            let shard = exchange.answer.unwrap();
            assert_eq!(site.pod_mtu(&shard, exchange.source), 1500, "{mode}");
            site.tell_too_big(exchange.source);
            until("the pod knows the path's MTU", || site.pod_mtu(&shard, exchange.source) == 1400);
        }
        // And by the node itself, whose own link is narrow: all of a long answer arrives.
        site.node.mtu(UP0, 1300).unwrap();
        for source in [v4(2, 2), v6(2, 2)] {
            assert_eq!(site.download(source, 300_000), 300_000, "{mode}: {source}");
        }
        assert!(agent.status().balanced);
    }
}

#[test]
fn a_denied_or_foreign_flow_leaves_no_trace_on_the_way_back() {
    let site = Site::new(1500);
    let place = Place::new(&with_egress("native", "{}"));
    let agent = place.start(&site.node);
    assert_eq!(site.ask(Transport::Udp, v4(3, 1), 32, SILENCE).unwrap().answer, None);
    assert_eq!(agent.key("initech").sent.unwrap().packets, 0);
}

#[test]
fn a_probe_takes_the_road_of_the_shard_that_it_names() {
    for (site, policy) in [
        (Site::new(1500), with_egress("native", "{probes: true}")),
        (Site::of_pods(1500), pods("tc").replace("egress: {}", "egress: {probes: true}")),
    ] {
        let place = Place::new(&policy);
        let agent = place.start(&site.node);
        let service = |family: usize| SocketAddr::new(SERVICE[family], PORT).to_string();
        for family in [0, 1] {
            for shard in ["a", "b", "c"] {
                let said = agent.read(&["shard", "probe", shard, &service(family)]).done();
                assert!(said.contains("connected"), "{said}");
            }
        }
        let counted = |key: &Key| key.packets + key.sent.unwrap_or_default().packets;
        assert_eq!(agent.keys().iter().map(counted).sum::<u64>(), 0, "probes are in no key's counters");
        // One shard has gone, and the others answer.
        site.shards[1].namespace.down(ETH0).unwrap();
        let silent = agent.read(&["shard", "probe", "b", &service(0)]);
        assert!(silent.code == Some(1) && silent.out.contains("no answer"), "{silent:?}");
        assert!(agent.read(&["shard", "probe", "c", &service(0)]).done().contains("connected"));
        // Nobody listens at that port, and it is the shard that says so.
        let nobody = SocketAddr::new(SERVICE[0], 9).to_string();
        let refused = agent.read(&["shard", "probe", "a", &nobody]);
        assert!(refused.code == Some(1) && refused.out.contains("refused"), "{refused:?}");
        agent.read(&["shard", "probe", "d", &service(0)]).refuses(&["has no shard `d`"]);
    }
    let site = Site::new(1500);
    let place = Place::new(&with_egress("native", "{}"));
    let agent = place.start(&site.node);
    let service = SocketAddr::new(SERVICE[0], PORT).to_string();
    agent.read(&["shard", "probe", "a", &service]).refuses(&["egress: {probes: true}"]);
}

#[test]
fn what_is_too_long_for_the_shards_interface_is_dropped_by_name_until_its_mtu_changes() {
    for mode in ["native", "tc"] {
        let site = Site::new(1500);
        let place = Place::new(&with_egress(mode, "{}"));
        let agent = place.start(&site.node);
        let [shard] = shards(&agent, "globex").into_iter().collect::<Vec<_>>().try_into().unwrap();
        let host = site.shards.iter().find(|host| host.name == shard).unwrap();
        let ask = |size| site.ask(Transport::Udp, v4(2, 1), size, PATIENCE / 6).unwrap().answer;
        assert_eq!(ask(1_400).as_deref(), Some(shard.as_str()), "{mode}");
        let generation = agent.status().policy.generation;
        site.node.mtu(host.port, 1_000).unwrap();
        // The agent sees it, and makes its tables anew.
        until("a new generation", || agent.status().policy.generation > generation);
        let before = agent.key("globex").packets;
        assert_eq!(ask(1_400), None, "{mode}");
        assert_eq!(ask(900).as_deref(), Some(shard.as_str()), "{mode}");
        let key = agent.key("globex");
        assert_eq!((key.packets - before, key.drops["too_big"].packets), (2, 1), "{mode}");
        assert_eq!(key.drops["too_big"].bytes, 14 + 20 + 8 + 1_400, "{mode}");
        assert!(agent.status().balanced);
    }
}
