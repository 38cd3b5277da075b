//! Captures of any size are read in the same memory.

use std::fs;
use std::io::Write;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use keysteer_tests::captures;
use keysteer_tests::frames::Packet;

use super::{TENANTS, replay};

/// Packets of 60,000 bytes in a member of the gzip file.
const IN_MEMBER: usize = 256;
/// More memory than this is not flat.
const TOLERANCE_KIB: u64 = 4 << 10;

/// The most memory that a process has had, in KiB.
fn peak(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse().unwrap()
}

/// Bytes as a member of a gzip file. They are stored, so that as many pass through the pipe as are unpacked.
fn member(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// The most memory that a replay of so many members from stdin takes, and whether it read them all.
fn of_members(engine: &str, members: usize) -> u64 {
    let mut frame = Packet::between("10.1.2.3", "203.0.113.10").bytes();
    frame.resize(60_000, 0);
    let whole = captures::pcap(std::iter::repeat_n(frame.as_slice(), IN_MEMBER));
    let (header, packets) = whole.split_at(24);
    let packets = member(packets);
    let mut command = replay(engine, TENANTS, "table");
    let child = command.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    to.write_all(&member(header)).unwrap();
    for _ in 0..members {
        to.write_all(&packets).unwrap();
    }
    // All but what the pipe holds has been read, and the process is still there to be asked.
    let peak = peak(&child);
    drop(to);
    let end = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "the replay does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    let said: keysteer_tests::site::binary::Said = child.wait_with_output().unwrap().into();
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    assert!(said.out.starts_with(&format!("{} packets, ", members * IN_MEMBER)), "{said:?}");
    peak
}

/// Sixteen megabytes and a quarter of a gigabyte, in gzip files of many members.
#[test]
fn a_capture_sixteen_times_as_long_takes_no_more_memory() {
    for engine in super::ENGINES {
        let [short, long] = [1, 16].map(|members| of_members(engine, members));
        println!("{engine}: {short} KiB, {long} KiB");
        assert!(long <= short + TOLERANCE_KIB, "{engine}: {short} KiB, then {long} KiB");
    }
}
