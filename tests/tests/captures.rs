//! The capture reader on captures that other programs have written.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests state what must hold"
)]

use std::collections::BTreeMap;
use std::fs;

use keysteer::capture::Capture;
use keysteer_tests::captures::{all, own, pcap, shared, tour};
use keysteer_tests::carriers;

/// How many packets the captures of other projects have, by file, as their list says.
fn listed() -> BTreeMap<String, u64> {
    let Ok(list) = fs::read_to_string(shared().join("MANIFEST.csv")) else {
        return BTreeMap::new();
    };
    let row = |line: &str| {
        let mut cells = line.split(',');
        let name = cells.next()?.rsplit('/').next()?.to_owned();
        Some((name, cells.nth(3)?.parse().ok()?))
    };
    list.lines().skip(1).map(|line| row(line).unwrap_or_else(|| panic!("no packets in: {line}"))).collect()
}

#[test]
fn every_packet_of_every_capture_is_read() {
    let listed = listed();
    let mut seen = 0;
    for path in all() {
        let mut capture = Capture::open(&path).unwrap_or_else(|error| panic!("{error}"));
        while let Some(packet) = capture.next().unwrap_or_else(|error| panic!("{error}")) {
            assert!(packet.frame.len() >= 14, "{}: packet {}", path.display(), packet.number);
        }
        let name = path.file_name().unwrap().to_string_lossy();
        match listed.get(name.as_ref()) {
            Some(packets) => assert_eq!(capture.packets(), *packets, "{name}"),
            None => assert!(capture.packets() > 10, "{name}"),
        }
        assert_eq!(Some(capture.read()), capture.size(), "{name}");
        seen += 1;
    }
    assert!(seen >= 3 + listed.len(), "{seen} captures, {} listed", listed.len());
    println!("{seen} captures, {} of them listed", listed.len());
}

/// It can be made again, and is what its maker says.
#[test]
fn the_capture_of_the_tour_is_as_it_is_made() {
    assert!(
        fs::read(tour()).unwrap() == keysteer_tests::tour::capture(),
        "docs/tour.pcap is another: `cargo run --package keysteer-tests --bin tour-capture` writes it; then mend docs/tour.md"
    );
}

#[test]
fn the_captures_of_carriers_are_as_they_are_made() {
    for (name, frames) in carriers::captures() {
        assert!(
            fs::read(own().join(name)).is_ok_and(|file| file == pcap(frames.iter().map(Vec::as_slice))),
            "{name} is another: `cargo run --package keysteer-tests --bin carrier-captures` writes it"
        );
    }
}
