//! Per-CPU counters, summed.

use std::os::fd::AsFd;

use aya::maps::Map;
use keysteer_common::account::{KeyCounter, KeyEvents, TALLY_SHARDS, Tally, way_of};
use keysteer_common::headers::Work;
use keysteer_common::shared::{Shared, from_bytes};

use super::{Dataplane, KernelError, sys};
use crate::counters::{Snapshot, add};

/// How many tallies hold so many shards.
pub(super) const fn tallies(shards: u32) -> u32 {
    shards.div_ceil(TALLY_SHARDS as u32)
}

impl Dataplane {
    /// Reads every counter, summed over CPUs. Not one instant: while packets flow, a frame can be seen
    /// in one counter and not yet in the next.
    ///
    /// # Errors
    /// The kernel does not let the maps be read.
    pub fn counters(&self) -> Result<Snapshot, KernelError> {
        let mut snapshot = Snapshot::empty(self.key_ids as usize, self.shards as usize);
        self.per_cpu::<Tally>("TALLIES", tallies(self.shards), |index, tally| {
            for (number, counter) in tally.ways.into_iter().enumerate() {
                if let Some((class, verdict, reason)) = way_of(number, self.observes) {
                    snapshot.node.count(class, verdict, reason, counter);
                }
            }
            let shards = snapshot.shards.iter_mut().skip(index * TALLY_SHARDS);
            for (to, from) in shards.zip(tally.shards) {
                to.packets += from.packets;
                to.bytes += from.bytes;
                to.flows += from.flows;
                to.dropped += from.dropped;
            }
        })?;
        self.per_cpu::<KeyCounter>("KEY_COUNTERS", self.key_ids, |index, from| {
            if let Some(to) = snapshot.keys.get_mut(index) {
                add(to, from);
            }
        })?;
        self.per_cpu::<KeyEvents>("KEY_EVENTS", self.key_ids, |index, from| {
            if let Some(to) = snapshot.events.get_mut(index) {
                to.flows += from.flows;
                for (to, from) in to.drops.iter_mut().zip(from.drops) {
                    add(to, from);
                }
            }
        })?;
        Ok(snapshot)
    }

    /// The work area of each CPU: the headers, fields and decision of its last packet, where the program records.
    ///
    /// # Errors
    /// The kernel does not let the map be read.
    pub fn work(&self) -> Result<Vec<Work>, KernelError> {
        let mut work = Vec::with_capacity(self.cpus);
        self.per_cpu::<Work>("WORK", 1, |_, area| work.push(area))?;
        Ok(work)
    }

    /// Calls `each` with the index and every CPU's value of each entry of a per-CPU array.
    fn per_cpu<T: Shared>(
        &self,
        name: &'static str,
        entries: u32,
        mut each: impl FnMut(usize, T),
    ) -> Result<(), KernelError> {
        let fd = match self.ebpf.map(name) {
            Some(Map::PerCpuArray(data)) => data.fd().as_fd(),
            _ => return Err(KernelError::Object { what: format!("per-CPU array map {name}") }),
        };
        // The kernel rounds each CPU's value up to 8 bytes.
        let size = size_of::<T>().next_multiple_of(8);
        let values = sys::read_per_cpu(fd, entries, size * self.cpus).map_err(|cause| KernelError::Map {
            operation: "read",
            map: name,
            megabytes: 0,
            cause,
        })?;
        for (at, bytes) in values.chunks_exact(size).enumerate() {
            if let Some(value) = from_bytes::<T>(bytes) {
                each(at / self.cpus, value);
            }
        }
        Ok(())
    }
}
