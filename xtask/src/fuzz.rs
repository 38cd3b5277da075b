//! The fuzz targets: see `docs/fuzzing.md`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{output, root, run as run_command};

/// The targets, and the longest input that is worth trying: for frames, beyond the last position of a header.
const TARGETS: [(&str, u32); 4] = [("parse", 2048), ("decision", 2048), ("policy", 8192), ("capture", 4096)];
/// Seconds after which an input counts as endless, and megabytes after which it counts as boundless.
const LIMITS: [&str; 2] = ["-timeout=20", "-rss_limit_mb=2048"];

/// Run the fuzz targets.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// parse, decision, policy or capture [default: one after the other].
    target: Option<String>,
    /// How long each runs.
    #[arg(long, default_value_t = 600)]
    seconds: u32,
    /// Look for memory errors too (AddressSanitizer). A stable compiler is told to behave like a nightly one.
    #[arg(long)]
    address: bool,
    /// Have every frame of `decision` decided by the kernel too, as root.
    #[arg(long)]
    kernel: bool,
}

/// Builds and runs one target or all.
pub(crate) fn run(options: &Options) -> Result<()> {
    let names = TARGETS.map(|(name, _)| name);
    if let Some(target) = &options.target
        && !names.contains(&target.as_str())
    {
        bail!("there is no fuzz target {target}: there are {}", names.join(", "));
    }
    if output(Command::new("cargo").args(["fuzz", "--version"])).is_err() {
        bail!("cargo-fuzz is missing: install it with `cargo install cargo-fuzz --locked`");
    }
    for (target, longest) in TARGETS {
        if options.target.as_deref().is_none_or(|wanted| wanted == target) {
            fuzz(target, longest, options)?;
        }
    }
    Ok(())
}

fn fuzz(target: &str, longest: u32, options: &Options) -> Result<()> {
    let root = root();
    let of = |kind: &str| root.join("fuzz").join(kind).join(target);
    let corpus = of("corpus");
    fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
    shared(&root, target, &corpus)?;

    let mut command = Command::new("cargo");
    command.current_dir(&root).args(["fuzz", "run", "--sanitizer"]);
    if options.address {
        command.arg("address").env("RUSTC_BOOTSTRAP", "1");
    } else {
        command.arg("none");
    }
    // libFuzzer writes what it finds to the first folder, and only reads the others.
    command.arg(target).arg(&corpus);
    command.args([of("seeds"), of("regressions")].iter().filter(|folder| folder.exists()));
    command.arg("--").args(LIMITS);
    command.args([format!("-max_total_time={}", options.seconds), format!("-max_len={longest}")]);
    // One line now and then instead of one for each new input.
    command.args(["-print_final_stats=1", "-verbosity=1"]);
    if options.kernel {
        command.env("KEYSTEER_FUZZ_KERNEL", "1");
    }
    println!("fuzzing {target} for {} seconds", options.seconds);
    run_command(&mut command)
}

/// Adds the captures of other projects to a corpus, on machines that have them.
fn shared(root: &Path, target: &str, corpus: &Path) -> Result<()> {
    let captures = root.join("../shared/captures");
    if !captures.is_dir() {
        return Ok(());
    }
    if target == "capture" {
        for entry in fs::read_dir(&captures)?.flatten() {
            fs::copy(entry.path(), corpus.join(entry.file_name()))?;
        }
        return Ok(());
    }
    let mut command = Command::new("cargo");
    command.current_dir(root).args([
        "run",
        "--quiet",
        "--package",
        "keysteer-tests",
        "--bin",
        "fuzz-seeds",
        "--",
    ]);
    run_command(command.arg(target).arg(corpus))
}
