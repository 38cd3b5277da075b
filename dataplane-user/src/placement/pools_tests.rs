//! What a policy's pools get, one generation after another, and what of it is kept and carried.

use super::*;
use crate::policy::{self, Policy};

/// A policy of these shards, as `name weight zone`, in pool `general`; `keys` as lines of YAML.
fn policy(shards: &[(&str, u32, Option<&str>)], keys: &[&str]) -> Policy {
    let all: Vec<String> = shards
        .iter()
        .map(|(name, weight, zone)| {
            let zone = zone.map(|zone| format!(", zone: {zone}")).unwrap_or_default();
            format!("    - {{name: {name}, weight: {weight}{zone}, target: pass}}\n")
        })
        .collect();
    let names: Vec<&str> = shards.iter().map(|(name, ..)| *name).collect();
    let keys: String = keys.iter().map(|key| format!("    - {key}\n")).collect();
    let text = format!(
        "apiVersion: keysteer.dev/v1alpha1\nkind: SteeringPolicy\nmetadata: {{name: edge}}\nspec:\n  environment: test\n  \
         interfaces: [{{name: eth0}}]\n  scope: [{{destinations: [203.0.113.10/32]}}]\n  \
         schemas: [{{version: 1, fields: [{{name: site, from: vxlan.vni}}], levels: [[site]]}}]\n  shards:\n{}  \
         pools: [{{name: general, shards: [{}]}}]\n  keys:\n{keys}",
        all.concat(),
        names.join(", ")
    );
    policy::parse(&text, "edge.yaml", None).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

const ONE: &str = "{name: one, match: {site: 1}, pool: general}";
const TWO: &str = "{name: two, match: {site: 2}, pool: general, width: 2}";

const FOUR: [(&str, u32, Option<&str>); 4] = [("a", 1, None), ("b", 1, None), ("c", 2, None), ("d", 1, None)];

#[test]
fn tables_are_those_that_something_uses() {
    let placement = Placement::next(None, &policy(&FOUR, &[ONE]));
    assert_eq!(placement.version, 1);
    assert!(placement.pools["general"].tables.keys().eq(&[1]));
    let wider = Placement::next(Some(&placement), &policy(&FOUR, &[ONE, TWO]));
    assert_eq!(wider.version, 2);
    let pool = &wider.pools["general"];
    assert!(pool.tables.keys().eq(&[1, 2]));
    assert_eq!(pool.tables[&1], placement.pools["general"].tables[&1]);
    assert!(pool.tables[&2].cells.iter().step_by(2).eq(&pool.tables[&1].cells));
    // What is pinned to a set needs no table of its pool.
    let pinned = policy(&FOUR, &["{name: one, match: {site: 1}, pool: general, shards: [a, b]}"]);
    assert!(Placement::next(None, &pinned).pools.is_empty());
    assert!(Placement::next(Some(&wider), &pinned).pools["general"].tables.keys().eq(&[1]));
}

#[test]
fn the_version_rises_with_the_tables_alone() {
    let first = Placement::next(None, &policy(&FOUR, &[ONE, TWO]));
    let same = Placement::next(Some(&first), &policy(&FOUR, &[TWO, ONE]));
    assert_eq!(same, first);
    let mut turned = FOUR;
    turned.reverse();
    assert_eq!(Placement::next(None, &policy(&turned, &[ONE, TWO])), first);
    let mut doubled = FOUR;
    doubled.iter_mut().for_each(|shard| shard.1 *= 2);
    let alike = Placement::next(Some(&first), &policy(&doubled, &[ONE, TWO]));
    assert_eq!((alike.version, alike.digest()), (1, first.digest()));
    let fewer = Placement::next(Some(&alike), &policy(&doubled[..3], &[ONE, TWO]));
    assert_eq!((fewer.version, fewer.pools["general"].since), (2, 2));
    assert_ne!(fewer.digest(), first.digest());
    let moved = fewer.pools["general"].tables[&1].moved;
    assert_eq!(moved.cells, moved.unavoidable);
    assert!(moved.cells > 0);
}

/// A node that joins late, by what another one exports; and one whose operators disabled shards meanwhile, which base tables
/// know nothing of.
#[test]
fn nodes_with_other_histories_agree_once_tables_were_carried() {
    let (all, fewer) = (policy(&FOUR, &[ONE, TWO]), policy(&FOUR[1..], &[ONE, TWO]));
    let old = [&all, &fewer, &all]
        .iter()
        .fold(None, |before: Option<Placement>, policy| Some(Placement::next(before.as_ref(), policy)));
    let old = old.unwrap();
    let late = Placement::next(None, &all);
    assert_ne!(late.digest(), old.digest(), "a shard that went and came back is elsewhere");
    let carried = Placement::from_bytes(&old.to_bytes()).unwrap();
    assert_eq!(carried, old);
    carried.fits_those_of(&late).unwrap();
    assert_eq!(Placement::next(Some(&carried), &all).digest(), old.digest());
    let next = policy(&FOUR[..3], &[ONE, TWO]);
    let both = [&carried, &old].map(|before| Placement::next(Some(before), &next).digest());
    assert_eq!(both[0], both[1]);
    let said = carried.fits_those_of(&Placement::next(None, &fewer)).unwrap_err();
    assert!(said.contains("pool general has shard a there and not here"), "{said}");
}

#[test]
fn what_is_not_whole_is_refused() {
    let placement = Placement::next(None, &policy(&FOUR, &[ONE, TWO]));
    let bytes = placement.to_bytes();
    let refused = |bytes: &[u8], what: &str| {
        let said = Placement::from_bytes(bytes).unwrap_err();
        assert!(said.contains(what), "{said}");
    };
    refused(b"", "does not begin with an index");
    refused(b"{}\n", "its index");
    refused(&bytes[..bytes.len() - 1], "cut off");
    refused(&[&bytes[..], b"x"].concat(), "1 bytes follow");
    let at = bytes.len() - 1;
    let mut other = bytes.clone();
    other[at] = 1;
    refused(&other, "a cell names no shard");
    let mut twice = bytes.clone();
    (twice[at - 1], twice[at]) = (twice[at - 3], twice[at - 2]);
    refused(&twice, "a row has a shard twice");
    let text = String::from_utf8_lossy(&bytes[..40]).into_owned();
    assert!(text.starts_with("{\"version\":1,\"pools\":[{\"name\":\"general\""), "{text}");
}

#[test]
fn tables_fit_the_policy_that_they_were_made_for() {
    let policy_1 = policy(&FOUR, &[ONE]);
    let placement = Placement::next(None, &policy_1);
    assert!(placement.fits(&policy_1));
    assert!(!placement.fits(&policy(&FOUR, &[TWO])));
    assert!(!placement.fits(&policy(&FOUR[1..], &[ONE])));
}

#[test]
fn zones_of_the_policy_spread_rows() {
    let shards = [("a", 1, Some("x")), ("b", 1, Some("x")), ("c", 1, Some("y")), ("d", 1, Some("y"))];
    let placement = Placement::next(None, &policy(&shards, &[TWO]));
    let pool = &placement.pools["general"];
    assert!(pool.tables[&2].cells.chunks(2).all(|row| (row[0] < 2) != (row[1] < 2)));
    assert_eq!(pool.counts(2), pool.shares(2));
}

#[test]
fn slots_tell_what_the_file_had() {
    let all = policy(&FOUR, &[ONE, TWO]);
    let first = Placement::next(None, &policy(&FOUR[1..], &[ONE, TWO]));
    let real = Placement::next(Some(&first), &all);
    let seed = Placement::next(None, &all);
    // Shards have other indices in the kernel; the tables stand behind something else.
    let slot = |cell: &u16| 40 - cell;
    let pool = &real.pools["general"];
    let mut slots = vec![0; 7];
    slots.extend(pool.tables.values().flat_map(|table| &table.cells).map(slot));
    let begin = |_: &str, width: u16| if width == 1 { Some(7) } else { Some(7 + SLOTS) };
    let name = |index: u16| pool.shards.get(usize::from(40 - index)).map(|shard| shard.name.clone());
    let read = Placement::read_back(&seed, &slots, begin, name).unwrap();
    assert_eq!(read.digest(), real.digest());
    assert!(Placement::read_back(&seed, &slots[..slots.len() - 1], begin, name).is_none());
    assert!(Placement::read_back(&seed, &slots, begin, |_| None).is_none());
}
