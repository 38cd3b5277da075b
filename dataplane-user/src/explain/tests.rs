//! Every outcome, as a packet meets it: what each stage says, and what would change it.

use std::net::IpAddr;

use keysteer_common::headers::NO_SHARD;

use super::flow::Packet;
use super::offline::Offline;
use super::types::{LevelFinding, ScopeFinding};
use super::*;

pub(super) const POLICY: &str = r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: edge}
spec:
  environment: test
  interfaces: [{name: eth0}, {name: eth1}]
  scope:
    - {destinations: [203.0.113.0/24, "2001:db8:10::/48"], services: [tcp/443, udp/1000-2000, icmp]}
    - {destinations: [198.51.100.1]}
  prefixTables:
    tenants: {10.1.0.0/16: acme, 10.2.0.0/16: globex, 10.3.0.0/16: initech, 10.4.0.0/16: "hooli: x", "2001:db8:1::/48": acme, 10.5.0.0/16: five, 10.6.0.0/16: six}
  schemas:
    - version: 3
      fields:
        - {name: tenant, from: ip.src, table: tenants}
        - {name: vlan, from: vlan.id}
        - {name: half, from: l4.dst_port, bits: {offset: 8, length: 8}}
      levels: [[tenant, vlan], [tenant, half], [tenant]]
  shards:
    - {name: a, target: {interface: {name: veth-a, mac: "02:00:00:00:00:0a"}}}
    - {name: b, target: {nextHop: {interface: eth0, mac: "02:00:00:00:00:0b"}}}
    - {name: c, weight: 2, target: {cpu: 3}}
    - {name: d, target: drop}
    - {name: e, target: pass}
  pools:
    - {name: general, shards: [a, b, c]}
    - {name: exit-a, shards: [a]}
    - {name: exit-b, shards: [b]}
    - {name: nowhere, shards: [d]}
    - {name: here, shards: [e]}
  tiers: [{name: gold, pool: general, width: 2, costCentre: cc-1}]
  keys:
    - {name: acme, match: {tenant: acme}, pool: exit-a, owner: team-acme, account: acct-1}
    - {name: acme-seven, match: {tenant: acme, vlan: 7}, tier: gold}
    - {name: globex, match: {tenant: globex}, pool: general, width: all}
    - {name: globex-voice, match: {tenant: globex, half: 20}, pool: exit-b}
    - {name: initech, match: {tenant: initech}, tier: gold, deny: true, reason: unpaid}
    - {name: five, match: {tenant: five}, pool: nowhere}
  classes: {missing: {pool: here}, unregistered: drop, malformed: drop}
"#;

pub(super) fn offline() -> Offline {
    Offline::from_text(POLICY, |_| {})
}

/// A TCP segment to port 443 of the service from a tenant's address.
pub(super) fn packet(source: &str) -> Packet {
    let source: IpAddr = source.parse().unwrap();
    let destination = if source.is_ipv4() { "203.0.113.10" } else { "2001:db8:10::10" };
    let mut packet = Packet::new(source, destination.parse().unwrap());
    packet.ports = (40_000, 443);
    packet
}

pub(super) fn explain_by(offline: &Offline, packet: &Packet) -> Explanation {
    offline.explain(&packet.frame().unwrap(), None).unwrap()
}

pub(super) fn explain(packet: &Packet) -> Explanation {
    explain_by(&offline(), packet)
}

/// Class, verdict and reason.
pub(super) fn outcome(explanation: &Explanation) -> [&str; 3] {
    [&explanation.class, &explanation.forward.verdict, &explanation.forward.reason]
}

/// That advice has a line with all of these.
pub(super) fn advises(explanation: &Explanation, phrases: &[&str]) {
    let fits = |line: &&String| phrases.iter().all(|phrase| line.contains(phrase));
    assert!(
        explanation.would_change.iter().any(|line| fits(&line)),
        "{phrases:?}: {:#?}",
        explanation.would_change
    );
}

