//! One frame through the very program that decides in the kernel (`BPF_PROG_TEST_RUN`).

use std::ops::RangeInclusive;

use aya::programs::{TestRun, TestRunOptions};
use keysteer_common::forward::Action;
use keysteer_common::headers::Work;
use keysteer_common::program::Hook;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::{Dataplane, KernelError};

/// Bytes of the frames that the kernel takes for a test run at TC: an IPv6 header is in them, and a page of any machine holds them.
pub const FRAMES_AT_TC: RangeInclusive<usize> = 54..=3_072;

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

/// Words of the kernel's `struct xdp_md`, and which of them are the length and the interface.
const XDP_MD: (usize, Option<usize>, usize) = (6, Some(1), 3);
/// The same of `struct __sk_buff`, whose length the kernel knows.
const SK_BUFF: (usize, Option<usize>, usize) = (48, None, 10);

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
        self.test_run_at(Hook::Xdp, frame, ingress, cpu)
    }

    /// [`Dataplane::test_run`] through the program for a hook: see [`Dataplane::forward_run_at`].
    ///
    /// # Errors
    /// The kernel refuses the run.
    pub fn test_run_at(
        &self,
        hook: Hook,
        frame: &[u8],
        ingress: u32,
        cpu: usize,
    ) -> Result<TestRunOutcome, KernelError> {
        let (action, frame) = self.forward_run_at(hook, frame, ingress)?;
        let work = self.work()?.get(cpu).copied().unwrap_or_default();
        Ok(TestRunOutcome { action, frame, work })
    }

    /// [`Dataplane::test_run`] without reading the record: the action and the frame afterwards.
    ///
    /// # Errors
    /// The kernel refuses the run.
    pub fn forward_run(&self, frame: &[u8], ingress: u32) -> Result<(Option<Action>, Vec<u8>), KernelError> {
        self.forward_run_at(Hook::Xdp, frame, ingress)
    }

    /// [`Dataplane::forward_run`] through the program for a hook. At TC the kernel takes frames of a page at most, sends back
    /// what it redirects, so that [`Action::Transmit`] is [`Action::Redirect`] there, and refuses frames that are shorter than the IP header
    /// that they announce.
    ///
    /// # Errors
    /// The kernel refuses the run.
    pub fn forward_run_at(
        &self,
        hook: Hook,
        frame: &[u8],
        ingress: u32,
    ) -> Result<(Option<Action>, Vec<u8>), KernelError> {
        let mut out = vec![0_u8; frame.len() + 256];
        let (words, length, interface) = if hook == Hook::Xdp { XDP_MD } else { SK_BUFF };
        let mut context = vec![0_u8; words * 4];
        let known = [(length, frame.len() as u32), (Some(interface), ingress)];
        for (word, value) in known.into_iter().filter_map(|(word, value)| Some((word?, value))) {
            if let Some(bytes) = context.get_mut(word * 4..word * 4 + 4) {
                bytes.copy_from_slice(&value.to_ne_bytes());
            }
        }
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.data_out = Some(&mut out);
        if ingress != 0 {
            options.ctx_in = Some(&context);
        }
        let result = match hook {
            Hook::Xdp => self.xdp()?.test_run(options),
            Hook::Tc | Hook::Back => self.home.classifier(hook)?.test_run(options),
        }
        .map_err(|error| KernelError::other("run a frame", error))?;
        out.truncate(result.data_size_out as usize);
        // `enum xdp_action`; and `TC_ACT_*` of linux/pkt_cls.h.
        let action = match (hook, result.return_value) {
            (Hook::Xdp, 1) | (Hook::Tc | Hook::Back, 2) => Some(Action::Drop),
            (Hook::Xdp, 2) | (Hook::Tc | Hook::Back, u32::MAX) => Some(Action::Pass),
            (Hook::Xdp, 3) => Some(Action::Transmit),
            (Hook::Xdp, 4) | (Hook::Tc | Hook::Back, 7) => Some(Action::Redirect),
            _ => None,
        };
        Ok((action, out))
    }
}
