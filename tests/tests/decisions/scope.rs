//! What is ours: destinations, services, and what never is.

use keysteer_common::config::SERVICES_IN_TABLE;
use keysteer_common::vocabulary::Verdict;
use keysteer_tests::frames::{Packet, Transport};
use keysteer_tests::lab::mac;

use crate::table::{A, Expect, POLICY, acme, acme6, table, table_of};

fn to_a() -> Expect {
    Expect::redirected("acme", "a", Verdict::Interface, [A, mac(1)])
}

/// The policy with another scope.
fn scoped(entries: &[&str]) -> String {
    let (before, rest) = POLICY.split_once("  scope:\n").unwrap();
    let (_, after) = rest.split_once('\n').unwrap();
    let entries: String = entries.iter().map(|entry| format!("    - {{{entry}}}\n")).collect();
    format!("{before}  scope:\n{entries}{after}")
}

fn to(destination: &str, transport: Transport, port: u16) -> Packet {
    let source = if destination.contains(':') { "2001:db8:1::3" } else { "10.1.2.3" };
    Packet { transport, ports: (1, port), ..Packet::between(source, destination) }
}

const TCP: Transport = Transport::Tcp(0);
const UDP: Transport = Transport::Udp;

#[test]
fn services_as_constants() {
    table(|_, mut table| {
        assert!(table.image.config.services_len <= 4);
        for port in [400, 443, 499] {
            table.says("inside the range", &to("203.0.113.1", UDP, port), &to_a());
        }
        for port in [399, 500, 0, 65_535] {
            table.says("outside the range", &to("203.0.113.1", UDP, port), &Expect::foreign());
        }
        table.says("a single port", &to("203.0.113.1", TCP, 443), &to_a());
        table.says("the port beside it", &to("203.0.113.1", TCP, 444), &Expect::foreign());
        table.says("SCTP", &to("2001:db8:10::1", Transport::Sctp, 443), &to_a());
        table.says("a protocol without ports", &to("203.0.113.1", Transport::Icmp(8), 0), &to_a());
        let echo = to("2001:db8:10::1", Transport::Icmp(128), 0);
        table.says("the other family's echo is another protocol", &echo, &Expect::foreign());
        table.says(
            "a protocol that is not listed",
            &to("203.0.113.1", Transport::Other(47), 0),
            &Expect::foreign(),
        );
        let later = Packet { fragment: Some((9, true)), ..to("203.0.113.1", UDP, 9) };
        table.says("a fragment goes by its protocol", &later, &to_a());
        let first = Packet { fragment: Some((0, true)), ..to("203.0.113.1", UDP, 9) };
        table.says("the first one too", &first, &to_a());
    });
}

#[test]
fn services_in_the_table() {
    let policy = scoped(&[
        r#"destinations: [203.0.113.0/25, "2001:db8:10::/64"], services: [tcp/1, tcp/3, tcp/5, tcp/7, udp/53, icmp]"#,
        r#"destinations: [203.0.113.128/25], services: [udp/9]"#,
        r#"destinations: [203.0.113.200], services: [any]"#,
        r#"destinations: [203.0.113.0/28], services: [sctp]"#,
    ]);
    table_of(
        &policy,
        |_| {},
        |_, mut table| {
            assert_eq!(table.image.config.services_len, SERVICES_IN_TABLE);
            for port in 0..10 {
                let expect = if port % 2 == 1 && port < 9 { to_a() } else { Expect::foreign() };
                table.says("one of six", &to("203.0.113.99", TCP, port), &expect);
                table.says("of IPv6", &to("2001:db8:10::1", TCP, port), &expect);
            }
            table.says("inherited from the wider prefix", &to("203.0.113.1", UDP, 53), &to_a());
            table.says("and added to", &to("203.0.113.1", Transport::Sctp, 1), &to_a());
            table.says("not for others", &to("203.0.113.99", Transport::Sctp, 1), &Expect::foreign());
            table.says("another set", &to("203.0.113.130", UDP, 9), &to_a());
            table.says("has its own", &to("203.0.113.130", UDP, 53), &Expect::foreign());
            table.says("everything", &to("203.0.113.200", Transport::Other(50), 0), &to_a());
            table.says("beyond the prefix", &to("2001:db8:10:1::", TCP, 1), &Expect::foreign());
        },
    );
}

#[test]
fn one_block_needs_no_table() {
    for (entry, inside, outside) in [
        ("destinations: [203.0.113.8/30]", ["203.0.113.8", "203.0.113.11"], ["203.0.113.7", "203.0.113.12"]),
        ("destinations: [203.0.113.9]", ["203.0.113.9"; 2], ["203.0.113.8", "203.0.113.10"]),
        (
            r#"destinations: ["2001:db8:10::8000/113"]"#,
            ["2001:db8:10::8000", "2001:db8:10::ffff"],
            ["2001:db8:10::7fff", "2001:db8:10::1:0"],
        ),
    ] {
        table_of(
            &scoped(&[entry]),
            |_| {},
            |_, mut table| {
                let scope = table.image.config.scope;
                assert_eq!((scope.v4.bits, scope.v6.bits), (0, 0), "no index");
                inside.iter().for_each(|ip| drop(table.says("inside", &to(ip, UDP, 1), &to_a())));
                outside
                    .iter()
                    .for_each(|ip| drop(table.says("outside", &to(ip, UDP, 1), &Expect::foreign())));
            },
        );
    }
}

#[test]
fn many_prefixes_are_searched() {
    let blocks: Vec<String> = (0..200)
        .map(|n| format!("203.0.{}.{}/30, \"2001:db8:10:{n:x}::/65\"", n / 8, (n % 8) * 32))
        .collect();
    let policy = scoped(&[&format!("destinations: [{}]", blocks.join(", "))]);
    table_of(
        &policy,
        |_| {},
        |_, mut table| {
            assert!(table.image.config.scope.v4.bits > 0 && !table.image.prefix_steps.is_empty());
            for n in 0..200 {
                let four = |host: u32| to(&format!("203.0.{}.{}", n / 8, (n % 8) * 32 + host), UDP, 1);
                let six = |host: &str| to(&format!("2001:db8:10:{n:x}:{host}"), UDP, 1);
                table.says("first", &four(0), &to_a());
                table.says("last", &four(3), &to_a());
                table.says("next", &four(4), &Expect::foreign());
                table.says("IPv6, last", &six("7fff:ffff:ffff:ffff"), &to_a());
                table.says("IPv6, next", &six("8000::"), &Expect::foreign());
            }
        },
    );
}

#[test]
fn everything_may_be_ours_but_discovery_never_is() {
    table_of(
        &scoped(&["services: [any]"]),
        |_| {},
        |_, mut table| {
            table.says("any destination", &to("8.8.8.8", Transport::Other(99), 0), &to_a());
            for kind in (130..=137).chain([143]) {
                let discovery = Packet { transport: Transport::Icmp(kind), ..acme6(0) };
                table.says("discovery", &discovery, &Expect::foreign());
            }
            let echo = Packet { transport: Transport::Icmp(135), ..acme(0) };
            table.says("ICMP over IPv4 has no such types", &echo, &to_a());
        },
    );
}
