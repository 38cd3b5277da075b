//! An image in the host engine, held against what the kernel did.

use keysteer::counters::Back;
use keysteer::engine::Engine;
use keysteer::image::Image;
use keysteer::kernel::flows::Left as Moved;
use keysteer_common::forward::Action;
use keysteer_common::headers::{Decision, Record, Work};
use keysteer_common::tables::target;
use keysteer_common::vocabulary::Class;

use super::differ::unequal;
use super::{Counted, Difference, LOOPBACK, Outcome, Seen};

/// The engine at both hooks.
#[derive(Debug)]
pub struct Host<'i> {
    xdp: At<'i>,
    tc: At<'i>,
    /// What left after the last frame.
    left: Vec<Left>,
}

/// The engine at one hook.
#[derive(Debug)]
struct At<'i> {
    engine: Engine<'i>,
    /// Kept from frame to frame as the kernel keeps its own.
    work: Work,
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

impl<'i> Host<'i> {
    /// An engine for each hook.
    pub fn new(image: &'i Image) -> Self {
        // A map value begins as zeroes, and so must the host's: without NO_SHARD and NO_LEVEL.
        let decision = Decision { shard: 0, level: 0, ..Decision::NONE };
        let work = Work { record: Record { decision, ..Record::default() }, ..Work::default() };
        let at = || At { engine: Engine::new(image), work };
        let mut tc = at();
        // From TC no way leads to a CPU.
        for (shard, _) in (0..).zip(&image.shards).filter(|(_, entry)| entry.target == target::CPU) {
            tc.engine.lose_exit(shard);
        }
        Self { xdp: at(), tc, left: Vec::new() }
    }

    /// The interface of a shard has gone.
    pub fn lose_exit(&mut self, shard: u16) {
        self.xdp.engine.lose_exit(shard);
        self.tc.engine.lose_exit(shard);
    }

    /// Decides a frame that arrived on interface `ingress` (0: the loopback), at the hooks where the kernel did.
    ///
    /// # Errors
    /// It did something else.
    pub fn judge(&mut self, frame: &[u8], ingress: u32, seen: &Seen) -> Result<(), Difference> {
        self.left.clear();
        let arrived = if ingress == 0 { LOOPBACK } else { ingress };
        if let Some((kernel, host)) = self.xdp.differs(frame, arrived, &seen.xdp, |action| action) {
            return Err(Difference::Frame { kernel, host });
        }
        let Some(tc) = &seen.tc else { return Ok(()) };
        // There is one number for both.
        let at_tc = |action| if action == Action::Transmit { Action::Redirect } else { action };
        if let Some((kernel, host)) = self.tc.differs(frame, arrived, tc, at_tc) {
            return Err(Difference::Tc { kernel, host });
        }
        for (frame, action, kernel) in &seen.left {
            let mut host = frame.clone();
            let counted = self.sent();
            self.tc.engine.see_leave(&mut host, arrived);
            if *action != Some(Action::Pass) || *kernel != host {
                return Err(Difference::Back { frame: frame.clone(), kernel: kernel.clone(), host });
            }
            let after = self.sent();
            let class = Class::ALL.iter().copied().find(|it| after.class(*it) != counted.class(*it));
            self.left.push(Left { class, before: frame.clone(), after: host });
        }
        Ok(())
    }

    /// What was counted of what left, by class.
    fn sent(&self) -> Back {
        let back = self.tc.engine.counters().back.as_ref();
        Back { classes: back.map(|back| back.classes).unwrap_or_default(), ..Back::default() }
    }

    /// The frames that left after the last one that was decided.
    pub fn left(&self) -> &[Left] {
        &self.left
    }

    /// What was counted of moving keys: flows that opened, that found no room, and that are proved.
    pub fn moving(&self) -> [u64; 3] {
        let units = self.xdp.engine.moving().values();
        let (opened, full) = units.fold((0, 0), |(opened, full), it| (opened + it.pinned, full + it.full));
        [opened, full, self.xdp.engine.proved()]
    }

    /// Compares every counter with the kernel's.
    ///
    /// # Errors
    /// One differs.
    pub fn judge_counters(&self, counted: &Counted) -> Result<(), Difference> {
        if let Some(what) = counted.tc.as_ref().and_then(|tc| unequal(tc, self.tc.engine.counters())) {
            return Err(Difference::Counters(format!("at TC: {what}")));
        }
        for (unit, host) in self.xdp.engine.moving() {
            let host = Moved {
                left: host.left,
                pinned: host.pinned,
                full: host.full,
                proved: host.proved,
                again: host.again,
                resets: host.resets,
                marks: host.marked(0),
            };
            let kernel = counted.moving.get(*unit as usize);
            if kernel != Some(&host) {
                return Err(Difference::Counters(format!("unit {unit}: kernel {kernel:?}, host {host:?}")));
            }
        }
        match unequal(&counted.xdp, self.xdp.engine.counters()) {
            None => Ok(()),
            Some(what) => Err(Difference::Counters(what)),
        }
    }
}

impl At<'_> {
    /// The kernel's outcome and this one's, if they differ; `at_hook` is what the hook returns for an action.
    fn differs(
        &mut self,
        frame: &[u8],
        arrived: u32,
        kernel: &Outcome,
        at_hook: impl Fn(Action) -> Action,
    ) -> Option<(Box<Outcome>, Box<Outcome>)> {
        let mut bytes = frame.to_vec();
        let action = at_hook(self.engine.decide_over(&mut bytes, arrived, &mut self.work));
        let host = Outcome { action: Some(action), frame: bytes, work: self.work };
        let (kernel, host) = (kernel.comparable(&host), host.comparable(kernel));
        (kernel != host).then(|| (Box::new(kernel), Box::new(host)))
    }
}
