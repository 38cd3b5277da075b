//! The fuzz targets on their seeds and on everything that fuzzing once found; and a proof that they can fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests state what must hold"
)]

use std::panic::catch_unwind;

use keysteer_common::seeded::{Stage, plant};
use keysteer_tests::fuzzing::{TARGETS, files};

#[test]
fn every_seed_and_every_regression_file_passes() {
    for (target, body) in TARGETS {
        for kind in ["seeds", "regressions"] {
            let files = files(kind, target).unwrap();
            assert!(kind != "seeds" || !files.is_empty(), "{target} has no seeds");
            for (path, input) in files {
                assert!(catch_unwind(|| body(&input)).is_ok(), "{}", path.display());
            }
        }
    }
}

/// The stages of what leaves and of what moves, which no fuzz target has: the differential test notices bugs there.
const ELSEWHERE: [Stage; 4] = [Stage::Migrate, Stage::Nat, Stage::Back, Stage::Stamp];

/// Without this, silence could mean that nothing is checked.
#[test]
fn a_bug_in_any_stage_is_noticed() {
    let inputs: Vec<_> = TARGETS
        .iter()
        .filter(|(target, _)| ["parse", "decision"].contains(target))
        .flat_map(|(target, body)| {
            files("seeds", target).unwrap().into_iter().map(move |(path, input)| (path, *body, input))
        })
        .collect();
    for stage in Stage::ALL.iter().filter(|stage| !ELSEWHERE.contains(stage)) {
        plant(Some(*stage));
        let noticed = inputs.iter().find(|(_, body, input)| catch_unwind(|| body(input)).is_err());
        plant(None);
        let (path, ..) = noticed.unwrap_or_else(|| panic!("{stage:?}: its bug passes unnoticed"));
        println!("{stage:?}: {}", path.display());
    }
}
