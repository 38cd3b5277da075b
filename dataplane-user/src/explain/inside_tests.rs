//! What is told of labels, tunnels and options.

use super::flow::Packet;
use super::offline::Offline;
use super::picture;
use super::tests::outcome;
use super::types::Explanation;

/// A policy with these fields, one level each, and a key of `network` 5001.
fn offline(fields: &[&str], more: &str) -> Offline {
    let list: Vec<String> = fields.iter().map(|field| format!("        - {{{field}}}\n")).collect();
    let names: Vec<&str> = fields
        .iter()
        .filter_map(|field| field.strip_prefix("name: ")?.split_once(','))
        .map(|it| it.0)
        .collect();
    let levels: Vec<String> = names.iter().map(|name| format!("[{name}]")).collect();
    let text = format!(
        "apiVersion: keysteer.dev/v1alpha1\nkind: SteeringPolicy\nmetadata: {{name: edge}}\nspec:\n  environment: prod\n  \
        interfaces: [{{name: eth0}}]\n  scope: [{{destinations: [192.0.2.0/24], services: [any]}}]\n  \
        prefixTables: {{machines: {{10.8.0.0/16: web}}}}\n  schemas:\n    - version: 1\n      fields:\n{}      levels: [{}]\n  \
        shards: [{{name: a, target: drop}}]\n  pools: [{{name: general, shards: [a]}}]\n  \
        keys: [{{name: it, match: {{network: 5001}}, pool: general}}]\n{more}",
        list.concat(),
        levels.join(", ")
    );
    Offline::from_text(&text, |_| {})
}

/// VXLAN in network `vni`, with a datagram of IPv4 inside.
fn vxlan(vni: u32) -> Packet {
    let mut inner = Packet::new([10, 8, 0, 1].into(), [10, 9, 0, 1].into());
    (inner.protocol, inner.ports) = (17, (7, 53));
    let header = [[0x88, 0, 0, 9], (vni << 8).to_be_bytes()].concat();
    let mut packet = Packet::new([198, 51, 100, 7].into(), [192, 0, 2, 1].into());
    (packet.protocol, packet.ports.1) = (17, 4789);
    packet.payload = [header, inner.frame().unwrap()].concat();
    packet
}

fn explain(offline: &Offline, packet: &Packet) -> Explanation {
    offline.explain(&packet.frame().unwrap(), None).unwrap()
}

fn absent(said: &Explanation, field: usize) -> &str {
    said.extract.as_ref().unwrap()[field].absent.as_deref().unwrap()
}

#[test]
fn a_tunnel_is_told_with_what_is_in_it() {
    let fields = [
        "name: network, from: vxlan.vni",
        "name: policy, from: vxlan.policy, bits: {offset: 8, length: 8}",
        "name: machine, from: inner.ip.src, table: machines",
    ];
    let offline = offline(&fields, "");
    let said = explain(&offline, &vxlan(5001));
    assert_eq!(outcome(&said), ["assigned", "drop", "target_drop"]);
    let beyond: Vec<_> = said.parse.beyond.iter().map(|it| (it.what.as_str(), it.says.as_str())).collect();
    assert_eq!(
        beyond,
        [
            ("vxlan", "vni 5001, group policy 9"),
            ("inner ethernet", "02:00:00:00:00:01 > 02:00:00:00:00:02"),
            ("inner ipv4", "10.8.0.1 > 10.9.0.1, protocol udp, ports 7 > 53"),
        ]
    );
    let [network, policy, machine] = said.extract.as_deref().unwrap() else { panic!("three fields") };
    assert_eq!((network.value.as_deref(), network.bits), (Some("5001"), None));
    assert_eq!((policy.value.as_deref(), policy.bits), (Some("9"), Some((8, 8))));
    assert_eq!((machine.raw.as_deref(), machine.value.as_deref()), (Some("10.8.0.1"), Some("web")));
    let drawn = picture::draw(&said);
    assert!(drawn.contains("vxlan at 42: vni 5001, group policy 9"), "{drawn}");

    let mut other = vxlan(5001);
    other.ports.1 = 53;
    let said = explain(&offline, &other);
    assert_eq!(absent(&said, 0), "it is no VXLAN to UDP port 4789");
    assert_eq!(absent(&said, 2), "no packet inside a tunnel can be read");
}

#[test]
fn options_and_ids_say_which() {
    let fields = [
        "name: network, from: tcp.option, option: {kind: 254, experiment: 7}, bits: {offset: 0, length: 16}",
        "name: id, from: quic.dcid, rotation: 1, bits: {offset: 8, length: 8}",
        "name: label, from: mpls.label",
    ];
    let offline = offline(&fields, "");
    let mut packet = Packet::new([198, 51, 100, 7].into(), [192, 0, 2, 1].into());
    packet.tcp_options = vec![254, 6, 0, 7, 0x13, 0x89, 0, 0];
    packet.below = Some((0x8847, vec![0, 0, 0x71, 64]));
    let said = explain(&offline, &packet);
    assert_eq!(outcome(&said), ["assigned", "drop", "target_drop"]);
    let field = &said.extract.as_ref().unwrap()[0];
    assert_eq!(field.carrier, "tcp.option kind 254 experiment 7");
    assert_eq!((field.bits, field.value.as_deref()), (Some((0, 16)), Some("5001")));
    assert_eq!(said.extract.as_ref().unwrap()[2].value.as_deref(), Some("7"));
    let beyond: Vec<_> =
        said.parse.beyond.iter().map(|it| (it.at, it.what.as_str(), it.says.as_str())).collect();
    assert_eq!(
        beyond,
        [(14, "mpls", "label 7 on top"), (62, "tcp option", "kind 254 experiment 7 of 2 bytes")]
    );
    assert_eq!(absent(&said, 1), "it is no QUIC to UDP port 443");

    (packet.protocol, packet.ports.1, packet.below) = (17, 443, None);
    packet.payload = [&[0x40, 0x40, 5, 0, 0, 0, 0, 0, 0][..], &[0; 20]].concat();
    let said = explain(&offline, &packet);
    assert_eq!(absent(&said, 0), "it is no TCP with such an option, or with a shorter one");
    assert_eq!(absent(&said, 1), "its connection id is shorter, or of another rotation");
    assert_eq!(absent(&said, 2), "the frame has no label stack");
}

#[test]
fn a_later_fragment_is_told_what_it_meets() {
    let fields = ["name: network, from: gre.key"];
    let mut frame = Packet::new([198, 51, 100, 7].into(), [192, 0, 2, 1].into()).frame().unwrap();
    frame[21] = 9;
    for (more, reason, meets) in [
        ("  fragments: drop\n", "fragment_drop", "drops"),
        ("  classes: {missing: pass}\n", "fragment_pass", "passes"),
    ] {
        let said = offline(&fields, more).explain(&frame, None).unwrap();
        assert_eq!((said.class.as_str(), said.forward.reason.as_str()), ("missing", reason));
        assert_eq!(absent(&said, 0), "a later fragment does not have it");
        let told = format!("the policy {meets} later fragments");
        assert!(said.would_change.iter().any(|line| line.starts_with(&told)), "{:?}", said.would_change);
    }
}
