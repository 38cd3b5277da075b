//! The image against the policy it was compiled from, through the code that runs in the kernel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use keysteer_common::headers::NO_SHARD;
use keysteer_common::tables::{KeyEntry, KeyMeta};
use keysteer_common::vocabulary::{Class, Reason, Verdict};
use proptest::prelude::*;

use super::keys::Placed;
use super::*;
use crate::engine::Engine;
use crate::kernel::interfaces::Interface;
use crate::policy::{load, parse};

pub(crate) fn interfaces() -> Interfaces {
    let names = ["lo", "eth0", "veth-a", "veth-b", "veth-c"];
    let interface =
        |(name, index): (&str, u8)| Interface::new(name, u32::from(index), [2, 0, 0, 0, 1, index]);
    Interfaces(names.into_iter().zip(1..).map(interface).collect())
}

fn build(policy: &Policy, ids: &mut Ids) -> Result<Image, CompileError> {
    let secrets = Secrets::from_bytes(&[7; 32]);
    compile_for(policy, Host { interfaces: &interfaces(), cpus: &[0, 1, 2, 3] }, &secrets, ids)
}

/// A policy of two versions of a schema, each with a field that is read from a carrier.
pub(crate) fn versions_of(carriers: [&str; 2]) -> String {
    let [one, other] = carriers;
    let schema =
        |version: u8, from: &str| format!("{{version: {version}, fields: [{{name: tenant, from: {from}}}]}}");
    format!(
        "apiVersion: keysteer.dev/v1alpha1\nkind: SteeringPolicy\nmetadata: {{name: edge}}\nspec:\n  environment: prod\n  \
         interfaces: [{{name: eth0}}]\n  scope: [{{destinations: [203.0.113.0/24]}}]\n  schemas: [{}, {}]\n  shards: [{{name: a, \
         target: drop}}]\n  pools: [{{name: p, shards: [a]}}]\n  keys: [{{name: acme, match: {{tenant: 1}}, pool: p}}]\n",
        schema(1, one),
        schema(2, other)
    )
}

const POLICY: &str = r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: edge}
spec:
  environment: prod
  interfaces: [{name: eth0}]
  scope:
    - {destinations: [203.0.113.0/24], services: [udp/443]}
  prefixTables:
    tenants: {10.1.0.0/16: acme, 10.2.0.0/16: globex, 10.2.3.0/24: initech}
  schemas:
    - version: 1
      fields:
        - {name: tenant, from: ip.src, table: tenants}
        - {name: product, from: ip.dscp}
      levels: [[tenant, product], [tenant]]
  shards:
    - {name: a, target: {interface: {name: veth-a, mac: "02:00:00:00:00:0a"}}}
    - {name: b, target: {nextHop: {interface: veth-b, mac: "02:00:00:00:00:0b"}}}
    - {name: c, weight: 2, target: {cpu: 3}}
    - {name: d, target: drop}
  pools:
    - {name: general, shards: [a, b, c, d]}
    - {name: small, shards: [d, a]}
  keys:
    - {name: acme, match: {tenant: acme}, pool: general, width: 2}
    - {name: acme-video, match: {tenant: acme, product: 34}, pool: small}
    - {name: globex, match: {tenant: globex}, deny: true, reason: unpaid}
    - {name: initech, match: {tenant: initech}, pool: general, width: all}
  classes: {unregistered: {pool: small}}
"#;

/// An Ethernet frame with a UDP datagram.
pub(super) fn frame(source: [u8; 4], destination: [u8; 4], dscp: u8, ports: (u16, u16)) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, dscp << 2, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0]);
    frame.extend(source);
    frame.extend(destination);
    frame.extend(ports.0.to_be_bytes());
    frame.extend(ports.1.to_be_bytes());
    frame.extend([0, 12, 0, 0, 1, 2, 3, 4]);
    frame
}

