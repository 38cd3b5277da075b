//! How key ids are kept, so that a few new ones beside a million cost little:
//!
//! ```text
//!  key-ids/head            framed: the next id, the segments, and the newest ids
//!  key-ids/4f0c….segment   framed: older ids; written once, called by its digest
//!  key-ids.json            for keysteer 0.1, which kept all ids there: says that they are no longer
//! ```
//!
//! What is new goes into the head, which is replaced; when that holds too many they become a segment, and the head then names
//! it. A crash in between leaves a segment that no head names, and that means nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::texts::{self, Texts};
use super::{KeyIds, segment};
use crate::fault::{self, Step};
use crate::state::file::Kind;
use crate::state::{StateError, disk};

/// The directory inside the state directory.
const DIRECTORY: &str = "key-ids";
/// The head's file name in it.
const HEAD: &str = "head";
/// What segments' file names end with.
const SEGMENT: &str = "segment";
/// The file of keysteer 0.1, in the state directory.
const PUBLISHED: &str = "key-ids.json";

/// What that file says now. An agent of 0.1 refuses it and shows its only member, instead of giving ids anew.
const MOVED: &str =
    "{\"the ids are in key-ids/ now: a later keysteer has used this state directory, run that one\": 0}\n";

const KIND: Kind = Kind { name: "key-ids", version: 1, consequence: CONSEQUENCE };
const SEGMENTS: Kind = Kind { name: "key-ids-segment", version: 1, consequence: CONSEQUENCE };
const CONSEQUENCE: &str = "keys get new ids, so earlier counters can no longer be attributed";

/// So many ids at least are kept in the head. Tests cut files at every byte, and have segments of few.
const FEW: usize = if cfg!(test) { 8 } else { 4096 };
/// And so many, as a part of all older ones: few enough to be written quickly, enough that segments stay few.
const PART: usize = 8;

/// The head's body; `I` is a map of identities to ids.
#[derive(Serialize, Deserialize)]
struct Head<S, I> {
    /// The next id to give.
    next: u32,
    /// Older ids, oldest first.
    segments: S,
    /// The newest ids.
    ids: I,
}

/// A segment, as the head names it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Segment {
    /// The digest that its frame has; its file is called by the beginning of it.
    sha256: String,
    /// How many entries it has.
    entries: usize,
}

impl Segment {
    fn file_name(&self) -> String {
        format!("{}.{SEGMENT}", self.sha256.get(..16).unwrap_or(&self.sha256))
    }
}

/// What of some ids is kept already, and where.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    directory: PathBuf,
    segments: Vec<Segment>,
    /// How many entries are in segments.
    in_segments: usize,
    /// How many entries are kept at all.
    entries: usize,
    /// Whether the published file says that the ids are elsewhere.
    moved: bool,
}

/// What is where the published file was.
enum Published {
    Nothing,
    Moved,
    Ids(KeyIds),
}

fn path_of(directory: &Path) -> PathBuf {
    directory.join(DIRECTORY).join(HEAD)
}

/// The head's file does not hold what it should.
pub(super) fn damaged(directory: &Path, what: impl Into<String>) -> StateError {
    KIND.damaged(&path_of(directory), what)
}

/// The ids of a state directory. Nothing is written.
pub(super) fn open(directory: &Path) -> Result<KeyIds, StateError> {
    let kept = read_kept(directory)?;
    let published = read_published(directory)?;
    let Some(mut ids) = kept else {
        return match published {
            Published::Ids(ids) => Ok(ids),
            Published::Nothing => match segments_in(directory)?.first() {
                Some(found) => {
                    Err(damaged(directory, format!("it is missing, but {} is there", found.display())))
                }
                None => Ok(KeyIds::default()),
            },
            // An agent may have moved them since the head was looked for.
            Published::Moved => match read_kept(directory)? {
                Some(ids) => Ok(ids),
                None => Err(damaged(
                    directory,
                    format!("it is missing, but {PUBLISHED} says that the ids are here"),
                )),
            },
        };
    };
    match published {
        Published::Moved => {
            if let Some(kept) = &mut ids.kept {
                kept.moved = true;
            }
            Ok(ids)
        }
        Published::Nothing => Ok(ids),
        // A crash ended the move before it was said, and an agent of 0.1 may have gone on with what it had.
        Published::Ids(published) if contains(&published, &ids) => Ok(published),
        Published::Ids(published) if contains(&ids, &published) => Ok(ids),
        Published::Ids(_) => {
            let what = format!("it and {} give different ids", path_of(directory).display());
            Err(StateError::Damaged { path: directory.join(PUBLISHED), what, consequence: CONSEQUENCE })
        }
    }
}

/// Whether `more` has all ids of `fewer`, and gave no id since that `fewer` gave to another.
fn contains(more: &KeyIds, fewer: &KeyIds) -> bool {
    more.next >= fewer.next && fewer.iter().all(|(identity, id)| more.get(identity) == Some(id))
}

