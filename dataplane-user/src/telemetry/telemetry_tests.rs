use std::collections::{BTreeMap, BTreeSet};

use keysteer_common::account::Counter;
use keysteer_common::vocabulary::REASONS;

use super::*;
use crate::agent::fake::{Fake, Record, image};
use crate::control::types::{InterfaceStatus, KeyMoving, MigrationStatus};
use crate::counters::{Back, Snapshot};
use crate::health::tests::{check, checks};
use crate::health::{Condition, Failure, Ledger, Outcome, Report};
use crate::image::Image;
use crate::state::Timestamp;

/// One line of the text, taken apart.
#[derive(Clone, Debug, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: u64,
}

/// Reads OpenMetrics text back, unescaping labels.
fn parse(text: &str) -> Vec<Sample> {
    assert!(text.ends_with("# EOF\n"));
    text.lines().filter(|line| !line.starts_with('#')).map(parse_line).collect()
}

fn parse_line(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap();
    let name = line[..end].to_owned();
    let mut labels = BTreeMap::new();
    let mut rest = line[end..].chars().peekable();
    if rest.peek() == Some(&'{') {
        rest.next();
        while rest.peek() != Some(&'}') {
            let label: String = rest.by_ref().take_while(|c| *c != '=').collect();
            assert_eq!(rest.next(), Some('"'));
            let mut value = String::new();
            loop {
                match rest.next().unwrap() {
                    '"' => break,
                    '\\' => value.push(match rest.next().unwrap() {
                        'n' => '\n',
                        other => other,
                    }),
                    other => value.push(other),
                }
            }
            assert!(labels.insert(label.trim_start_matches(',').to_owned(), value).is_none());
        }
        rest.next();
    }
    Sample { name, labels, value: rest.collect::<String>().trim().parse().unwrap() }
}

/// The image with a day for its schema.
fn deprecated(mut image: Image) -> Image {
    image.names.schemas[0].deprecated = Some("2026-12-31".parse().unwrap());
    image
}

fn telemetry(keys: &[&str], top: usize) -> (Fake, Telemetry) {
    let fake = Fake::default();
    let mut snapshot = Snapshot::empty(keys.len() + 1, 2);
    snapshot.versions.insert(1, Counter::default());
    let [keys_back, shards_back] =
        [&snapshot.keys.len(), &snapshot.shards.len()].map(|len| vec![Counter::default(); *len]);
    snapshot.back = Some(Back { keys: keys_back, shards: shards_back, ..Back::default() });
    *fake.0.snapshot.lock().unwrap() = snapshot;
    let moving = KeyMoving { key: "a".to_owned(), flows: 2, ..KeyMoving::default() };
    let status = MigrationStatus { moving: 1, keys: vec![moving], ..MigrationStatus::default() };
    fake.0.posted.lock().unwrap().migration = Some(Arc::new(status));
    let at = InterfaceStatus {
        name: "eth0".to_owned(),
        index: 2,
        mode: "native".to_owned(),
        fallback: None,
        note: None,
    };
    let node = Arc::new(Node::new(deprecated(image(keys)), "edge.yaml".to_owned(), vec![at]));
    (fake.clone(), {
        *fake.0.node.lock().unwrap() = node;
        *fake.0.health.lock().unwrap() = health();
        Telemetry::new(Arc::new(fake), top)
    })
}

/// What is known of shards where `a` is asked, and answered twice before it did not.
fn health() -> Option<Report> {
    let ledger = Ledger::default();
    ledger.ask(&checks(&check(), &[1, 1], "50%"), Timestamp::default());
    let late = Outcome::Failed(Failure::Timeout);
    for outcome in [Outcome::Answered, Outcome::Answered, late] {
        ledger.count("s0", outcome);
    }
    ledger.became("s0", "down");
    ledger.is("s0", Condition::Down, None);
    ledger.doubt("all", false);
    ledger.report()
}

#[test]
fn what_shards_answered_is_counted() {
    let (_, telemetry) = telemetry(&["a"], 10);
    let samples = parse(&telemetry.scrape().unwrap());
    let probes =
        |result| find(&samples, "keysteer_health_probes_total", &[("shard", "s0"), ("result", result)]).value;
    assert_eq!(["answered", "timeout", "refused"].map(probes), [2, 1, 0]);
    assert_eq!(find(&samples, "keysteer_shard_health", &[("shard", "s0")]).value, 0);
    assert_eq!(find(&samples, "keysteer_shard_health", &[("shard", "s1")]).value, 1);
    let became =
        |to| find(&samples, "keysteer_health_transitions_total", &[("shard", "s0"), ("to", to)]).value;
    assert_eq!(["up", "down", "held"].map(became), [0, 1, 0]);
    assert_eq!(find(&samples, "keysteer_pool_doubted", &[("pool", "all")]).value, 0);
}

fn find<'a>(samples: &'a [Sample], name: &str, labels: &[(&str, &str)]) -> &'a Sample {
    let wanted = |sample: &&Sample| {
        sample.name == name
            && labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|is| is == value))
    };
    samples.iter().find(wanted).unwrap_or_else(|| panic!("no {name} {labels:?}"))
}

fn sum(samples: &[Sample], name: &str) -> u64 {
    samples.iter().filter(|sample| sample.name == name).map(|sample| sample.value).sum()
}

