//! The tables in force, read entry by entry from the kernel while a question is answered. The agent keeps no
//! copy of them: that would be the larger part of its memory, and it would not be the kernel's word.

use std::cell::{OnceCell, RefCell};

use keysteer_common::config::Config;
use keysteer_common::shared::{Shared, from_bytes};
use keysteer_common::tables::{KeyEntry, PrefixStep, ServiceSet, ShardEntry, SlotWord, Tables};

use super::meter::{Cause, Meter, Table};

/// Tables of a loaded program. What was read is kept as long as they are, so that one question gets one answer.
pub struct LiveTables<'m> {
    config: &'m Config,
    meter: &'m dyn Meter,
    steps: Chain<PrefixStep>,
    services: Chain<ServiceSet>,
    keys: Chain<KeyEntry>,
    shards: Chain<ShardEntry>,
    failed: RefCell<Option<Cause>>,
}

impl<'m> LiveTables<'m> {
    /// The tables that `meter` reads, of a program loaded with `config`.
    pub fn new(config: &'m Config, meter: &'m dyn Meter) -> Self {
        Self {
            config,
            meter,
            steps: Chain::default(),
            services: Chain::default(),
            keys: Chain::default(),
            shards: Chain::default(),
            failed: RefCell::new(None),
        }
    }

    /// Whether everything that was asked for could be read.
    ///
    /// # Errors
    /// The first failure: what was decided since is not to be trusted.
    pub fn finish(self) -> Result<(), Cause> {
        match self.failed.into_inner() {
            Some(cause) => Err(cause),
            None => Ok(()),
        }
    }

    fn read<T: Shared>(&self, table: Table, index: u32) -> Option<T> {
        match self.meter.entry(table, index) {
            Ok(entry) => from_bytes(&entry?),
            Err(cause) => {
                self.failed.borrow_mut().get_or_insert(cause);
                None
            }
        }
    }
}

impl Tables for LiveTables<'_> {
    fn config(&self) -> &Config {
        self.config
    }

    fn prefix_index(&self, index: u32) -> Option<u64> {
        self.read(Table::PrefixIndex, index)
    }

    fn prefix_step(&self, index: u32) -> Option<&PrefixStep> {
        self.steps.get(index, || self.read(Table::PrefixSteps, index))
    }

    fn service_set(&self, index: u32) -> Option<&ServiceSet> {
        self.services.get(index, || self.read(Table::Services, index))
    }

    fn key_entry(&self, index: u32) -> Option<&KeyEntry> {
        self.keys.get(index, || self.read(Table::Keys, index))
    }

    fn slot(&self, index: u32) -> Option<SlotWord> {
        self.read(Table::Slots, index)
    }

    fn shard(&self, index: u32) -> Option<&ShardEntry> {
        self.shards.get(index, || self.read(Table::Shards, index))
    }
}

/// Entries that were read, each once: a list that only grows, so that what it lends stays where it is.
struct Chain<T>(OnceCell<Box<Link<T>>>);

struct Link<T> {
    index: u32,
    entry: Option<T>,
    next: Chain<T>,
}

impl<T> Default for Chain<T> {
    fn default() -> Self {
        Self(OnceCell::new())
    }
}

impl<T> Chain<T> {
    /// The entry with an index, read where it was not yet.
    fn get(&self, index: u32, read: impl FnOnce() -> Option<T>) -> Option<&T> {
        let mut chain = self;
        while let Some(link) = chain.0.get() {
            if link.index == index {
                return link.entry.as_ref();
            }
            chain = &link.next;
        }
        let entry = read();
        chain.0.get_or_init(|| Box::new(Link { index, entry, next: Self::default() })).entry.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::fake::{Fake, Record};

    #[test]
    fn an_entry_is_read_once_and_lent_for_good() {
        let chain = Chain::default();
        let first = chain.get(7, || Some(70)).unwrap();
        assert_eq!(chain.get(8, || None::<u32>), None);
        assert_eq!(chain.get(8, || panic!("it is known that there is none")), None);
        assert_eq!(chain.get(7, || panic!("it is there")), Some(&70));
        assert_eq!(first, &70);
    }

    #[test]
    fn a_failure_is_remembered() {
        let fails = Fake(std::sync::Arc::new(Record { fails: Some("entry"), ..Record::default() }));
        let config = Config::default();
        let tables = LiveTables::new(&config, &fails);
        assert_eq!((tables.shard(0), tables.slot(3)), (None, None));
        assert_eq!(tables.finish().unwrap_err().to_string(), "planted");
        let tables = LiveTables::new(&config, &fails);
        assert!(tables.finish().is_ok());
    }
}
