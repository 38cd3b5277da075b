//! The audit log: who changed what, when, and what came of it. Entries are only ever appended, and each holds the hash of the
//! one before, so that an entry that was changed, taken out, put in or moved is noticed.
//!
//! ```text
//!  audit.jsonl  {"seq":1, … ,"prev":"00…","hash":"a1…"}        audit.head  {"seq":2,"hash":"b2…","start":…,"end":…}
//!               {"seq":2, … ,"prev":"a1…","hash":"b2…"}  ◂──── framed: a tail that was cut off is noticed, too
//! ```
//!
//! An entry is appended and synced, and then the head is replaced. After a crash in between the log is one entry ahead of its
//! head, and the head follows; what of an entry had not been written whole is kept aside in `audit.torn`, and the chain goes
//! on. Nothing of this keeps out somebody who may write the files and hashes everything anew: to notice that, keep the head's
//! hash elsewhere now and then (`keysteer audit verify` prints it).

mod chain;
mod entry;
mod verify;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::file::Kind;
use super::{StateError, Timestamp, disk};
use crate::fault::{self, Step};

pub use entry::{Entry, Event, Outcome, Subject};
pub use verify::{Broken, Report, Verdict, verify};

/// The log's file name inside the state directory.
pub(super) const LOG: &str = "audit.jsonl";
/// The head's.
pub(super) const HEAD: &str = "audit.head";
/// Where unfinished entries are kept.
const TORN: &str = "audit.torn";

const KIND: Kind = Kind {
    name: "audit-head",
    version: 1,
    consequence: "move audit.jsonl and audit.head away together; a new chain begins, and the old one stays as evidence",
};

/// Where the log ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    /// Number of the last entry; 0: there is none.
    seq: u64,
    /// Its hash.
    hash: String,
    /// Where its line begins.
    start: u64,
    /// Where its line ends, with its line feed.
    end: u64,
}

impl Default for Head {
    fn default() -> Self {
        Self { seq: 0, hash: chain::FIRST.to_owned(), start: 0, end: 0 }
    }
}

impl Head {
    /// The head as it is kept; `None` where there is no file.
    fn read(directory: &Path) -> Result<Option<Self>, StateError> {
        KIND.read_json(&directory.join(HEAD))
    }

    /// The head after one more entry.
    fn after(&self, hash: String, line: usize) -> Self {
        Self { seq: self.seq + 1, hash, start: self.end, end: self.end + line as u64 }
    }
}

/// The log, for the one process that appends to it.
#[derive(Debug)]
pub struct Audit {
    directory: PathBuf,
    head: Head,
}

impl Audit {
    /// Opens the log of a state directory, or begins one. What a crash left is settled.
    ///
    /// # Errors
    /// The files cannot be read or written, or the end of the log is not what its head says.
    pub fn open(directory: &Path) -> Result<Self, StateError> {
        let head = Head::read(directory)?;
        let log = directory.join(LOG);
        let length = length(&log)?;
        if head.is_none() && length > 0 {
            return Err(
                KIND.damaged(&directory.join(HEAD), format!("it is missing, but {} is there", log.display()))
            );
        }
        let is_new = head.is_none();
        let mut audit = Self { directory: directory.to_owned(), head: head.unwrap_or_default() };
        if is_new {
            // Before everything else, so that a log without a head is never what a crash left.
            audit.save(Head::default())?;
        }
        audit.check_last(length)?;
        audit.settle(length)?;
        Ok(audit)
    }

    /// How many entries there are.
    pub fn entries(&self) -> u64 {
        self.head.seq
    }

    /// The hash of the last entry; zeros before the first.
    pub fn hash(&self) -> &str {
        &self.head.hash
    }

    /// Appends what happened, now. It is on the disk when this returns.
    ///
    /// # Errors
    /// A file cannot be written; the entry may be there or not.
    pub fn append(&mut self, event: Event) -> Result<Entry, StateError> {
        self.append_at(Timestamp::now(), event)
    }

    /// The same, at a moment.
    pub(super) fn append_at(&mut self, time: Timestamp, event: Event) -> Result<Entry, StateError> {
        fault::point(Step::BeforeAuditAppended);
        let log = self.directory.join(LOG);
        // An append that failed may have left a part.
        self.settle(length(&log)?)?;
        let entry = chain::link(self.head.seq + 1, time, event, &self.head.hash);
        let line = chain::line(&entry).map_err(|error| StateError::Io {
            operation: "append to",
            path: log.clone(),
            cause: error.into(),
        })?;
        let entry = Entry { hash: line.hash, ..entry };
        disk::append(&log, line.text.as_bytes())?;
        self.save(self.head.after(entry.hash.clone(), line.text.len()))?;
        fault::point(Step::AfterAuditAppended);
        Ok(entry)
    }

