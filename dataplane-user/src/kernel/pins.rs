//! Where a node's objects are pinned, so that they outlive the agent: one directory on a BPF file system.
//!
//! ```text
//!  <root>/abi-<ABI>/
//!    counters-<n>/    TALLIES KEY_COUNTERS KEY_EVENTS KEY_WORDS SHARD_WORDS     shared by generations
//!    generation-<n>/  program, and the maps of its policy
//!    variant-<n>      the same, until it takes the place of generation n
//!    link-<index>     the program on the interface of that index
//!    egress-<index>   the program on what leaves by it
//!    link-<index>-filter, egress-<index>-filter, clsact-<index>     a directory, of a filter, which has no object: see `filter`
//!    flows            flows that opened while placements change, shared by generations
//!    spare            tables of a program that has no policy yet
//!    intent-<n>       while generation n is being committed
//! ```
//! A file system of this kind holds nothing but objects and directories, and no name with a dot.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use keysteer_common::config::ABI;

use super::filter::{self, MARK};

/// Where they are, unless the command line says otherwise.
pub const DEFAULT_DIRECTORY: &str = "/sys/fs/bpf/keysteer";

/// `BPF_FS_MAGIC` of linux/magic.h.
const BPF_FS: i64 = 0xcafe_4a11;

/// The pins cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// Not a BPF file system.
    #[error(
        "{} is not on a BPF file system; mount one (`mount -t bpf bpf /sys/fs/bpf`), or name a directory on one with --bpffs",
        path.display()
    )]
    NotBpf {
        /// The directory.
        path: PathBuf,
    },
    /// Another agent works here.
    #[error("another agent uses {}; stop it first: a node has one", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// Left by another version.
    #[error(
        "{} holds what a keysteer of ABI {found} left (this one has ABI {ABI}), perhaps still steering; run that version again, or end its steering with `keysteer agent --cleanup` and start anew (its counters end)",
        path.display()
    )]
    Version {
        /// The directory.
        path: PathBuf,
        /// Whose.
        found: String,
    },
    /// A pinned object is not what it should be.
    #[error("{} is not what this keysteer pinned ({what}); `keysteer agent --cleanup` removes all pins and ends steering", path.display())]
    Strange {
        /// The pin.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// An operation failed.
    #[error("cannot {operation} {}: {cause}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which pin.
        path: PathBuf,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
}

impl PinError {
    pub(super) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { operation, path: path.to_owned(), cause }
    }

    pub(super) fn strange(path: &Path, what: impl Into<String>) -> Self {
        Self::Strange { path: path.to_owned(), what: what.into() }
    }
}

/// The directory, used by this process alone until dropped.
#[derive(Debug)]
pub struct Pins {
    root: PathBuf,
    _lock: File,
}

const COUNTERS: &str = "counters-";
const GENERATION: &str = "generation-";
const VARIANT: &str = "variant-";
pub(super) const LINK: &str = "link-";
pub(super) const EGRESS: &str = "egress-";
pub(super) const FLOWS: &str = "flows";
const INTENT: &str = "intent-";

impl Pins {
    /// Opens the directory, and makes it on first use.
    ///
    /// # Errors
    /// It is on no BPF file system, in use, or holds what another version left.
    pub fn open(directory: &Path) -> Result<Self, PinError> {
        let lock = own(directory)?;
        let ours = format!("abi-{ABI}");
        for name in names(directory)? {
            if name != ours {
                let found =
                    name.strip_prefix("abi-").map_or_else(|| format!("unknown ({name})"), str::to_owned);
                return Err(PinError::Version { path: directory.to_owned(), found });
            }
        }
        let root = directory.join(ours);
        make(&root)?;
        Ok(Self { root, _lock: lock })
    }

    /// Where everything is.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where counter set `number` is.
    pub(super) fn counters(&self, number: u64) -> PathBuf {
        self.root.join(format!("{COUNTERS}{number}"))
    }

    /// Where generation `number` is.
    pub(super) fn generation(&self, number: u64) -> PathBuf {
        self.root.join(format!("{GENERATION}{number}"))
    }

    /// Where a variant of generation `number` is until it takes its place.
    pub(super) fn variant(&self, number: u64) -> PathBuf {
        self.root.join(format!("{VARIANT}{number}"))
    }

    /// Where the tables of a program are that has no policy yet.
    pub(super) fn spare(&self) -> PathBuf {
        self.root.join("spare")
    }

    /// Where flows are pinned that opened while placements change.
    pub(super) fn flows(&self) -> PathBuf {
        self.root.join(FLOWS)
    }

    /// Numbers of the generations that have a variant pinned.
    pub(super) fn variants(&self) -> Result<Vec<u64>, PinError> {
        self.numbers(VARIANT)
    }

    /// Where the link of interface `index` is.
    pub(super) fn link(&self, index: u32) -> PathBuf {
        self.root.join(format!("{LINK}{index}"))
    }

    /// Where the link on what leaves by interface `index` is.
    pub fn egress(&self, index: u32) -> PathBuf {
        self.root.join(format!("{EGRESS}{index}"))
    }

    /// Numbers of the pinned counter sets, ascending.
    pub(super) fn counter_sets(&self) -> Result<Vec<u64>, PinError> {
        self.numbers(COUNTERS)
    }

