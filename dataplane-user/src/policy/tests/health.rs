//! Health: what is understood, and what is refused.

use std::time::Duration;

use super::*;

/// The small policy with health, of whose shards `b` is as given.
fn with(health: &str, b: &str) -> String {
    let text = RIGHT.replacen("  keys:\n", &format!("  health: {health}\n  keys:\n"), 1);
    text.replacen("{name: b, target: {cpu: 1}}", b, 1)
}

const TCP: &str = "{probe: {tcp: {port: 443}}}";
const B: &str = "{name: b, target: {cpu: 1}}";
const VETH: &str = "{name: b, target: {interface: {name: eth0, mac: \"02:00:00:00:00:0b\"}}}";

#[test]
fn a_policy_without_it_asks_nobody() {
    let policy = parse(RIGHT, "p", None).unwrap();
    assert_eq!((policy.health, policy.egress), (None, None));
}

#[test]
fn little_is_enough() {
    let policy = parse(&with(TCP, B), "p", None).unwrap();
    let health = policy.health.unwrap();
    let wanted = Check {
        probe: Probe::Tcp { port: 443 },
        address: "203.0.113.10".parse().unwrap(),
        interval: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
        rise: 2,
        fall: 3,
        jitter: Share::parse("10%").unwrap(),
        slow_start: Duration::ZERO,
        damping: Some(Damping { flaps: 3, within: Duration::from_secs(60), hold: Duration::from_secs(60) }),
    };
    assert_eq!(health.shards, [Some(wanted.clone()), Some(wanted)]);
    assert_eq!(health.floors, [Share::parse("50%").unwrap()]);
    assert_eq!(policy.egress, None, "both are this host: no road is needed");
}

#[test]
fn a_shard_and_a_pool_say_for_themselves() {
    let own = "{name: b, target: {cpu: 1}, health: {probe: {http: {port: 80, path: /live, host: b.example, status: [200, 204]}}, \
               address: 203.0.113.11, interval: 200ms, timeout: 50ms, rise: 1, fall: 2, jitter: 0%, slowStart: 30s, damping: off}}";
    let text = with("{probe: {icmp: {}}, floor: 40%, interval: 5s}", own).replacen(
        "shards: [a, b]}",
        "shards: [a, b], health: {floor: 12.5%}}",
        1,
    );
    let health = parse(&text, "p", None).unwrap().health.unwrap();
    let [a, b] = health.shards.as_slice() else { panic!("{health:?}") };
    let a = a.as_ref().unwrap();
    assert_eq!(
        (&a.probe, a.interval, a.timeout),
        (&Probe::Icmp, Duration::from_secs(5), Duration::from_millis(2_500))
    );
    let b = b.as_ref().unwrap();
    let status = vec![200, 204];
    let host = Some("b.example".to_owned());
    assert_eq!(b.probe, Probe::Http { port: 80, path: "/live".to_owned(), host, status });
    assert_eq!((b.address.to_string().as_str(), b.rise, b.fall, b.damping), ("203.0.113.11", 1, 2, None));
    assert_eq!(health.floors, [Share::parse("12.5%").unwrap()]);
    let text = b.text();
    assert!(
        text.starts_with(
            "http 203.0.113.11 port 80 /live host b.example status 200 204 every 200ms timeout 50ms"
        ),
        "{text}"
    );
    let off = parse(&with(TCP, "{name: b, target: {cpu: 1}, health: off}"), "p", None).unwrap();
    assert_eq!(off.health.unwrap().shards[1], None);
    let drop = parse(&with(TCP, "{name: b, target: drop}"), "p", None).unwrap();
    assert_eq!(drop.health.unwrap().shards[1], None, "nothing can answer there");
}

#[test]
fn the_road_comes_with_it() {
    let policy = parse(&with(TCP, VETH), "p", None).unwrap();
    let egress = policy.egress.unwrap();
    assert!(egress.probes && !egress.count);
    let counts = with(TCP, VETH).replacen("  keys:\n", "  egress: {}\n  keys:\n", 1);
    let egress = parse(&counts, "p", None).unwrap().egress.unwrap();
    assert!(egress.probes && egress.count);
    let closed = with(TCP, VETH).replacen("  keys:\n", "  egress: {probes: false}\n  keys:\n", 1);
    let [problem] = problems(&closed).try_into().unwrap();
    assert!(problem.contains("spec.egress.probes: spec.health asks shards by the probe road"), "{problem}");
    // Where nobody needs the road it may be closed.
    let own = with(TCP, B).replacen("  keys:\n", "  egress: {probes: false}\n  keys:\n", 1);
    assert_eq!(problems(&own), [""; 0]);
}

