//! The differential test at length: kernel and host on a million generated packets.

use std::process::Command;

use anyhow::{Result, bail};

use crate::shell::{is_root, root, run as run_command};

/// Compare the program in the kernel with the host engine.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many packets.
    #[arg(long, default_value_t = 1_000_000)]
    packets: u64,
    /// What they follow from: the same seed gives the same packets [default: the time].
    #[arg(long)]
    seed: Option<u64>,
}

/// Builds the program of the tests package and runs it.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !is_root() {
        bail!(
            "the differential test runs packets in the kernel and needs root: \
             run `sudo -E env PATH=\"$PATH\" cargo xtask differential`"
        );
    }
    let mut command = Command::new("cargo");
    command.current_dir(root());
    command.args(["run", "--release", "--package", "keysteer-tests", "--bin", "differential", "--"]);
    command.args(["--packets", &options.packets.to_string()]);
    if let Some(seed) = options.seed {
        command.args(["--seed", &seed.to_string()]);
    }
    run_command(&mut command)
}
