//! Writes `docs/tour.pcap`.

use keysteer_tests::{captures, tour};

fn main() -> std::io::Result<()> {
    std::fs::write(captures::tour(), tour::capture())
}
