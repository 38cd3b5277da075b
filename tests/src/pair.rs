//! The two homes side by side: one image loaded into the kernel, and the host engine over the same image.
//!
//! What is compared of every frame: the action, the bytes that leave, and the whole work area, bit for bit:
//! headers, fields, canonical key and decision. Both homes begin with zeroes and decide each frame over what
//! the frame before left behind, so parts that are not meaningful for a frame must agree too. What is not
//! compared: where a redirect ends (a test run forwards nothing), and time.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use keysteer::counters::{Back, Snapshot};
use keysteer::engine::Engine;
use keysteer::image::Image;
use keysteer::kernel::{Dataplane, FRAMES_AT_TC, KernelError, has_tcx};
use keysteer_common::account::Counter;
use keysteer_common::forward::Action;
use keysteer_common::headers::{Decision, Headers, Record, Work};
use keysteer_common::program::Hook;
use keysteer_common::shim::Signing;
use keysteer_common::tables::target;
use keysteer_common::vocabulary::Class;
use nix::time::{ClockId, clock_gettime};

use crate::lab::CPU;
use crate::leaving;

/// What a test run without an interface index says it came in by: the namespace's loopback.
const LOOPBACK: u32 = 1;

/// How far the kernel's clock, which goes on, may be from the host's: far less than an epoch of signed keys.
const STALE: Duration = Duration::from_secs(5);

/// One image in both homes.
#[derive(Debug)]
pub struct Pair<'i> {
    /// The variant that records.
    kernel: Dataplane,
    /// The one that an agent would attach.
    forwarding: Dataplane,
    engine: Engine<'i>,
    /// What signed keys are verified with.
    signing: Signing,
    /// The host's time, which stands still.
    now: u64,
    /// When the kernel was last told it.
    told: Cell<Instant>,
    /// The host's work area, kept from frame to frame as the kernel keeps its own.
    work: Work,
    /// The same image at TC, if that is compared.
    tc: Option<AtTc<'i>>,
}

/// The program for TC, and the host engine for the frames that the kernel takes for test runs there.
#[derive(Debug)]
struct AtTc<'i> {
    kernel: Dataplane,
    engine: Engine<'i>,
    work: Work,
    /// Whether there is a program for what leaves.
    back: bool,
    /// Whether that translates.
    translates: bool,
    /// What left after the last frame.
    left: Vec<Left>,
}

/// A frame that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// What it was counted as; `None` where nothing is counted.
    pub class: Option<Class>,
    /// The frame before.
    pub before: Vec<u8>,
    /// The frame afterwards.
    pub after: Vec<u8>,
}

/// What became of a frame in one home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the hook returned; `None`: nothing that it may return.
    pub action: Option<Action>,
    /// The frame afterwards.
    pub frame: Vec<u8>,
    /// What was found and decided.
    pub work: Work,
}

/// The homes disagree, or the kernel did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Difference {
    /// About a frame.
    #[error("the homes disagree about a frame\n kernel {kernel}\n host   {host}")]
    Frame {
        /// The kernel's answer.
        kernel: Box<Outcome>,
        /// The host's.
        host: Box<Outcome>,
    },
    /// The program that records and the one that forwards disagree about a frame.
    #[error("the program that forwards says {action:?}, frame {frame:x?}; the one that records {recording}")]
    Variant {
        /// The answer of the one that records.
        recording: Box<Outcome>,
        /// What the other returned.
        action: Option<Action>,
        /// The other's frame.
        frame: Vec<u8>,
    },
    /// About a frame, at TC.
    #[error("at TC the homes disagree about a frame\n kernel {kernel}\n host   {host}")]
    Tc {
        /// The kernel's answer.
        kernel: Box<Outcome>,
        /// The host's.
        host: Box<Outcome>,
    },
    /// About a frame that leaves.
    #[error(
        "about a frame that leaves the homes disagree: {frame:02x?}\n kernel {kernel:02x?}\n host   {host:02x?}"
    )]
    Back {
        /// The frame.
        frame: Vec<u8>,
        /// What the kernel made of it.
        kernel: Vec<u8>,
        /// What the host made of it.
        host: Vec<u8>,
    },
    /// About what was counted.
    #[error("the homes counted differently: {0}")]
    Counters(String),
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

impl<'i> Pair<'i> {
    /// Loads `image` into the kernel and into an engine; at TC too, where the kernel has links for that: one that has none is
    /// tested in an emulated machine, which takes most of an hour to verify so many programs. Must be called in a lab
    /// ([`crate::lab::lab`]).
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new(image: &'i Image) -> Result<Self, KernelError> {
        Self::of(image, image, has_tcx())
    }

