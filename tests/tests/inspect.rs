//! `keysteer inspect`, the real program: what it finds is in the packets, and what it proposes can be used.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests state what must hold"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use keysteer_tests::captures::{self, own};
use keysteer_tests::site::binary::{Said, command, demand_root, run};
use serde_json::Value;
use tempfile::TempDir;

fn inspect(arguments: &[&str], captures: &[impl AsRef<Path>]) -> Said {
    let mut command = command(&["inspect"]);
    command.args(arguments).args(captures.iter().map(AsRef::as_ref));
    run(&mut command)
}

fn report(captures: &[impl AsRef<Path>]) -> Value {
    serde_json::from_str(&inspect(&["-o", "json"], captures).data()).unwrap()
}

/// Runs a command that must succeed.
fn done(command: &mut Command) -> Said {
    let said = run(command);
    assert_eq!(said.code, Some(0), "{command:?}: {said:?}");
    said
}

/// The policy that is proposed for a capture is valid, is compiled, and gives the packets that ask a service a key,
/// in both engines alike.
#[test]
fn what_is_proposed_for_each_capture_is_valid_and_finds_its_packets() {
    demand_root();
    let directory = TempDir::new().unwrap();
    let (mut packets, mut assigned_to_any) = (0, 0);
    for (number, capture) in captures::all().iter().enumerate() {
        let policy = directory.path().join(format!("{number}.yaml"));
        let policy = policy.to_str().unwrap();
        let shown = inspect(&["-o", "yaml", "--write-policy", policy], &[capture]).data();
        assert_eq!(fs::read_to_string(policy).unwrap(), shown);
        assert_eq!(run(&mut command(&["validate", policy])).data(), format!("{policy}: valid\n"));

        let replay = |engine: &str| {
            let arguments = ["replay", "--engine", engine, "-o", "jsonl", "--policy", policy];
            done(command(&arguments).arg(capture)).out
        };
        let lines = replay("kernel");
        assert_eq!(lines, replay("host"), "{}", capture.display());
        let report = report(&[capture]);
        let asking = report["asking"].as_u64().unwrap();
        let assigned = lines.lines().filter(|line| line.contains("\"class\":\"assigned\"")).count() as u64;
        // Packets that were made up to have every carrier are of nobody's and to anywhere: no few lines have most of them.
        let made_up = capture.to_string_lossy().contains("carriers-");
        assert!(made_up || assigned >= asking * 9 / 10, "{}: {assigned} of {asking}", capture.display());
        assert_eq!(lines.lines().count() as u64, report["packets"].as_u64().unwrap());
        packets += lines.lines().count();
        assigned_to_any += assigned;
    }
    println!("{packets} packets, {assigned_to_any} with a key of what was proposed");
    assert!(packets >= 59 && assigned_to_any >= 20, "{packets} packets, {assigned_to_any} assigned");
}

/// Where what EtherType `kind` announces at `at` has its IP header, and the EtherType of that: behind labels (RFC 3032)
/// or a service header (RFC 8300) too.
fn below(frame: &[u8], mut at: usize, kind: u64) -> Option<(usize, u64)> {
    match kind {
        0x8847 | 0x8848 => {
            for _ in 0..8 {
                let label = frame.get(at..at + 4)?;
                at += 4;
                if label[2] & 1 == 1 {
                    return match frame.get(at)? >> 4 {
                        4 => Some((at, 0x800)),
                        6 => Some((at, 0x86dd)),
                        _ => None,
                    };
                }
            }
            None
        }
        0x894f => {
            let base = frame.get(at..at + 8)?;
            let words = usize::from(base[1] & 0x3f);
            if base[0] >> 6 != 0 || words < 2 || (base[2] & 0xf == 1 && words != 6) {
                return None;
            }
            at += 4 * words;
            match base[3] {
                1 => Some((at, 0x800)),
                2 => Some((at, 0x86dd)),
                3 => Some((
                    at + 14,
                    frame.get(at + 12..at + 14)?.iter().fold(0, |kind, byte| kind << 8 | u64::from(*byte)),
                )),
                _ => None,
            }
        }
        _ => Some((at, kind)),
    }
}