/// Counts `packets` frames of 100 bytes for key `id`, consistently everywhere.
fn traffic(fake: &Fake, id: u32, packets: u64) {
    let mut snapshot = fake.0.snapshot.lock().unwrap();
    let node = &mut snapshot.node;
    for counter in [&mut node.verdicts[3], &mut node.outcomes[REASONS + 1]] {
        counter.packets += packets;
        counter.bytes += packets * 100;
    }
    let key = &mut snapshot.keys[id as usize];
    key.packets += packets;
    key.bytes += packets * 100;
}

#[test]
fn awkward_names_survive_and_cannot_pretend_to_be_the_rest() {
    let awkward = "a \"quoted\\ name\"\nother 1";
    let (fake, telemetry) = telemetry(&[awkward, "other"], 10);
    traffic(&fake, 1, 3);
    traffic(&fake, 2, 4);
    let samples = parse(&telemetry.scrape().unwrap());
    let name = "keysteer_key_packets_total";
    assert_eq!(find(&samples, name, &[("key", awkward), ("scope", "key")]).value, 3);
    assert_eq!(find(&samples, name, &[("key", "other"), ("scope", "key")]).value, 4);
    assert_eq!(find(&samples, name, &[("key", ""), ("scope", "other")]).value, 0);
    let owner = format!("team-{awkward}");
    assert_eq!(find(&samples, "keysteer_key_info", &[("key", awkward)]).labels["owner"], owner);
}

#[test]
fn sums_are_exact_through_promotions() {
    let (fake, telemetry) = telemetry(&["a", "b", "c", "d", "e"], 1);
    for round in 0..40u64 {
        for id in 1..=5u32 {
            traffic(&fake, id, (round * u64::from(id) * 7) % 23);
        }
        if round % 3 != 0 {
            telemetry.sample(|_| ()).unwrap();
        }
        let samples = parse(&telemetry.scrape().unwrap());
        let received = find(&samples, "keysteer_received_packets_total", &[]).value;
        let keys = sum(&samples, "keysteer_key_packets_total");
        assert_eq!(keys + sum(&samples, "keysteer_keys_withdrawn_packets"), received);
        assert_eq!(sum(&samples, "keysteer_verdict_packets_total"), received);
        assert_eq!(sum(&samples, "keysteer_outcome_packets_total"), received);
        let bytes = sum(&samples, "keysteer_key_bytes_total");
        assert_eq!(bytes + sum(&samples, "keysteer_keys_withdrawn_bytes"), received * 100);
        assert!(find(&samples, "keysteer_keys_exported", &[]).value <= 2);
    }
}

#[test]
fn every_series_is_unique_and_every_outcome_begins_at_zero() {
    let (_, telemetry) = telemetry(&["a", "b"], 10);
    let samples = parse(&telemetry.scrape().unwrap());
    let unique: BTreeSet<_> = samples.iter().map(|sample| (&sample.name, &sample.labels)).collect();
    assert_eq!(unique.len(), samples.len());
    let name = "keysteer_outcome_packets_total";
    assert_eq!(find(&samples, name, &[("class", "missing"), ("reason", "steered")]).value, 0);
    assert_eq!(find(&samples, name, &[("class", "assigned"), ("reason", "no_exit")]).value, 0);
    assert!(samples.iter().all(|sample| sample.labels.get("reason").is_none_or(|reason| {
        reason != "out_of_scope" || sample.labels.get("class").is_some_and(|class| class == "foreign")
    })));
}

#[test]
fn a_failed_reading_is_an_error_and_is_counted() {
    let fake = Fake(Arc::new(Record { fails: Some("counters"), ..Record::default() }));
    let node = Arc::new(Node::new(image(&["a"]), String::new(), Vec::new()));
    let telemetry = {
        *fake.0.node.lock().unwrap() = node;
        Telemetry::new(Arc::new(fake), 10)
    };
    assert!(telemetry.scrape().is_err());
    assert!(telemetry.sample(|_| ()).is_err());
    assert_eq!(telemetry.state.lock().unwrap().errors, 2);
}

/// The reference lists exactly what is exported.
#[test]
fn the_reference_lists_every_metric_and_no_other() {
    let reference = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md"));
    let listed: BTreeSet<String> = reference
        .lines()
        .filter_map(|line| line.strip_prefix("| `keysteer_"))
        .filter_map(|line| line.split('`').next())
        .map(|name| format!("keysteer_{name}"))
        .collect();
    let (_, telemetry) = telemetry(&["a"], 10);
    let exported: BTreeSet<String> =
        parse(&telemetry.scrape().unwrap()).into_iter().map(|sample| sample.name).collect();
    assert_eq!(listed, exported);
}

/// The rules ask for nothing that is not exported.
#[test]
fn the_rules_use_exported_metrics() {
    let rules =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/prometheus/keysteer.rules.yaml"));
    let (_, telemetry) = telemetry(&["a"], 10);
    let text = telemetry.scrape().unwrap();
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':');
    let used: BTreeSet<&str> = rules.split(word).filter(|name| name.starts_with("keysteer_")).collect();
    assert!(!used.is_empty());
    for name in used {
        assert!(text.contains(&format!("\n{name}")), "{name} is not exported");
    }
}