/// The ids that the head names; `None` where there is no head.
fn read_kept(directory: &Path) -> Result<Option<KeyIds>, StateError> {
    let Some(Head { next, segments, ids }) =
        KIND.read_json::<Head<Vec<Segment>, Texts>>(&path_of(directory))?
    else {
        return Ok(None);
    };
    let mut all = Texts::default();
    for named in &segments {
        let path = directory.join(DIRECTORY).join(named.file_name());
        let wrong = |what: &str| SEGMENTS.damaged(&path, what);
        let segment = SEGMENTS.open(&path)?.ok_or_else(|| wrong("it is missing, but the head names it"))?;
        if segment.sha256 != named.sha256 {
            return Err(wrong("it is not the one that the head names"));
        }
        let texts = segment::decode(segment.body(), named.entries).map_err(wrong)?;
        // The first is most often all there is.
        if all.len() == 0 { all = texts } else { all.append(&texts) }
    }
    let in_segments = all.len();
    all.append(&ids);
    let ids = KeyIds::from_texts(next, all).map_err(|what| damaged(directory, what))?;
    let directory = directory.to_owned();
    let kept = Kept { directory, segments, in_segments, entries: ids.len(), moved: false };
    Ok(Some(KeyIds { kept: Some(kept), ..ids }))
}

fn read_published(directory: &Path) -> Result<Published, StateError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        next: u32,
        ids: Texts,
    }
    let path = directory.join(PUBLISHED);
    let Some(bytes) = disk::read(&path)? else { return Ok(Published::Nothing) };
    if bytes == MOVED.as_bytes() {
        return Ok(Published::Moved);
    }
    let damaged = |what: String| StateError::Damaged { path: path.clone(), what, consequence: CONSEQUENCE };
    let body: Body = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    KeyIds::from_texts(body.next, body.ids.sorted()).map(Published::Ids).map_err(damaged)
}

/// Takes the head, the segments and the published file out of the way.
pub(super) fn set_aside(directory: &Path, suffix: &str) -> Result<Vec<PathBuf>, StateError> {
    // The published file last: while it says that the ids are elsewhere, their absence is noticed.
    let mut aside = Vec::new();
    for name in [DIRECTORY, PUBLISHED] {
        aside.extend(disk::set_aside(&directory.join(name), suffix)?);
    }
    Ok(aside)
}

/// Keeps what is new of `ids`, if anything is.
pub(super) fn save(ids: &mut KeyIds, directory: &Path) -> Result<(), StateError> {
    let kept = ids.kept.as_ref().filter(|kept| kept.directory == directory);
    if kept.is_some_and(|kept| kept.entries == ids.len() && kept.moved) {
        return Ok(());
    }
    fault::point(Step::BeforeIdsSaved);
    let (mut segments, mut in_segments) =
        kept.map_or((Vec::new(), 0), |kept| (kept.segments.clone(), kept.in_segments));
    let is_first = kept.is_none();
    let head = path_of(directory);
    disk::make_directory(&directory.join(DIRECTORY))?;

    let fresh = ids.len() - in_segments;
    let is_many = fresh > FEW.max(in_segments / PART);
    if is_many {
        if is_first && !head.exists() {
            // First of all, so that segments without a head are never what a crash left.
            write_head(&head, 1, &[], &ids.texts, ids.len())?;
        }
        let body = segment::encode(&ids.texts, in_segments);
        let sealed = SEGMENTS.seal(&body);
        let segment = Segment { sha256: sealed.sha256().to_owned(), entries: fresh };
        sealed.write(&directory.join(DIRECTORY).join(segment.file_name()))?;
        segments.push(segment);
        in_segments = ids.len();
    }
    write_head(&head, ids.next, &segments, &ids.texts, in_segments)?;
    if kept.is_none_or(|kept| !kept.moved) {
        disk::replace(&directory.join(PUBLISHED), &[MOVED.as_bytes()])?;
    }
    if is_many || is_first {
        remove_unnamed(directory, &segments)?;
    }
    fault::point(Step::AfterIdsSaved);
    let entries = ids.len();
    ids.kept = Some(Kept { directory: directory.to_owned(), segments, in_segments, entries, moved: true });
    Ok(())
}

fn write_head(
    path: &Path,
    next: u32,
    segments: &[Segment],
    texts: &Texts,
    first: usize,
) -> Result<(), StateError> {
    KIND.write_json(path, &Head { next, segments, ids: texts::From(texts, first) })
}

/// The segments' files, also unfinished ones.
fn segments_in(directory: &Path) -> Result<Vec<PathBuf>, StateError> {
    let directory = directory.join(DIRECTORY);
    let failed = |cause| StateError::Io { operation: "read the directory", path: directory.clone(), cause };
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(failed(cause)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.to_string_lossy().trim_end_matches(".new").ends_with(&format!(".{SEGMENT}")) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Removes segments that the head does not name: a crash left them, or the head was replaced by one of other ids.
fn remove_unnamed(directory: &Path, segments: &[Segment]) -> Result<(), StateError> {
    let names: Vec<PathBuf> =
        segments.iter().map(|segment| directory.join(DIRECTORY).join(segment.file_name())).collect();
    let unnamed = segments_in(directory)?.into_iter().filter(|path| !names.contains(path));
    unnamed.into_iter().try_for_each(|path| disk::remove(&path))
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
