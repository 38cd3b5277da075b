//! A line per decision, for debugging the program itself (feature `bpf-log`, off by default: it costs
//! some 66 ns a packet). Build the object with `cargo xtask ebpf --log FILE`, then run
//! `KEYSTEER_OBJECT=FILE keysteer -vv agent ...` built with `--features bpf-log`.

use std::os::fd::AsFd;
use std::{env, fs, io, thread};

use aya::Ebpf;
use aya_log::EbpfLogger;

use super::KernelError;

/// The object that the environment names instead of the committed one.
pub(super) fn object() -> Result<Option<Vec<u8>>, KernelError> {
    match env::var_os("KEYSTEER_OBJECT") {
        Some(path) => fs::read(&path)
            .map(Some)
            .map_err(|error| KernelError::other("read the object named by KEYSTEER_OBJECT", error)),
        None => Ok(None),
    }
}

/// Prints what the program logs, from a thread of its own, until the process ends.
pub(super) fn follow(ebpf: &mut Ebpf) -> Result<(), KernelError> {
    let failed = |error: &dyn std::fmt::Display| KernelError::other("follow the program's log", error);
    let mut logger = EbpfLogger::init(ebpf).map_err(|error| failed(&error))?;
    thread::Builder::new()
        .name(String::from("bpf-log"))
        .spawn(move || {
            loop {
                let mut ready = [nix::poll::PollFd::new(logger.as_fd(), nix::poll::PollFlags::POLLIN)];
                match nix::poll::poll(&mut ready, nix::poll::PollTimeout::NONE) {
                    Ok(_) | Err(nix::errno::Errno::EINTR) => logger.flush(),
                    Err(error) => {
                        tracing::warn!(%error, "the program's log is no longer followed");
                        return;
                    }
                }
            }
        })
        .map(|_| ())
        .map_err(|error: io::Error| failed(&error))
}
