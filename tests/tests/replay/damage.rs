//! Damaged, cut-off and empty captures: what could be read, then one line.

use std::fs;
use std::path::{Path, PathBuf};

use keysteer::capture::{Capture, CaptureError};
use keysteer_tests::captures::{self, files, own, shared};
use keysteer_tests::site::binary::{Said, run};
use tempfile::TempDir;

use super::{TENANTS, of, replay};

/// A policy that is compiled in no time.
const QUICK: &str = r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: quick}
spec:
  environment: test
  interfaces: [{name: eth0}]
  scope: [{services: [any]}]
  schemas: [{version: 1, fields: [{name: product, from: ip.dscp}]}]
  shards: [{name: a, target: pass}]
  pools: [{name: all, shards: [a]}]
  keys: [{name: plain, match: {product: 0}, pool: all}]
"#;

/// A folder with that policy, and the command that replays a file of it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(TempDir::new().unwrap());
        fs::write(folder.path("quick.yaml"), QUICK).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Replays captures.
    fn replay(&self, engine: &str, output: &str, captures: &[PathBuf]) -> Said {
        of(replay(engine, self.path("quick.yaml"), output), captures)
    }

    /// Replays bytes.
    fn bytes(&self, engine: &str, output: &str, bytes: &[u8]) -> Said {
        let path = self.path("cut.pcap");
        fs::write(&path, bytes).unwrap();
        self.replay(engine, output, &[path])
    }
}

/// Checks that a replay gave so many lines, then one line of error.
fn ends(said: &Said, lines: usize, phrases: &[&str]) {
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(said.out.lines().count(), lines, "{said:?}");
    let messages: Vec<_> = said.err.lines().collect();
    assert!(matches!(messages[..], [line] if line.starts_with("error: ")), "not one error line: {said:?}");
    for phrase in phrases {
        assert!(said.err.contains(phrase), "`{phrase}` is not in: {}", said.err);
    }
}

/// Where the packets of a pcap file end, found by plain means.
fn pcap_ends(bytes: &[u8]) -> Vec<usize> {
    let (mut at, mut ends) = (24, Vec::new());
    while at < bytes.len() {
        at += 16 + u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        ends.push(at);
    }
    ends
}

/// How many packets a file has, and how it ends.
fn count(bytes: &[u8]) -> (usize, Result<(), CaptureError>) {
    let mut packets = 0;
    let mut read = || -> Result<(), CaptureError> {
        let mut capture = Capture::new("cut", bytes)?;
        while capture.next()?.is_some() {
            packets += 1;
        }
        Ok(())
    };
    let end = read();
    (packets, end)
}

/// Some cuts of each capture by the real program, and many more by its reader.
#[test]
fn cut_anywhere_everything_before_it_is_told() {
    let folder = Folder::new();
    let mut whole = 0;
    for path in captures::all() {
        let bytes = fs::read(&path).unwrap();
        if !bytes.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]) {
            continue;
        }
        let boundaries = pcap_ends(&bytes);
        let there = |cut: usize| boundaries.iter().filter(|end| **end <= cut).count();
        let step = (bytes.len() / 12).max(1);
        let near = boundaries.iter().take(2).flat_map(|end| [end - 1, *end, end + 1]);
        for at in (0..bytes.len()).step_by(step).chain([1, 23, 24, 25]).chain(near) {
            let at = at.min(bytes.len() - 1);
            let said = folder.bytes("host", "jsonl", &bytes[..at]);
            if boundaries.contains(&at) {
                assert_eq!((said.code, said.out.lines().count()), (Some(0), there(at)), "{said:?}");
                continue;
            }
            let phrase = match at {
                0 => "is empty: it has 0 bytes; record some traffic",
                1..4 => "is no pcap or pcapng capture",
                24 => "is empty: it has no packets; record some traffic",
                _ => "it ends inside ",
            };
            ends(&said, there(at), &["cut.pcap", phrase]);
        }
        // Of the long ones, around every packet's header and some more.
        let step = if bytes.len() < 12_000 { 1 } else { 101 };
        let headers =
            boundaries.iter().flat_map(|end| [end - 1, *end, end + 1, end + 15, end + 16, end + 17]);
        for at in (0..bytes.len()).step_by(step).chain(headers.filter(|at| *at < bytes.len())) {
            let (packets, end) = count(&bytes[..at]);
            assert_eq!(packets, there(at), "{} cut at {at}", path.display());
            assert_eq!(end.is_ok(), at == 24 || boundaries.contains(&at), "{} cut at {at}", path.display());
        }
        whole += 1;
    }
    assert!(whole >= 2, "{whole} captures");
    // Where nothing could be read nothing is told, and the kernel's engine ends the same way.
    let bytes = fs::read(own().join("ipv4.pcap")).unwrap();
    let second = pcap_ends(&bytes)[1];
    for engine in super::ENGINES {
        let said = folder.bytes(engine, "jsonl", &bytes[..second + 20]);
        ends(&said, 2, &["after 2 packets: it ends inside a packet"]);
        ends(&folder.bytes(engine, "json", b""), 0, &["is empty"]);
        ends(&folder.bytes(engine, "table", b""), 0, &["is empty"]);
    }
}

