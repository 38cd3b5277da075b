//! Kernel and host agree on generated packets, and a bug in any stage would be seen.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests state what must hold"
)]

use keysteer_common::seeded::{Stage, plant};
use keysteer_tests::differential::{Failure, compare, run, subjects};
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
    let subjects = lab(|lab| subjects(lab).unwrap());
    for stage in Stage::ALL {
        // A lab's thread is its own, so the bug ends with it.
        let compared = lab(|lab| {
            plant(Some(*stage));
            compare(lab, &subjects, 60_000, SEED, |_| {})
        });
        match compared {
            Err(Failure::Mismatch(mismatch)) => {
                println!("{stage:?}: policy {}, after {} packets", mismatch.policy, mismatch.seed.1);
            }
            Err(failure) => panic!("{stage:?}: {failure}"),
            Ok(report) => panic!("{stage:?}: its bug was not seen in {} packets", report.packets),
        }
    }
}