    fn save(&mut self, head: Head) -> Result<(), StateError> {
        KIND.write_json(&self.directory.join(HEAD), &head)?;
        self.head = head;
        Ok(())
    }

    /// Whether the last entry that the head knows is where it should be.
    fn check_last(&self, length: u64) -> Result<(), StateError> {
        let log = self.directory.join(LOG);
        let Head { seq, hash, start, end } = &self.head;
        if *seq == 0 {
            return Ok(());
        }
        if length < *end {
            let what = format!(
                "it ends at byte {length}, but had entry {seq} up to byte {end}: its end was cut off"
            );
            return Err(KIND.damaged(&log, what));
        }
        let last = range(&log, *start, end.saturating_sub(*start))?;
        match chain::check(&last) {
            Ok(seen) if seen.seq == *seq && seen.hash == *hash => Ok(()),
            Ok(_) => Err(KIND.damaged(&log, format!("its entry {seq} is not the one that its head names"))),
            Err(what) => Err(KIND.damaged(&log, format!("its entry {seq}: {what}"))),
        }
    }

    /// Makes head and log agree after an append that did not end.
    fn settle(&mut self, length: u64) -> Result<(), StateError> {
        let end = self.head.end;
        if length == end {
            return Ok(());
        }
        let log = self.directory.join(LOG);
        if length < end {
            return Err(
                KIND.damaged(&log, format!("it ends at byte {length}, before its last entry's end at {end}"))
            );
        }
        let rest = range(&log, end, length - end)?;
        match chain::rest(&rest, self.head.seq, &self.head.hash) {
            chain::Rest::Entry(seen) => self.save(self.head.after(seen.hash, rest.len())),
            chain::Rest::Torn => {
                // Kept before it is cut; a crash in between keeps it twice.
                let torn = self.directory.join(TORN);
                disk::append(&torn, &[&rest[..], b"\n"].concat())?;
                disk::truncate(&log, end)
            }
            chain::Rest::Foreign(what) => {
                let seq = self.head.seq;
                Err(KIND.damaged(&log, format!("after entry {seq}, the last that its head knows: {what}")))
            }
        }
    }
}

/// How long a file is; 0 where there is none.
fn length(path: &Path) -> Result<u64, StateError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(cause) => Err(failed(path)(cause)),
    }
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> StateError {
    move |cause| StateError::Io { operation: "read", path: path.to_owned(), cause }
}

/// A part of a file.
fn range(path: &Path, start: u64, length: u64) -> Result<Vec<u8>, StateError> {
    let mut file = File::open(path).map_err(failed(path))?;
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start))
        .and_then(|_| file.take(length).read_to_end(&mut bytes))
        .map_err(failed(path))?;
    Ok(bytes)
}

/// Which entries are wanted; by default all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Not before this moment.
    pub since: Option<Timestamp>,
    /// About this.
    pub subject: Option<Subject>,
    /// Of this action.
    pub action: Option<String>,
}

impl Filter {
    fn wants(&self, entry: &Entry) -> bool {
        let Self { since, subject, action } = self;
        since.is_none_or(|since| since <= entry.time)
            && subject.as_ref().is_none_or(|subject| entry.event.subject.as_ref() == Some(subject))
            && action.as_ref().is_none_or(|action| entry.event.action == *action)
    }
}

/// The entries of a state directory's log, oldest first. They are read, not verified; one that is being appended is left out.
/// Needs no lock and writes nothing.
///
/// # Errors
/// The log cannot be read, or a line of it is no entry.
pub fn list(directory: &Path, filter: &Filter) -> Result<Vec<Entry>, StateError> {
    let log = directory.join(LOG);
    // That the directory is there is asked for, so that a misspelt one does not look like one without changes.
    fs::read_dir(directory).map_err(failed(directory))?;
    // What is behind the last entry that the head knows may be a part of one. Of a head that is damaged, verification tells.
    let known = Head::read(directory).ok().flatten().map_or(u64::MAX, |head| head.seq);
    let file = match File::open(&log) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(failed(&log)(cause)),
    };
    let mut reader = BufReader::new(file);
    let (mut entries, mut line, mut number) = (Vec::new(), Vec::new(), 0_u64);
    loop {
        line.clear();
        number += 1;
        if reader.read_until(b'\n', &mut line).map_err(failed(&log))? == 0 {
            return Ok(entries);
        }
        if !line.ends_with(b"\n") {
            // It is not whole yet, or never will be.
            return Ok(entries);
        }
        match serde_json::from_slice::<Entry>(&line) {
            Ok(entry) if filter.wants(&entry) => entries.push(entry),
            Ok(_) => {}
            Err(_) if number > known => return Ok(entries),
            Err(error) => {
                let what = format!("line {number} is no entry: {error}; see `keysteer audit verify`");
                return Err(KIND.damaged(&log, what));
            }
        }
    }
}

#[cfg(test)]
mod tests;