    /// Like [`Pair::new`], with another image for the kernel: to prove that a difference is seen. `at_tc`: at TC too.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn of(kernel: &Image, host: &'i Image, at_tc: bool) -> Result<Self, KernelError> {
        // A map value begins as zeroes, and so must the host's: without NO_SHARD and NO_LEVEL.
        let decision = Decision { shard: 0, level: 0, ..Decision::NONE };
        let work = Work { record: Record { decision, ..Record::default() }, ..Work::default() };
        let pair = Self {
            kernel: Dataplane::load_recording(kernel)?,
            forwarding: Dataplane::load(kernel)?,
            signing: host.signing,
            now: host.now,
            told: Cell::new(Instant::now()),
            engine: Engine::new(host),
            work,
            tc: at_tc.then(|| AtTc::new(kernel, host, work)).transpose()?,
        };
        pair.set_clock()?;
        Ok(pair)
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
        self.kernel.write_signing(&signing)?;
        if let Some(tc) = &self.tc {
            tc.kernel.write_signing(&signing)?;
        }
        self.forwarding.write_signing(&signing)
    }

    /// Tells the host that the interface of a shard has gone; the kernel finds out by itself.
    pub fn lose_exit(&mut self, shard: u16) {
        self.engine.lose_exit(shard);
        if let Some(tc) = &mut self.tc {
            tc.engine.lose_exit(shard);
        }
    }

    /// Runs a frame that arrived on interface `ingress` (0: the loopback) through both homes.
    ///
    /// # Errors
    /// They disagree, or the kernel refuses the run.
    pub fn run(&mut self, frame: &[u8], ingress: u32) -> Result<Outcome, Difference> {
        if self.told.get().elapsed() > STALE {
            self.set_clock()?;
        }
        let kernel = self.kernel.test_run(frame, ingress, CPU)?;
        let kernel = Outcome { action: kernel.action, frame: kernel.frame, work: kernel.work };
        let forwarded = self.forwarding.forward_run(frame, ingress)?;
        if forwarded != (kernel.action, kernel.frame.clone()) {
            let (action, frame) = forwarded;
            return Err(Difference::Variant { recording: Box::new(kernel), action, frame });
        }
        let mut bytes = frame.to_vec();
        let arrived = if ingress == 0 { LOOPBACK } else { ingress };
        let action = self.engine.decide_over(&mut bytes, arrived, &mut self.work);
        let host = Outcome { action: Some(action), frame: bytes, work: self.work };
        let (kernel, host) = (kernel.comparable(&host), host.comparable(&kernel));
        if kernel != host {
            return Err(Difference::Frame { kernel: Box::new(kernel), host: Box::new(host) });
        }
        if let Some(tc) = &mut self.tc {
            tc.run(frame, ingress)?;
        }
        Ok(kernel)
    }

    /// What the host counted of moving keys: flows that opened, that found no room, and that are proved.
    pub fn moving(&self) -> [u64; 3] {
        let units = self.engine.moving().values();
        let (opened, full) = units.fold((0, 0), |(opened, full), it| (opened + it.pinned, full + it.full));
        [opened, full, self.engine.proved()]
    }

    /// The frames that were let leave after the last one that was run, where there is a program for those.
    pub fn left(&self) -> &[Left] {
        self.tc.as_ref().map_or(&[], |tc| &tc.left)
    }

    /// Every counter, once both homes agree on all of them and the sums hold.
    ///
    /// # Errors
    /// They disagree, or a sum does not hold, or the kernel cannot be read.
    pub fn counters(&self) -> Result<Snapshot, Difference> {
        let kernel = self.kernel.counters()?;
        kernel.balanced().map_err(|error| Difference::Counters(error.to_string()))?;
        if let Some(tc) = &self.tc
            && let Some(what) = unequal(&tc.kernel.counters()?, tc.engine.counters())
        {
            return Err(Difference::Counters(format!("at TC: {what}")));
        }
        let moving = self.kernel.moving(0)?;
        for (unit, counted) in self.engine.moving() {
            let there = moving.get(*unit as usize).map(|it| (it.left, it.pinned, it.full, it.marks));
            if there != Some((counted.left, counted.pinned, counted.full, counted.marked(0))) {
                return Err(Difference::Counters(format!("unit {unit}: kernel {there:?}, host {counted:?}")));
            }
        }
        match unequal(&kernel, self.engine.counters()) {
            None => match unequal(&self.forwarding.counters()?, &kernel) {
                None => Ok(kernel),
                Some(what) => Err(Difference::Counters(format!("forwarding against recording: {what}"))),
            },
            Some(what) => Err(Difference::Counters(what)),
        }
    }
}

impl<'i> AtTc<'i> {
    fn new(kernel: &Image, host: &'i Image, work: Work) -> Result<Self, KernelError> {
        let kernel = Dataplane::load_recording(&Image { tc: true, ..kernel.clone() })?;
        let mut engine = Engine::new(host);
        // From TC no way leads to a CPU.
        for (shard, _) in (0..).zip(&host.shards).filter(|(_, entry)| entry.target == target::CPU) {
            engine.lose_exit(shard);
        }
        let back = &host.config.back;
        let (back, translates) = (back.on != 0, back.nat != 0);
        Ok(Self { kernel, engine, work, back, translates, left: Vec::new() })
    }

