//! `keysteer demo`: it passes, again and again; it fails when it should; and nothing ends it so badly
//! that it leaves something behind.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests state what must hold")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keysteer::kernel::interfaces::Interfaces;
use keysteer_tests::site::agent::wait;
use keysteer_tests::site::binary::{self, Said, command, run};
use keysteer_tests::site::residue::{no_program_is_left, processes};
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Where the demo keeps its files.
const DIRECTORY: &str = "/run/keysteer-demo";
const LOCK: &str = "/run/keysteer-demo.lock";
const NETNS: &str = "/run/netns";

fn demo(more: &[&str]) -> Command {
    binary::demand_root();
    let mut command = command(&["demo", "--seconds", "1"]);
    command.args(more);
    // SAFETY: between fork and exec the closure makes one system call on a plain integer.
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
    command
}

fn passes(said: &Said) {
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(!said.out.contains('✗') && said.out.matches('✓').count() >= 7, "{}", said.out);
    assert!(said.out.contains("IPv4: ") && said.out.contains("IPv6: "), "{}", said.out);
    nothing_is_left();
}

/// Of a demo that ended.
fn nothing_is_left() {
    for path in [DIRECTORY, LOCK] {
        assert!(!Path::new(path).exists(), "{path} is left");
    }
    nothing_lives();
}

/// Of a demo that was killed: files may be left, nothing that runs.
fn nothing_lives() {
    let end = Instant::now() + Duration::from_secs(5);
    while !processes(DIRECTORY).is_empty() {
        assert!(Instant::now() < end, "agents are left: {:?}", processes(DIRECTORY));
        std::thread::sleep(Duration::from_millis(20));
    }
    no_program_is_left();
    let names = fs::read_dir(NETNS).into_iter().flatten().filter_map(Result::ok);
    for name in names.filter(|name| name.file_name().to_string_lossy().starts_with("keysteer-")) {
        // A name of a killed demo leads nowhere.
        assert!(!name.path().exists(), "{} is a namespace", name.path().display());
    }
}

/// Starts a demo and waits until it says something on stderr that begins with `words`.
fn until(more: &[&str], words: &str) -> Child {
    let mut child = demo(more).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut said = Vec::new();
    while !said.last().is_some_and(|line: &String| line.starts_with(words)) {
        said.push(lines.next().unwrap_or_else(|| panic!("it ended before it said `{words}`: {said:?}")));
    }
    // What else it says is not wanted, but must not end it.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
}

/// A moment in the middle of each of a demo's parts.
const PARTS: [&str; 3] = ["Building a world", "Starting the agent", "Real sockets talk"];

#[test]
fn ten_times_in_a_row() {
    for _ in 0..10 {
        passes(&run(&mut demo(&[])));
    }
}

#[test]
fn a_planted_wrong_entry_makes_it_fail() {
    let said = run(&mut demo(&["--plant-wrong-slot"]));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains('✗') && said.out.contains("answered instead of"), "{}", said.out);
    assert!(said.err.contains("proofs failed"), "{}", said.err);
    nothing_is_left();
}

#[test]
fn it_passes_at_every_hook() {
    for mode in ["tc", "generic"] {
        passes(&run(&mut demo(&["--mode", mode])));
    }
}

#[test]
fn it_passes_with_two_interfaces_at_two_hooks() {
    passes(&run(&mut demo(&["--mode", "mixed"])));
    let said = run(&mut demo(&["--mode", "mixed", "--plant-wrong-slot"]));
    assert_eq!(said.code, Some(1), "the mixture's proof can fail: {said:?}");
    nothing_is_left();
}

#[test]
fn after_kill_9_in_the_middle_nothing_lives_and_the_next_passes() {
    for part in PARTS {
        let mut child = until(&[], part);
        std::thread::sleep(Duration::from_millis(100));
        signal(&child, Signal::SIGKILL);
        assert_eq!(wait(&mut child, Duration::from_secs(5)).code(), None, "{part}");
        nothing_lives();
    }
    passes(&run(&mut demo(&[])));
}

#[test]
fn interrupted_anywhere_it_leaves_nothing() {
    for (part, with) in PARTS.into_iter().zip([Signal::SIGINT, Signal::SIGTERM, Signal::SIGINT]) {
        let mut child = until(&[], part);
        std::thread::sleep(Duration::from_millis(50));
        signal(&child, with);
        let status = wait(&mut child, Duration::from_secs(10));
        assert_eq!(status.code(), Some(130), "{part}: {status}");
        nothing_is_left();
    }
}

#[test]
fn a_second_one_at_the_same_time_is_refused() {
    let mut first = until(&[], "Starting the agent");
    let said = run(&mut demo(&[]));
    said.refuses(&["another demo is running", LOCK, "ctrl-C"]);
    assert!(wait(&mut first, Duration::from_secs(20)).success(), "the first is not disturbed");
    nothing_is_left();
}

#[test]
fn keep_stays_up_with_commands_that_work() {
    let mut child = demo(&["--keep"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut commands = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap) {
        if line.starts_with("  ") {
            commands.push(line.trim().to_owned());
        }
        if line.starts_with("Ctrl-C here") {
            break;
        }
    }
    let ours = binary::keysteer().display().to_string();
    let ours: Vec<_> = commands.iter().filter(|command| command.starts_with(&ours)).collect();
    assert!(ours.len() >= 3, "{commands:?}");
    for command in ours {
        let said = run(Command::new("sh").arg("-c").arg(command)).data();
        assert!(said.lines().count() > 3, "{command}: {said}");
    }
    for (name, interface) in [("client", "eth0"), ("node", "ks-client"), ("a", "eth0"), ("c", "eth0")] {
        let path = format!("{NETNS}/keysteer-{name}");
        assert!(commands.iter().any(|command| command.contains(&path)) || name == "c", "{commands:?}");
        let inside = std::thread::spawn(move || {
            setns(File::open(&path).unwrap().as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
            Interfaces::read().unwrap()
        });
        let found = inside.join().unwrap();
        assert!(found.find(interface).is_some(), "{name} has {:?}", found.names());
    }
    assert!(child.try_wait().unwrap().is_none(), "it stays up");
    signal(&child, Signal::SIGINT);
    assert!(wait(&mut child, Duration::from_secs(10)).success());
    nothing_is_left();
    assert!(!Path::new(NETNS).join("keysteer-node").exists());
}
