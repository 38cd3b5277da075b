//! Which policies are in force, and from which packet on: an era for each change, that begins when the change is asked
//! for and is all that there is once the change is acknowledged.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::expected::Expected;
use crate::world::UPLINKS;

/// A policy, in force or perhaps in force.
#[derive(Clone, Debug)]
pub(crate) struct Era {
    /// What it says.
    pub(crate) expected: Arc<Expected>,
    /// By sender, the first packet of which it alone is true; none as long as the change is under way.
    pub(crate) from: Option<[u64; UPLINKS.len()]>,
    /// Whether it never came to be: the agent was killed before.
    pub(crate) withdrawn: bool,
}

/// All eras, in order. The last may be under way.
#[derive(Debug)]
pub(crate) struct Eras {
    list: Mutex<Vec<Era>>,
    version: AtomicU64,
}

impl Eras {
    /// One policy in force from the first packet on.
    pub(crate) fn new(expected: Arc<Expected>) -> Self {
        let first = Era { expected, from: Some([0; UPLINKS.len()]), withdrawn: false };
        Self { list: Mutex::new(vec![first]), version: AtomicU64::new(1) }
    }

    fn change(&self, how: impl FnOnce(&mut Vec<Era>)) {
        how(&mut self.list.lock().unwrap());
        self.version.fetch_add(1, Ordering::Release);
    }

    /// A change is about to be asked for.
    pub(crate) fn begin(&self, expected: Arc<Expected>) {
        self.change(|list| list.push(Era { expected, from: None, withdrawn: false }));
    }

    /// It was acknowledged when each sender had begun to send the packets before these.
    pub(crate) fn settle(&self, from: [u64; UPLINKS.len()]) {
        self.change(|list| list.last_mut().unwrap().from = Some(from));
    }

    /// It came to nothing.
    pub(crate) fn withdraw(&self) {
        self.change(|list| list.last_mut().unwrap().withdrawn = true);
    }

    /// Changes with every change.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The eras from `first` on.
    pub(crate) fn since(&self, first: usize) -> Vec<Era> {
        self.list.lock().unwrap()[first..].to_vec()
    }
}

/// The eras as a sender sees them, whose packets are looked at in the order in which they were sent.
#[derive(Debug)]
pub(crate) struct View {
    sender: usize,
    /// Number of the first era of `eras`.
    first: usize,
    eras: Vec<Era>,
    version: u64,
    /// The earliest of `eras` that the last packet can have met: packets of an interface meet them in order.
    met: usize,
    /// Packets that more than one era was possible for.
    pub(crate) between: u64,
}

impl View {
    pub(crate) fn new(sender: usize) -> Self {
        Self { sender, first: 0, eras: Vec::new(), version: 0, met: 0, between: 0 }
    }

    /// Checks that packet `number`, of flow `flow`, has arrived where a policy says that was in force.
    pub(crate) fn check(
        &mut self,
        eras: &Eras,
        number: u64,
        flow: usize,
        shard: usize,
    ) -> Result<(), String> {
        let version = eras.version();
        if version != self.version {
            self.eras = eras.since(self.first);
            self.version = version;
        }
        if self.eras[self.met].withdrawn {
            return Err("packets met a policy that then was not brought in".to_owned());
        }
        let begun = |era: &Era| era.from.is_some_and(|from| from[self.sender] <= number);
        if let Some(last) = self.eras.iter().rposition(begun) {
            self.first += last;
            self.met = self.met.saturating_sub(last);
            self.eras.drain(..last);
        }
        let possible = |era: &&Era| !era.withdrawn;
        if self.eras.iter().filter(possible).count() > 1 {
            self.between += 1;
        }
        let mut from_here = (self.met..).zip(&self.eras[self.met..]).filter(|(_, era)| !era.withdrawn);
        match from_here.find(|(_, era)| era.expected.shard(flow) == shard) {
            Some((met, _)) => {
                self.met = met;
                Ok(())
            }
            None => {
                let says: Vec<_> = self.eras.iter().map(|era| era.expected.shard(flow)).collect();
                Err(format!(
                    "it is at shard {shard}; the policies since era {} say {says:?}, and the packets before met the one at {}",
                    self.first, self.met
                ))
            }
        }
    }
}
