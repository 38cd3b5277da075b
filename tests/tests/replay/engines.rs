//! Every packet of every capture, under every policy there is, in both engines.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use keysteer_tests::captures;
use keysteer_tests::frames::{Packet, Transport};
use serde_json::Value;

use super::{ENGINES, TENANTS, lines, of, replay};

/// The policies of the differential test, and the examples.
fn policies() -> Vec<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [top.join("src/differential/policies"), top.join("../examples")];
    let files =
        folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|file| file.unwrap().path());
    let mut policies: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    policies.sort();
    assert!(policies.len() >= 14, "{policies:?}");
    policies
}

#[test]
fn both_say_the_same_of_every_packet_of_every_capture() {
    let captures = captures::all();
    let mut met = BTreeSet::new();
    let mut packets = 0;
    for policy in policies() {
        let [kernel, host] = ENGINES.map(|engine| lines(of(replay(engine, &policy, "jsonl"), &captures)));
        assert_eq!(kernel.0.len(), host.0.len(), "{}", policy.display());
        for (kernel, host) in kernel.0.iter().zip(&host.0) {
            assert_eq!(kernel, host, "{}", policy.display());
            let line: Value = serde_json::from_str(kernel).unwrap();
            met.insert(format!("{} {} {}", line["class"], line["reason"], line["verdict"]));
        }
        // The sums differ in what the kernel takes no test run of, which is nothing here.
        assert_eq!(kernel.1, host.1, "{}", policy.display());
        packets += kernel.0.len();
    }
    println!("{packets} packets, {met:?}");
    assert!(packets > 500 && met.len() >= 6, "{packets} packets, of {met:?} only");
}

#[test]
fn frames_that_the_kernel_takes_no_test_run_of_are_the_same_too() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("lengths.pcap");
    let ours = Packet {
        ports: (40_000, 1_500),
        transport: Transport::Udp,
        ..Packet::between("10.1.2.3", "203.0.113.10")
    }
    .bytes();
    // What is behind the datagram is padding.
    let padded = |length: usize| {
        let mut frame = ours.clone();
        frame.resize(length, 0);
        frame
    };
    let frames: Vec<Vec<u8>> =
        [0, 1, 13, 14, 15, 33, 34, 60, 1514, 3520, 3521, 9014, 65_557, 65_558, 262_144]
            .into_iter()
            .map(padded)
            .collect();
    fs::write(&file, captures::pcap(frames.iter().map(Vec::as_slice))).unwrap();
    let [kernel, host] = ENGINES.map(|engine| lines(of(replay(engine, TENANTS, "jsonl"), &[&file])));
    assert_eq!(kernel.0, host.0);
    assert!(kernel.0[14].contains("assigned") && kernel.0[2].contains("foreign"), "{:#?}", kernel.0);
    let note =
        "note: 5 packets are too short or too long for a test run in the kernel, and decided in user space\n";
    assert_eq!(kernel.1.strip_suffix(note).map(str::trim_end), Some(host.1.trim_end()));
}
