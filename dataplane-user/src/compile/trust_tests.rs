//! Who may assert keys: the tables against the policy's words, through the code that runs in the kernel.

use std::fmt::Write as _;

use keysteer_common::account::Counter;
use keysteer_common::vocabulary::{Class, Reason, Verdict};
use proptest::prelude::*;

use super::super::tests::{frame, interfaces};
use super::*;
use crate::compile::{Host, compile_for};
use crate::engine::Engine;
use crate::image::Image;
use crate::policy::parse;
use crate::state::{Ids, Secrets};

const POLICY: &str = r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: edge}
spec:
  environment: prod
  interfaces: [{name: eth0}, {name: veth-a}, {name: veth-b}, {name: veth-c}]
  scope: [{destinations: [203.0.113.0/24], services: [udp/443]}]
  schemas:
    - version: 1
      fields: [{name: tenant, from: ip.dscp}, {name: port, from: l4.dst_port}]
      levels: [[tenant, port], [tenant]]
  shards: [{name: a, target: drop}]
  pools: [{name: p, shards: [a]}]
  keys:
    - {name: acme, match: {tenant: 10}, pool: p, sources: [10.1.0.0/16, "2001:db8::/32"]}
    - {name: globex, match: {tenant: 11}, pool: p, sources: [10.1.7.0/24, 10.2.0.0/16]}
    - {name: initech, match: {tenant: 12}, pool: p}
    - {name: acme-web, match: {tenant: 10, port: 443}, pool: p, sources: [10.1.7.0/24]}
  trust:
    default: trusted
    interfaces:
      eth0: {mode: verify}
      veth-a: {mode: trusted, carriers: [ip.dscp]}
      veth-b: {mode: ignore}
"#;

/// Indices of [`interfaces`].
const ETH0: u32 = 2;
const A: u32 = 3;
const B: u32 = 4;
const C: u32 = 5;

fn build(text: &str) -> Image {
    let policy = parse(text, "p", None).unwrap();
    let host = Host { interfaces: &interfaces(), cpus: &[0] };
    compile_for(&policy, host, &Secrets::from_bytes(&[7; 32]), &mut Ids::default()).unwrap()
}

/// The class of a packet, the key that it is charged to, and the key that it claims.
fn decide<'i>(
    engine: &mut Engine<'i>,
    image: &'i Image,
    source: [u8; 4],
    tenant: u8,
    ingress: u32,
) -> (Class, Option<&'i str>, Option<&'i str>) {
    let decided = engine.decide(&mut frame(source, [203, 0, 113, 9], tenant, (1, 443)), ingress);
    let decision = decided.work.record.decision;
    let name = |id| image.names.key(id).map(|key| key.name.as_str());
    (Class::from_number(decision.class).unwrap(), name(decision.key_id), name(decision.claimed))
}

#[test]
fn a_key_is_used_from_its_sources_alone_and_never_charged_for_others() {
    let image = build(POLICY);
    let mut engine = Engine::new(&image);
    let assigned = |key| (Class::Assigned, Some(key), None);
    let claims = |key| (Class::Unauthenticated, None, Some(key));
    let missing = (Class::Missing, None, None);
    for (source, tenant, ingress, is) in [
        // Its own sources; of nested prefixes the keys of both.
        ([10, 1, 7, 1], 10, ETH0, assigned("acme-web")),
        ([10, 1, 7, 1], 11, ETH0, assigned("globex")),
        ([10, 2, 0, 1], 11, ETH0, assigned("globex")),
        // Another's, and no one's. The most specific key that is claimed decides, whoever else might be meant.
        ([10, 1, 6, 1], 10, ETH0, claims("acme-web")),
        ([10, 2, 0, 1], 10, ETH0, claims("acme-web")),
        ([192, 0, 2, 1], 11, ETH0, claims("globex")),
        // Proof is asked for, and there is none to be had.
        ([10, 1, 7, 1], 12, ETH0, claims("initech")),
        // Where nothing is asked for, sources bind all the same; the port is not read there.
        ([10, 1, 7, 1], 12, A, assigned("initech")),
        ([10, 1, 7, 1], 10, A, assigned("acme")),
        ([10, 2, 0, 1], 10, A, claims("acme")),
        ([10, 1, 7, 1], 10, B, missing),
        ([192, 0, 2, 1], 10, B, missing),
        // What is not named is as the default says, and so is an interface that nobody knows.
        ([192, 0, 2, 1], 12, C, assigned("initech")),
        ([192, 0, 2, 1], 12, 99, assigned("initech")),
        ([192, 0, 2, 1], 11, C, claims("globex")),
    ] {
        let found = decide(&mut engine, &image, source, tenant, ingress);
        assert_eq!(found, is, "{source:?} tenant {tenant} by {ingress}");
    }
    let counters = engine.counters();
    counters.balanced().unwrap();
    let id = |name: &str| image.names.keys.iter().find(|key| key.name == name).unwrap().id;
    let bytes = frame([0; 4], [0; 4], 0, (0, 0)).len() as u64;
    let times = |packets: u64| Counter { packets, bytes: packets * bytes };
    let claimed: BTreeMap<(u32, u32), Counter> = [
        ((id("acme-web"), ETH0), times(2)),
        ((id("globex"), ETH0), times(1)),
        ((id("initech"), ETH0), times(1)),
        ((id("acme"), A), times(1)),
        ((id("globex"), C), times(1)),
    ]
    .into();
    assert_eq!(counters.claims, claimed);
    for (name, packets) in [("acme", 1), ("acme-web", 1), ("globex", 2), ("initech", 3)] {
        assert_eq!(counters.keys[id(name) as usize], times(packets), "{name}");
    }
    assert_eq!(counters.outcome(Class::Unauthenticated, Reason::ClassDrop), times(6));
    assert_eq!(counters.verdict(Verdict::Drop).packets, 13);
}

