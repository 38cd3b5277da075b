//! Whether a log is whole: every entry as it was written, each after the one before, none missing at either end.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::Serialize;

use super::{HEAD, Head, LOG, TORN, chain, failed, length};
use crate::state::{StateError, Timestamp, generations};

/// A log that is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// How many entries it has.
    pub entries: u64,
    /// When the first was made.
    pub first: Option<Timestamp>,
    /// When the last was made.
    pub last: Option<Timestamp>,
    /// The hash of the last; zeros for none. Whoever keeps it elsewhere can tell later that the log still begins like this.
    pub hash: String,
    /// Bytes of an entry at the end that is not whole: it is being appended, or a crash cut it off.
    pub unfinished: u64,
    /// Whether unfinished entries of earlier crashes are kept aside.
    pub torn: bool,
}

/// Where a log is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The file.
    pub file: String,
    /// The line, from 1; 0: the file as a whole.
    pub line: u64,
    /// What is wrong there.
    pub what: String,
}

/// What verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is there as it was written.
    Whole(Report),
    /// It is not.
    Broken(Broken),
}

/// Verifies the log of a state directory, from its first entry to its last. Needs no lock and writes nothing.
///
/// An agent may append meanwhile. It appends to the log, then replaces the head: so the log is measured before its head is
/// read, and what is behind both is left for the next time. What was measured is at most one entry ahead of that head.
///
/// # Errors
/// A file cannot be read.
pub fn verify(directory: &Path) -> Result<Verdict, StateError> {
    fs::read_dir(directory).map_err(failed(directory))?;
    let log = directory.join(LOG);
    let measured = length(&log)?;
    let has_generations = generations::are_kept(directory);
    let broken = |path: &Path, line, what: String| {
        Ok(Verdict::Broken(Broken { file: path.display().to_string(), line, what }))
    };
    let known = match Head::read(directory) {
        Ok(head) => head,
        Err(StateError::Damaged { what, .. }) => return broken(&directory.join(HEAD), 0, what),
        Err(error) => return Err(error),
    };
    if known.is_none() && has_generations {
        return broken(&directory.join(HEAD), 0, "it is missing, but generations were made".to_owned());
    }
    let head = known.clone().unwrap_or_default();
    let file = match File::open(&log) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(cause) => return Err(failed(&log)(cause)),
    };
    let mut reader = file.map(|file| BufReader::new(file.take(measured.max(head.end))));
    let torn = directory.join(TORN).exists();
    let hash = chain::FIRST.to_owned();
    let mut report = Report { entries: 0, first: None, last: None, hash, unfinished: 0, torn };
    let mut line = Vec::new();
    let mut end = 0;
    loop {
        line.clear();
        let read = match &mut reader {
            Some(reader) => reader.read_until(b'\n', &mut line).map_err(failed(&log))?,
            None => 0,
        };
        if read == 0 {
            break;
        }
        let number = report.entries + 1;
        if known.is_none() {
            return broken(&directory.join(HEAD), 0, "it is missing, but there are entries".to_owned());
        }
        if report.entries > head.seq {
            return broken(&log, number, format!("its head knows {} entries: there are too many", head.seq));
        }
        let seen = match chain::check(&line) {
            Ok(seen) => seen,
            // Only what no head knew yet can be unfinished, and nothing follows it.
            Err(_) if report.entries == head.seq => {
                report.unfinished = read as u64;
                line.clear();
                let more = match &mut reader {
                    Some(reader) => reader.read_until(b'\n', &mut line).map_err(failed(&log))?,
                    None => 0,
                };
                if more > 0 {
                    return broken(&log, number, "it is no entry, and not the last line".to_owned());
                }
                break;
            }
            Err(what) => return broken(&log, number, what),
        };
        if let Err(what) = chain::follows(&seen, report.entries, &report.hash) {
            return broken(&log, number, what);
        }
        end += read as u64;
        report.entries = seen.seq;
        report.first = report.first.or(Some(seen.time));
        report.last = Some(seen.time);
        report.hash = seen.hash;
        if report.entries == head.seq && (report.hash != head.hash || end != head.end) {
            return broken(&log, number, "its head names another entry here".to_owned());
        }
    }
    if report.entries < head.seq {
        let (there, known) = (report.entries, head.seq);
        return broken(&log, there + 1, format!("the log ends here, but its head knows {known} entries"));
    }
    Ok(Verdict::Whole(report))
}