/// What each packet carries in its link layer and, where there is IPv4 or IPv6 behind it, in the first bytes of that;
/// read by plain means.
fn plainly(frame: &[u8]) -> Vec<(&'static str, u64)> {
    let word = |at: usize| frame.get(at..at + 2).map(|it| u64::from(u16::from_be_bytes([it[0], it[1]])));
    let mac = |at: usize| frame[at..at + 6].iter().fold(0, |mac, byte| mac << 8 | u64::from(*byte));
    let mut found = vec![("ethernet.dst", mac(0)), ("ethernet.src", mac(6))];
    let (mut at, mut kind) = (14, word(12).unwrap());
    for (name, pcp) in [("vlan.id", Some("vlan.pcp")), ("vlan.inner_id", None)] {
        if [0x8100, 0x88a8, 0x9100].contains(&kind)
            && let (Some(tag), Some(next)) = (word(at), word(at + 2))
        {
            found.push((name, tag & 0xfff));
            found.extend(pcp.map(|name| (name, tag >> 13)));
            (at, kind) = (at + 4, next);
        } else {
            break;
        }
    }
    found.push(("ethernet.type", kind));
    let (at, kind) = below(frame, at, kind).unwrap_or((at, 0));
    let version = frame.get(at).map_or(0, |byte| byte >> 4);
    if kind == 0x800 && version == 4 && frame.len() >= at + 20 {
        found.push(("ip.dscp", u64::from(frame[at + 1] >> 2)));
    }
    if kind == 0x86dd && version == 6 && frame.len() >= at + 40 {
        found.push(("ip.dscp", word(at).unwrap() >> 6 & 0x3f));
        found.push(("ipv6.flow_label", u64::from(frame[at + 1] & 0xf) << 16 | word(at + 2).unwrap()));
    }
    found
}

#[test]
fn what_is_found_is_in_the_packets() {
    let mut checked = BTreeSet::new();
    for capture in captures::all() {
        let (frames, end) = captures::frames(fs::read(&capture).unwrap().as_slice());
        end.unwrap();
        let mut wanted: BTreeMap<&str, BTreeMap<u64, u64>> = BTreeMap::new();
        for (name, value) in frames.iter().flat_map(|frame| plainly(frame)) {
            *wanted.entry(name).or_default().entry(value).or_default() += 1;
        }
        let report = report(&[&capture]);
        assert_eq!(report["packets"], frames.len() as u64);
        assert_eq!(report["bytes"], frames.iter().map(Vec::len).sum::<usize>() as u64);
        for (name, values) in wanted {
            let all = report["carriers"].as_array().unwrap();
            let carrier = all.iter().find(|carrier| carrier["carrier"] == name).unwrap();
            let packets: u64 = values.values().sum();
            let place = format!("{} {name}: {carrier}", capture.display());
            assert_eq!(carrier["packets"], packets, "{place}");
            assert_eq!(carrier["values"], values.len() as u64, "{place}");
            assert_eq!(carrier["estimated"], false, "{place}");
            let most = *values.values().max().unwrap();
            assert_eq!(carrier["top"][0]["packets"], most, "{place}");
            let entropy: f64 =
                values.values().map(|n| *n as f64 / packets as f64).map(|part| -part * part.log2()).sum();
            assert!((carrier["entropyBits"].as_f64().unwrap() - entropy).abs() < 0.006, "{place}: {entropy}");
            let lacking = (frames.len() as u64 - packets) as f64 / frames.len() as f64;
            assert!((carrier["lacking"].as_f64().unwrap() - lacking).abs() < 0.0001, "{place}: {lacking}");
            checked.insert(name);
        }
    }
    assert!(checked.len() >= 5, "{checked:?}");
}

