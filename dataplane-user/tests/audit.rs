//! `keysteer audit` on logs that are whole, broken, and not there.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests state what must hold")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The example's log, for tests to break.
fn log() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["audit.jsonl", "audit.head"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/state-example").join(name);
        fs::copy(from, directory.path().join(name)).expect("the example is there");
    }
    directory
}

fn audit(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keysteer"));
    command.arg("audit").args(arguments).arg("--state-dir").arg(directory);
    command.output().expect("the program runs")
}

/// What it printed, where it succeeded.
fn printed(directory: &Path, arguments: &[&str]) -> String {
    let output = audit(directory, arguments);
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// What it said, where it failed.
fn refused(directory: &Path, arguments: &[&str]) -> String {
    let output = audit(directory, arguments);
    assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{arguments:?}: {output:?}");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.starts_with("error: ") && said.lines().count() == 1, "{said}");
    said
}

#[test]
fn outputs_are_for_programs_too() {
    let directory = log();
    let report: serde_json::Value =
        serde_json::from_str(&printed(directory.path(), &["verify", "-o", "json"])).expect("JSON");
    assert_eq!((&report["entries"], &report["torn"]), (&7.into(), &false.into()));
    let entries: serde_json::Value =
        serde_json::from_str(&printed(directory.path(), &["-o", "json", "--action", "apply"])).expect("JSON");
    let results: Vec<&str> =
        entries.as_array().expect("a list").iter().filter_map(|entry| entry["result"].as_str()).collect();
    assert_eq!(results, ["ok", "ok", "failed", "ok"]);
    let lines = printed(directory.path(), &["-o", "jsonl"]);
    assert_eq!(lines, fs::read_to_string(directory.path().join("audit.jsonl")).expect("the log"));
}

#[test]
fn filters_leave_out_what_is_not_asked_for() {
    let directory = log();
    for (arguments, expected) in [
        (&["--key", "tenant-7"][..], vec![5]),
        (&["--key", "b"], vec![]),
        (&["--shard", "b"], vec![6]),
        (&["--subject", "policy:edge", "--since", "2026-01-09T09:00:00Z"], vec![4, 7]),
        (&["--since", "2026-01-09T09:00:00.001Z"], vec![5, 6, 7]),
        (&["--action", "rollback"], vec![7]),
        (&["--since", "1ms"], vec![]),
    ] {
        let text = printed(directory.path(), &[arguments, &["-o", "jsonl"]].concat());
        let entries = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        let numbers: Vec<u64> = entries.filter_map(|entry| entry["seq"].as_u64()).collect();
        assert_eq!(numbers, expected, "{arguments:?}");
    }
}

#[test]
fn a_broken_log_fails_with_its_place() {
    let directory = log();
    let path: PathBuf = directory.path().join("audit.jsonl");
    let whole = fs::read_to_string(&path).expect("the log");
    fs::write(&path, whole.replace("unpaid", "unpayd")).expect("written");
    let said = refused(directory.path(), &["verify"]);
    assert!(said.contains("audit.jsonl:5: its content is not what its hash says"), "{said}");
    assert!(said.contains("keep a copy"), "{said}");
    assert_eq!(refused(directory.path(), &["verify", "-o", "json"]), said);

    let cut = whole.lines().take(6).map(|line| format!("{line}\n")).collect::<String>();
    fs::write(&path, cut).expect("written");
    let said = refused(directory.path(), &["verify"]);
    assert!(said.contains("audit.jsonl:7: the log ends here, but its head knows 7 entries"), "{said}");

    fs::write(&path, whole.replace("{\"seq\":3,", "{\"seq\":3 ,\u{1b}")).expect("written");
    let said = refused(directory.path(), &[]);
    assert!(said.contains("line 3 is no entry") && said.contains("keysteer audit verify"), "{said}");
    // What the log says does not reach the terminal as it is.
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn what_is_not_there_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let empty = printed(directory.path(), &["verify"]);
    assert!(empty.contains("no entries"), "{empty}");
    assert_eq!(printed(directory.path(), &["-o", "json"]), "[]\n");
    let nowhere = directory.path().join("nowhere");
    for arguments in [&[][..], &["verify"]] {
        let said = refused(&nowhere, arguments);
        assert!(said.contains("nowhere") && said.contains("--state-dir"), "{said}");
    }
}
