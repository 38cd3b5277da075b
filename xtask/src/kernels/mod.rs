//! The kernels that keysteer promises to run on, each booted in an emulated machine with the tests in its
//! initial file system. A program can load on an old kernel and decide wrongly there, so that loading it
//! proves nothing; see `docs/kernels.md`.
//!
//! ```text
//!  debian     the newest kernel of a line, from Debian
//!  programs   the test programs, linked statically
//!  initial    the initial file system: a shell, the programs, what they read, and /init
//!  machine    boots it, with an end to its patience
//!  verdict    what the console says, judged
//! ```

mod debian;
mod initial;
mod machine;
mod programs;
mod verdict;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::setup;
use crate::shell::{output, root};
use programs::Programs;

/// Run the tests on the oldest kernel that is supported, and on one between it and this machine's.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only this line, as in `--kernel 6.1`; can be repeated.
    #[arg(long = "kernel", value_name = "LINE")]
    lines: Vec<String>,
    /// Only this suite, as in `--suite agent`; can be repeated.
    #[arg(long = "suite", value_name = "SUITE")]
    suites: Vec<String>,
    /// How many packets the differential test compares on each; emulation is slow.
    #[arg(long, default_value_t = 20_000)]
    packets: u64,
    /// What they follow from.
    #[arg(long, default_value_t = 61_612)]
    seed: u64,
    /// Seconds that a machine may take before it is stopped and has failed.
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// Only build the programs.
    #[arg(long)]
    no_boot: bool,
    /// Keep the initial file systems, as folders to look into and as archives to boot.
    #[arg(long)]
    keep: bool,
}

/// Debian packages: the machine, the shell in it, and what packs its file system.
const PACKAGES: &[&str] =
    &["qemu-system-x86", "busybox-static", "cpio", "xz-utils", "debian-archive-keyring"];

/// Boots each kernel and says what the tests said there.
pub(crate) fn run(options: &Options) -> Result<()> {
    let machine = output(Command::new("uname").arg("-m"))?;
    if machine != "x86_64" {
        bail!("the kernels are those of Debian for x86_64, and this machine is {machine}");
    }
    let lines = chosen(&options.lines)?;
    setup::require(PACKAGES)?;
    let folder = root().join("target/kernels");
    fs::create_dir_all(&folder)?;
    let programs = programs::build()?;
    if options.no_boot {
        return Ok(());
    }
    debian::refresh(&folder);
    let mut failed = Vec::new();
    for line in lines {
        // One kernel's trouble does not keep the others from being tested.
        if let Err(error) = boot(options, line, &folder, &programs) {
            println!("{}: FAILED: {error:#}", line.name);
            failed.push(line.name);
        }
    }
    if !failed.is_empty() {
        bail!("failed on {}", failed.join(" and "));
    }
    Ok(())
}

fn boot(options: &Options, line: &debian::Line, folder: &Path, programs: &Programs) -> Result<()> {
    let kernel = debian::fetch(line, folder)?;
    let mut suites = programs.suites(options.packets, options.seed).to_vec();
    suites.retain(|suite| options.suites.is_empty() || options.suites.iter().any(|name| name == suite.name));
    if suites.is_empty() {
        bail!("there is no suite {}", options.suites.join(", "));
    }
    let initial = folder.join(format!("initial-{}", line.name));
    let archive = initial::write(&initial, &kernel, &suites)?;
    let log = folder.join(format!("{}.log", line.name));
    println!("{}: {}, log in {}", line.name, kernel.package, log.display());
    let begun = Instant::now();
    let ended = machine::run(&kernel.image, &archive, &log, Duration::from_secs(options.timeout))?;
    let names: Vec<&str> = suites.iter().map(|suite| suite.name).collect();
    let verdict = verdict::of(&String::from_utf8_lossy(&fs::read(&log)?), line.name, &names);
    for said in &verdict.said {
        println!("  {said}");
    }
    println!("  {:.0} s", begun.elapsed().as_secs_f64());
    if !options.keep {
        fs::remove_dir_all(&initial)?;
        fs::remove_file(&archive)?;
    }
    if !ended {
        bail!("it did not end within {} s; what it said is in {}", options.timeout, log.display());
    }
    if !verdict.wrong.is_empty() {
        bail!("{}; what it said is in {}", verdict.wrong.join("; "), log.display());
    }
    Ok(())
}

/// The lines that were asked for; all of them where none was.
fn chosen(names: &[String]) -> Result<Vec<&'static debian::Line>> {
    if names.is_empty() {
        return Ok(debian::LINES.iter().collect());
    }
    let find = |name: &String| debian::LINES.iter().find(|line| line.name == name);
    names
        .iter()
        .map(|name| {
            find(name).ok_or_else(|| {
                let known: Vec<&str> = debian::LINES.iter().map(|line| line.name).collect();
                anyhow::anyhow!("{name} is none of {}", known.join(", "))
            })
        })
        .collect()
}