#[test]
fn outputs_agree_and_captures_are_added_up() {
    let files = captures::files(&own());
    let all = report(&files);
    let each: u64 = files.iter().map(|file| report(&[file])["packets"].as_u64().unwrap()).sum();
    assert_eq!(all["packets"], each);
    assert_eq!(all["captures"].as_array().unwrap().len(), files.len());
    let lines = inspect(&["-o", "jsonl"], &files).data();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(Value::Array(lines), all["carriers"]);
    assert_eq!(all["proposal"]["policy"].as_str().unwrap(), inspect(&["-o", "yaml"], &files).data());
    let table = inspect(&[], &files).data();
    for carrier in all["carriers"].as_array().unwrap() {
        let name = carrier["carrier"].as_str().unwrap();
        // Each option has a row of its own, behind that of all of them.
        if !carrier["option"].is_null() {
            continue;
        }
        if carrier["packets"] == 0 {
            let (_, not_seen) = table.split_once("Not seen:").unwrap();
            assert!(not_seen.contains(name), "{table}");
            continue;
        }
        let row = table.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap();
        assert_eq!(row.split_whitespace().nth(1).unwrap(), carrier["packets"].to_string(), "{row}");
    }
    for because in all["proposal"]["because"].as_array().unwrap() {
        assert!(table.contains(because.as_str().unwrap()), "{table}");
    }
    // By stdin the same but for the name.
    let mut command = command(&["inspect", "-o", "json", "-"]);
    let from = fs::File::open(&files[0]).unwrap();
    let mut stdin: Value = serde_json::from_str(&run(command.stdin(from)).data()).unwrap();
    let file = report(&files[..1]);
    assert_eq!(stdin["captures"][0], "stdin");
    stdin["captures"] = file["captures"].clone();
    assert_eq!(stdin, file);
}

#[test]
fn of_a_damaged_capture_what_could_be_read_is_shown_and_nothing_is_proposed() {
    let directory = TempDir::new().unwrap();
    let bytes = fs::read(own().join("ipv4.pcap")).unwrap();
    let (cut, policy) = (directory.path().join("cut.pcap"), directory.path().join("policy.yaml"));
    fs::write(&cut, &bytes[..bytes.len() - 5]).unwrap();
    let (frames, _) = captures::frames(&bytes[..]);
    for output in ["table", "json", "jsonl", "yaml"] {
        let said = inspect(&["-o", output, "--write-policy", policy.to_str().unwrap()], &[&cut]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert_eq!(said.err.lines().count(), 1, "{said:?}");
        assert!(said.err.starts_with("error: ") && said.err.contains("it ends inside a packet"), "{said:?}");
        assert!(!policy.exists());
        match output {
            "table" => assert!(said.out.starts_with(&format!("{} packets, ", frames.len() - 1)), "{said:?}"),
            "json" => {
                let report: Value = serde_json::from_str(&said.out).unwrap();
                assert_eq!(report["packets"], frames.len() as u64 - 1);
            }
            "jsonl" => assert!(said.out.lines().count() > 10, "{said:?}"),
            _ => assert_eq!(said.out, ""),
        }
    }
    fs::write(&cut, b"").unwrap();
    inspect(&[], &[&cut]).refuses(&["cut.pcap: is empty: it has 0 bytes", "record some traffic"]);
    fs::write(&cut, &bytes[..24]).unwrap();
    inspect(&["-o", "json"], &[&cut]).refuses(&["cut.pcap: is empty: it has no packets"]);
    inspect(&[], &["/nonexistent.pcap"]).refuses(&["/nonexistent.pcap: cannot be opened"]);
}

#[test]
fn a_policy_that_is_there_is_left_as_it_is() {
    let directory = TempDir::new().unwrap();
    let policy = directory.path().join("policy.yaml");
    fs::write(&policy, "mine").unwrap();
    let said = inspect(&["--write-policy", policy.to_str().unwrap()], &[own().join("ipv4.pcap")]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("is there already, and is left as it is"), "{said:?}");
    assert_eq!(fs::read_to_string(&policy).unwrap(), "mine");
    let nowhere = directory.path().join("none/policy.yaml");
    let said = inspect(&["--write-policy", nowhere.to_str().unwrap()], &[own().join("ipv4.pcap")]);
    assert!(said.err.contains("cannot write") && said.err.contains("name another file"), "{said:?}");
}