#[test]
fn every_key_is_found_by_its_packets() {
    let policy = parse(POLICY, "p", None).unwrap();
    let image = build(&policy, &mut Ids::default()).unwrap();
    let mut engine = Engine::new(&image);
    let to = [203, 0, 113, 9];
    for (source, dscp, name, level) in [
        ([10, 1, 2, 3], 0, "acme", 1),
        ([10, 1, 2, 3], 34, "acme-video", 0),
        ([10, 2, 2, 3], 0, "globex", 1),
        ([10, 2, 3, 4], 9, "initech", 1),
    ] {
        for port in 0..200 {
            let decided = engine.decide(&mut frame(source, to, dscp, (port, 443)), 2);
            let decision = decided.work.record.decision;
            let key = image.names.key(decision.key_id).expect("a key");
            assert_eq!((key.name.as_str(), decision.level), (name, level));
            assert_eq!(decision.class, Class::Assigned as u8);
            if key.denied.is_some() {
                assert_eq!((decision.shard, decision.reason), (NO_SHARD, Reason::Denied as u8));
                assert_eq!(key.denied.as_deref(), Some("unpaid"));
            } else {
                let shard = image.names.shard(decision.shard).expect("a shard");
                assert!(key.shards.iter().any(|allowed| **allowed == *shard), "{name} on {shard}");
            }
        }
    }
    let unregistered = engine.decide(&mut frame([10, 2, 3, 4], [203, 0, 113, 9], 0, (1, 80)), 2);
    assert_eq!(unregistered.work.record.decision.class, Class::Foreign as u8, "another port is not ours");
    let missing = engine.decide(&mut frame([10, 9, 0, 1], to, 0, (1, 443)), 2);
    assert_eq!(missing.work.record.decision.class, Class::Missing as u8);
    assert_eq!(missing.work.record.decision.verdict, Verdict::Pass as u8);
    engine.counters().balanced().unwrap();
}

#[test]
fn widths_share_tables_and_agree_on_the_first_shard() {
    let policy = parse(POLICY, "p", None).unwrap();
    let image = build(&policy, &mut Ids::default()).unwrap();
    let tables: Vec<(&str, u16)> =
        image.names.tables.iter().map(|table| (table.pool.as_str(), table.width)).collect();
    assert_eq!(tables, [("small", 1), ("general", 1), ("general", 2)]);
    assert_eq!(image.slots.len(), 4 * 65_536);
    let by_name = |name: &str| image.names.keys.iter().find(|key| key.name == name).expect("a key");
    assert_eq!((by_name("acme").width, by_name("acme").shards.len()), (2, 2));
    assert_eq!((by_name("initech").width, by_name("initech").shards.len()), (0, 4));
    assert_eq!(
        image.names.shown(by_name("acme-video"), &image.names.veil).collect::<Vec<_>>(),
        [("tenant", "acme".to_owned()), ("product", "34".to_owned())]
    );
    assert_eq!((image.config.observe, image.config.wide, image.config.record), (0, 0, 1));
    assert_eq!(image.shards[1].source, [2, 0, 0, 0, 1, 4]);
    assert_eq!((image.shards[1].port, image.shards[2].port), (4, 3));
}

#[test]
fn renaming_and_reordering_moves_nothing() {
    let mut ids = Ids::default();
    let first = build(&parse(POLICY, "p", None).unwrap(), &mut ids).unwrap();
    let other = POLICY
        .replace("name: acme,", "name: renamed,")
        .replace(
            "{10.1.0.0/16: acme, 10.2.0.0/16: globex,",
            "{10.2.0.0/16: globex, 10.0.0.0/16: aaa, 10.1.0.0/16: acme,",
        )
        .replace("[a, b, c, d]", "[d, c, b, a]")
        .replace("        - {name: product, from: ip.dscp}\n", "")
        .replace("      fields:\n", "      fields:\n        - {name: product, from: ip.dscp}\n");
    let second = build(&parse(&other, "p", None).unwrap(), &mut ids).unwrap();
    let of = |image: &Image| -> Vec<(u32, Vec<Arc<str>>)> {
        image
            .names
            .keys
            .iter()
            .map(|key| (key.id, if key.width == 0 { vec![] } else { key.shards.to_vec() }))
            .collect()
    };
    assert_eq!(of(&first), of(&second));
    assert_eq!(
        identity(&parse(POLICY, "p", None).unwrap(), &parse(POLICY, "p", None).unwrap().keys[1]),
        "prod;product=34;tenant=acme"
    );
    // A slot is a promise across versions.
    assert_eq!(slot("prod;product=34;tenant=acme"), PUBLISHED_SLOT);
}

