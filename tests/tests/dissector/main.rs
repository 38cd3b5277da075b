//! Agreement with an independent dissector: of every packet that tshark finds nothing wrong with, every carrier has
//! the value that tshark reads, in the kernel and on the host.
//!
//! ```text
//!  tshark     runs the dissector
//!  tree       its output
//!  seen       a packet as it sees it
//!  questions  fields of policies, and what they must be
//!  checksums  packets that were translated, and their checksums
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests state what must hold"
)]

mod checksums;
mod questions;
mod seen;
mod tree;
mod tshark;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use keysteer::image::Image;
use keysteer_common::vocabulary::{Class, Fault, Verdict};
use keysteer_tests::captures::{self, files, frames, own, shared};
use keysteer_tests::lab::lab;
use keysteer_tests::pair::{Outcome, Pair, hex};

use questions::{Question, Want, groups};
use seen::Seen;
use tshark::Tshark;

/// A frame, where it is from, and what the dissector says of it.
struct Subject {
    place: String,
    frame: Vec<u8>,
    seen: Seen,
}

/// Every frame of these captures.
fn subjects(captures: &[PathBuf]) -> Vec<Subject> {
    let tshark = Tshark::new();
    let mut subjects = Vec::new();
    for path in captures {
        let (frames, end) = frames(fs::File::open(path).unwrap());
        end.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_name().unwrap().to_string_lossy();
        for (number, (frame, tree)) in (1..).zip(frames.iter().zip(tshark.dissect(&frames))) {
            let seen = Seen::new(&tree, frame.len());
            subjects.push(Subject { place: format!("{name}, packet {number}"), frame: frame.clone(), seen });
        }
    }
    subjects
}

/// A policy that takes every packet and reads these fields.
fn policy(questions: &[Question]) -> String {
    let fields: Vec<String> = questions
        .iter()
        .enumerate()
        .map(|(at, Question { carrier, besides, .. })| format!("{{name: f{at}, from: {carrier}{besides}}}"))
        .collect();
    let levels: Vec<String> = (0..questions.len()).map(|at| format!("[f{at}]")).collect();
    format!(
        r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {{name: dissector}}
spec:
  environment: test
  interfaces: [{{name: eth0}}]
  scope: [{{services: [any]}}]
  carriers: {{quic: {{shortHeaderLength: {short}}}, shim: {{port: {shim}}}}}
  prefixTables: {{all: {{0.0.0.0/0: four, "::/0": six}}}}
  schemas: [{{version: 1, fields: [{fields}], levels: [{levels}]}}]
  shards: [{{name: a, target: pass}}]
  pools: [{{name: general, shards: [a]}}]
  classes: {{missing: pass, unregistered: pass, malformed: drop}}
"#,
        short = keysteer_tests::carriers::SHORT_HEADER,
        shim = keysteer_tests::carriers::SHIM_PORT,
        fields = fields.join(", "),
        levels = levels.join(", "),
    )
}

/// The values that the fields have of us; `None` where nothing was extracted.
fn ours(outcome: &Outcome) -> impl Fn(usize) -> Option<u128> {
    let record = outcome.work.record;
    move |at| {
        let [high, low] = record.fields[at];
        (record.decision.present >> at & 1 == 1).then_some(u128::from(high) << 64 | u128::from(low))
    }
}

/// Whether a packet is foreign to a policy that reads these fields.
fn foreign(seen: &Seen, questions: &[Question]) -> bool {
    let reads = |prefix: &str| questions.iter().any(|question| question.carrier.starts_with(prefix));
    seen.ip.is_none()
        || seen.discovery
        || !seen.link.labels.is_empty() && !reads("mpls.")
        || seen.link.nsh && !reads("nsh.")
}

