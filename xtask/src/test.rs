//! The README's test command.

use std::process::Command;

use anyhow::{Result, bail};

use crate::shell::{is_root, root, run as run_command};

/// Run the tests.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only the tests that need no privilege: unit tests and documentation.
    #[arg(long)]
    unprivileged: bool,
}

/// Unit tests, then the tests in the kernel.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = root();
    let cargo = || {
        let mut command = Command::new("cargo");
        command.current_dir(&root);
        command
    };
    if !options.unprivileged && !is_root() {
        bail!(
            "the kernel tests need root: run `sudo -E env PATH=\"$PATH\" cargo xtask test`, \
             or `cargo xtask test --unprivileged` for those that need none"
        );
    }
    run_command(cargo().args([
        "test",
        "--package",
        "keysteer-common",
        "--package",
        "keysteer",
        "--package",
        "xtask",
    ]))?;
    if !options.unprivileged {
        // The tests end to end run the real program, from the same target directory; some kill it at named steps.
        run_command(cargo().args(["build", "--package", "keysteer", "--features", "faults"]))?;
        // One thread: the tests share the machine's BPF and network state, and time real traffic.
        run_command(cargo().args(["test", "--package", "keysteer-tests", "--", "--test-threads=1"]))?;
    }
    Ok(())
}
