//! `keysteer replay`: what it reads back of each frame is what a test run of the same program recorded.

use keysteer::kernel::{Dataplane, FRAMES, pin_to_cpu};
use keysteer::policy;
use keysteer::replay;
use keysteer::state::{Ids, Secrets};
use keysteer_common::vocabulary::Class;
use keysteer_tests::captures;
use keysteer_tests::lab::CPU;
use keysteer_tests::site::binary::demand_root;
use keysteer_tests::site::residue::no_program_is_left;

#[test]
fn replay_reads_back_what_a_test_run_records() {
    demand_root();
    pin_to_cpu(CPU).unwrap();
    let frames = captures::folder(&captures::own()).unwrap();
    let mut classes = std::collections::BTreeSet::new();
    for example in policy::examples::EXAMPLES.iter().filter(|example| example.name != "keys-from-csv") {
        let Ok(policy) = policy::parse(example.text, example.file, None) else {
            assert_eq!(example.file, "keys.csv");
            continue;
        };
        let secrets = Secrets::from_bytes(&[7; 32]);
        let image = replay::compile(&policy, &secrets, &mut Ids::default()).unwrap();
        let dataplane = Dataplane::load_recording(&image).unwrap();
        let mut runs = dataplane.runs().unwrap();
        for (number, frame) in (1..).zip(&frames).filter(|(_, frame)| FRAMES.contains(&frame.len())) {
            let read = runs.run(frame).unwrap();
            let recorded = dataplane.test_run(frame, 0, CPU).unwrap().work;
            assert_eq!(read, recorded, "{}, frame {number}", example.name);
            classes.insert(read.record.decision.class);
        }
        drop(runs);
    }
    assert!(classes.contains(&(Class::Foreign as u8)) && classes.len() >= 3, "{classes:?}");
    no_program_is_left();
}
