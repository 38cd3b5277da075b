//! What one program's counters say.

use keysteer_common::headers::Work;

use super::counter_set::per_cpu;
use super::{Dataplane, KernelError};
use crate::counters::Snapshot;

impl Dataplane {
    /// Reads every counter of the set that this program counts in, summed over CPUs. Not one instant: while packets
    /// flow, a frame can be seen in one counter and not yet in the next.
    ///
    /// # Errors
    /// The kernel does not let the maps be read.
    pub fn counters(&self) -> Result<Snapshot, KernelError> {
        let mut snapshot =
            Snapshot::empty(self.about.counted.keys as usize, self.about.counted.shards as usize);
        self.set.add_to(&mut snapshot)?;
        Ok(snapshot)
    }

    /// The work area of each CPU: the headers, fields and decision of its last packet, where the program records.
    ///
    /// # Errors
    /// The kernel does not let the map be read.
    pub fn work(&self) -> Result<Vec<Work>, KernelError> {
        const MAP: &str = "WORK";
        let map = self.home.map(MAP).ok_or_else(|| KernelError::Object { what: format!("map {MAP}") })?;
        let mut work = Vec::with_capacity(self.about.cpus);
        per_cpu::<Work>(map, MAP, 1, self.about.cpus, |_, area| work.push(area))?;
        Ok(work)
    }
}