#[test]
fn a_steered_packet_is_told_from_its_first_byte_to_its_shard() {
    let mut packet = packet("10.1.0.1");
    packet.tags = vec![(9, 5), (8, 0)];
    packet.dscp = 46;
    let said = explain(&packet);
    assert_eq!(outcome(&said), ["assigned", "interface", "steered"]);
    let ip = said.parse.ip.as_ref().unwrap();
    assert_eq!((ip.at, ip.version, ip.dscp, ip.fragment, ip.flow_label), (22, 4, 46, false, None));
    assert_eq!((ip.source.as_str(), ip.destination.as_str()), ("10.1.0.1", "203.0.113.10"));
    let tags: Vec<_> = said.parse.vlans.iter().map(|tag| (tag.at, tag.id, tag.pcp)).collect();
    assert_eq!(tags, [(12, 9, 5), (16, 8, 0)]);
    let transport = said.parse.transport.as_ref().unwrap();
    assert_eq!((transport.at, transport.protocol.as_str(), transport.opens), (42, "tcp", true));
    assert_eq!((transport.source_port, transport.destination_port), (Some(40_000), Some(443)));
    assert_eq!(said.scope.finding, ScopeFinding::Ours);
    assert_eq!(said.scope.service.as_deref(), Some("tcp/443"));
    assert_eq!(said.scope.services, ["icmp", "tcp/443", "udp/1000-2000"]);

    let [tenant, vlan, half] = said.extract.as_deref().unwrap() else { panic!("three fields") };
    assert_eq!((tenant.raw.as_deref(), tenant.value.as_deref()), (Some("10.1.0.1"), Some("acme")));
    assert_eq!((vlan.carrier.as_str(), vlan.value.as_deref()), ("vlan.id", Some("9")));
    assert_eq!((half.bits, half.value.as_deref()), (Some((8, 8)), Some("187")));
    let findings: Vec<_> = said.resolve.iter().flatten().map(|level| level.finding).collect();
    assert_eq!(findings, [LevelFinding::NotRegistered, LevelFinding::NotRegistered, LevelFinding::Taken]);
    let key = said.key.as_ref().unwrap();
    assert_eq!((key.id, key.name.as_str(), key.owner.as_deref()), (1, "acme", Some("team-acme")));
    assert_eq!(said.enforce.as_ref().unwrap().denied, None);
    let select = said.select.as_ref().unwrap();
    assert_eq!((select.pool.as_str(), select.width.as_str(), &select.flow), ("exit-a", "1", &None));
    assert_eq!((select.shards.as_slice(), select.shard.as_deref()), (&["a".to_owned()][..], Some("a")));
    assert_eq!(said.forward.sent_to.as_deref(), Some("02:00:00:00:00:0a"));
    assert_eq!(said.forward.action, "XDP_REDIRECT");
    advises(&said, &["{tenant: acme, vlan: 9}", "before acme"]);
    advises(&said, &["another pool, or another shard", "pool exit-a", "it has a alone"]);
    assert!(!said.scope.by_protocol);
}

#[test]
fn a_key_of_one_shard_of_several_could_be_wider() {
    let text = POLICY.replace("tenant: acme}, pool: exit-a", "tenant: acme}, pool: general");
    let said = explain_by(&Offline::from_text(&text, |_| {}), &packet("10.1.0.1"));
    let shard = said.select.as_ref().unwrap().shard.as_deref().unwrap();
    advises(&said, &["a width above 1", &format!("go to {shard} of pool general")]);
}

#[test]
fn a_more_specific_level_decides_before_the_others() {
    let mut packet = packet("10.1.0.1");
    packet.tags = vec![(7, 0)];
    let said = explain(&packet);
    assert_eq!(said.key.as_ref().unwrap().name, "acme-seven");
    assert_eq!(said.key.as_ref().unwrap().cost_centre.as_deref(), Some("cc-1"));
    let findings: Vec<_> = said.resolve.iter().flatten().map(|level| level.finding).collect();
    assert_eq!(findings, [LevelFinding::Taken, LevelFinding::Decided, LevelFinding::Decided]);
    let select = said.select.as_ref().unwrap();
    assert_eq!((select.width.as_str(), select.shards.len(), select.flow.is_some()), ("2", 2, true));
    assert!(select.shards.contains(select.shard.as_ref().unwrap()));
    let other = select.shards.iter().find(|shard| Some(*shard) != select.shard.as_ref()).unwrap();
    advises(&said, &["another flow", other]);
}

