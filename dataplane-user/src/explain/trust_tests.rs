//! Who may assert a key, as a packet meets it.

use super::offline::Offline;
use super::tests::{POLICY, advises, outcome, packet};
use super::types::{LevelFinding, TrustFinding};
use super::*;

/// Keys with sources, and rules for both interfaces.
fn offline() -> Offline {
    let text = POLICY
        .replace("match: {tenant: acme}, pool", "match: {tenant: acme}, sources: [10.1.0.0/24], pool")
        .replace("pool: exit-b}", "pool: exit-b, sources: [10.2.0.0/16]}");
    let trust =
        "  trust:\n    default: ignore\n    interfaces: {eth0: {mode: verify}, eth1: {carriers: [ip.src]}}\n";
    Offline::from_text(&format!("{text}{trust}"), |_| {})
}

fn ask(source: &str, interface: &str, port: u16) -> Explanation {
    let mut packet = packet(source);
    packet.ports.1 = port;
    offline().explain(&packet.frame().unwrap(), Some(interface)).unwrap()
}

fn found(said: &Explanation) -> (&str, TrustFinding, Option<&str>) {
    let trust = said.trust.as_ref().unwrap();
    (trust.rule.as_deref().unwrap(), trust.finding, trust.key.as_deref())
}

#[test]
fn a_source_that_is_the_keys_own_is_told() {
    let said = ask("10.1.0.9", "eth0", 443);
    assert_eq!(outcome(&said), ["assigned", "interface", "steered"]);
    assert_eq!(found(&said), ("spec.trust.interfaces.eth0", TrustFinding::FromItsSources, Some("acme")));
    let drawn = picture::draw(&said);
    assert!(drawn.contains("spec.trust.interfaces.eth0: verify"), "{drawn}");
    assert!(drawn.contains("10.1.0.9 may use acme: its sources are 10.1.0.0/24"), "{drawn}");
}

#[test]
fn a_wrong_source_is_told_with_the_key_that_is_claimed() {
    let said = ask("10.1.7.9", "eth1", 443);
    assert_eq!(outcome(&said), ["unauthenticated", "drop", "class_drop"]);
    assert_eq!(found(&said), ("spec.trust.interfaces.eth1", TrustFinding::NotFromItsSources, Some("acme")));
    assert!(said.key.is_none(), "it is not the key's packet");
    let levels: Vec<LevelFinding> = said.resolve.iter().flatten().map(|level| level.finding).collect();
    assert_eq!(levels, [LevelFinding::Incomplete, LevelFinding::Incomplete, LevelFinding::Claimed]);
    advises(&said, &["key acme may only be used from 10.1.0.0/24", "10.1.7.9", "sources"]);
    advises(&said, &["classes: {unauthenticated: drop}"]);
    let drawn = picture::draw(&said);
    assert!(drawn.contains("key acme: claimed without right"), "{drawn}");
}

#[test]
fn proof_that_a_key_cannot_have_is_told() {
    let said = ask("10.5.0.9", "eth0", 443);
    assert_eq!(found(&said), ("spec.trust.interfaces.eth0", TrustFinding::NoProof, Some("five")));
    advises(&said, &["spec.trust.interfaces.eth0 asks for proof", "key five", "sources that hold 10.5.0.9"]);
}

#[test]
fn what_is_not_read_there_is_told() {
    // 1044 ends with the byte of globex-voice; by eth1 no port is read.
    let text = POLICY.replace("tcp/443", "tcp/443, tcp/1044");
    let text = format!("{text}  trust: {{interfaces: {{eth1: {{carriers: [ip.src]}}}}}}\n");
    let offline = Offline::from_text(&text, |_| {});
    let mut packet = packet("10.2.0.9");
    packet.ports.1 = 1044;
    let frame = packet.frame().unwrap();
    let by = |interface| offline.explain(&frame, Some(interface)).unwrap();
    let key = |said: &Explanation| said.key.as_ref().map(|key| key.name.clone());
    assert_eq!(key(&by("eth0")).as_deref(), Some("globex-voice"));
    let said = by("eth1");
    assert_eq!(key(&said).as_deref(), Some("globex"));
    let trust = said.trust.as_ref().unwrap();
    assert_eq!(
        (trust.mode.as_str(), trust.ignored.as_slice()),
        ("trusted", ["vlan".to_owned(), "half".to_owned()].as_slice())
    );
    let half = &said.extract.as_ref().unwrap()[2];
    assert_eq!(half.absent.as_deref(), Some("spec.trust.interfaces.eth1 does not let it be read here"));
}

#[test]
fn an_interface_that_is_ignored_has_no_keys() {
    let text = format!("{POLICY}  trust: {{default: ignore}}\n");
    let said = Offline::from_text(&text, |_| {}).explain(&packet("10.1.0.9").frame().unwrap(), None).unwrap();
    assert_eq!(outcome(&said)[0], "missing");
    assert_eq!(found(&said), ("spec.trust.default", TrustFinding::NothingAsserted, None));
    advises(&said, &["tenant (ip.src) is not read here", "spec.trust.default would have to allow it"]);
}

#[test]
fn where_nothing_is_asked_nothing_is_told() {
    let said =
        Offline::from_text(POLICY, |_| {}).explain(&packet("10.1.0.9").frame().unwrap(), None).unwrap();
    assert_eq!(said.trust, None);
}
