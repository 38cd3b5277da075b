//! Single entries of the tables that a program decides over.

use aya::maps::{Array, MapError};
use keysteer_common::tables::{KeyEntry, PrefixStep, ServiceSet, ShardEntry, SlotWord};

use super::{Dataplane, KernelError};
use crate::agent::meter::Table;

impl Dataplane {
    /// The bytes of one entry of a table; none beyond its end. Reading disturbs nobody.
    ///
    /// # Errors
    /// The kernel does not let the map be read.
    pub fn entry(&self, table: Table, index: u32) -> Result<Option<Vec<u8>>, KernelError> {
        match table {
            Table::PrefixIndex => self.bytes::<{ size_of::<u64>() }>("PREFIX_INDEX", index),
            Table::PrefixSteps => self.bytes::<{ size_of::<PrefixStep>() }>("PREFIX_STEPS", index),
            Table::Services => self.bytes::<{ size_of::<ServiceSet>() }>("SERVICES", index),
            Table::Keys => self.bytes::<{ size_of::<KeyEntry>() }>("KEYS", index),
            Table::Slots => self.bytes::<{ size_of::<SlotWord>() }>("SLOTS", index),
            Table::Shards => self.bytes::<{ size_of::<ShardEntry>() }>("SHARDS", index),
        }
    }

    /// An entry of an array map whose entries have `N` bytes.
    fn bytes<const N: usize>(&self, name: &'static str, index: u32) -> Result<Option<Vec<u8>>, KernelError> {
        let map = self.ebpf.map(name).ok_or_else(|| KernelError::Object { what: format!("map {name}") })?;
        let failed = |error| KernelError::other("read a table's entry", error);
        let array: Array<_, [u8; N]> = map.try_into().map_err(failed)?;
        match array.get(&index, 0) {
            Ok(entry) => Ok(Some(entry.to_vec())),
            Err(MapError::OutOfBounds { .. } | MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}
