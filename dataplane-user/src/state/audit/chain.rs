//! A line of the log and its hash. The hash is the SHA-256 of the line's own text without its last member, so that it can be
//! checked without understanding the entry, by any later version and with a shell:
//!
//! ```text
//! {"seq":2,"time":"…", … ,"prev":"a1…","hash":"b2…"}     the line
//! {"seq":2,"time":"…", … ,"prev":"a1…"}                  what b2… is the hash of
//! ```

use serde::{Deserialize, Serialize};

use super::{Entry, Event};
use crate::state::Timestamp;
use crate::state::file::sha256;

/// What the first entry has as the hash of the one before.
pub(super) const FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What the last member begins with.
const LAST: &str = ",\"hash\":\"";

/// A rendered entry.
pub(super) struct Line {
    /// With its line feed.
    pub(super) text: String,
    pub(super) hash: String,
}

/// An entry that has no hash yet.
pub(super) fn link(seq: u64, time: Timestamp, event: Event, prev: &str) -> Entry {
    Entry { seq, time, event, prev: prev.to_owned(), hash: String::new() }
}

/// Renders an entry and computes its hash.
pub(super) fn line(entry: &Entry) -> serde_json::Result<Line> {
    /// An entry without its hash.
    #[derive(Serialize)]
    struct Hashed<'e> {
        seq: u64,
        time: Timestamp,
        #[serde(flatten)]
        event: &'e Event,
        prev: &'e str,
    }
    let Entry { seq, time, event, prev, .. } = entry;
    let mut text = serde_json::to_string(&Hashed { seq: *seq, time: *time, event, prev })?;
    let hash = sha256(text.as_bytes());
    text.truncate(text.len() - 1);
    text.extend([LAST, &hash, "\"}\n"]);
    Ok(Line { text, hash })
}

/// What the chain asks of an entry.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Seen {
    pub(super) seq: u64,
    pub(super) time: Timestamp,
    pub(super) prev: String,
    pub(super) hash: String,
}

/// Checks a line by itself, or says what is wrong with it.
pub(super) fn check(line: &[u8]) -> Result<Seen, String> {
    let text = line.strip_suffix(b"\n").ok_or("its end is missing")?;
    let text = str::from_utf8(text).map_err(|_| "it is no text")?;
    let (hashed, hash) = text.rsplit_once(LAST).ok_or("it has no hash")?;
    if hash.strip_suffix("\"}") != Some(&sha256(format!("{hashed}}}").as_bytes())) {
        return Err("its content is not what its hash says".to_owned());
    }
    serde_json::from_str(text).map_err(|error| format!("it is no entry: {error}"))
}

/// Checks that an entry follows one of number `seq` and hash `hash`.
pub(super) fn follows(seen: &Seen, seq: u64, hash: &str) -> Result<(), String> {
    if seen.seq != seq + 1 {
        return Err(format!("it is entry {}, but {} should be here", seen.seq, seq + 1));
    }
    if seen.prev != hash {
        return Err("the entry before is not the one that it followed".to_owned());
    }
    Ok(())
}

/// What is behind the last entry that the head knows.
pub(super) enum Rest {
    /// An entry, whole: its head was not written any more.
    Entry(Seen),
    /// A part of an entry.
    Torn,
    /// What no crash leaves.
    Foreign(String),
}

/// Looks at what follows the entry of number `seq` and hash `hash`; it is not empty.
pub(super) fn rest(bytes: &[u8], seq: u64, hash: &str) -> Rest {
    // An entry has one line feed, its last byte: a part of it has none before its own last byte.
    let one = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if one.contains(&b'\n') {
        return Rest::Foreign("there is more than one entry".to_owned());
    }
    match check(bytes) {
        Ok(seen) => match follows(&seen, seq, hash) {
            Ok(()) => Rest::Entry(seen),
            Err(what) => Rest::Foreign(what),
        },
        Err(_) => Rest::Torn,
    }
}