#[test]
fn what_could_be_read_is_whole_in_every_output() {
    let folder = Folder::new();
    let bytes = fs::read(own().join("ipv6.pcap")).unwrap();
    let ends_at = pcap_ends(&bytes);
    let bytes = &bytes[..ends_at[4] + 1];
    let said = folder.bytes("host", "json", bytes);
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&said.out).unwrap().len(), 5);
    let said = folder.bytes("host", "table", bytes);
    assert!(said.out.starts_with("5 packets, "), "{said:?}");
    ends(&said, said.out.lines().count(), &["at byte", "after 5 packets"]);
    // Captures after a damaged one are not read.
    let whole = own().join("ipv4.pcap");
    let said = folder.replay("host", "jsonl", &[whole.clone(), folder.path("cut.pcap"), whole]);
    let before = captures::frames(fs::read(own().join("ipv4.pcap")).unwrap().as_slice()).0.len();
    ends(&said, before + 5, &["cut.pcap", "after 5 packets"]);
}

#[test]
fn any_byte_changed_is_told_or_harmless() {
    let folder = Folder::new();
    let mut told = 0;
    for from in files(&own()).into_iter().chain(files(&shared())).take(4) {
        let bytes = fs::read(from).unwrap();
        for at in (0..bytes.len()).step_by((bytes.len() / 20).max(1)) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            let said = folder.bytes("host", "jsonl", &damaged);
            if said.code != Some(0) {
                told += 1;
                ends(&said, said.out.lines().count(), &["cut.pcap"]);
            }
        }
    }
    assert!(told > 0);
}

#[test]
fn what_is_no_capture_or_not_there_is_named() {
    let cases: [(&str, &[&str]); 3] = [
        ("/nonexistent.pcap", &["/nonexistent.pcap: cannot be opened: No such file", "check its name"]),
        ("/", &["/: cannot be read: Is a directory"]),
        (TENANTS, &["tenants.yaml: is no pcap or pcapng capture: it begins with", "tcpdump"]),
    ];
    for (path, phrases) in cases {
        let said = of(replay("host", TENANTS, "jsonl"), &[Path::new(path)]);
        ends(&said, 0, phrases);
    }
}

#[test]
fn a_policy_that_is_wrong_is_told_as_validate_does() {
    let capture = own().join("ipv4.pcap");
    let said = of(replay("host", "/nonexistent.yaml", "jsonl"), &[&capture]);
    ends(&said, 0, &["cannot read /nonexistent.yaml"]);
    let folder = Folder::new();
    let policy = folder.path("p.yaml");
    fs::write(&policy, fs::read_to_string(TENANTS).unwrap().replace("environment", "enviroment")).unwrap();
    let said = of(replay("host", &policy, "jsonl"), &[&capture]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    let validate = run(keysteer_tests::site::binary::command(&["validate"]).arg(&policy));
    assert_eq!(said.err, validate.err);
}
