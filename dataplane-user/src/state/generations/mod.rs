//! The generations that there were: a record of each, and the bundle (the policy's text and all that it reads) of those that
//! can still become live; beside each bundle the tables that it was compiled to.
//!
//! ```text
//!             put              set_live                 set_live of another         set_live of a third
//!  (none) ────────▸ prepared ────────────▸ live ───────────────────────────▸ last ──────────────────────▸ retired
//!                      │ fail              ▲ ▼                               ▲ ▼
//!                      ▼                   └── swap: the two change places ──┘
//!                    failed
//! ```
//!
//! All records are one file, so that each of these arrows is one atomic write. The file in memory changes once it is written:
//! after an error it is as before, and the one on disk is either.

mod anew;
mod bundles;
mod placements;
mod record;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::file::Kind;
use super::{KeyIds, ShardIds, StateError, disk};
use crate::fault::{self, Step};

pub use record::{Record, Rolling, Status};

pub use placements::{export, import, imported, set_imported};

use bundles::{BUNDLE, BUNDLES, BundleBody, bundles, files};
use placements::PLACEMENT;
use record::{Body, check};

/// The directory inside the state directory.
const DIRECTORY: &str = "generations";
/// The records' file in it.
const FILE: &str = "records";

const RECORDS: Kind = Kind {
    name: "generations",
    version: 1,
    consequence: "generations are numbered from 1 again, and the agent takes what steers for somebody else's",
};

/// How many records are kept.
const KEPT: usize = 1000;

/// The generations of a state directory.
#[derive(Debug)]
pub struct Generations {
    directory: PathBuf,
    next: u64,
    records: BTreeMap<u64, Record>,
}

/// Whether a state directory has any.
pub(super) fn are_kept(state: &Path) -> bool {
    state.join(DIRECTORY).join(FILE).exists()
}

impl Generations {
    /// The generations kept in a state directory; none yet on first use. Nothing is written.
    ///
    /// # Errors
    /// The records cannot be read, or contradict themselves.
    pub fn open(state: &Path) -> Result<Self, StateError> {
        let directory = state.join(DIRECTORY);
        let path = directory.join(FILE);
        let Some(Body { next, records }) = RECORDS.read_json::<Body>(&path)? else {
            // The records are there before the first bundle is.
            return match bundles(&directory)?.into_iter().find(|(number, _)| number.is_some()) {
                Some((_, found)) => {
                    Err(RECORDS.damaged(&path, format!("it is missing, but {} is there", found.display())))
                }
                None => Ok(Self { directory, next: 1, records: BTreeMap::new() }),
            };
        };
        let many = records.len();
        let records: BTreeMap<u64, Record> =
            records.into_iter().map(|record| (record.number, record)).collect();
        if records.len() != many {
            return Err(RECORDS.damaged(&path, "a number is there twice"));
        }
        check(next, &records).map_err(|what| RECORDS.damaged(&path, what))?;
        Ok(Self { directory, next, records })
    }

    /// The number of the next generation.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// The record of a generation, unless it was pruned.
    pub fn get(&self, number: u64) -> Option<&Record> {
        self.records.get(&number)
    }

