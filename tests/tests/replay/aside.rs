//! A replay stands aside: it changes nothing of a running agent, of its state or of the kernel; and it can do
//! without privilege.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use keysteer_tests::captures::{self, own};
use keysteer_tests::frames::{Packet, Transport};
use keysteer_tests::site::Site;
use keysteer_tests::site::binary::{keysteer, run};
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::usual;
use keysteer_tests::site::residue::no_program_is_left;
use serde_json::Value;

use super::{ENGINES, TENANTS, lines, of, replay};

/// The user called nobody.
const NOBODY: u32 = 65_534;

/// Datagrams of every tenant to the service of [`usual`].
fn capture(place: &Place) -> std::path::PathBuf {
    let packet = |number: u16| {
        let mut packet = Packet::between(&format!("10.{}.2.3", number % 5), "203.0.113.10");
        packet.transport = Transport::Udp;
        packet.ports = (10_000 + number, 7_000);
        packet.bytes()
    };
    let frames: Vec<Vec<u8>> = (0..500).map(packet).collect();
    let path = place.file("c.pcap");
    fs::write(&path, captures::pcap(frames.iter().map(Vec::as_slice))).unwrap();
    path
}

#[test]
fn nothing_of_a_running_agent_changes_and_its_placement_is_the_same() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let agent = place.start(&site.node);
    let capture = capture(&place);
    let state = || -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let (mut files, mut open) = (Vec::new(), vec![place.state()]);
        while let Some(directory) = open.pop() {
            for path in fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()) {
                if path.is_dir() {
                    open.push(path);
                } else {
                    files.push((path.clone(), fs::read(path).unwrap()));
                }
            }
        }
        files.sort();
        files
    };
    let counted = || {
        let status = agent.status();
        let keys: Vec<_> = agent.keys().into_iter().map(|key| (key.id, key.packets, key.bytes)).collect();
        let of = |class: &str| -> u64 {
            status.outcomes.iter().filter(|it| it.class == class).map(|it| it.packets).sum()
        };
        (keys, of("unregistered"), of("missing"), status.program, state())
    };
    let before = counted();
    for engine in ENGINES {
        let mut command = replay(engine, place.policy(), "jsonl");
        command.arg("--state-dir").arg(place.state());
        let (with, _) = lines(of(command, &[&capture]));
        let (without, _) = lines(of(replay(engine, place.policy(), "jsonl"), &[&capture]));
        assert_eq!(with.len(), 500);
        let of = |line: &String, member: &str| serde_json::from_str::<Value>(line).unwrap()[member].clone();
        for (with, without) in with.iter().zip(&without) {
            for member in ["key", "class", "reason", "fields", "pool"] {
                assert_eq!(of(with, member), of(without, member), "{with} {without}");
            }
        }
        // Keys that spread do so under another secret.
        assert_ne!(with, without);
    }
    assert_eq!(counted(), before);
    // The agent's own are pinned until its place goes.
    drop((agent, place));
    no_program_is_left();
}

#[test]
fn a_state_directory_without_state_is_told_and_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("none");
    let mut command = replay("host", TENANTS, "jsonl");
    command.arg("--state-dir").arg(&state);
    of(command, &[own().join("ipv4.pcap")]).refuses(&["none/secrets", "No such file", "--state-dir"]);
    assert!(!state.exists());
}

#[test]
fn nobody_can_use_the_host_engine_and_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(keysteer(), path("keysteer")).unwrap();
    fs::copy(TENANTS, path("policy.yaml")).unwrap();
    fs::copy(own().join("ipv4.pcap"), path("c.pcap")).unwrap();
    let said = |engine: &str| {
        let mut command = Command::new(path("keysteer"));
        command.args(["replay", "--policy", "policy.yaml", "-o", "jsonl", "--engine", engine, "c.pcap"]);
        run(command.current_dir(directory.path()).uid(NOBODY).gid(NOBODY))
    };
    said("kernel").refuses(&["lack of privilege", "CAP_BPF", "--engine host"]);
    assert_eq!(said("host").out, of(replay("kernel", TENANTS, "jsonl"), &[own().join("ipv4.pcap")]).out);
}