    /// Runs a frame through both homes, if the kernel takes it.
    fn run(&mut self, frame: &[u8], ingress: u32) -> Result<(), Difference> {
        self.left.clear();
        if !FRAMES_AT_TC.contains(&frame.len()) {
            return Ok(());
        }
        let kernel = self.kernel.test_run_at(Hook::Tc, frame, ingress, CPU)?;
        let kernel = Outcome { action: kernel.action, frame: kernel.frame, work: kernel.work };
        let mut bytes = frame.to_vec();
        let arrived = if ingress == 0 { LOOPBACK } else { ingress };
        let action = match self.engine.decide_over(&mut bytes, arrived, &mut self.work) {
            // There is one number for both.
            Action::Transmit => Action::Redirect,
            action => action,
        };
        let host = Outcome { action: Some(action), frame: bytes, work: self.work };
        let (kernel, host) = (kernel.comparable(&host), host.comparable(&kernel));
        if kernel != host {
            return Err(Difference::Tc { kernel: Box::new(kernel), host: Box::new(host) });
        }
        let redirected = self.translates && action == Action::Redirect;
        if self.back {
            self.leave(frame, redirected.then_some(kernel.frame.as_slice()), ingress)
        } else {
            Ok(())
        }
    }

    /// Lets what leaves after a frame do so in both homes. `handed`: what a pod was handed of it.
    fn leave(&mut self, frame: &[u8], handed: Option<&[u8]>, ingress: u32) -> Result<(), Difference> {
        for frame in leaving::after(frame, handed) {
            let (action, kernel) = self.kernel.forward_run_at(Hook::Back, &frame, ingress)?;
            let mut host = frame.clone();
            let counted = self.sent();
            let interface = if ingress == 0 { LOOPBACK } else { ingress };
            self.engine.see_leave(&mut host, interface);
            if action != Some(Action::Pass) || kernel != host {
                return Err(Difference::Back { frame, kernel, host });
            }
            let after = self.sent();
            let class = Class::ALL.iter().copied().find(|it| after.class(*it) != counted.class(*it));
            self.left.push(Left { class, before: frame, after: host });
        }
        Ok(())
    }

    /// What the host counted of what left, by class.
    fn sent(&self) -> Back {
        let back = self.engine.counters().back.as_ref();
        Back { classes: back.map(|back| back.classes).unwrap_or_default(), ..Back::default() }
    }
}

/// The first counter in which two snapshots differ.
fn unequal(kernel: &Snapshot, host: &Snapshot) -> Option<String> {
    fn list<T: PartialEq + fmt::Debug>(name: &str, kernel: &[T], host: &[T]) -> Option<String> {
        if kernel.len() != host.len() {
            return Some(format!("{name}: the kernel has {} and the host {}", kernel.len(), host.len()));
        }
        let at = kernel.iter().zip(host).position(|(kernel, host)| kernel != host)?;
        Some(format!("{name} {at}: kernel {:?}, host {:?}", kernel.get(at), host.get(at)))
    }
    list("verdict", &kernel.node.verdicts, &host.node.verdicts)
        .or_else(|| list("outcome", &kernel.node.outcomes, &host.node.outcomes))
        .or_else(|| list("key", &kernel.keys, &host.keys))
        .or_else(|| list("events of key", &kernel.events, &host.events))
        .or_else(|| list("shard", &kernel.shards, &host.shards))
        .or_else(|| unequal_maps("version", &kernel.versions, &host.versions))
        .or_else(|| unequal_maps("claim", &kernel.claims, &host.claims))
        .or_else(|| {
            let of = |snapshot: &Snapshot| snapshot.back.clone().unwrap_or_default();
            let (kernel, host) = (of(kernel), of(host));
            // Of what was never counted one of the two has no lists.
            if kernel.sent() == host.sent() && kernel.sent() == Counter::default() {
                return None;
            }
            list("class on the way back", &kernel.classes, &host.classes)
                .or_else(|| list("key on the way back", &kernel.keys, &host.keys))
                .or_else(|| list("shard on the way back", &kernel.shards, &host.shards))
        })
}

/// The first entry in which two maps of counters differ.
fn unequal_maps<K: Ord + fmt::Debug>(
    name: &str,
    kernel: &BTreeMap<K, Counter>,
    host: &BTreeMap<K, Counter>,
) -> Option<String> {
    let mut keys = kernel.keys().chain(host.keys());
    let key = keys.find(|key| kernel.get(key) != host.get(key))?;
    Some(format!("{name} {key:?}: kernel {:?}, host {:?}", kernel.get(key), host.get(key)))
}

impl Outcome {
    /// Without what a plain frame does not note, because a frame whose first buffer does not hold it all is plain on
    /// the host alone: where the datagram ends, and the headers of a foreign frame.
    fn comparable(&self, other: &Self) -> Self {
        let mut work = self.work;
        work.headers.end = 0;
        let foreign = work.record.decision.class == Class::Foreign as u8;
        if foreign && other.work.headers == Headers::NONE {
            work.headers = Headers::NONE;
        }
        Self { work, ..self.clone() }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Work { headers, record: Record { fields, key, decision }, .. } = &self.work;
        write!(f, "{:?}, {headers:?}, fields {fields:x?}, key {key:x?}, {decision:?}", self.action)?;
        write!(f, ", frame {}", hex(&self.frame))
    }
}

/// Bytes as hexadecimal digits, without spaces, to be pasted elsewhere.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