#[test]
fn a_next_hop_behind_the_interface_of_arrival_is_sent_back_and_another_is_not() {
    let mut packet = packet("10.2.0.1");
    packet.protocol = 17;
    packet.ports.1 = 0x0414;
    let offline = offline();
    let frame = packet.frame().unwrap();
    for (interface, action) in [("eth0", "XDP_TX"), ("eth1", "XDP_REDIRECT")] {
        let said = offline.explain(&frame, Some(interface)).unwrap();
        assert_eq!(outcome(&said), ["assigned", "next_hop", "steered"]);
        assert_eq!((said.forward.action.as_str(), said.interface.as_str()), (action, interface));
        assert_eq!(said.forward.sent_to.as_deref(), Some("02:00:00:00:00:0b"));
        assert_eq!(said.scope.service.as_deref(), Some("udp/1000-2000"));
        advises(&said, &["with a value for vlan", "[tenant vlan]"]);
    }
    let error = offline.explain(&frame, Some("veth-a")).unwrap_err().to_string();
    assert_eq!(error, "policy edge does not steer on `veth-a`; it does on eth0, eth1");
}

#[test]
fn a_key_of_the_whole_pool_follows_the_flow() {
    let offline = offline();
    let mut used = std::collections::BTreeSet::new();
    for port in 0..64 {
        let mut packet = packet("10.2.0.1");
        packet.ports.0 = 40_000 + port;
        let said = explain_by(&offline, &packet);
        let select = said.select.unwrap();
        assert_eq!((select.width.as_str(), select.shards.len()), ("all", 3));
        let cpu = said.forward.verdict == "cpu";
        assert_eq!(cpu, select.shard.as_deref() == Some("c"));
        used.extend(select.shard);
    }
    assert_eq!(used.len(), 3);
}

#[test]
fn a_denied_key() {
    let said = explain(&packet("10.3.0.1"));
    assert_eq!(outcome(&said), ["assigned", "drop", "denied"]);
    assert_eq!(said.enforce.as_ref().unwrap().denied.as_deref(), Some("unpaid"));
    assert_eq!((&said.select, said.forward.action.as_str()), (&None, "XDP_DROP"));
    advises(&said, &["key initech is denied: unpaid", "deny: true"]);
}

#[test]
fn a_key_that_is_not_registered() {
    let said = explain(&packet("10.4.0.1"));
    assert_eq!(outcome(&said), ["unregistered", "drop", "class_drop"]);
    assert_eq!((&said.key, &said.enforce, &said.select), (&None, &None, &None));
    // Text that YAML would read otherwise is quoted.
    assert_eq!(
        said.would_change[0],
        "registered under tenant=hooli: x it would be assigned: add a key with `match: {tenant: \"hooli: x\"}`"
    );
    advises(&said, &["{tenant: \"hooli: x\", half: 187}"]);
    advises(&said, &["vlan (vlan.id) is missing", "the frame has no VLAN tag"]);
    advises(&said, &["classes: {unregistered: drop}", "{pool: NAME}"]);
}

#[test]
fn a_key_that_is_missed_by_one_field_is_named() {
    let text =
        POLICY.replace("    - {name: globex, match: {tenant: globex}, pool: general, width: all}\n", "");
    let said = explain_by(&Offline::from_text(&text, |_| {}), &packet("10.2.0.1"));
    assert_eq!(outcome(&said), ["unregistered", "drop", "class_drop"]);
    advises(&said, &["with half=20 in place of 187 it would be of key globex-voice"]);
}

#[test]
fn fields_that_are_not_there() {
    let said = explain(&packet("192.0.2.1"));
    assert_eq!(outcome(&said), ["missing", "pass", "steered"]);
    assert!(said.resolve.iter().flatten().all(|level| level.finding == LevelFinding::Incomplete));
    let select = said.select.as_ref().unwrap();
    assert_eq!((select.pool.as_str(), select.shard.as_deref()), ("here", Some("e")));
    advises(&said, &["192.0.2.1 is in no prefix of table tenants", "spec.prefixTables.tenants"]);
    advises(&said, &["classes: {missing: {pool: ...}}"]);

    // Of ICMP, and of a later fragment, no port is known.
    let mut icmp = packet("10.1.0.1");
    icmp.protocol = 1;
    let half = |said: &Explanation| said.extract.as_ref().unwrap()[2].absent.clone().unwrap();
    assert_eq!(half(&explain(&icmp)), "protocol icmp has no ports");
    let mut fragment = packet("10.1.0.1").frame().unwrap();
    fragment[21] = 9;
    let said = offline().explain(&fragment, None).unwrap();
    assert!(said.parse.ip.as_ref().unwrap().fragment);
    assert_eq!((said.scope.service.as_deref(), said.scope.by_protocol), (Some("tcp/443"), true));
    assert!(picture::draw(&said).contains("without a port the protocol decides"));
    assert_eq!(half(&said), "a fragment has no ports");
}

