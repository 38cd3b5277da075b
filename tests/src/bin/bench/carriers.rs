//! What carriers beyond the outer headers cost: a configuration and a row each, of 1,024 keys where the carrier's numbers can be
//! varied by the wrapper, else of one.

use keysteer_common::shim::{self, Claim, Secret, Signing};

use crate::frames::{SERVICE4, SERVICE6, tagged};
use crate::policies::{Parts, Policy, policy};
use crate::rows::{Row, Variation, budget, row, steered};

/// Where an outer UDP datagram's payload begins: Ethernet, IPv4, UDP.
const PAYLOAD: usize = 14 + 20 + 8;
/// The secret of the signed row.
const SECRET: [u64; 2] = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
/// What the signed row's clock says, in nanoseconds since 1970.
const SIGNED_AT: u64 = 1_700_000_000_000_000_000;

/// One carrier: the schemas, the keys, the frame.
struct Case {
    name: &'static str,
    /// The schemas of the policy, as far as their fields.
    schemas: &'static str,
    /// What else the policy says.
    spec: &'static str,
    /// The columns of the keys, and how the values of key `n` are written.
    match_of: (&'static str, fn(u32) -> String),
    keys: u32,
    frame: Vec<u8>,
    variation: Variation,
    budget: Option<f64>,
}

/// A schema of one field.
macro_rules! one {
    ($field:literal) => {
        concat!("    - version: 1\n      fields: [{name: tenant, ", $field, "}]\n")
    };
}

fn ip4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len()) as u16;
    let [high, low] = length.to_be_bytes();
    let mut ip = vec![0x45, 0, high, low, 0, 1, 0, 0, 60, protocol, 0, 0, 10, 0, 0, 1];
    ip.extend(SERVICE4);
    ip.extend(payload);
    ip
}

fn ip6(next: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (payload.len() as u16).to_be_bytes();
    let mut ip = vec![0x60, 0, 0, 0, high, low, next, 60];
    ip.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    ip.extend(SERVICE6);
    ip.extend(payload);
    ip
}

fn ethernet(ether_type: u16, rest: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(ether_type.to_be_bytes());
    frame.extend(rest);
    frame
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut udp = vec![0xc0, 0];
    udp.extend(port.to_be_bytes());
    udp.extend(((8 + payload.len()) as u16).to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    udp
}

/// An outer datagram to a port of the service.
fn outer(port: u16, payload: &[&[u8]]) -> Vec<u8> {
    ethernet(0x0800, &ip4(17, &udp(port, &payload.concat())))
}

/// A packet inside: UDP from 10.0.0.1 port 49,152 to the service's port 53.
fn inside() -> Vec<u8> {
    ip4(17, &udp(53, &[7; 18]))
}

/// The variation of a word at `at`, by 1,024 values that are `mask` above `base`.
const fn varied(at: usize, base: u32, mask: u32) -> Variation {
    Variation { word_offset: at as u32, word_base: base, word_mask: mask, ..Variation::NONE }
}

fn number(n: u32) -> String {
    n.to_string()
}

fn geneve(options: &[&[u8]]) -> Vec<u8> {
    let options = options.concat();
    let mut header = vec![(options.len() / 4) as u8, 0, 0x65, 0x58, 0, 0, 5, 0];
    header.extend(options);
    header
}

fn vxlan() -> Vec<u8> {
    vec![8, 0, 0, 0, 0, 0, 5, 0]
}

fn gre() -> Vec<u8> {
    let mut gre = vec![0x20, 0, 8, 0, 0, 0, 0, 5];
    gre.extend(inside());
    gre
}

fn tcp_with_option() -> Vec<u8> {
    let mut tcp = vec![0xc0, 0, 1, 0xbb, 0, 0, 0, 1, 0, 0, 0, 1, 0xa0, 0x10, 1, 0, 0, 0, 0, 0];
    // Padding, time stamps, then the option: 8 bytes with its experiment id.
    tcp.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 253, 8, 0x12, 0x34, 0, 0, 0, 5]);
    tcp
}

fn signed() -> Vec<u8> {
    let claim = Claim { flags: 0, secret_id: 1, epoch: shim::epoch(SIGNED_AT), key: 5 };
    let block = shim::to_bytes(shim::sign(SECRET, claim, [0; 2], [0; 2]));
    outer(7777, &[&block, &[0; 8]])
}

/// What verifies the signed row, whatever the time: the clock stands.
pub(crate) fn signing() -> Signing {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
        .map_or(0, |now| u64::try_from(now.tv_sec()).unwrap_or_default() * 1_000_000_000);
    Signing {
        secrets: [Secret { key: SECRET, id: 1, live: 1 }, Secret::default()],
        clock_offset: SIGNED_AT.wrapping_sub(now),
        ..Signing::default()
    }
}

