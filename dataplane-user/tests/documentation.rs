//! Commands in the documentation, run: every block marked `console` shows what its commands print.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests state what must hold")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The top of the worktree.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs a line as a shell at the top of the worktree would, with the program under test as `keysteer`.
fn run(line: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_keysteer"));
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", program.parent().expect("a program is in a folder").display());
    let output = Command::new("sh").args(["-c", line]).current_dir(top()).env("PATH", path).output();
    let output = output.unwrap_or_else(|error| panic!("{line}: {error}"));
    let text = |bytes| String::from_utf8(bytes).unwrap_or_else(|error| panic!("{line}: {error}"));
    assert!(output.status.success() && output.stderr.is_empty(), "{line}: {}", text(output.stderr));
    text(output.stdout)
}

/// The commands of a page, each with what it is said to print.
fn commands(page: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for block in page.split("\n```console\n").skip(1) {
        let (block, _) = block.split_once("\n```").expect("a block ends");
        for line in block.lines() {
            match (line.strip_prefix("$ "), found.last_mut()) {
                (Some(command), _) => found.push((command.to_owned(), String::new())),
                (None, Some((_, output))) => *output += &format!("{line}\n"),
                (None, None) => panic!("a block that does not begin with a command: {line}"),
            }
        }
    }
    found
}

fn check(page: &str, at_least: usize) {
    let text = std::fs::read_to_string(top().join(page)).expect("the page is there");
    let commands = commands(&text);
    assert!(commands.len() >= at_least, "{page} has {} commands", commands.len());
    // What a page puts into /tmp is put aside: two runs must not meet, nor two users.
    let aside = tempfile::tempdir().expect("a folder can be made");
    let aside = format!("{}/", aside.path().display());
    for (command, said) in commands {
        let printed = run(&command.replace("/tmp/", &aside)).replace(&aside, "/tmp/");
        assert_eq!(printed, said, "{page} says of `{command}`:\n{said}\nbut it prints:\n{printed}");
    }
}

#[test]
fn explain() {
    check("docs/explain.md", 5);
}

#[test]
fn plan() {
    check("docs/plan.md", 5);
}

#[test]
fn captured_traffic() {
    check("docs/replay.md", 2);
}

/// The newcomer's half hour, from the first command to the last.
#[test]
fn tour() {
    check("docs/tour.md", 17);
}

#[test]
fn command_line() {
    check("docs/cli.md", 2);
}

/// Also the vectors: the program makes each shim, and another implementation of SipHash its tag, of the message that is shown.
#[test]
fn wire_format() {
    use std::hash::Hasher as _;

    check("docs/wire-format.md", 3);
    let page = std::fs::read_to_string(top().join("docs/wire-format.md")).expect("the page is there");
    let secret: [u8; 16] = std::array::from_fn(|at| at as u8);
    let mut vectors = 0;
    for row in page.lines().filter(|line| line.starts_with("| `") && line.split('|').count() == 7) {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [_, key, source, destination, message, shim, _] = cells[..] else { panic!("{row}") };
        let option = |name: &str, value: &str| match value {
            "" => String::new(),
            value => format!("--{name} {value}"),
        };
        let printed = run(&format!(
            "echo 000102030405060708090a0b0c0d0e0f | keysteer sign {key} --secret-file /dev/stdin --secret-id 1 \
             --epoch 4660 {} {}",
            option("source", source),
            option("destination", destination)
        ));
        assert_eq!(printed.trim(), shim, "{row}");
        assert_eq!(shim[..32], message[..32], "{row}");
        let byte = |at: usize| u8::from_str_radix(&message[at..at + 2], 16).expect("digits");
        let message: Vec<u8> = (0..message.len()).step_by(2).map(byte).collect();
        let mut sip = siphasher::sip::SipHasher24::new_with_key(&secret);
        sip.write(&message);
        assert_eq!(format!("{:016x}", sip.finish()), shim[32..], "{row}");
        vectors += 1;
    }
    assert_eq!(vectors, 6);
}

#[test]
fn changes() {
    check("docs/changes.md", 2);
}

#[test]
fn state() {
    check("docs/state.md", 6);
}

/// The table of commands has every command and no other.
#[test]
fn every_command_is_listed() {
    let page = std::fs::read_to_string(top().join("docs/cli.md")).expect("the page is there");
    let help = run("keysteer --help");
    let section = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next());
    let mut known: Vec<&str> = section
        .expect("help lists the commands")
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    let rows = page.lines().filter(|line| line.starts_with("| `keysteer "));
    let mut listed: Vec<&str> = rows
        .flat_map(|row| row.split('|').nth(1).unwrap_or_default().split('`'))
        .filter_map(|code| code.strip_prefix("keysteer ")?.split_whitespace().next())
        .collect();
    known.sort_unstable();
    listed.sort_unstable();
    listed.dedup();
    assert_eq!(listed, known);
}