#[test]
fn a_translated_pod_is_asked_at_its_own_address() {
    let pod = "{name: b, target: {interface: {name: eth0, mac: \"02:00:00:00:00:0b\", nat: true, addresses: [10.9.0.2]}}}";
    let policy = parse(&with(TCP, pod), "p", None).unwrap();
    let address = policy.health.unwrap().shards[1].as_ref().unwrap().address;
    assert_eq!(address.to_string(), "10.9.0.2");
}

#[test]
fn what_is_wrong_is_said_where_it_is() {
    for (health, b, said) in [
        ("{}", B, "spec.health.probe: is required but missing"),
        ("{probe: {}}", B, "spec.health.probe: expected exactly one of \"tcp\", \"http\" or \"icmp\""),
        ("{probe: {tcp: {}}}", B, "spec.health.probe.tcp.port: is required but missing"),
        (
            "{probe: {tcp: {port: 0}}}",
            B,
            "spec.health.probe.tcp.port: expected a whole number from 1 to 65535",
        ),
        ("{probe: {udp: {port: 1}}}", B, "spec.health.probe.udp: unknown field \"udp\""),
        ("{probe: {http: {port: 80, path: live}}}", B, "spec.health.probe.http.path: \"live\" is no path"),
        ("{probe: {http: {port: 80, path: \"/a b\"}}}", B, "\"/a b\" is no path"),
        ("{probe: {http: {port: 80, status: []}}}", B, "spec.health.probe.http.status: must not be empty"),
        (
            "{probe: {icmp: {}}, interval: 1ms}",
            B,
            "spec.health.interval: 1ms is not possible: expected from 10ms to 3600s",
        ),
        ("{probe: {icmp: {}}, timeout: 2s}", B, "spec.health.timeout: is longer than the interval of 1s"),
        ("{probe: {icmp: {}}, interval: soon}", B, "spec.health.interval: \"soon\" is no span of time"),
        ("{probe: {icmp: {}}, jitter: 60%}", B, "spec.health.jitter: can be 50% at most"),
        ("{probe: {icmp: {}}, rise: 0}", B, "spec.health.rise: expected a whole number from 1 to 100"),
        ("{probe: {icmp: {}}, damping: on}", B, "spec.health.damping: expected \"off\" or a mapping"),
        ("{probe: {icmp: {}}, damping: {hold: 0s}}", B, "spec.health.damping.hold: 0ns is not possible"),
        (TCP, "{name: b, target: drop, health: {rise: 1}}", "spec.shards[1].health: nothing can answer"),
        (TCP, "{name: b, target: {cpu: 1}, health: {floor: 1%}}", "unknown field \"floor\""),
        (
            TCP,
            "{name: b, target: {cpu: 1}, health: none}",
            "expected \"off\" or a mapping, found the text \"none\"",
        ),
    ] {
        let found = problems(&with(health, b));
        assert!(found.iter().any(|problem| problem.contains(said)), "{health} {b}: {found:?}");
        assert!(!said.starts_with("spec.health") || found.len() == 1, "once for all: {found:?}");
    }
    let alone = RIGHT.replacen("{name: a, target: pass}", "{name: a, target: pass, health: off}", 1);
    let [problem] = problems(&alone).try_into().unwrap();
    assert!(problem.contains("spec.shards[0].health: has no meaning without spec.health"), "{problem}");
    let wide = with(TCP, B).replacen("203.0.113.10/32", "203.0.113.0/24", 1);
    let found = problems(&wide);
    assert!(
        found[0].contains("spec.health.address: is required, for the scope has no address of one host"),
        "{found:?}"
    );
}

#[test]
fn nobody_asked_is_a_slip() {
    let text = with(TCP, "{name: b, target: {cpu: 1}, health: off}").replacen(
        "{name: a, target: pass}",
        "{name: a, target: drop}",
        1,
    );
    let policy = parse(&text, "p", None).unwrap();
    assert!(policy.warnings.iter().any(|it| it.field == "spec.health"), "{:?}", policy.warnings);
}
