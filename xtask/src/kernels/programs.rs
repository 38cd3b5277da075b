//! The test programs. They are linked statically: there is no library where they run.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell::root;

const TESTS: &str = "keysteer-tests";
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// What the tests spend their time in. Emulated, that time is many times as long, so these are optimised.
const OPTIMISED: [&str; 5] = ["keysteer", "keysteer-common", "keysteer-tests", "aya", "siphasher"];

/// The agent's tests that are run: what kernels before 6.6 have of their own, and the programs that no test run there loads.
const AGENT: [&str; 3] = [
    "egress::at_tc_the_kernel_finishes_checksums_that_were_left_to_the_device",
    "classic::a_filter_steers_the_same_and_goes_with_the_agent_that_is_asked_to_detach",
    "classic::what_is_there_is_taken_over_and_replaced_in_place_under_traffic",
];

/// The programs, built.
pub(crate) struct Programs {
    decisions: PathBuf,
    differential: PathBuf,
    agent: PathBuf,
    keysteer: PathBuf,
}

/// One program and how it is run.
#[derive(Clone)]
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// A program that it runs, which is to be beside it under its own name.
    pub(crate) runs: Option<PathBuf>,
}

/// Builds them.
pub(crate) fn build() -> Result<Programs> {
    Ok(Programs {
        decisions: executable(&["test", "--package", TESTS, "--no-run", "--test", "decisions"], "decisions")?,
        differential: executable(&["build", "--package", TESTS, "--bin", "differential"], "differential")?,
        agent: executable(&["test", "--package", TESTS, "--no-run", "--test", "agent"], "agent")?,
        // Its tests kill it at named steps, and have it take newer kernels for old ones.
        keysteer: executable(
            &["build", "--package", "keysteer", "--bin", "keysteer", "--features", "faults"],
            "keysteer",
        )?,
    })
}

impl Programs {
    /// What is run, in this order.
    pub(crate) fn suites(&self, packets: u64, seed: u64) -> [Suite; 3] {
        let word = str::to_owned;
        [
            Suite {
                name: "decisions",
                program: self.decisions.clone(),
                // Each explanation loads the program anew, which takes seconds in an emulated machine; the decisions
                // that are explained are those of the differential test.
                arguments: vec![word("--test-threads=1"), word("--skip=explained::")],
                runs: None,
            },
            Suite {
                name: "differential",
                program: self.differential.clone(),
                arguments: vec![word("--packets"), packets.to_string(), word("--seed"), seed.to_string()],
                runs: None,
            },
            Suite {
                name: "agent",
                program: self.agent.clone(),
                arguments: ["--test-threads=1", "--exact"].into_iter().chain(AGENT).map(word).collect(),
                runs: Some(self.keysteer.clone()),
            },
        ]
    }
}

/// Runs cargo for a target, and gives the program that it says it built.
fn executable(arguments: &[&str], name: &str) -> Result<PathBuf> {
    let optimise = OPTIMISED
        .iter()
        .flat_map(|package| ["--config".to_owned(), format!("profile.dev.package.{package}.opt-level = 3")]);
    let output = Command::new("cargo")
        .current_dir(root())
        .args(arguments)
        .args(optimise)
        .args(["--quiet", "--target", TARGET])
        // A folder of its own: cargo builds one thing at a time in one, and the tests run beside this.
        .arg("--target-dir")
        .arg(root().join("target/kernels/programs"))
        .arg("--message-format=json-render-diagnostics")
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo cannot build {name} for the kernels");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message.pointer("/target/name").and_then(Value::as_str) == Some(name))
        .find_map(|message| message.get("executable").and_then(Value::as_str).map(PathBuf::from))
        .with_context(|| format!("cargo built no program called {name}"))
}