const PUBLISHED_SLOT: u16 = 52_870;

#[test]
fn a_compiled_key_tells_its_identity_and_its_slot() {
    let text = POLICY.replace("globex", "\"a;b=100%\"");
    let policy = parse(&text, "p", None).unwrap();
    let mut ids = Ids::default();
    let image = build(&policy, &mut ids).unwrap();
    for key in &policy.keys {
        let written = identity(&policy, key);
        let id = ids.keys.id(&written);
        let compiled = image.names.key(id).expect("a compiled key");
        assert_eq!(of_compiled(&image.names, compiled), written);
    }
    // What is in a key's entry is what its slot says.
    let video = image.names.keys.iter().find(|key| key.name == "acme-video").expect("a key");
    let row = usize::from(slot(&of_compiled(&image.names, video)));
    let small = image.names.tables.iter().find(|table| table.pool == "small").expect("a table");
    let shard = image.slots[small.first as usize + row];
    assert_eq!(image.names.shard(shard), Some(&*video.shards[0]));
}

#[test]
fn what_the_host_lacks_is_named() {
    let text =
        POLICY.replace("name: eth0", "name: eth9").replace("veth-b", "veth-x").replace("cpu: 3", "cpu: 9");
    let error = build(&parse(&text, "p", None).unwrap(), &mut Ids::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "p:6:23: spec.interfaces[0].name: this host has no interface \"eth9\"; it has lo, eth0, veth-a, veth-b, veth-c\n\
         p:19:47: spec.shards[1].target.nextHop.interface: this host has no interface \"veth-x\"; it has lo, eth0, veth-a, veth-b, veth-c\n\
         p:20:42: spec.shards[2].target.cpu: CPU 9 is not online here; online are 0, 1, 2, 3"
    );
}

#[test]
fn every_example_compiles() {
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples");
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let policy = load(&path).unwrap();
        // A host that has whatever the example names.
        let mut host = interfaces();
        let named = policy.shards.iter().filter_map(|shard| match &shard.target {
            Target::Interface { interface, .. } | Target::NextHop { interface, .. } => Some(interface),
            _ => None,
        });
        for name in named.chain(policy.interfaces.iter().map(|interface| &interface.name)) {
            if host.find(name).is_none() {
                let index = u32::try_from(host.0.len() + 1).unwrap();
                host.0.push(Interface::new(name, index, [2, 0, 0, 0, 2, 0]));
            }
        }
        let secrets = Secrets::from_bytes(&[1; 32]);
        let host = Host { interfaces: &host, cpus: &[0, 1, 2, 3] };
        let image = compile_for(&policy, host, &secrets, &mut Ids::default())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(image.names.keys.len(), policy.keys.len());
    }
}

