//! Writes `tests/captures/carriers-*.pcap`: packets with every carrier, always the same bytes.

use std::fs;

use keysteer_tests::captures::{own, pcap};
use keysteer_tests::carriers::captures;

fn main() -> std::io::Result<()> {
    for (name, frames) in captures() {
        let path = own().join(name);
        fs::write(&path, pcap(frames.iter().map(Vec::as_slice)))?;
        println!("wrote {} frames to {}", frames.len(), path.display());
    }
    Ok(())
}
