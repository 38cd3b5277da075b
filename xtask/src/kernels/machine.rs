//! The emulated machine. It is software throughout: where tests run, hardware to help is seldom to be had,
//! and the few seconds are not worth a second way.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Two, so that per-CPU maps have more than one value.
const CPUS: &str = "2";
const MEGABYTES: &str = "2048";
/// How often to look whether it ended.
const LOOK: Duration = Duration::from_millis(200);

/// Boots a kernel with an initial file system until it switches itself off; false: it had not after
/// `patience` and was stopped. What appears on its console is in `log`.
pub(crate) fn run(kernel: &Path, initial: &Path, log: &Path, patience: Duration) -> Result<bool> {
    let console = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut machine = Command::new("qemu-system-x86_64")
        .args(["-accel", "tcg,thread=multi", "-smp", CPUS, "-m", MEGABYTES])
        .args(["-nographic", "-no-reboot", "-nic", "none"])
        .args(["-append", "console=ttyS0 quiet panic=-1"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initial)
        .stdin(Stdio::null())
        .stderr(console.try_clone()?)
        .stdout(console)
        .spawn()
        .context("cannot run qemu-system-x86_64")?;
    let begun = Instant::now();
    while machine.try_wait()?.is_none() {
        if begun.elapsed() > patience {
            machine.kill()?;
            machine.wait()?;
            return Ok(false);
        }
        sleep(LOOK);
    }
    Ok(true)
}
