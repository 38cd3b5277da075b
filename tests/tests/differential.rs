//! Kernel and host agree on generated packets, and a bug in any stage would be seen.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests state what must hold"
)]

use keysteer_common::seeded::Stage;
use keysteer_tests::differential::{Mismatch, bugs, compare, run, subjects};
use keysteer_tests::lab::lab;

const SEED: u64 = 20_261;

#[test]
fn kernel_and_host_agree_on_generated_packets() {
    println!("seed {SEED}");
    match run(60_000, SEED, |_| {}) {
        Ok(report) => println!("{} packets in {:?}\n{}", report.packets, report.took, report.coverage),
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let subjects = lab(|lab| subjects(lab).unwrap());
    let covered = || {
        let compared = lab(|lab| compare(lab, &subjects, 5_000, 7, |_| {}).unwrap());
        (compared.packets, compared.coverage)
    };
    assert_eq!(covered(), covered());
}

/// Without this, agreement could mean that nothing is compared.
#[test]
fn one_bug_in_each_stage_of_the_host_is_seen() {
    let seen = lab(|lab| {
        let subjects = subjects(lab).unwrap();
        bugs(lab, &subjects, Stage::ALL, 60_000, SEED).unwrap()
    });
    for (stage, mismatch) in &seen {
        if let Some(Mismatch { policy, seed: (_, packets), .. }) = mismatch {
            println!("{stage:?}: policy {policy}, after {packets} packets");
        }
    }
    let unseen: Vec<_> = seen.iter().filter(|(_, mismatch)| mismatch.is_none()).collect();
    assert!(unseen.is_empty(), "bugs in these stages were not seen: {unseen:?}");
}