    /// Numbers of the pinned generations, ascending.
    pub fn generations(&self) -> Result<Vec<u64>, PinError> {
        self.numbers(GENERATION)
    }

    /// Indices of the interfaces whose links are pinned.
    pub(super) fn links(&self) -> Result<Vec<u32>, PinError> {
        self.indices(LINK)
    }

    /// Indices of the interfaces whose links on what leaves are pinned.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn egresses(&self) -> Result<Vec<u32>, PinError> {
        self.indices(EGRESS)
    }

    /// The generation whose commit has begun and not ended.
    pub fn intent(&self) -> Result<Option<u64>, PinError> {
        Ok(self.numbers(INTENT)?.pop())
    }

    /// Says that the commit of generation `number` begins.
    pub(super) fn begin(&self, number: u64) -> Result<(), PinError> {
        make(&self.root.join(format!("{INTENT}{number}")))
    }

    /// Says that the commit of generation `number` has ended.
    pub(super) fn end(&self, number: u64) -> Result<(), PinError> {
        remove(&self.root.join(format!("{INTENT}{number}")))
    }

    /// Makes an empty directory for objects; what was there is removed.
    pub(super) fn fresh(&self, path: &Path) -> Result<(), PinError> {
        remove(path)?;
        make(path)
    }

    /// Removes a pin, or a directory of pins.
    pub(super) fn remove(&self, path: &Path) -> Result<(), PinError> {
        remove(path)
    }

    /// Deletes the qdiscs that were made for filters which have ended.
    pub(super) fn end_qdiscs(&self) -> Result<(), PinError> {
        filter::end_qdiscs(&self.root).map_err(PinError::io("delete the qdiscs of", &self.root))
    }

    fn indices(&self, prefix: &str) -> Result<Vec<u32>, PinError> {
        Ok(indices(&names(&self.root)?, prefix))
    }

    fn numbers(&self, prefix: &str) -> Result<Vec<u64>, PinError> {
        let names = names(&self.root)?;
        let mut numbers: Vec<u64> =
            names.iter().filter_map(|name| name.strip_prefix(prefix)?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// The directories of the counter sets in a directory of pins, for who reads it beside its owner.
pub(super) fn counter_sets(root: &Path) -> Result<Vec<PathBuf>, PinError> {
    let sets = names(root)?.into_iter().filter(|name| name.starts_with(COUNTERS));
    Ok(sets.map(|name| root.join(name)).collect())
}

/// Indices of the interfaces that have a link or a filter among these names.
pub(super) fn indices(names: &[String], prefix: &str) -> Vec<u32> {
    let index = |name: &String| {
        let index = name.strip_prefix(prefix)?;
        index.strip_suffix(MARK).unwrap_or(index).parse().ok()
    };
    let mut indices: Vec<u32> = names.iter().filter_map(index).collect();
    indices.sort_unstable();
    indices.dedup();
    indices
}

/// Where hosts mount a BPF file system, if they do.
const MOUNT: &str = "/sys/fs/bpf";

/// Whether `directory` is on a BPF file system, or would be.
pub(crate) fn is_bpf(directory: &Path) -> Result<bool, PinError> {
    let parent = directory.ancestors().find(|path| path.exists()).unwrap_or(directory);
    let about =
        nix::sys::statfs::statfs(parent).map_err(|error| PinError::io("use", parent)(error.into()))?;
    Ok(about.filesystem_type().0 as i64 == BPF_FS)
}

/// Mounts a BPF file system at its usual place, for a `directory` there: hosts without systemd, and containers, often
/// lack it. Who may not is told by what follows.
fn mount(directory: &Path) {
    if directory.starts_with(MOUNT) && Path::new(MOUNT).is_dir() {
        let flags =
            nix::mount::MsFlags::MS_NOSUID | nix::mount::MsFlags::MS_NODEV | nix::mount::MsFlags::MS_NOEXEC;
        if nix::mount::mount(Some("bpf"), MOUNT, Some("bpf"), flags, Some("mode=0700")).is_ok() {
            tracing::info!("mounted a BPF file system at {MOUNT}");
        }
    }
}

/// Makes `directory` ours.
pub(super) fn own(directory: &Path) -> Result<File, PinError> {
    if !is_bpf(directory)? {
        mount(directory);
        if !is_bpf(directory)? {
            return Err(PinError::NotBpf { path: directory.to_owned() });
        }
    }
    make(directory)?;
    let lock = File::open(directory).map_err(PinError::io("open", directory))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(PinError::InUse { path: directory.to_owned() }),
        Err(TryLockError::Error(cause)) => Err(PinError::io("lock", directory)(cause)),
    }
}

pub(super) fn make(path: &Path) -> Result<(), PinError> {
    fs::create_dir_all(path).map_err(PinError::io("create", path))
}

pub(super) fn remove(path: &Path) -> Result<(), PinError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(PinError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Names in a directory.
pub(super) fn names(directory: &Path) -> Result<Vec<String>, PinError> {
    let failed = |error| PinError::io("list", directory)(error);
    let entries = fs::read_dir(directory).map_err(failed)?;
    entries
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()).map_err(failed))
        .collect()
}