fn cases() -> Vec<Case> {
    let tenant = ("match.tenant", number as fn(u32) -> String);
    let whole = |name, schemas, keys, frame, variation, budget| Case {
        name,
        schemas,
        spec: "",
        match_of: tenant,
        keys,
        frame,
        variation,
        budget,
    };
    let ether = || ethernet(0x0800, &inside());
    let five = |n: u32| if n == 0 { String::from("5") } else { number(n + 100) };
    let at = PAYLOAD;
    vec![
        whole(
            "two VLAN tags",
            one!("from: vlan.inner_id"),
            1024,
            tagged(&tagged(&outer(443, &[&[0; 18]]), 0), 7),
            varied(14 + 4 - 2, 0x8100_0000, 1023),
            None,
        ),
        whole(
            "MPLS label, of two",
            one!("from: mpls.label"),
            1024,
            ethernet(0x8847, &[&[0, 0, 0, 64, 0, 1, 1, 64], &ip4(17, &udp(443, &[0; 18]))[..]].concat()),
            varied(14, 64, 1023 << 12),
            None,
        ),
        whole(
            "IPv6 destination bits",
            one!("from: ipv6.dst, bits: {offset: 96, length: 32}"),
            1024,
            ethernet(0x86dd, &ip6(17, &udp(443, &[0; 18]))),
            varied(14 + 24 + 12, 0, 1023),
            Some(25.0),
        ),
        whole(
            "VXLAN VNI",
            one!("from: vxlan.vni"),
            1024,
            outer(4789, &[&vxlan(), &ether()]),
            varied(at + 3, 0, 1023),
            Some(25.0),
        ),
        whole(
            "Geneve VNI",
            one!("from: geneve.vni"),
            1024,
            outer(6081, &[&geneve(&[]), &ether()]),
            varied(at + 3, 0x5800_0000, 1023),
            Some(25.0),
        ),
        whole(
            "Geneve option, second of two",
            one!("from: geneve.option, option: {class: 0x0102, type: 3}, bits: {offset: 0, length: 32}"),
            1024,
            outer(6081, &[&geneve(&[&[1, 1, 1, 1, 9, 9, 9, 9], &[1, 2, 3, 1, 0, 0, 0, 5]]), &ether()]),
            varied(at + 8 + 8 + 4, 0, 1023),
            Some(35.0),
        ),
        whole(
            "GRE key",
            one!("from: gre.key"),
            1024,
            ethernet(0x0800, &ip4(47, &gre())),
            varied(14 + 20 + 4, 0, 1023),
            None,
        ),
        whole(
            "GTP-U TEID, with an extension",
            one!("from: gtpu.teid"),
            1024,
            outer(2152, &[&[0x34, 255, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0x85, 1, 0, 9, 0], &inside()]),
            varied(at + 4, 0, 1023),
            None,
        ),
        whole(
            "NSH service path, over GRE",
            one!("from: nsh.spi"),
            1024,
            ethernet(
                0x0800,
                &ip4(47, &[&[0, 0, 0x89, 0x4f, 0, 2, 2, 1, 0, 0, 5, 1], &inside()[..]].concat()),
            ),
            varied(14 + 20 + 4 + 3, 0x0100_0000, 1023),
            None,
        ),
        whole(
            "QUIC connection id, short header",
            one!("from: quic.dcid, bits: {offset: 8, length: 32}"),
            1024,
            outer(443, &[&[0x40, 1, 0, 0, 0, 5, 9, 9, 9, 9, 0, 0]]),
            varied(at + 2, 0, 1023),
            None,
        ),
        whole(
            "TCP option",
            one!("from: tcp.option, option: {kind: 253, experiment: 0x1234}, bits: {offset: 0, length: 32}"),
            1024,
            ethernet(0x0800, &ip4(6, &tcp_with_option())),
            varied(14 + 20 + 36, 0, 1023),
            None,
        ),
        whole(
            "IPv4 inside VXLAN",
            one!("from: inner.ipv4.src"),
            1024,
            outer(4789, &[&vxlan(), &ether()]),
            varied(at + 8 + 14 + 12, 0, 1023),
            None,
        ),
        Case {
            name: "three fields inside VXLAN",
            schemas: "    - version: 1\n      fields:\n        - {name: tenant, from: inner.ipv4.src}\n        - {name: port, from: inner.l4.dst_port}\n        - {name: protocol, from: inner.ip.protocol}\n",
            spec: "",
            match_of: ("match.tenant,match.port,match.protocol", |n| format!("{n},53,17")),
            keys: 1024,
            frame: outer(4789, &[&vxlan(), &ether()]),
            variation: varied(at + 8 + 14 + 12, 0, 1023),
            budget: Some(45.0),
        },
        Case {
            name: "the second of two schemas",
            schemas: "    - version: 1\n      fields: [{name: vlan, from: vlan.id}]\n    - version: 2\n      fields: [{name: tenant, from: vxlan.vni}]\n",
            spec: "",
            match_of: tenant,
            keys: 1024,
            frame: outer(4789, &[&vxlan(), &ether()]),
            variation: varied(at + 3, 0, 1023),
            budget: None,
        },
        Case {
            name: "signed shim",
            schemas: one!("from: shim.key"),
            spec: "  signing: {secrets: [{id: 1, file: /nowhere}]}\n",
            match_of: ("match.tenant", five),
            keys: 1,
            frame: signed(),
            variation: Variation::NONE,
            budget: Some(60.0),
        },
    ]
}

/// The configurations.
pub(crate) fn policies() -> Vec<Policy> {
    cases()
        .iter()
        .map(|case| {
            let (columns, values) = case.match_of;
            let parts = Parts {
                scope: String::from(
                    "    - {destinations: [203.0.113.10/32, \"2001:db8:10::/64\"], services: [any]}\n",
                ),
                schemas: Some(case.schemas),
                spec: case.spec,
                ..Parts::default()
            };
            let keys = (0..case.keys.max(1)).map(|n| format!("k{n},{},t", values(n)));
            policy(case.name, &parts, &format!("name,{columns},tier"), keys)
        })
        .collect()
}

/// The row of a configuration.
pub(crate) fn rows(configuration: &str) -> Vec<Row> {
    let case = cases().into_iter().find(|case| case.name == configuration);
    let rows = case.map(|case| {
        let row = row(case.name, case.frame, case.variation, steered(case.keys as usize));
        match case.budget {
            Some(nanoseconds) => budget(row, nanoseconds),
            None => row,
        }
    });
    rows.into_iter().collect()
}