/// Many random keys over both halves of the key: each is found, and the probes stay few.
#[test]
fn a_crowded_table_stays_within_its_probes() {
    let entries: Vec<Placed> = (1..=65_536_u32)
        .map(|id| {
            let key = [u64::from(id % 7), u64::from(id) << 32];
            let meta = KeyMeta::direct(0, 0);
            Placed { entry: KeyEntry { key: key[1], id, place: 0, meta }, key }
        })
        .collect();
    for wide in [true, false] {
        let table = keys::arrange(&entries, 2, 42, wide).unwrap();
        assert_eq!(table.entries.len(), 131_072);
        println!("65,536 keys in 131,072 entries: {} probes", table.probes);
        assert!(table.probes <= 12);
        for Placed { entry, key } in &entries {
            let home = (keysteer_common::hash::key(table.multipliers[0], *key, wide) >> table.shift) as u32;
            let found = (0..table.probes)
                .any(|probe| table.entries[(home.wrapping_add(probe) & 131_071) as usize].id == entry.id);
            assert!(found, "{entry:?}");
        }
    }
}

/// Nested prefixes of one family within a few bits, so that they cover each other.
fn prefixes_of(v4: bool) -> impl Strategy<Value = Vec<(IpNet, u32)>> {
    let one = (any::<u16>(), 0_u8..=if v4 { 32 } else { 128 }, any::<u8>(), 1..5_u32);
    let net = move |(high, length, low, value): (u16, u8, u8, u32)| {
        let net = if v4 {
            let address = u32::from(high & 0x0303) << 16 | u32::from(low & 3);
            IpNet::V4(Ipv4Net::new(Ipv4Addr::from_bits(address), length).unwrap().trunc())
        } else {
            let address =
                u128::from(high & 0x8003) << 112 | u128::from(high & 0x30) << 58 | u128::from(low & 3);
            IpNet::V6(Ipv6Net::new(Ipv6Addr::from_bits(address), length).unwrap().trunc())
        };
        (net, value)
    };
    proptest::collection::vec(one.prop_map(net), 0..24).prop_map(|mut list| {
        list.sort_by_key(|(net, _)| *net);
        list.dedup_by_key(|(net, _)| *net);
        list
    })
}

fn naive(list: &[(IpNet, u32)], address: IpAddr) -> u32 {
    let covering = list.iter().filter(|(net, _)| net.contains(&address));
    covering.max_by_key(|(net, _)| net.prefix_len()).map_or(0, |(_, value)| *value)
}

/// Addresses at and around the ends of every prefix.
fn edges(list: &[(IpNet, u32)]) -> Vec<IpAddr> {
    let around = |address: IpAddr| -> Vec<IpAddr> {
        match address {
            IpAddr::V4(address) => [-1_i32, 0, 1]
                .map(|by| Ipv4Addr::from_bits(address.to_bits().wrapping_add_signed(by)).into())
                .into(),
            IpAddr::V6(address) => [-1_i128, 0, 1]
                .map(|by| Ipv6Addr::from_bits(address.to_bits().wrapping_add_signed(by)).into())
                .into(),
        }
    };
    list.iter().flat_map(|(net, _)| [net.network(), net.broadcast()]).flat_map(around).collect()
}

proptest! {
    #[test]
    fn prefix_tables_find_the_longest_prefix(
        v4 in prefixes_of(true),
        v6 in prefixes_of(false),
        before in prefixes_of(true),
        more4 in proptest::collection::vec(any::<u32>(), 20),
        more6 in proptest::collection::vec(any::<u128>(), 20),
    ) {
        let mut tables = prefixes::Tables::default();
        // Another table first, so that nothing begins at 0.
        tables.add("before", &before).unwrap();
        let list: Vec<(IpNet, u32)> = v4.into_iter().chain(v6).collect();
        let table = tables.add("table", &list).unwrap();
        for index in [table.v4, table.v6] {
            prop_assert!(index.skip <= 63 && index.bits <= 16 && index.skip + index.bits <= 64);
        }
        let image = Image { prefix_index: tables.index, prefix_steps: tables.steps, prefix_low: tables.low, ..Image::default() };
        let addresses = edges(&list)
            .into_iter()
            .chain(more4.into_iter().map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits & 0x0303_0003))))
            .chain(more6.into_iter().map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))));
        for address in addresses {
            prop_assert_eq!(image.find_prefix(&table, address), naive(&list, address), "{}", address);
        }
    }
}
