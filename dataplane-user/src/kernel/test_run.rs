//! One frame through the very program that decides in the kernel (`BPF_PROG_TEST_RUN`).

use aya::programs::{TestRun, TestRunOptions};
use keysteer_common::forward::Action;
use keysteer_common::headers::Work;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::{Dataplane, KernelError};

/// What the program made of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRunOutcome {
    /// What the hook returned; `None` when it is no action of ours (the program was refused or aborted).
    pub action: Option<Action>,
    /// The frame afterwards.
    pub frame: Vec<u8>,
    /// Everything that was found and decided.
    pub work: Work,
}

/// Pins the calling thread to one CPU, so that [`Dataplane::test_run`] knows whose work area to read.
///
/// # Errors
/// The CPU is not there.
pub fn pin_to_cpu(cpu: usize) -> Result<(), KernelError> {
    let mut set = CpuSet::new();
    set.set(cpu)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
        .map_err(|error| KernelError::other("pin the thread to a CPU", error))
}

/// The kernel's `struct xdp_md`, as test runs take it.
#[repr(C)]
struct Context {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_ifindex: u32,
    rx_queue_index: u32,
    egress_ifindex: u32,
}

impl Dataplane {
    /// Runs one frame through the program, as if it had arrived on interface `ingress` of this
    /// namespace (0: the loopback of the test run). It counts, and it forwards nothing. The record is only there in a
    /// program loaded with [`Dataplane::load_recording`].
    ///
    /// The calling thread must be pinned to `cpu` ([`pin_to_cpu`]). Frames under 14 bytes are refused by
    /// the kernel.
    ///
    /// # Errors
    /// The kernel refuses the run.
    pub fn test_run(&self, frame: &[u8], ingress: u32, cpu: usize) -> Result<TestRunOutcome, KernelError> {
        let (action, frame) = self.forward_run(frame, ingress)?;
        let work = self.work()?.get(cpu).copied().unwrap_or_default();
        Ok(TestRunOutcome { action, frame, work })
    }

    /// [`Dataplane::test_run`] without reading the record: the action and the frame afterwards.
    ///
    /// # Errors
    /// The kernel refuses the run.
    pub fn forward_run(&self, frame: &[u8], ingress: u32) -> Result<(Option<Action>, Vec<u8>), KernelError> {
        let program = self.xdp()?;
        let mut out = vec![0_u8; frame.len() + 256];
        let context = Context {
            data: 0,
            data_end: u32::try_from(frame.len()).unwrap_or(u32::MAX),
            data_meta: 0,
            ingress_ifindex: ingress,
            rx_queue_index: 0,
            egress_ifindex: 0,
        };
        // SAFETY: six u32 without padding, alive for the call.
        let context =
            unsafe { std::slice::from_raw_parts((&raw const context).cast::<u8>(), size_of::<Context>()) };
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.data_out = Some(&mut out);
        if ingress != 0 {
            options.ctx_in = Some(context);
        }
        let result = program.test_run(options).map_err(|error| KernelError::other("run a frame", error))?;
        out.truncate(result.data_size_out as usize);
        let action = match result.return_value {
            1 => Some(Action::Drop),
            2 => Some(Action::Pass),
            3 => Some(Action::Transmit),
            4 => Some(Action::Redirect),
            _ => None,
        };
        Ok((action, out))
    }
}
