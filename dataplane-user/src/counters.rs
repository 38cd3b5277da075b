//! Counters summed over CPUs, and the sums that they must satisfy.

use std::collections::BTreeMap;

use keysteer_common::account::{Counter, KeyCounter, KeyEvents, ShardCounter};
use keysteer_common::vocabulary::{CLASSES, Class, REASONS, Reason, VERDICTS, Verdict};

/// Counters of the node as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeCounters {
    /// By [`Verdict`] number.
    pub verdicts: [Counter; VERDICTS],
    /// By class number times [`REASONS`] plus reason number.
    pub outcomes: [Counter; CLASSES * REASONS],
}

impl Default for NodeCounters {
    fn default() -> Self {
        Self { verdicts: [Counter::default(); VERDICTS], outcomes: [Counter::default(); CLASSES * REASONS] }
    }
}

impl NodeCounters {
    /// Adds frames that ended in one way.
    pub fn count(&mut self, class: Class, verdict: Verdict, reason: Reason, counter: Counter) {
        let outcome = self.outcomes.get_mut(class as usize * REASONS + reason as usize);
        for to in [self.verdicts.get_mut(verdict as usize), outcome].into_iter().flatten() {
            add(to, counter);
        }
    }
}

/// All counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The node's.
    pub node: NodeCounters,
    /// By key id; entry 0 is never counted.
    pub keys: Vec<KeyCounter>,
    /// By key id.
    pub events: Vec<KeyEvents>,
    /// By shard index.
    pub shards: Vec<ShardCounter>,
    /// By version of the schema, frames of registered keys, where a program tells versions apart.
    pub versions: BTreeMap<u8, Counter>,
    /// By key id and interface index, frames that claimed the key there without right; id 0 is a key that is not registered.
    /// What had no room is at (0, 0).
    pub claims: BTreeMap<(u32, u32), Counter>,
    /// What left, where the way back is or was counted.
    pub back: Option<Back>,
}

/// Counters of the way back: what left by the interfaces that it is counted at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Back {
    /// By class number.
    pub classes: [Counter; CLASSES],
    /// By key id.
    pub keys: Vec<Counter>,
    /// By shard index: the shard that the packet answers for.
    pub shards: Vec<Counter>,
}

impl Back {
    /// Packets of one class.
    pub fn class(&self, class: Class) -> Counter {
        self.classes.get(class as usize).copied().unwrap_or_default()
    }

    /// Every packet that left.
    pub fn sent(&self) -> Counter {
        sum(self.classes.iter().copied())
    }
}

/// Adds one counter to another.
pub fn add(to: &mut Counter, from: Counter) {
    to.packets += from.packets;
    to.bytes += from.bytes;
}

/// A sum that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: received {received:?}, but {sum:?}")]
pub struct Unbalanced {
    /// Which sum.
    pub what: &'static str,
    /// Σ over class and reason.
    pub received: Counter,
    /// What it should equal.
    pub sum: Counter,
}

impl Snapshot {
    /// All zero, for so many key ids and shards.
    pub fn empty(keys: usize, shards: usize) -> Self {
        Self { events: vec![KeyEvents::default(); keys], ..Self::nothing_carried(keys, shards) }
    }

    /// [`Snapshot::empty`] without events: what readings without what happened begin with.
    pub fn nothing_carried(keys: usize, shards: usize) -> Self {
        Self {
            node: NodeCounters::default(),
            keys: vec![KeyCounter::default(); keys],
            events: Vec::new(),
            shards: vec![ShardCounter::default(); shards],
            versions: BTreeMap::new(),
            claims: BTreeMap::new(),
            back: None,
        }
    }

    /// Frames of one class that ended for one reason.
    pub fn outcome(&self, class: Class, reason: Reason) -> Counter {
        self.node.outcomes.get(class as usize * REASONS + reason as usize).copied().unwrap_or_default()
    }

    /// Frames with one verdict.
    pub fn verdict(&self, verdict: Verdict) -> Counter {
        self.node.verdicts.get(verdict as usize).copied().unwrap_or_default()
    }

    /// Frames of one class.
    pub fn class(&self, class: Class) -> Counter {
        sum(Reason::ALL.iter().map(|reason| self.outcome(class, *reason)))
    }

    /// Frames that ended for one reason.
    pub fn reason(&self, reason: Reason) -> Counter {
        sum(Class::ALL.iter().map(|class| self.outcome(*class, reason)))
    }

    /// Every frame seen.
    pub fn received(&self) -> Counter {
        sum(self.node.outcomes.iter().copied())
    }

    /// Checks `received = Σ verdicts = Σ keys + Σ other classes`, and of what left that what is of registered keys is the sum of theirs,
    /// in packets and in bytes.
    ///
    /// # Errors
    /// The first sum that does not hold. At rest that is a defect; while packets flow a reader can see
    /// a frame in one counter and not yet in the next.
    pub fn balanced(&self) -> Result<(), Unbalanced> {
        let received = self.received();
        let check = |what, sum: Counter| {
            if sum == received { Ok(()) } else { Err(Unbalanced { what, received, sum }) }
        };
        check("the sum of verdicts", sum(self.node.verdicts.iter().copied()))?;
        let mut by_key = sum(self.keys.iter().copied());
        for class in Class::ALL.iter().filter(|class| **class != Class::Assigned) {
            add(&mut by_key, self.class(*class));
        }
        check("the sum of keys and other classes", by_key)?;
        let Some(back) = &self.back else { return Ok(()) };
        let (received, sum) = (back.class(Class::Assigned), sum(back.keys.iter().copied()));
        let what = "the sum of keys on the way back";
        if sum == received { Ok(()) } else { Err(Unbalanced { what, received, sum }) }
    }
}

fn sum(counters: impl Iterator<Item = Counter>) -> Counter {
    counters.fold(Counter::default(), |mut total, counter| {
        add(&mut total, counter);
        total
    })
}
