//! The policy's tables as the kernel has them, read back. See [`super::tables`] for how they got there.

use std::io;
use std::os::fd::AsFd;

use aya::maps::{Array, Map};
use keysteer_common::config::Config;
use keysteer_common::shared::{Shared, from_bytes};
use keysteer_common::tables::{ServiceSet, Slot};

use super::home::Home;
use super::tables::KEYS_MAP;
use super::{Dataplane, KernelError, sys};
use crate::image::{Image, Moves};
use crate::policy::Migration;

impl Dataplane {
    /// The tables that the program decides over, without their names; `config` is what it was loaded with. Each is at
    /// least as long as it was: the kernel's sizes are powers of two, and what is beyond is zero. Reading disturbs
    /// nobody.
    ///
    /// # Errors
    /// The kernel does not let a map be read.
    pub fn tables(&self, config: Config) -> Result<Image, KernelError> {
        self.home.tables(config)
    }

    /// [`Dataplane::tables`] with the constants that it was loaded with.
    ///
    /// # Errors
    /// The kernel does not let a map be read.
    pub fn tables_in_force(&self) -> Result<Image, KernelError> {
        self.tables(self.about.shape.config)
    }

    /// What moves, as it is now.
    ///
    /// # Errors
    /// The kernel does not let a map be read.
    pub(super) fn moves_in_force(&self) -> Result<Moves, KernelError> {
        self.home.moves(&self.about.shape.config)
    }

    /// The slots alone.
    ///
    /// # Errors
    /// The kernel does not let the map be read.
    pub fn slots(&self) -> Result<Vec<Slot>, KernelError> {
        self.home.table(".bss.slots")
    }
}

impl Home {
    /// See [`Dataplane::tables`].
    pub(super) fn tables(&self, config: Config) -> Result<Image, KernelError> {
        Ok(Image {
            // As the compiler makes it: whoever decides over what was read wants to know what was found.
            config: Config { record: 1, ..config },
            prefix_index: self.table(".bss.prefix_index")?,
            prefix_steps: self.table(".bss.prefix_steps")?,
            prefix_low: self.table(".bss.prefix_low")?,
            services: self.services()?,
            keys: self.table(KEYS_MAP)?,
            keys_high: self.table(".bss.keys_high")?,
            slot_tables: self.table(".bss.slot_tables")?,
            slots: self.table(".bss.slots")?,
            shards: self.table(".bss.shards")?,
            pairs: self.table(".bss.pairs")?,
            pods: self.table(".bss.pods")?,
            stamps: self.table(".bss.stamps")?,
            moves: self.moves(&config)?,
            ..Image::default()
        })
    }

    /// What moves, of a program that was loaded for it.
    pub(super) fn moves(&self, config: &Config) -> Result<Moves, KernelError> {
        if config.migrating == 0 {
            return Ok(Moves::default());
        }
        Ok(Moves {
            words: self.array("MOVES")?,
            tables: self.table(".bss.old_tables")?,
            slots: self.table(".bss.old_slots")?,
            units: self.map("MOVING").map(entries).transpose()?.unwrap_or_default(),
            // How many there are is the pinned map's own; whoever decides over what was read has room.
            pins: Migration::default().pins,
        })
    }

    /// The entries of an array of words.
    fn array(&self, name: &'static str) -> Result<Vec<u64>, KernelError> {
        let Some(map @ Map::Array(data)) = self.map(name) else {
            return Err(KernelError::Object { what: format!("map {name}") });
        };
        let failed = |cause| KernelError::Map { operation: "read", map: name, megabytes: 0, cause };
        let bytes = sys::read_batch(data.fd().as_fd(), entries(map)?, size_of::<u64>()).map_err(failed)?;
        Ok(bytes.chunks_exact(size_of::<u64>()).filter_map(from_bytes).collect())
    }

    /// The entries of a table that is the only value of its map.
    fn table<T: Shared>(&self, section: &'static str) -> Result<Vec<T>, KernelError> {
        let Some(Map::Array(map)) = self.map(section) else {
            return Err(KernelError::Object { what: format!("map {section}") });
        };
        let failed = |cause| KernelError::Map { operation: "read", map: section, megabytes: 0, cause };
        let info = map.info().map_err(|error| failed(io::Error::other(error)))?;
        let mut value = vec![0; info.value_size() as usize];
        sys::read_value(map.fd().as_fd(), &mut value).map_err(failed)?;
        Ok(value.chunks_exact(size_of::<T>()).filter_map(from_bytes).collect())
    }

    /// The service sets, which have an entry each.
    fn services(&self) -> Result<Vec<ServiceSet>, KernelError> {
        const MAP: &str = "SERVICES";
        let map = self.map(MAP).ok_or_else(|| KernelError::Object { what: format!("map {MAP}") })?;
        let failed = |error| KernelError::other("read the services", error);
        let map: Array<_, [u8; size_of::<ServiceSet>()]> = map.try_into().map_err(failed)?;
        let entries = map.iter().map(|entry| Ok(from_bytes(&entry?)));
        Ok(entries.collect::<Result<Vec<_>, _>>().map_err(failed)?.into_iter().flatten().collect())
    }
}

/// How many entries an array has.
fn entries(map: &Map) -> Result<u32, KernelError> {
    let (Map::Array(data) | Map::PerCpuArray(data)) = map else {
        return Err(KernelError::Object { what: "an array".to_owned() });
    };
    let info = data.info().map_err(|error| KernelError::other("read a map's facts", error))?;
    Ok(info.max_entries())
}