#[test]
fn the_other_family_has_no_such_carrier() {
    for (carrier, source, why) in [
        ("ipv6.flow_label", "10.1.0.1", "the packet is IPv4"),
        ("ipv4.dst", "2001:db8:1::1", "the packet is IPv6"),
        ("vlan.inner_id", "10.1.0.1", "the frame has no second VLAN tag"),
    ] {
        let text = POLICY.replace("from: vlan.id", &format!("from: {carrier}"));
        let said = explain_by(&Offline::from_text(&text, |_| {}), &packet(source));
        assert_eq!(said.extract.unwrap()[1].absent.as_deref(), Some(why), "{carrier}");
    }
}

#[test]
fn what_is_not_ours_says_which_part_is_not() {
    let mut service = packet("10.1.0.1");
    service.ports.1 = 80;
    let mut destination = packet("10.1.0.1");
    destination.destination = "198.51.100.7".parse().unwrap();
    let mut discovery = packet("2001:db8:1::1");
    discovery.protocol = 58;
    let mut discovery = discovery.frame().unwrap();
    discovery[54] = 135;
    let mut arp = packet("10.1.0.1").frame().unwrap();
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    let mut version = packet("10.1.0.1").frame().unwrap();
    version[14] = 0x65;
    let frames: [(Vec<u8>, ScopeFinding, &[&str]); 6] = [
        (service.frame().unwrap(), ScopeFinding::NoService, &["tcp/80", "spec.scope", "icmp, tcp/443"]),
        (destination.frame().unwrap(), ScopeFinding::NoDestination, &["not in scope", "add 198.51.100.7"]),
        (discovery, ScopeFinding::Discovery, &["discovery is never ours"]),
        (arp, ScopeFinding::NotIp, &["0x0806 is not IP"]),
        (version, ScopeFinding::Unreadable, &["a whole IP header"]),
        (vec![1; 13], ScopeFinding::Unreadable, &["a whole IP header"]),
    ];
    for (frame, finding, advice) in frames {
        let said = offline().explain(&frame, None).unwrap();
        assert_eq!(said.scope.finding, finding);
        assert_eq!(outcome(&said), ["foreign", "pass", "out_of_scope"]);
        assert_eq!((&said.extract, &said.resolve, &said.key, &said.select), (&None, &None, &None, &None));
        assert_eq!((said.forward.action.as_str(), &said.forward.target), ("XDP_PASS", &None));
        advises(&said, advice);
    }
}

#[test]
fn everything_is_a_service_where_none_is_listed() {
    let mut packet = packet("10.1.0.1");
    packet.destination = "198.51.100.1".parse().unwrap();
    packet.protocol = 47;
    let said = explain(&packet);
    assert_eq!((said.scope.finding, &said.scope.service), (ScopeFinding::Ours, &None));
    assert_eq!(said.parse.transport.as_ref().unwrap().protocol, "47");
    assert_eq!(said.key.unwrap().name, "acme");
}

#[test]
fn headers_at_fault() {
    let mut frame = packet("10.1.0.1").frame().unwrap();
    frame.truncate(40);
    let said = offline().explain(&frame, None).unwrap();
    assert_eq!(outcome(&said), ["malformed", "drop", "class_drop"]);
    assert_eq!(said.parse.fault.as_deref(), Some("ip_length"));
    assert_eq!((&said.extract, &said.resolve), (&None, &None));
    advises(&said, &["ip_length", "sent whole"]);
    advises(&said, &["classes: {malformed: drop}"]);
}

