//! `keysteer explain --engine kernel`: the program agrees about every recorded frame, and a difference is seen.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use keysteer::explain::offline::Offline;
use keysteer_common::look::headers_of;
use keysteer_common::seeded::{Stage, plant};
use keysteer_common::slice::Frame;
use keysteer_tests::captures;
use keysteer_tests::frames::Packet;
use keysteer_tests::site::binary::demand_root;
use keysteer_tests::site::residue::no_program_is_left;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name)
}

#[test]
fn the_program_decides_recorded_frames_as_they_are_explained() {
    demand_root();
    let frames = captures::folder(&captures::own()).unwrap();
    assert!(frames.len() > 40, "{}", frames.len());
    // Every question loads the program twice: one frame of each kind will do, and some for the other policies.
    let policies = [
        ("tenant-prefix.yaml", 1, 24),
        ("demo.yaml", 9, 8),
        ("vlan.yaml", 9, 8),
        ("tunnel-tenants.yaml", 3, 8),
    ];
    for (policy, step, most) in policies {
        let offline = Offline::open(&example(policy), None).unwrap();
        let mut kinds = BTreeSet::new();
        for (number, frame) in (1..).zip(&frames).step_by(step) {
            let said = offline.explain(frame, None).unwrap();
            let found = headers_of(&Frame::new(&mut frame.clone(), 1)).found;
            if kinds.len() < most && kinds.insert((said.class, said.forward.reason, found)) {
                let run = offline.kernel(frame, None).unwrap();
                assert!(run.agrees(), "{policy}, frame {number}: {run:#?}");
            }
        }
        assert!(step > 1 || kinds.len() >= 10, "{kinds:?}");
    }
    no_program_is_left();
}

#[test]
fn a_host_that_decides_differently_is_seen() {
    demand_root();
    let offline = Offline::open(&example("demo.yaml"), None).unwrap();
    let denied = Packet { ports: (40_000, 7000), ..Packet::between("10.3.0.1", "203.0.113.10") }.bytes();
    let steered = Packet { ports: (40_000, 7000), ..Packet::between("10.1.0.1", "203.0.113.10") }.bytes();
    for (stage, frame, what) in [
        (Stage::Enforce, &denied, "decision: kernel"),
        (Stage::Forward, &steered, "the frame afterwards: kernel"),
    ] {
        assert!(offline.kernel(frame, None).unwrap().agrees(), "{stage:?}");
        plant(Some(stage));
        let run = offline.kernel(frame, None).unwrap();
        plant(None);
        assert!(!run.agrees(), "{stage:?}");
        assert!(run.differences.iter().any(|line| line.starts_with(what)), "{stage:?}: {run:#?}");
    }
}

#[test]
fn a_frame_that_the_kernel_does_not_take_is_refused_with_what_does() {
    demand_root();
    let offline = Offline::open(&example("demo.yaml"), None).unwrap();
    let error = offline.kernel(&[2; 13], None).unwrap_err().to_string();
    assert!(error.contains("under 14 bytes") && error.contains("--engine host"), "{error}");
    assert_eq!(offline.explain(&[2; 13], None).unwrap().class, "foreign");
}
