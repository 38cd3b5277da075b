//! Many frames through the very program that decides in the kernel, one after the other, for their decisions
//! alone: two system calls each, nothing copied back but the record.

use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::Map;
use keysteer_common::headers::Work;
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

use super::record::Record;
use super::{Dataplane, KernelError, sys};

/// The shortest and the longest frame that every supported kernel takes for a test run of a program that accepts
/// frames in several buffers: from an Ethernet header to the longest IP packet behind one with two tags.
pub const FRAMES: RangeInclusive<usize> = 14..=65_535 + 22;

/// Test runs of a loaded program. The thread stays on its CPU meanwhile, because the record of a packet is
/// where it was decided.
#[derive(Debug)]
pub struct Runs<'d> {
    program: BorrowedFd<'d>,
    record: Record,
    before: CpuSet,
    /// What holds for this thread cannot be sent to another.
    _this_thread: PhantomData<*const ()>,
}

impl Dataplane {
    /// Prepares for test runs on this thread, of a program loaded with [`Dataplane::load_recording`]: another notes
    /// nothing. They count in this program's own maps, and forward nothing.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn runs(&self) -> Result<Runs<'_>, KernelError> {
        let state = match self.home.map("WORK") {
            Some(Map::PerCpuArray(data)) => data.fd().as_fd(),
            _ => return Err(KernelError::Object { what: "per-CPU array map WORK".to_owned() }),
        };
        let record = Record::new(state).map_err(|error| KernelError::other("read decisions back", error))?;
        let program = self.xdp()?.fd().map_err(|error| KernelError::other("use the program", error))?.as_fd();
        let before = stay().map_err(|error| KernelError::other("pin the thread to its CPU", error))?;
        Ok(Runs { program, record, before, _this_thread: PhantomData })
    }
}

/// Keeps this thread on the CPU that it is on, and gives those that it could be on before.
fn stay() -> nix::Result<CpuSet> {
    let before = sched_getaffinity(Pid::from_raw(0))?;
    let mut here = CpuSet::new();
    here.set(sched_getcpu()?)?;
    sched_setaffinity(Pid::from_raw(0), &here)?;
    Ok(before)
}

impl Drop for Runs<'_> {
    fn drop(&mut self) {
        // CPUs may have gone; the thread then stays where it is, which harms nothing.
        let _ = sched_setaffinity(Pid::from_raw(0), &self.before);
    }
}

impl Runs<'_> {
    /// Decides a frame, of a length in [`FRAMES`], as if it had arrived on the loopback.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn run(&mut self, frame: &[u8]) -> Result<Work, KernelError> {
        sys::run_xdp_program(self.program, frame)
            .and_then(|()| self.record.read())
            .map_err(|error| KernelError::other("run a frame", error))
    }
}
