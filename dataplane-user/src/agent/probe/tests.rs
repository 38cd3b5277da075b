//! Of every carrier a probe can be made that has it.

use keysteer_common::vocabulary::Class;

use super::*;
use crate::compile::{Imagined, compile_for};
use crate::policy::parse;
use crate::state::{Ids, Secrets};

/// The classes of the probes of a policy with these fields, all in one level, and a key of these values.
fn classes(fields: &str, values: &str) -> Vec<Class> {
    let text = format!(
        "apiVersion: keysteer.dev/v1alpha1\nkind: SteeringPolicy\nmetadata: {{name: probed}}\nspec:\n  environment: prod\n  \
        interfaces: [{{name: eth0}}]\n  scope: [{{destinations: [203.0.113.0/24, \"2001:db8:10::/48\"], services: [any]}}]\n  \
        prefixTables: {{tenants: {{10.1.0.0/16: acme, \"2001:db8:1::/48\": acme}}}}\n  \
        schemas: [{{version: 1, fields: [{fields}]}}]\n  shards: [{{name: a, target: pass}}]\n  \
        pools: [{{name: general, shards: [a]}}]\n  keys: [{{name: it, match: {{{values}}}, pool: general}}]\n  classes: {{malformed: drop}}\n"
    );
    let policy = parse(&text, "p", None).unwrap_or_else(|error| panic!("{text}\n{error}"));
    let imagined = Imagined::of(&policy);
    let secrets = Secrets::from_bytes(&[7; 32]);
    let image = compile_for(&policy, imagined.host(), &secrets, &mut Ids::default()).unwrap();
    let mut engine = Engine::new(&image);
    let mut class = |mut frame: Vec<u8>| {
        let decided = engine.decide(&mut frame, INGRESS);
        Class::from_number(decided.work.record.decision.class).unwrap()
    };
    frames(&policy, &image).into_iter().map(&mut class).collect()
}

#[test]
fn every_carrier_can_be_probed() {
    for carrier in Carrier::ALL {
        let name = carrier.name();
        let (more, value) = match carrier {
            Carrier::GeneveOption => {
                (", option: {class: 1, type: 131}, bits: {offset: 40, length: 16}", "0xabcd")
            }
            Carrier::TcpOption => {
                (", option: {kind: 253, experiment: 9}, bits: {offset: 4, length: 16}", "0xabcd")
            }
            Carrier::QuicDcid => (", rotation: 2, bits: {offset: 72, length: 16}", "0xabcd"),
            carrier if carrier.needs_table() => (", table: tenants", "acme"),
            // These say what a packet is and where it goes: not every value is of a packet that there can be.
            Carrier::EthernetType => ("", "0x0800"),
            Carrier::Ipv4Dst => ("", "203.0.113.9"),
            Carrier::Ipv6Dst => ("", "\"2001:db8:10::9\""),
            Carrier::IpProtocol | Carrier::InnerIpProtocol => ("", "17"),
            _ => ("", "5"),
        };
        if *carrier == Carrier::IpDst {
            // The table's addresses are not in the scope.
            continue;
        }
        let found = classes(&format!("{{name: x, from: {name}{more}}}"), &format!("x: {value}"));
        let wanted = if *carrier == Carrier::ShimKey { Class::Unauthenticated } else { Class::Assigned };
        assert!(found.contains(&wanted), "{name}: {found:?}");
    }
}

#[test]
fn carriers_that_can_be_together_are() {
    for (fields, values) in [
        (
            "{name: a, from: mpls.label}, {name: b, from: vxlan.vni}, {name: c, from: vxlan.policy}, {name: d, from: inner.l4.dst_port}",
            "a: 70, b: 5001, c: 9, d: 53",
        ),
        (
            "{name: a, from: geneve.vni}, {name: b, from: geneve.option, option: {class: 1, type: 2}, bits: {offset: 0, length: 8}}, \
            {name: c, from: geneve.option, option: {class: 1, type: 3}, bits: {offset: 8, length: 8}}, {name: d, from: inner.ip.src, table: tenants}",
            "a: 5001, b: 1, c: 2, d: acme",
        ),
        (
            "{name: a, from: nsh.spi}, {name: b, from: gre.key}, {name: c, from: inner.ethernet.src}",
            "a: 9, b: 8, c: \"02:00:00:00:00:07\"",
        ),
        (
            "{name: a, from: vlan.id}, {name: b, from: quic.dcid, bits: {offset: 0, length: 8}}, {name: c, from: quic.dcid, bits: {offset: 8, length: 8}}",
            "a: 7, b: 1, c: 2",
        ),
        (
            "{name: a, from: gtpu.teid}, {name: b, from: inner.ip.dscp}, {name: c, from: ip.dscp}",
            "a: 0xffffffff, b: 46, c: 10",
        ),
    ] {
        let found = classes(fields, values);
        assert!(found.contains(&Class::Assigned), "{fields}: {found:?}");
    }
    // A signed option is read, and nobody has signed it.
    let signed = "{name: a, from: geneve.option, option: {class: 1, type: 2}, signed: true}";
    assert!(classes(signed, "a: 77").contains(&Class::Unauthenticated));
    // No packet is of both.
    let both = "{name: a, from: vxlan.vni}, {name: b, from: quic.dcid, bits: {offset: 0, length: 8}}";
    assert!(!classes(both, "a: 7, b: 1").contains(&Class::Assigned));
}
