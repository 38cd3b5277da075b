//! Fields of every carrier: what is understood, and what is said of those that cannot be.

use keysteer_common::carrier::Carrier;
use keysteer_common::config::{ANY_ROTATION, Ports};

use super::*;

/// The small policy with one more field, in a level of its own.
fn with_field(field: &str) -> String {
    let more = "        - {name: product, from: ip.dscp}\n";
    assert!(RIGHT.contains(more));
    let text = RIGHT.replacen(more, &format!("{more}        - {{name: x, {field}}}\n"), 1);
    text.replacen("[tenant]]", "[tenant], [x]]", 1)
}

/// And with more in `spec`.
fn with(field: &str, spec: &str) -> String {
    with_field(field).replacen("  shards:\n", &format!("  {spec}\n  shards:\n"), 1)
}

fn policy(text: &str) -> Policy {
    parse(text, "p", None).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

fn field(text: &str) -> Field {
    policy(&with_field(text)).schemas[0].fields.pop().unwrap()
}

/// What is said of a field, behind its place.
fn said(field: &str) -> String {
    said_of(&with_field(field))
}

fn said_of(text: &str) -> String {
    let problems = problems(text);
    let lines: Vec<&str> =
        problems.iter().filter_map(|line| Some(line.splitn(4, ':').nth(3)?.trim())).collect();
    lines.join("\n").replace("spec.schemas[0].fields[2].", "")
}

/// What is warned of, without the place.
fn warned(text: &str) -> Vec<String> {
    let warnings = policy(text).warnings;
    warnings.iter().map(|warning| format!("{}: {}", warning.field, warning.message)).collect()
}

/// The least that a field of each carrier says.
fn least(carrier: Carrier) -> String {
    let name = carrier.name();
    match carrier {
        Carrier::GeneveOption => {
            format!("from: {name}, option: {{class: 1, type: 2}}, bits: {{offset: 0, length: 16}}")
        }
        Carrier::TcpOption => format!("from: {name}, option: {{kind: 30}}, bits: {{offset: 0, length: 16}}"),
        Carrier::QuicDcid => format!("from: {name}, bits: {{offset: 8, length: 16}}"),
        carrier if carrier.needs_table() => format!("from: {name}, table: tenants"),
        carrier if carrier.bits() > 64 => format!("from: {name}, bits: {{offset: 0, length: 64}}"),
        _ => format!("from: {name}"),
    }
}

#[test]
fn every_carrier_can_be_a_field() {
    for carrier in Carrier::ALL {
        let field = field(&least(*carrier));
        assert_eq!((field.carrier, field.signed), (*carrier, *carrier == Carrier::ShimKey));
    }
}

#[test]
fn options_rotations_and_signatures_are_understood() {
    let geneve =
        field("from: geneve.option, option: {class: 0x0102, type: 0x83}, bits: {offset: 960, length: 32}");
    assert_eq!((geneve.which, geneve.offset, geneve.bits), (0x1_0283, 960, 32));
    assert_eq!(geneve.source(), "geneve.option class 258 type 131");
    let signed = field("from: geneve.option, option: {class: 1, type: 2}, signed: true");
    assert_eq!((signed.signed, signed.offset, signed.bits), (true, 0, 64));
    assert_eq!(signed.source(), "geneve.option class 1 type 2, signed");
    let tcp = field("from: tcp.option, option: {kind: 30}, bits: {offset: 0, length: 32}");
    assert_eq!((tcp.which, tcp.source().as_str()), (30 << 16, "tcp.option kind 30"));
    let experiment =
        field("from: tcp.option, option: {kind: 254, experiment: 0xabcd}, bits: {offset: 0, length: 32}");
    assert_eq!(
        (experiment.which, experiment.source().as_str()),
        (0xfe_abcd, "tcp.option kind 254 experiment 43981")
    );
    let quic = field("from: quic.dcid, bits: {offset: 8, length: 24}");
    assert_eq!((quic.which, quic.source().as_str()), (ANY_ROTATION, "quic.dcid"));
    let quic = field("from: quic.dcid, rotation: 0, bits: {offset: 8, length: 24}");
    assert_eq!((quic.which, quic.source().as_str()), (0, "quic.dcid rotation 0"));
    let shim = field("from: shim.key, bits: {offset: 32, length: 32}");
    assert_eq!((shim.signed, shim.offset, shim.bits), (true, 32, 32));
}

#[test]
fn what_a_carrier_needs_and_does_not_take_is_said() {
    for (field, expected) in [
        (
            "from: geneve.option, bits: {offset: 0, length: 8}",
            "option: geneve.option needs to know which option it is: give option: {class, type}",
        ),
        (
            "from: geneve.option, option: {kind: 30}, bits: {offset: 0, length: 8}",
            "option: geneve.option needs to know which option it is: give option: {class, type}",
        ),
        (
            "from: tcp.option, option: {class: 1, type: 2}, bits: {offset: 0, length: 8}",
            "option: tcp.option needs to know which option it is: give option: {kind}, or {kind, experiment} for kinds 253 and 254",
        ),
        (
            "from: vxlan.vni, option: {kind: 30}",
            "option: only geneve.option and tcp.option are options, not vxlan.vni",
        ),
        (
            "from: tcp.option, option: {kind: 253}, bits: {offset: 0, length: 8}",
            "option: kind 253 is for experiments: say which by its id, {kind: 253, experiment: ...}",
        ),
        (
            "from: tcp.option, option: {kind: 30, experiment: 1}, bits: {offset: 0, length: 8}",
            "option: only kinds 253 and 254 are for experiments and have an id, not kind 30",
        ),
        (
            "from: tcp.option, option: {kind: 1}, bits: {offset: 0, length: 8}",
            "option.kind: expected a whole number from 2 to 254, found the number 1",
        ),
        (
            "from: geneve.option, option: {class: 1}, bits: {offset: 0, length: 8}",
            "option.type: is required but missing",
        ),
        (
            "from: geneve.option, option: {class: 1, kind: 2}, bits: {offset: 0, length: 8}",
            "option: expected {class, type} for an option of Geneve, or {kind} or {kind, experiment} for one of TCP",
        ),
        ("from: vlan.id, rotation: 1", "rotation: only quic.dcid has rotations, not vlan.id"),
        (
            "from: quic.dcid, rotation: 7, bits: {offset: 0, length: 8}",
            "rotation: expected a whole number from 0 to 6, found the number 7",
        ),
        ("from: vlan.id, signed: true", "signed: only shim.key and geneve.option can be signed"),
        ("from: shim.key, signed: false", "signed: a shim is always signed: leave this out"),
        (
            "from: quic.dcid",
            "bits: quic.dcid is as long as its sender makes it: say which bits of it, bits: {offset, length}",
        ),
        (
            "from: geneve.option, option: {class: 1, type: 2}, signed: true, bits: {offset: 0, length: 8}",
            "bits: the value of a signed option is its key, whole: leave this out",
        ),
        (
            "from: quic.dcid, bits: {offset: 160, length: 8}",
            "bits: bits 160 to 167 are beyond the 160 bits that there can be of quic.dcid",
        ),
        (
            "from: geneve.option, option: {class: 1, type: 2}, bits: {offset: 985, length: 8}",
            "bits: bits 985 to 992 are beyond the 992 bits that there can be of geneve.option",
        ),
        (
            "from: tcp.option, option: {kind: 253, experiment: 1}, bits: {offset: 281, length: 8}",
            "bits: bits 281 to 288 are beyond the 288 bits that there can be of tcp.option",
        ),
        (
            "from: quic.dcid, bits: {offset: 4, length: 128}",
            "bits: bits 4 to 131 are in 17 bytes, and 16 can be read: take fewer, or begin with a byte",
        ),
        (
            "from: vxlan.vni, bits: {offset: 20, length: 8}",
            "bits: bits 20 to 27 are beyond the 24 bits of vxlan.vni",
        ),
        (
            "from: inner.ip.src",
            "from: inner.ip.src is an address of either family and needs a prefix table: add table, or take inner.ipv4.src or inner.ipv6.src",
        ),
        ("from: gtpu.teid, table: tenants", "table: gtpu.teid is not an address: it takes no prefix table"),
        ("from: vxlan.vmi", "from: unknown carrier \"vxlan.vmi\"; did you mean \"vxlan.vni\"?"),
    ] {
        assert_eq!(said(field), expected, "{field}");
    }
}

#[test]
fn tunnels_are_found_where_the_policy_says() {
    let field = "from: inner.ipv4.src";
    assert_eq!(policy(&with_field(field)).carriers, Carriers { ports: Ports::IANA, quic_length: 8 });
    let spec = "carriers: {vxlan: {port: 8472}, gtpu: {port: 0x869}}";
    let ports = Ports { vxlan: 8472, gtpu: 2153, ..Ports::IANA };
    assert_eq!(policy(&with(field, spec)).carriers, Carriers { ports, quic_length: 8 });
    let text = with("from: shim.key", "carriers: {shim: {port: 7000}}");
    assert_eq!(policy(&text).carriers.ports.shim, 7000);
    let field = "from: quic.dcid, bits: {offset: 16, length: 80}";
    let text = with(field, "carriers: {quic: {shortHeaderLength: 12}}");
    assert_eq!((policy(&text).carriers.quic_length, warned(&text)), (12, Vec::new()));
    assert_eq!(
        warned(&with(field, "carriers: {quic: {port: 4433}}")),
        [
            "spec.carriers.quic.shortHeaderLength: field \"x\" reads beyond the 8 bytes of connection ids in short headers, so an established connection never has it"
        ]
    );
    for (spec, expected) in [
        (
            "carriers: {geneve: {port: 4789}}",
            "spec.carriers.geneve.port: port 4789 is that of vxlan too, and a datagram is one or the other: give each its own",
        ),
        (
            "carriers: {vxlan: {port: 2152}}",
            "spec.carriers.vxlan.port: port 2152 is that of gtpu too, and a datagram is one or the other: give each its own",
        ),
        ("carriers: {vxlan: {}}", "spec.carriers.vxlan.port: is required but missing"),
        ("carriers: {quic: {}}", "spec.carriers.quic.port: is required but missing"),
        (
            "carriers: {quic: {shortHeaderLength: 21}}",
            "spec.carriers.quic.shortHeaderLength: expected a whole number from 0 to 20, found the number 21",
        ),
        (
            "carriers: {vxlan: {port: 0}}",
            "spec.carriers.vxlan.port: expected a whole number from 1 to 65535, found the number 0",
        ),
    ] {
        assert_eq!(said_of(&with("from: inner.ipv4.src", spec)), expected, "{spec}");
    }
    // What nothing reads is in nobody's way, but says nothing.
    assert_eq!(
        warned(&with("from: gtpu.teid", "carriers: {vxlan: {port: 6081}}")),
        ["spec.carriers.vxlan: no field uses the carrier, so this says nothing"]
    );
}

#[test]
fn later_fragments_follow_or_are_treated_apart() {
    let class = |spec: &str| {
        let policy = policy(&with("from: gre.key", spec));
        assert_eq!(policy.warnings, [], "{spec}");
        (policy.datagrams, policy.classes.fragments)
    };
    assert_eq!(class("classes: {missing: drop}"), (None, ClassAction::Drop));
    assert_eq!(class("fragments: drop"), (None, ClassAction::Drop));
    assert_eq!(class("fragments: {pool: general}"), (None, ClassAction::Pool(0)));
    assert_eq!(class("fragments: {table: 4096}"), (Some(4096), ClassAction::Pass));
    assert_eq!(class("fragments: {table: 4096, otherwise: drop}"), (Some(4096), ClassAction::Drop));
    assert_eq!(class("fragments: {table: 1, otherwise: {pool: general}}"), (Some(1), ClassAction::Pool(0)));
    for (spec, expected) in [
        (
            "fragments: {table: 0}",
            "spec.fragments.table: expected a whole number from 1 to 1048576, found the number 0",
        ),
        (
            "fragments: {table: 9, pool: general}",
            "spec.fragments: expected {table: N}, {table: N, otherwise: ...} or {pool: name}",
        ),
        (
            "fragments: {otherwise: drop}",
            "spec.fragments: expected {table: N}, {table: N, otherwise: ...} or {pool: name}",
        ),
        ("fragments: dorp", "spec.fragments: unknown action \"dorp\"; did you mean \"drop\"?"),
        (
            "fragments: {pool: genral}",
            "spec.fragments.pool: unknown pool \"genral\"; did you mean \"general\"?",
        ),
        (
            "fragments: {table: 9, otherwise: {pool: genral}}",
            "spec.fragments.otherwise.pool: unknown pool \"genral\"; did you mean \"general\"?",
        ),
    ] {
        assert_eq!(said_of(&with("from: gre.key", spec)), expected, "{spec}");
    }
    assert_eq!(
        warned(&with("from: mpls.label", "fragments: drop")),
        ["spec.fragments: every fragment has all fields of the schema, so this says nothing"]
    );
}

#[test]
fn values_are_written_as_their_carrier_is() {
    for (field, value, text) in [
        ("from: inner.ipv4.src", "10.1.2.3", "10.1.2.3"),
        ("from: inner.ethernet.dst", "\"02:00:00:00:00:0A\"", "02:00:00:00:00:0a"),
        ("from: vxlan.vni", "0x1000", "4096"),
        ("from: geneve.option, option: {class: 1, type: 2}, bits: {offset: 0, length: 32}", "7", "7"),
        ("from: shim.key", "0xffffffffffffffff", "18446744073709551615"),
    ] {
        let key = format!("  keys:\n    - {{name: it, match: {{x: {value}}}, pool: general}}\n");
        let policy = policy(&with_field(field).replacen("  keys:\n", &key, 1));
        let x = policy.schemas[0].fields.last().unwrap();
        assert_eq!(x.text(&policy.tables, x.value(policy.keys[0].key)), text, "{field}");
    }
    let wrong = "  keys:\n    - {name: it, match: {x: 10.1.2}, pool: general}\n";
    assert_eq!(
        said_of(&with_field("from: inner.ipv4.src").replacen("  keys:\n", wrong, 1)),
        "spec.keys[0].match.x: \"10.1.2\" is not an IPv4 address"
    );
    // A whole address of the longer family takes a schema of its own.
    let text = RIGHT
        .replacen("        - {name: tenant, from: ip.src, table: tenants}\n", "", 1)
        .replacen("{name: product, from: ip.dscp}", "{name: tenant, from: inner.ipv6.dst}", 1)
        .replacen("[[tenant, product], [tenant]]", "[[tenant]]", 1);
    let (before, _) = text.split_once("  keys:\n").unwrap();
    let policy = policy(&format!(
        "{before}  keys:\n    - {{name: it, match: {{tenant: \"2001:db8::1\"}}, pool: general}}\n"
    ));
    assert_eq!(policy.schemas[0].fields[0].text(&[], policy.keys[0].key), "2001:db8::1");
}
