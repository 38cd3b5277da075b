//! Shards in common, from policies.

use std::fmt::Write as _;

use super::*;

/// So many shards in one pool, and keys of some widths.
fn policy(shards: u32, keys: &[(u32, &str)]) -> String {
    let mut text = "apiVersion: keysteer.dev/v1alpha1\nkind: SteeringPolicy\nmetadata: {name: p}\nspec:\n  \
        environment: prod\n  interfaces: [{name: eth0}]\n  scope: [{services: [any]}]\n  schemas:\n    \
        - {version: 1, fields: [{name: tenant, from: ipv4.src}]}\n  shards:\n"
        .to_owned();
    (0..shards).for_each(|n| _ = writeln!(text, "    - {{name: s{n}, target: pass}}"));
    let names: Vec<String> = (0..shards).map(|n| format!("s{n}")).collect();
    let _ = writeln!(text, "  pools: [{{name: pool, shards: [{}]}}]\n  keys:", names.join(", "));
    for (tenant, width) in keys {
        let _ = writeln!(
            text,
            "    - {{name: k{tenant}, match: {{tenant: {tenant}}}, pool: pool, width: {width}}}"
        );
    }
    text
}

#[test]
fn pairs_of_keys_are_those_of_their_rows() {
    let widths = ["1", "2", "3", "4", "all"];
    let keys: Vec<(u32, &str)> = (0..300).map(|n| (n, widths[n as usize % 5])).collect();
    let text = policy(9, &keys);
    let mut ids = Ids::default();
    let compiled = Compiled::of(&bundle(&text), &mut ids).unwrap();
    let plan = between(&text, &text);
    let [overlap] = plan.overlap.as_slice() else { panic!("one pool") };
    let histogram = overlap.after.as_ref().unwrap();
    assert_eq!(overlap.before, overlap.after);
    let rows: Vec<(&str, Vec<&str>)> = compiled
        .image
        .names
        .keys
        .iter()
        .filter(|key| key.width > 1)
        .map(|key| (key.name.as_str(), key.shards.iter().map(|shard| &**shard).collect()))
        .collect();
    let mut pairs = vec![0_u64; 5];
    for (at, (_, one)) in rows.iter().enumerate() {
        for (_, other) in &rows[at + 1..] {
            pairs[one.iter().filter(|shard| other.contains(shard)).count()] += 1;
        }
    }
    assert_eq!((histogram.keys, &histogram.pairs, histogram.exact), (180, &pairs, true));
    assert_eq!(histogram.most as usize, pairs.iter().rposition(|pairs| *pairs > 0).unwrap());
    let [one, other] = histogram.example.as_ref().unwrap();
    let row = |name: &String| &rows.iter().find(|(known, _)| known == name).unwrap().1;
    assert!(one != other);
    assert_eq!(row(one).iter().filter(|shard| row(other).contains(shard)).count() as u64, histogram.most);
}

#[test]
fn keys_of_one_shard_or_of_all_have_no_overlap() {
    let text = policy(4, &[(1, "1"), (2, "all"), (3, "4"), (4, "2")]);
    assert_eq!(between(&text, &text).overlap, []);
}