#[test]
fn shards_that_take_nothing() {
    let said = explain(&packet("10.5.0.1"));
    assert_eq!(outcome(&said), ["assigned", "drop", "target_drop"]);
    assert_eq!(said.forward.target.as_deref(), Some("drop"));
    advises(&said, &["the target of shard d is `drop`"]);

    let emptied =
        Offline::from_text(POLICY, |image| image.keys.iter_mut().for_each(|entry| entry.place = NO_SHARD));
    let said = explain_by(&emptied, &packet("10.1.0.1"));
    assert_eq!(outcome(&said), ["assigned", "drop", "no_shard"]);
    assert_eq!(said.select.as_ref().unwrap().shard, None);
    advises(&said, &["give pool exit-a one"]);

    let offline = offline();
    let frame = packet("10.1.0.1").frame().unwrap();
    let said = offline.losing(vec![0]).explain(&frame, "eth0", 2);
    assert_eq!(outcome(&said), ["assigned", "drop", "no_exit"]);
    assert_eq!(said.forward.sent_to, None);
    advises(&said, &["the exit of shard a has gone", "interface veth-a", "pool exit-a"]);
    assert_eq!(outcome(&offline.losing(vec![1]).explain(&frame, "eth0", 2))[2], "steered");
}

#[test]
fn a_policy_that_only_observes_says_what_it_would_do() {
    let offline = Offline::from_text(
        &POLICY.replace("  environment: test", "  environment: test\n  mode: observe"),
        |_| {},
    );
    for (source, reason, would) in [
        ("10.1.0.1", "steered", "go to its shard"),
        ("10.3.0.1", "denied", "be dropped"),
        ("10.4.0.1", "class_drop", "be dropped"),
    ] {
        let said = explain_by(&offline, &packet(source));
        assert_eq!(said.policy.mode, "observe");
        assert_eq!((said.forward.verdict.as_str(), said.forward.reason.as_str()), ("observe", reason));
        assert_eq!((said.forward.action.as_str(), &said.forward.sent_to), ("XDP_PASS", &None));
        assert!(
            said.would_change[0].contains("mode: steer") && said.would_change[0].contains(would),
            "{said:?}"
        );
        assert!(picture::draw(&said).contains("only observing"));
    }
}

#[test]
fn an_error_is_told_as_the_flow_that_it_quotes() {
    // What the service sent to 10.1.0.1:40000, quoted to it by a router.
    let mut quoted = packet("10.1.0.1");
    std::mem::swap(&mut quoted.source, &mut quoted.destination);
    quoted.ports = (443, 40_000);
    let quoted = quoted.frame().unwrap();
    let mut error = packet("192.0.2.1");
    (error.protocol, error.length) = (1, Some(14 + 20 + 8 + 40));
    let mut frame = error.frame().unwrap();
    frame[34] = 3;
    frame[42..].copy_from_slice(&quoted[14..]);
    let said = offline().explain(&frame, None).unwrap();
    assert_eq!((said.class.as_str(), said.key.as_ref().unwrap().name.as_str()), ("assigned", "acme"));
    assert_eq!(said.parse.ip.as_ref().unwrap().source, "192.0.2.1");
    assert_eq!(said.parse.transport.as_ref().unwrap().protocol, "icmp");
    let flow = said.parse.quoted.as_ref().unwrap();
    assert_eq!(
        (flow.source.as_str(), flow.source_port, flow.destination_port),
        ("10.1.0.1", Some(40_000), Some(443))
    );
    assert_eq!(said.scope.service.as_deref(), Some("tcp/443"));
    assert!(picture::draw(&said).contains("an error about the flow tcp 10.1.0.1:40000 > 203.0.113.10:443"));
}

#[test]
fn the_picture_has_every_stage_in_order() {
    let picture = picture::draw(&explain(&packet("10.1.0.1")));
    let stages = ["parse", "scope", "extract", "resolve", "class", "key", "enforce", "select", "forward"];
    let found: Vec<&str> = picture
        .lines()
        .filter(|line| line.starts_with(['├', '└']))
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    assert_eq!(found, stages, "{picture}");
    assert!(
        picture.contains("\n└─ forward  target: interface veth-a 02:00:00:00:00:0a\n            sent to"),
        "{picture}"
    );
    assert!(picture.contains("\nWhat would change it\n  "), "{picture}");
    assert!(picture.lines().all(|line| !line.ends_with(' ')), "{picture}");
}
