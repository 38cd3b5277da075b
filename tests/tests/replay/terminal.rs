//! What a terminal shows while a long capture is read, and that nothing else is shown it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::Stdio;
use std::ptr::{null, null_mut};
use std::time::Duration;

use keysteer_tests::captures::{self, own};

use super::{TENANTS, replay};

/// Both ends of a terminal: what a program writes to the second can be read from the first.
fn terminal() -> (File, OwnedFd) {
    let (mut ours, mut theirs) = (-1, -1);
    // SAFETY: both descriptors are written to, and no name, mode or size is asked for.
    let answer = unsafe { libc::openpty(&raw mut ours, &raw mut theirs, null_mut(), null(), null()) };
    assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the kernel has just given them to us.
    unsafe { (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) }
}

/// What a replay from a slow pipe shows on a terminal that is its stderr, with stdout somewhere else.
fn shown(output: &str) -> String {
    let (mut screen, stderr) = terminal();
    let frames = captures::folder(&own()).unwrap();
    let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).cycle().take(64).collect();
    let bytes = captures::pcap(frames);
    let mut command = replay("host", TENANTS, output);
    let child = command.arg("-").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(stderr);
    let mut child = child.spawn().unwrap();
    // Its end of the terminal is its alone.
    drop(command);
    let mut to = child.stdin.take().unwrap();
    to.write_all(&bytes).unwrap();
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(150));
        to.write_all(&bytes[24..]).unwrap();
    }
    drop(to);
    assert!(child.wait().unwrap().success());
    let mut text = Vec::new();
    // The kernel says EIO where a terminal's other end is closed.
    let mut part = [0; 4096];
    while let Ok(read @ 1..) = screen.read(&mut part) {
        text.extend_from_slice(&part[..read]);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn progress_is_drawn_on_a_terminal_and_cleared() {
    let text = shown("jsonl");
    assert!(text.contains("stdin ") && text.contains(" packets "), "{text:?}");
    let lines: Vec<&str> = text.split("\r\x1b[K").collect();
    assert!(lines.len() >= 3 && lines[0].is_empty(), "{text:?}");
    // Each is drawn over the one before; what is left is the sums.
    assert!(lines[1..lines.len() - 1].iter().all(|line| !line.contains('\n')), "{text:?}");
    assert!(lines.last().unwrap().starts_with("320 packets, "), "{text:?}");
    // With a table the sums are data.
    let text = shown("table");
    assert!(text.ends_with("\r\x1b[K"), "{text:?}");
}

#[test]
fn a_closed_stderr_is_no_error() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let (from, to) = std::io::pipe().unwrap();
    drop(from);
    let mut command = replay("host", TENANTS, "jsonl");
    command.arg(own().join("ipv4.pcap")).stdout(File::create(&out).unwrap()).stderr(to);
    assert!(command.status().unwrap().success());
    assert!(fs::read_to_string(&out).unwrap().lines().count() > 10);
}
