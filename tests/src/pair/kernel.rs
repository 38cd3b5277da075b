//! An image in the kernel: what its programs make of a frame, and what they count.

use std::cell::Cell;
use std::time::{Duration, Instant};

use keysteer::counters::Snapshot;
use keysteer::image::Image;
use keysteer::kernel::flows::Left as Moved;
use keysteer::kernel::{Dataplane, FRAMES_AT_TC, KernelError};
use keysteer_common::forward::Action;
use keysteer_common::program::Hook;
use keysteer_common::shim::Signing;
use nix::time::{ClockId, clock_gettime};

use super::differ::unequal;
use super::{Difference, Outcome};
use crate::lab::CPU;
use crate::leaving;

/// How far the kernel's clock, which goes on, may be from the host's: far less than an epoch of signed keys.
const STALE: Duration = Duration::from_secs(5);

/// An image's programs.
#[derive(Debug)]
pub struct Kernel {
    /// The variant that records.
    recording: Dataplane,
    /// The one that an agent would attach.
    forwarding: Dataplane,
    /// The same image at TC, if that is compared.
    tc: Option<AtTc>,
    /// What signed keys are verified with.
    signing: Signing,
    /// The host's time, which stands still.
    now: u64,
    /// When the kernel was last told it.
    told: Cell<Instant>,
}

/// The program for TC, and that for what leaves.
#[derive(Debug)]
struct AtTc {
    recording: Dataplane,
    /// Whether there is a program for what leaves.
    back: bool,
    /// Whether that translates.
    translates: bool,
}

/// What the kernel did with a frame.
#[derive(Clone, Debug)]
pub struct Seen {
    /// At XDP.
    pub(super) xdp: Outcome,
    /// At TC, if it takes such a frame there.
    pub(super) tc: Option<Outcome>,
    /// What was let leave after it: each frame, and what the hook returned and made of it.
    pub(super) left: Vec<(Vec<u8>, Option<Action>, Vec<u8>)>,
}

/// What the kernel counted.
#[derive(Clone, Debug)]
pub struct Counted {
    /// At XDP.
    pub(super) xdp: Snapshot,
    /// At TC, if that is compared.
    pub(super) tc: Option<Snapshot>,
    /// Of units that move.
    pub(super) moving: Vec<Moved>,
}

impl Kernel {
    /// Loads `image`, to verify signed keys as the host does with `host`. `at_tc`: at TC too.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new(image: &Image, host: &Image, at_tc: bool) -> Result<Self, KernelError> {
        let load_tc = || {
            let recording = Dataplane::load_recording(&Image { tc: true, ..image.clone() })?;
            let back = &host.config.back;
            Ok::<_, KernelError>(AtTc { recording, back: back.on != 0, translates: back.nat != 0 })
        };
        let kernel = Self {
            recording: Dataplane::load_recording(image)?,
            forwarding: Dataplane::load(image)?,
            tc: at_tc.then(load_tc).transpose()?,
            signing: host.signing,
            now: host.now,
            told: Cell::new(Instant::now()),
        };
        kernel.set_clock()?;
        Ok(kernel)
    }

    /// Has the kernel verify signed keys as the host does, at the host's time.
    fn set_clock(&self) -> Result<(), KernelError> {
        self.told.set(Instant::now());
        if self.signing == Signing::default() {
            return Ok(());
        }
        let clock = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| {
            (now.tv_sec() as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec() as u64)
        });
        let clock_offset = self.signing.clock_offset.wrapping_add(self.now).wrapping_sub(clock);
        let signing = Signing { clock_offset, ..self.signing };
        self.recording.write_signing(&signing)?;
        if let Some(tc) = &self.tc {
            tc.recording.write_signing(&signing)?;
        }
        self.forwarding.write_signing(&signing)
    }

    /// Runs a frame that arrived on interface `ingress` (0: the loopback) at both hooks, and lets what follows it leave.
    ///
    /// # Errors
    /// The variants disagree, or the kernel refuses the run.
    pub fn run(&self, frame: &[u8], ingress: u32) -> Result<Seen, Difference> {
        if self.told.get().elapsed() > STALE {
            self.set_clock()?;
        }
        let run = self.recording.test_run(frame, ingress, CPU)?;
        let xdp = Outcome { action: run.action, frame: run.frame, work: run.work };
        let forwarded = self.forwarding.forward_run(frame, ingress)?;
        if forwarded != (xdp.action, xdp.frame.clone()) {
            let (action, frame) = forwarded;
            return Err(Difference::Variant { recording: Box::new(xdp), action, frame });
        }
        let mut seen = Seen { xdp, tc: None, left: Vec::new() };
        if let Some(tc) = &self.tc
            && FRAMES_AT_TC.contains(&frame.len())
        {
            tc.run(frame, ingress, &mut seen)?;
        }
        Ok(seen)
    }

    /// Every counter, once both variants agree on them and the sums hold.
    ///
    /// # Errors
    /// They disagree, or a sum does not hold, or the kernel cannot be read.
    pub fn counted(&self) -> Result<Counted, Difference> {
        let xdp = self.recording.counters()?;
        xdp.balanced().map_err(|error| Difference::Counters(error.to_string()))?;
        if let Some(what) = unequal(&self.forwarding.counters()?, &xdp) {
            return Err(Difference::Counters(format!("forwarding against recording: {what}")));
        }
        let tc = self.tc.as_ref().map(|tc| tc.recording.counters()).transpose()?;
        Ok(Counted { xdp, tc, moving: self.recording.moving(0)? })
    }
}

impl AtTc {
    fn run(&self, frame: &[u8], ingress: u32, seen: &mut Seen) -> Result<(), Difference> {
        let run = self.recording.test_run_at(Hook::Tc, frame, ingress, CPU)?;
        let outcome = Outcome { action: run.action, frame: run.frame, work: run.work };
        if self.back {
            let handed = self.translates && outcome.action == Some(Action::Redirect);
            for frame in leaving::after(frame, handed.then_some(outcome.frame.as_slice())) {
                let (action, after) = self.recording.forward_run_at(Hook::Back, &frame, ingress)?;
                seen.left.push((frame, action, after));
            }
        }
        seen.tc = Some(outcome);
        Ok(())
    }
}

impl Seen {
    /// What became of the frame at XDP.
    pub fn into_outcome(self) -> Outcome {
        self.xdp
    }
}

impl Counted {
    /// What was counted at XDP.
    pub fn into_snapshot(self) -> Snapshot {
        self.xdp
    }
}
