//! `keysteer replay`, the real program: both engines say the same of every packet, what they say is right, and
//! whatever is wrong with a capture is told after what could be read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests state what must hold"
)]

mod aside;
mod damage;
mod engines;
mod lines;
mod memory;
mod streams;
mod terminal;

use std::path::Path;
use std::process::Command;

use keysteer_tests::site::binary::{Said, command, demand_root, run};

/// Both engines, the default first.
const ENGINES: [&str; 2] = ["kernel", "host"];

/// A policy under which packets of our own captures are of several classes.
const TENANTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/differential/policies/tenants.yaml");

/// The command that replays with an engine under a policy; captures are yet to be named.
fn replay(engine: &str, policy: impl AsRef<Path>, output: &str) -> Command {
    demand_root();
    let mut command = command(&["replay", "--engine", engine, "-o", output, "--policy"]);
    command.arg(policy.as_ref());
    command
}

/// Its lines and its sums.
fn lines(said: Said) -> (Vec<String>, String) {
    assert_eq!(said.code, Some(0), "{said:?}");
    (said.out.lines().map(str::to_owned).collect(), said.err)
}

/// Runs a replay of captures to its end.
fn of(mut command: Command, captures: &[impl AsRef<Path>]) -> Said {
    command.args(captures.iter().map(AsRef::as_ref));
    run(&mut command)
}
