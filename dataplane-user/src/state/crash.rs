//! Crashes of all kinds, for tests: a change is stopped before each of its file operations, as by `kill -9`; and the disks
//! that a power cut at any moment can leave are made, with what was not synced in part, whole, empty or zero.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::StateError;
use super::disk::Operation;

/// An operation, kept.
#[derive(Clone, Debug)]
enum Kept {
    Create(PathBuf, Vec<u8>),
    Append(PathBuf, Vec<u8>),
    Truncate(PathBuf, usize),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    MakeDirectory(PathBuf),
    SyncDirectory(PathBuf),
}

thread_local! {
    /// How many more operations may happen; none: any number.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    /// Whether files are synced.
    static SYNCS: Cell<bool> = const { Cell::new(true) };
    /// What happened, while it is recorded.
    static JOURNAL: RefCell<Option<Vec<Kept>>> = const { RefCell::new(None) };
}

/// Puts bytes into a file as no writer of ours would. The file is made anew, because file systems hurry to write one that was
/// made empty to the disk, and tests do this thousands of times.
pub(super) fn spoil(path: &Path, bytes: &[u8]) {
    let _ = fs::remove_file(path);
    fs::write(path, bytes).unwrap();
}

/// While this lives, its thread syncs nothing: for tests that write thousands of files.
pub(super) struct Unsynced {
    before: bool,
}

/// Syncs nothing for a while.
pub(super) fn unsynced() -> Unsynced {
    Unsynced { before: SYNCS.replace(false) }
}

impl Drop for Unsynced {
    fn drop(&mut self) {
        SYNCS.set(self.before);
    }
}

/// What [`super::disk`] asks before it does anything: whether to do it.
pub(super) fn about_to(operation: &Operation<'_>) -> io::Result<bool> {
    if let Some(left) = LEFT.get() {
        LEFT.set(Some(left.checked_sub(1).ok_or_else(|| io::Error::other("stopped by the test"))?));
    }
    JOURNAL.with_borrow_mut(|journal| {
        if let Some(journal) = journal {
            journal.push(match *operation {
                Operation::Create(path, parts) => Kept::Create(path.to_owned(), parts.concat()),
                Operation::Append(path, bytes) => Kept::Append(path.to_owned(), bytes.to_owned()),
                Operation::Truncate(path, length) => {
                    Kept::Truncate(path.to_owned(), usize::try_from(length).unwrap())
                }
                Operation::Sync(path) => Kept::Sync(path.to_owned()),
                Operation::Rename(from, to) => Kept::Rename(from.to_owned(), to.to_owned()),
                Operation::Remove(path) => Kept::Remove(path.to_owned()),
                Operation::MakeDirectory(path) => Kept::MakeDirectory(path.to_owned()),
                Operation::SyncDirectory(path) => Kept::SyncDirectory(path.to_owned()),
            });
        }
    });
    Ok(SYNCS.get() || !matches!(operation, Operation::Sync(_) | Operation::SyncDirectory(_)))
}

/// What a crash left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left<'d> {
    /// The state directory.
    pub(crate) directory: &'d Path,
    /// Before which operation it happened, from 0.
    pub(crate) at: usize,
    /// Whether the change had returned by then.
    pub(crate) done: bool,
}