    /// All records, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.records.values()
    }

    /// The generation that steers.
    pub fn live(&self) -> Option<&Record> {
        self.of(&Status::Live)
    }

    /// The generation that a rollback makes live.
    pub fn last(&self) -> Option<&Record> {
        self.of(&Status::Last)
    }

    /// Generations that were prepared and did not become live yet.
    pub fn prepared(&self) -> impl Iterator<Item = &Record> {
        self.iter().filter(|record| record.status == Status::Prepared)
    }

    fn of(&self, status: &Status) -> Option<&Record> {
        self.iter().rev().find(|record| record.status == *status)
    }

    /// Keeps the record of a new generation, whose number is [`Generations::next_number`] or more; or, with the same status as
    /// the one that is kept, replaces it. The bundle of a generation that may become live must be kept first.
    ///
    /// # Errors
    /// The record contradicts the others, its bundle is not there, or the file cannot be written.
    pub fn put(&mut self, record: Record) -> Result<(), StateError> {
        let number = record.number;
        let refuse = |what: String| Err(StateError::Generation { number, what });
        match self.records.get(&number) {
            Some(kept) if kept.status != record.status => {
                return refuse(format!("is {} and would be {}", kept.status.text(), record.status.text()));
            }
            None if number < self.next => {
                return refuse(format!("is used already; the next is {}", self.next));
            }
            _ => {}
        }
        if record.status.needs_bundle() && !self.bundle_path(number).exists() {
            return refuse("has no bundle yet; keep that first".to_owned());
        }
        let is_prepared = record.status == Status::Prepared;
        if is_prepared {
            fault::point(Step::BeforePreparedRecorded);
        }
        let next = self.next.max(number.saturating_add(1));
        self.change(next, |records| {
            records.insert(number, record);
            Ok(())
        })?;
        if is_prepared {
            fault::point(Step::AfterPreparedRecorded);
        }
        Ok(())
    }

    /// Makes a prepared generation, or the last one, live: the live one becomes the last, and the last is retired. One write.
    ///
    /// # Errors
    /// There is no such generation or it cannot become live, or the file cannot be written.
    pub fn set_live(&mut self, number: u64) -> Result<(), StateError> {
        fault::point(Step::BeforeLiveRecorded);
        self.change(self.next, |records| {
            match records.get(&number).map(|record| &record.status) {
                Some(Status::Prepared | Status::Last) => {}
                Some(other) => {
                    return Err(StateError::generation(
                        number,
                        format!("is {}: it cannot become live", other.text()),
                    ));
                }
                None => return Err(unknown(number)),
            }
            for record in records.values_mut() {
                match record.status {
                    _ if record.number == number => record.status = Status::Live,
                    Status::Live => record.status = Status::Last,
                    Status::Last => record.status = Status::Retired,
                    _ => {}
                }
            }
            Ok(())
        })?;
        fault::point(Step::AfterLiveRecorded);
        Ok(())
    }

    /// Rollback: the last generation becomes live, and the live one the last. One write. Says which is live now.
    ///
    /// # Errors
    /// There is no last generation, or the file cannot be written.
    pub fn swap(&mut self) -> Result<u64, StateError> {
        let Some(number) = self.last().map(|record| record.number) else {
            let live = self.live().map_or(0, |record| record.number);
            return Err(StateError::generation(
                live,
                "is the only one that was live: there is none to go back to",
            ));
        };
        self.set_live(number)?;
        Ok(number)
    }

    /// Records that a prepared generation will not become live.
    ///
    /// # Errors
    /// It is not prepared, or the file cannot be written.
    pub fn fail(&mut self, number: u64, why: &str) -> Result<(), StateError> {
        self.change(self.next, |records| match records.get_mut(&number) {
            Some(record) if record.status == Status::Prepared => {
                record.status = Status::Failed { why: why.to_owned() };
                Ok(())
            }
            Some(record) => {
                let what = format!("is {}: it cannot fail any more", record.status.text());
                Err(StateError::generation(number, what))
            }
            None => Err(unknown(number)),
        })
    }

    /// Records that the last generation is gone from the kernel: no rollback is possible until there is another.
    ///
    /// # Errors
    /// It is not the last, or the file cannot be written.
    pub fn retire(&mut self, number: u64) -> Result<(), StateError> {
        self.change(self.next, |records| match records.get_mut(&number) {
            Some(record) if record.status == Status::Last => {
                record.status = Status::Retired;
                Ok(())
            }
            Some(record) => {
                let what = format!("is {}: only the last can be retired", record.status.text());
                Err(StateError::generation(number, what))
            }
            None => Err(unknown(number)),
        })
    }

    /// Keeps a generation's bundle. It takes as long as the texts are long and touches nothing else, so that it can run beside
    /// a compilation.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn put_bundle<T: Serialize>(&self, number: u64, bundle: &T) -> Result<(), StateError> {
        disk::make_directory(&self.directory)?;
        let records = self.directory.join(FILE);
        if !records.exists() {
            RECORDS.write_json(&records, &Body { next: self.next, records: Vec::new() })?;
        }
        BUNDLES.write_json(&self.bundle_path(number), &BundleBody { generation: number, bundle })
    }

    /// A generation's bundle.
    ///
    /// # Errors
    /// It is not there (any more), or cannot be read.
    pub fn bundle<T: DeserializeOwned>(&self, number: u64) -> Result<T, StateError> {
        let path = self.bundle_path(number);
        match BUNDLES.read_json::<BundleBody<T>>(&path)? {
            Some(body) if body.generation == number => Ok(body.bundle),
            Some(body) => {
                Err(BUNDLES.damaged(&path, format!("it is the bundle of generation {}", body.generation)))
            }
            None => match self.records.get(&number) {
                Some(record) if record.status.needs_bundle() => Err(BUNDLES.damaged(&path, "it is missing")),
                _ => Err(StateError::generation(number, "has no bundle (any more)")),
            },
        }
    }

    /// Forgets the oldest records beyond 1,000, and removes the bundles that nobody needs any more, also those that a crash
    /// left. Says how many files went.
    ///
    /// # Errors
    /// The records cannot be written, or a file cannot be removed.
    pub fn prune(&mut self) -> Result<usize, StateError> {
        if let Some(surplus) = self.records.len().checked_sub(KEPT).filter(|surplus| *surplus > 0) {
            self.change(self.next, |records| {
                let old = records.values().filter(|record| !record.status.needs_bundle());
                let old: Vec<u64> = old.take(surplus).map(|record| record.number).collect();
                old.iter().for_each(|number| drop(records.remove(number)));
                Ok(())
            })?;
        }
        let mut removed = 0;
        let placements = files(&self.directory, PLACEMENT)?;
        for (number, path) in bundles(&self.directory)?.into_iter().chain(placements) {
            let record = number.and_then(|number| self.records.get(&number));
            if !record.is_some_and(|record| record.status.needs_bundle()) {
                disk::remove(&path)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Whether the registries hold every id that was given when a generation was made: a registry that was lost would give
    /// them again, to others.
    ///
    /// # Errors
    /// They do not.
    pub fn check_registries(&self, keys: &KeyIds, shards: &ShardIds) -> Result<(), StateError> {
        let directory = self.directory.parent().unwrap_or(Path::new("."));
        for record in self.records.values() {
            let number = record.number;
            let lost = |given: u64, had: u64| {
                format!("it holds {given} ids, but {had} were given when generation {number} was made")
            };
            if keys.given() < record.key_ids {
                return Err(KeyIds::damaged(directory, lost(keys.given().into(), record.key_ids.into())));
            }
            if shards.given() < record.shard_ids {
                return Err(ShardIds::damaged(
                    directory,
                    lost(shards.given().into(), record.shard_ids.into()),
                ));
            }
        }
        Ok(())
    }

    fn bundle_path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number}.{BUNDLE}"))
    }

    /// Changes a copy of the records, writes it, and takes it.
    fn change(
        &mut self,
        next: u64,
        change: impl FnOnce(&mut BTreeMap<u64, Record>) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let mut records = self.records.clone();
        change(&mut records)?;
        let number = next.saturating_sub(1);
        check(next, &records)
            .map_err(|what| StateError::generation(number, format!("cannot be recorded: {what}")))?;
        disk::make_directory(&self.directory)?;
        let body = Body { next, records: records.into_values().collect() };
        RECORDS.write_json(&self.directory.join(FILE), &body)?;
        self.next = next;
        self.records = body.records.into_iter().map(|record| (record.number, record)).collect();
        Ok(())
    }
}

fn unknown(number: u64) -> StateError {
    StateError::generation(number, "is not known (any more)")
}

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;
