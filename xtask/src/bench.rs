//! What a packet costs: see `docs/performance.md`.

use std::process::Command;

use anyhow::Result;

use crate::shell::{root, run as run_command};

/// Measure what a packet costs (root).
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Passed on: --json, --rounds N, --iterations N, --only TEXT, --no-live, --no-changes.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds and runs the benchmark in release mode.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut build = Command::new("cargo");
    run_command(build.current_dir(root()).args(["build", "--quiet", "--release", "--package", "keysteer"]))?;
    run_command(
        Command::new("cargo")
            .current_dir(root())
            .args(["run", "--quiet", "--release", "--package", "keysteer-tests", "--bin", "bench", "--"])
            .args(&options.arguments),
    )
}