/// Stops `change` before each operation that it makes on what `before` made, and lets `check` look at what is left; the last
/// time `change` is not stopped. Says how many operations there were.
pub(crate) fn every_stop(
    before: impl Fn(&Path),
    change: impl Fn(&Path) -> Result<(), StateError>,
    check: impl Fn(Left<'_>),
) -> usize {
    let _quick = unsynced();
    for at in 0.. {
        let directory = tempfile::tempdir().unwrap();
        before(directory.path());
        LEFT.set(Some(at));
        let changed = change(directory.path());
        LEFT.set(None);
        if let Err(error) = &changed {
            assert!(error.to_string().contains("stopped by the test"), "{error}");
        }
        check(Left { directory: directory.path(), at, done: changed.is_ok() });
        if changed.is_ok() {
            return at;
        }
    }
    unreachable!("a change ends")
}

/// Cuts the power at each moment of `change` on what `before` made, and lets `check` look at every disk that it can leave.
/// Says how many disks there were.
pub(super) fn every_power_cut(
    before: impl Fn(&Path),
    change: impl Fn(&Path) -> Result<(), StateError>,
    check: impl Fn(Left<'_>),
) -> usize {
    let _quick = unsynced();
    let directory = tempfile::tempdir().unwrap();
    before(directory.path());
    let mut disk = Disk::of(directory.path());
    JOURNAL.set(Some(Vec::new()));
    let changed = change(directory.path());
    let journal = JOURNAL.take().unwrap();
    changed.unwrap();
    let mut disks = 0;
    for at in 0..=journal.len() {
        for left in disk.possible() {
            disks += 1;
            let place = tempfile::tempdir().unwrap();
            for (path, content) in left {
                let path = place.path().join(path.strip_prefix(directory.path()).unwrap());
                match content {
                    None => fs::create_dir_all(path).unwrap(),
                    Some(content) => {
                        fs::create_dir_all(path.parent().unwrap()).unwrap();
                        fs::write(path, content).unwrap();
                    }
                }
            }
            check(Left { directory: place.path(), at, done: at == journal.len() });
        }
        if let Some(operation) = journal.get(at) {
            disk.apply(operation);
        }
    }
    disks
}

/// A change of the names in directories.
#[derive(Clone, Debug)]
enum Entry {
    Put(PathBuf, usize),
    Move(PathBuf, PathBuf),
    Remove(PathBuf),
    Directory(PathBuf),
}

impl Entry {
    fn is_in(&self, directory: &Path) -> bool {
        let (Self::Put(path, _) | Self::Move(_, path) | Self::Remove(path) | Self::Directory(path)) = self;
        path.parent() == Some(directory)
    }
}

/// Names and the files that they stand for; none for directories.
type Names = BTreeMap<PathBuf, Option<usize>>;

/// A file's content: on the disk, and as it is seen.
#[derive(Clone, Debug, Default)]
struct Content {
    synced: Vec<u8>,
    seen: Vec<u8>,
}

/// A disk with what was not synced to it. Changes of names reach it in order, contents in any.
#[derive(Debug)]
struct Disk {
    synced: Names,
    pending: Vec<Entry>,
    files: Vec<Content>,
}

impl Disk {
    /// Everything that is in a directory, synced.
    fn of(directory: &Path) -> Self {
        let mut disk = Self { synced: Names::new(), pending: Vec::new(), files: Vec::new() };
        disk.synced.insert(directory.to_owned(), None);
        let mut open = vec![directory.to_owned()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    disk.synced.insert(path.clone(), None);
                    open.push(path);
                } else {
                    let bytes = fs::read(&path).unwrap();
                    disk.synced.insert(path, Some(disk.files.len()));
                    disk.files.push(Content { synced: bytes.clone(), seen: bytes });
                }
            }
        }
        disk
    }

    fn names(&self, pending: usize) -> Names {
        let mut names = self.synced.clone();
        for entry in &self.pending[..pending] {
            match entry {
                Entry::Put(path, file) => drop(names.insert(path.clone(), Some(*file))),
                Entry::Move(from, to) => {
                    let file = names.remove(from).unwrap();
                    names.insert(to.clone(), file);
                }
                Entry::Remove(path) => drop(names.remove(path)),
                Entry::Directory(path) => drop(names.insert(path.clone(), None)),
            }
        }
        names
    }

    fn seen(&mut self, path: &Path) -> Option<&mut Content> {
        let file = self.names(self.pending.len()).get(path).copied().flatten()?;
        self.files.get_mut(file)
    }

    fn apply(&mut self, operation: &Kept) {
        match operation {
            Kept::Create(path, bytes) => {
                if let Some(content) = self.seen(path) {
                    content.seen.clone_from(bytes);
                } else {
                    self.pending.push(Entry::Put(path.clone(), self.files.len()));
                    self.files.push(Content { synced: Vec::new(), seen: bytes.clone() });
                }
            }
            Kept::Append(path, bytes) => {
                if let Some(content) = self.seen(path) {
                    content.seen.extend(bytes);
                } else {
                    self.apply(&Kept::Create(path.clone(), bytes.clone()));
                }
            }
            Kept::Truncate(path, length) => self.seen(path).unwrap().seen.truncate(*length),
            Kept::Sync(path) => {
                let content = self.seen(path).unwrap();
                content.synced.clone_from(&content.seen);
            }
            Kept::Rename(from, to) => self.pending.push(Entry::Move(from.clone(), to.clone())),
            Kept::Remove(path) => {
                if self.seen(path).is_some() {
                    self.pending.push(Entry::Remove(path.clone()));
                }
            }
            Kept::MakeDirectory(path) => self.pending.push(Entry::Directory(path.clone())),
            Kept::SyncDirectory(directory) => {
                // In order: whatever came before the last change in this directory is on the disk, too.
                let last = self.pending.iter().rposition(|entry| entry.is_in(directory));
                if let Some(last) = last {
                    self.synced = self.names(last + 1);
                    self.pending.drain(..=last);
                }
            }
        }
    }

    /// Every disk that there can be after a power cut now.
    fn possible(&self) -> Vec<BTreeMap<PathBuf, Option<Vec<u8>>>> {
        let mut all = Vec::new();
        for pending in 0..=self.pending.len() {
            let mut partly: Vec<BTreeMap<PathBuf, Option<Vec<u8>>>> = vec![BTreeMap::new()];
            for (path, file) in self.names(pending) {
                let contents: Vec<Option<Vec<u8>>> = match file {
                    None => vec![None],
                    Some(file) => self.files[file].possible().into_iter().map(Some).collect(),
                };
                partly = partly
                    .iter()
                    .flat_map(|disk| {
                        contents.iter().map(|content| {
                            let mut disk = disk.clone();
                            disk.insert(path.clone(), content.clone());
                            disk
                        })
                    })
                    .collect();
            }
            all.append(&mut partly);
        }
        all
    }
}

impl Content {
    /// What can be on the disk: the old, the new, a part of the new, and the new's length with zeros for what is new.
    fn possible(&self) -> Vec<Vec<u8>> {
        let Self { synced, seen } = self;
        if synced == seen {
            return vec![seen.clone()];
        }
        let same = synced.iter().zip(seen).take_while(|(a, b)| a == b).count();
        let mut torn = seen.clone();
        torn.truncate(same + (seen.len() - same) / 2);
        let mut zeros = seen.clone();
        zeros[same..].fill(0);
        // The second half was written and the first was not.
        let mut holed = seen.clone();
        holed[same..same + (seen.len() - same) / 2].fill(0);
        vec![synced.clone(), seen.clone(), torn, zeros, holed]
    }
}