/// Compares, and gives by carrier how many values were equal. All differences are told at once.
fn compare(subjects: &[Subject]) -> BTreeMap<&'static str, usize> {
    let mut equal = BTreeMap::new();
    let mut differences = Vec::new();
    for group in groups() {
        lab(|lab| {
            let (_, image): (_, Image) = lab.compile(&policy(&group), "dissector").unwrap();
            let mut pair = Pair::new(&image).unwrap();
            for Subject { place, frame, seen } in subjects {
                let outcome = pair.run(frame, 0).unwrap_or_else(|error| panic!("{place}: {error}"));
                let decision = outcome.work.record.decision;
                let class = Class::from_number(decision.class);
                assert!(
                    class.is_some() && Verdict::from_number(decision.verdict).is_some(),
                    "{place}: {decision:?}"
                );
                if seen.doubt.is_some() {
                    continue;
                }
                let mut differ = |what: String| differences.push(format!("{place}: {what}: {}", hex(frame)));
                match (class == Some(Class::Foreign), foreign(seen, &group)) {
                    (true, true) => continue,
                    (false, false) => {}
                    (ours, _) => {
                        let fields = group[0].carrier;
                        differ(format!(
                            "foreign for {fields} and others: {ours}, of the dissector: {}",
                            !ours
                        ));
                        continue;
                    }
                }
                if class == Some(Class::Malformed) {
                    // What is no tunnel to the dissector, at a tunnel's port.
                    if !seen.tunnel.unknown {
                        let fault = Fault::from_number(outcome.work.headers.fault);
                        differ(format!("malformed for {} and others: {fault:?}", group[0].carrier));
                    }
                    continue;
                }
                let ours = ours(&outcome);
                for (at, Question { carrier, besides, want, .. }) in group.iter().enumerate() {
                    match (want(seen), ours(at)) {
                        (Want::Unknown, _) | (Want::Absent, None) => {}
                        (Want::Is(theirs), Some(ours)) if theirs == ours => {
                            *equal.entry(*carrier).or_default() += 1;
                        }
                        (theirs, ours) => {
                            differ(format!(
                                "{carrier}{besides}: ours {ours:x?}, the dissector's {theirs:x?}"
                            ));
                        }
                    }
                }
            }
        });
    }
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.iter().take(40).cloned().collect::<Vec<_>>().join("\n")
    );
    equal
}

/// Nothing may be clean by accident, and nothing wrong.
fn doubts(subjects: &[Subject]) -> usize {
    subjects.iter().filter(|subject| subject.seen.doubt.is_some()).count()
}

#[test]
fn every_carrier_has_the_dissector_s_value_in_our_captures() {
    let (damaged, whole): (Vec<_>, Vec<_>) =
        files(&own()).into_iter().partition(|path| path.to_string_lossy().contains("damaged"));
    let whole = subjects(&whole);
    for Subject { place, seen, frame } in &whole {
        assert_eq!(seen.doubt, None, "{place}: {}", hex(frame));
    }
    let mut equal = compare(&whole);
    let damaged = subjects(&[damaged, vec![captures::tour()]].concat());
    let doubtful = doubts(&damaged);
    assert!(doubtful > 50, "{doubtful} of {} damaged packets", damaged.len());
    for (carrier, number) in compare(&damaged) {
        *equal.entry(carrier).or_default() += number;
    }
    println!(
        "{} whole packets, {} of which {doubtful} are damaged; equal values by carrier: {equal:?}",
        whole.len(),
        damaged.len()
    );
    for Question { carrier, least, .. } in groups().into_iter().flatten() {
        let number = equal.get(carrier).copied().unwrap_or_default();
        assert!(number >= least, "{carrier}: {number} values of at least {least}");
    }
}

/// On machines that have captures of other projects.
#[test]
fn every_carrier_has_the_dissector_s_value_in_captures_of_others() {
    let subjects = subjects(&files(&shared()));
    let doubtful = doubts(&subjects);
    let equal = compare(&subjects);
    println!("{} packets, {doubtful} of them not clean; equal values by carrier: {equal:?}", subjects.len());
    if !subjects.is_empty() {
        assert!(doubtful * 2 < subjects.len(), "{doubtful} of {} packets are not clean", subjects.len());
        for (carrier, least) in
            [("ip.src", 300), ("inner.ip.src", 100), ("vxlan.vni", 100), ("geneve.vni", 30)]
        {
            let number = equal.get(carrier).copied().unwrap_or_default();
            assert!(number >= least, "{carrier}: {number} values of at least {least}");
        }
    }
}
