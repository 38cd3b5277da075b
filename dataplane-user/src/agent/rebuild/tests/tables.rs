//! What is read out of tables, and what is not guessed.

use super::super::tables::{keys, shards};
use crate::agent::fake::Fake;
use crate::agent::ground::Platform as _;
use crate::agent::start::tests::policy;
use crate::image::Image;
use crate::placement::Placement;
use crate::policy::{self, Policy};
use crate::state::{Ids, Secrets};

fn compiled(text: &str, ids: &mut Ids, secret: u8) -> (Policy, Image) {
    let policy = policy::parse(text, "edge.yaml", None).unwrap();
    let secrets = Secrets::from_bytes(&[secret; 32]);
    let image =
        Fake::default().compile(&policy, &secrets, ids, &Placement::next(None, &policy)).unwrap().image;
    (policy, image)
}

/// Ids by identity that `text` finds in the tables of `pinned`, whose registry is `ids`; and how many keys it has.
fn found(pinned: &str, ids: &mut Ids, text: &str) -> (Vec<(String, u32)>, usize) {
    let (_, there) = compiled(pinned, ids, 1);
    let (policy, image) = compiled(text, &mut Ids::default(), 2);
    (keys(&policy, &image, &there).unwrap(), policy.keys.len())
}

#[test]
fn keys_are_found_wherever_labels_have_other_numbers() {
    let pinned = policy(|text| text);
    let turned = policy(|text| {
        let acme = "      10.1.0.0/16: acme\n      \"2001:db8:1::/48\": acme\n";
        let rest = "\n  # How a packet's key is read";
        text.replace(acme, "").replace(rest, &format!("{acme}{rest}"))
    });
    assert_ne!(pinned, turned);
    for text in [&pinned, &turned] {
        let mut ids = Ids::default();
        ids.keys.id("somebody else");
        let (found, of) = found(&pinned, &mut ids, text);
        assert_eq!(found.len(), of);
        for (identity, id) in found {
            assert_eq!(ids.keys.get(&identity), Some(id), "{identity}");
        }
    }
}

#[test]
fn labels_that_were_split_or_joined_are_nobodys() {
    let pinned = policy(|text| text);
    let split =
        policy(|text| text.replace("10.1.0.0/16: acme", "10.1.0.0/17: acme\n      10.1.128.0/17: hooli"));
    let joined = policy(|text| text.replace("10.2.0.0/16: globex", "10.2.0.0/16: acme"));
    let moved = policy(|text| text.replace("10.1.0.0/16: acme", "10.9.0.0/16: acme"));
    for (text, without) in [(split, "acme"), (joined, "acme"), (moved, "acme")] {
        let mut ids = Ids::default();
        let (found, of) = found(&pinned, &mut ids, &text);
        assert!(found.len() < of);
        assert!(
            found.iter().all(|(identity, _)| !identity.contains(&format!("tenant={without}"))),
            "{found:?}"
        );
        assert!(found.iter().all(|(identity, id)| ids.keys.get(identity) == Some(*id)));
    }
}

#[test]
fn keys_of_more_than_64_bits_are_found() {
    let wide = r#"
apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: wide}
spec:
  environment: test
  interfaces: [{name: eth0}]
  scope: [{destinations: ["2001:db8:10::10/128"]}]
  schemas: [{version: 1, fields: [{name: site, from: ipv6.src}], levels: [[site]]}]
  shards: [{name: a, target: pass}]
  pools: [{name: all, shards: [a]}]
  keys:
    - {name: one, match: {site: "2001:db8::1"}, pool: all}
    - {name: two, match: {site: "2001:db8:1::1"}, pool: all}
"#;
    let mut ids = Ids::default();
    ids.keys.id("somebody else");
    let (found, _) = found(wide, &mut ids, wide);
    let found: Vec<u32> = found.into_iter().map(|(_, id)| id).collect();
    assert_eq!(found, [2, 3]);
}

#[test]
fn shards_are_found_by_their_targets_and_no_index_twice() {
    let with = |shards: &str, pool: &str| {
        policy(|text| {
            let (head, rest) = text.split_once("  shards:\n").unwrap();
            let (_, rest) = rest.split_once("  pools:\n").unwrap();
            format!("{head}  shards:\n{shards}  pools:\n{rest}").replace("[a, b, c]", pool)
        })
    };
    let three = "    - {name: x, target: drop}\n    - {name: p, target: pass}\n    - {name: q, target: pass}\n    - {name: d, target: drop}\n";
    let mut ids = Ids::default();
    // Index 0 is that of a shard which the policy does not have any more.
    ids.shards.index("gone");
    let (_, there) = compiled(&with(three, "[x, p, q, d]"), &mut ids, 1);
    let (_, image) = compiled(&with(three, "[x, p, q, d]"), &mut Ids::default(), 2);
    let all = [("x", 1), ("p", 2), ("q", 3), ("d", 4)].map(|(name, index)| (name.to_owned(), index));
    assert_eq!(shards(&image, &there), all);
    let four = format!("{three}    - {{name: r, target: pass}}\n    - {{name: c, target: {{cpu: 0}}}}\n");
    let (_, image) = compiled(&with(&four, "[x, p, q, d, r, c]"), &mut Ids::default(), 2);
    assert_eq!(shards(&image, &there), all, "what was not there has no index");
}