#[test]
fn what_the_class_meets_is_the_policys() {
    for (action, reason) in
        [("pass", Reason::ClassPass), ("drop", Reason::ClassDrop), ("{pool: p}", Reason::TargetDrop)]
    {
        let image = build(
            &POLICY.replace("  trust:\n", &format!("  classes: {{unauthenticated: {action}}}\n  trust:\n")),
        );
        let mut engine = Engine::new(&image);
        decide(&mut engine, &image, [192, 0, 2, 1], 10, ETH0);
        assert_eq!(engine.counters().outcome(Class::Unauthenticated, reason).packets, 1, "{action}");
    }
}

#[test]
fn without_trust_and_sources_nothing_is_asked() {
    let text = POLICY.split("  trust:\n").next().unwrap();
    let image = build(&text.replace("sources: [10.1.7.0/24]", "width: 1"));
    assert_eq!((image.config.interfaces_len, image.config.has_sources), (0, 1));
    let mut engine = Engine::new(&image);
    assert_eq!(decide(&mut engine, &image, [192, 0, 2, 1], 10, B), (Class::Assigned, Some("acme-web"), None));
    assert_eq!(decide(&mut engine, &image, [192, 0, 2, 1], 11, B).0, Class::Unauthenticated);
}

/// Keys of the open table of pairs are found within their probes, whatever ids and sets there are.
#[test]
fn a_table_of_many_pairs_stays_within_its_probes() {
    for (sets, keys) in [(1, 300_000), (300_000, 1), (7, 50_000), (2_000, 300)] {
        let pairs: Vec<u64> = (1..=sets)
            .flat_map(|set| (1..=keys).map(move |key| pair(set, if sets > 100_000 { set } else { key })))
            .collect();
        let (table, probes) = arrange(&pairs, MAX_KEY_PROBES).unwrap();
        println!("{sets} sets of {keys} keys in {} entries: {probes} probes", table.len());
        assert!(table.len() <= pairs.len() * 8 && probes <= MAX_KEY_PROBES);
        let mask = u32::try_from(table.len() - 1).unwrap();
        for pair in pairs {
            let home = pair_home(pair, mask);
            let found = (0..probes).any(|probe| table[(home.wrapping_add(probe) & mask) as usize] == pair);
            assert!(found, "{pair:#x}");
        }
    }
}

#[test]
fn sources_that_would_fill_the_memory_are_refused() {
    let mut sets = Sets { groups: vec![(0..2_000_000).collect(); 3], ..Sets::default() };
    let one = sets.with(0, vec![0]).unwrap();
    assert_eq!(sets.with(0, vec![0]).unwrap(), one, "equal sets share a number");
    let refused = sets.with(one, vec![1]).unwrap_err();
    assert!(refused.to_string().contains("list fewer or wider prefixes"), "{refused}");
}

fn prefixes() -> impl Strategy<Value = Vec<(u8, u8)>> {
    proptest::collection::vec((any::<u8>(), 0_u8..=8), 0..5)
}

proptest! {
    /// Random sources over one byte: every address may use just the keys that list a prefix with it.
    #[test]
    fn every_address_has_the_keys_that_list_it(lists in proptest::collection::vec(prefixes(), 1..20)) {
        let mut keys = String::new();
        for (key, list) in lists.iter().enumerate() {
            let sources: Vec<String> = list.iter().map(|(byte, length)| {
                let byte = if *length == 0 { 0 } else { byte & (0xff << (8 - length)) };
                format!("10.0.0.{byte}/{}", 24 + length)
            }).collect();
            let sources = if list.is_empty() { String::new() } else { format!(", sources: [{}]", sources.join(", ")) };
            writeln!(keys, "    - {{name: k{key}, match: {{tenant: {key}}}, pool: p{sources}}}").unwrap();
        }
        let (head, tail) = POLICY.split_once("  keys:\n").unwrap();
        let (_, trust) = tail.split_once("  trust:\n").unwrap();
        let image = build(&format!("{head}  keys:\n{keys}  trust:\n{trust}"));
        let mut engine = Engine::new(&image);
        for (key, list) in lists.iter().enumerate() {
            for byte in 0..=255_u8 {
                let listed = |(prefix, length): &(u8, u8)| *length == 0 || (prefix ^ byte) >> (8 - length) == 0;
                let may = list.is_empty() || list.iter().any(listed);
                let is = decide(&mut engine, &image, [10, 0, 0, byte], u8::try_from(key).unwrap(), C);
                prop_assert_eq!(is.0 == Class::Assigned, may, "key {} from {}", key, byte);
            }
        }
    }
}
