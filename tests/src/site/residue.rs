//! What a process may not leave behind.

use std::fs;
use std::time::{Duration, Instant};

use aya::programs::loaded_programs;

/// Name of our program in the kernel.
const PROGRAM: &str = "keysteer_xdp";

/// Checks that every program of ours in the kernel is held by a living process: one that is attached or
/// pinned for ever is not. (Others may be running keysteer at the same time.) What has just been let go
/// may take the kernel a moment.
///
/// # Panics
/// One is left.
pub fn no_program_is_left() {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        let left = orphans();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "programs that no process holds: {left:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Ids of programs of ours that no process holds.
fn orphans() -> Vec<u32> {
    let ours: Vec<_> = loaded_programs()
        .filter_map(Result::ok)
        .filter(|program| program.name_as_str() == Some(PROGRAM))
        .map(|program| program.id())
        .collect();
    if ours.is_empty() {
        return ours;
    }
    let held = held();
    ours.into_iter().filter(|id| !held.contains(id)).collect()
}

/// Ids of the programs that processes hold.
fn held() -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .filter_map(|process| fs::read_dir(process.path().join("fdinfo")).ok())
        .flat_map(|files| files.filter_map(Result::ok))
        .filter_map(|file| fs::read_to_string(file.path()).ok())
        .filter_map(|text| text.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok()))
        .collect()
}

/// Processes, other than this one, whose command line has `text`.
///
/// # Panics
/// There is no /proc.
pub fn processes(text: &str) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .filter_map(|process| process.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != std::process::id())
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
        })
        .collect()
}
