//! What was counted, over all sets.

use std::path::PathBuf;

use crate::counters::Snapshot;
use crate::kernel::KernelError;
use crate::kernel::counter_set::{Capacity, CounterSet};
use crate::kernel::load::cpus;

/// The counter sets of a node, to be read beside changes. A set that is added later is not read.
#[derive(Clone, Debug)]
pub struct Counted(pub(super) Vec<PathBuf>);

impl Counted {
    /// Every counter, summed over CPUs and sets, as long as the largest set.
    ///
    /// # Errors
    /// The kernel does not let a map be read.
    pub fn all(&self) -> Result<Snapshot, KernelError> {
        self.sum(Snapshot::empty, CounterSet::add_to)
    }

    /// Without keys' events.
    ///
    /// # Errors
    /// The kernel does not let a map be read.
    pub fn carried(&self) -> Result<Snapshot, KernelError> {
        self.sum(Snapshot::nothing_carried, CounterSet::add_carried_to)
    }

    fn sum(
        &self,
        zero: fn(usize, usize) -> Snapshot,
        add: fn(&CounterSet, &mut Snapshot) -> Result<(), KernelError>,
    ) -> Result<Snapshot, KernelError> {
        let cpus = cpus()?;
        let mut sets = Vec::with_capacity(self.0.len());
        for path in &self.0 {
            sets.extend(CounterSet::open(path, cpus)?);
        }
        let most = |part: fn(Capacity) -> u32| {
            sets.iter().map(|set| part(set.capacity)).max().unwrap_or_default() as usize
        };
        let mut sum = zero(most(|capacity| capacity.keys), most(|capacity| capacity.shards));
        sets.iter().try_for_each(|set| add(set, &mut sum))?;
        Ok(sum)
    }
}
