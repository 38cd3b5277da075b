//! Per-CPU counters, summed.

use std::os::fd::AsFd;

use aya::maps::Map;
use keysteer_common::account::{KeyCounter, KeyDrops, ShardCounter};
use keysteer_common::headers::Work;
use keysteer_common::shared::{Shared, from_bytes};
use keysteer_common::state::CpuState;

use super::{Dataplane, KernelError, sys};
use crate::counters::{Snapshot, add};

impl Dataplane {
    /// Reads every counter, summed over CPUs. Not one instant: while packets flow, a frame can be seen
    /// in one counter and not yet in the next.
    ///
    /// # Errors
    /// The kernel does not let the maps be read.
    pub fn counters(&self) -> Result<Snapshot, KernelError> {
        let mut snapshot = Snapshot::empty(self.key_ids as usize, self.shards as usize);
        self.per_cpu::<CpuState>("CPU_STATE", 1, |_, state| {
            let to = snapshot.node.verdicts.iter_mut().chain(&mut snapshot.node.outcomes);
            for (to, from) in to.zip(state.node.verdicts.iter().chain(&state.node.outcomes)) {
                add(to, *from);
            }
        })?;
        self.per_cpu::<KeyCounter>("KEY_COUNTERS", self.key_ids, |index, from| {
            if let Some(to) = snapshot.keys.get_mut(index) {
                to.packets += from.packets;
                to.bytes += from.bytes;
                to.flows += from.flows;
            }
        })?;
        self.per_cpu::<KeyDrops>("KEY_DROPS", self.key_ids, |index, from| {
            for (to, from) in snapshot.drops.get_mut(index).into_iter().flatten().zip(from) {
                add(to, from);
            }
        })?;
        self.per_cpu::<ShardCounter>("SHARD_COUNTERS", self.shards, |index, from| {
            if let Some(to) = snapshot.shards.get_mut(index) {
                to.packets += from.packets;
                to.bytes += from.bytes;
                to.flows += from.flows;
                to.dropped += from.dropped;
            }
        })?;
        Ok(snapshot)
    }

    /// The work area of each CPU: its last packet's headers, fields and decision.
    ///
    /// # Errors
    /// The kernel does not let the map be read.
    pub fn work(&self) -> Result<Vec<Work>, KernelError> {
        let mut work = Vec::with_capacity(self.cpus);
        self.per_cpu::<CpuState>("CPU_STATE", 1, |_, state| work.push(state.work))?;
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
