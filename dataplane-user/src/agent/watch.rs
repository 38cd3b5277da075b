//! The policy file, followed: also a directory, and the symlink swap by which Kubernetes changes a mounted ConfigMap.
//!
//! Its files are looked at, by what the file system says of them, which works wherever files can be; a change is taken
//! up once it has stood still for a moment. A policy that is not valid is said and shown, and displaces nothing.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::steward::{Apply, ChangeError, Steward};
use crate::policy::Bundle;

/// How often the files are looked at.
pub const EVERY: Duration = Duration::from_millis(500);
/// How long a change must have stood still.
const STILL: Duration = Duration::from_millis(400);

/// What the file system says of a file: it changes with every write and with every file that takes its place.
type Seal = Vec<(PathBuf, u64, u64, i64, i64, u64)>;

/// A policy file that is followed.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// As it was taken up last.
    seal: Seal,
    /// A change that has not stood still yet.
    moving: Option<(Seal, Instant)>,
    /// What is wrong with the file as it is.
    trouble: Option<String>,
}

impl Watch {
    /// Follows the policy at `path` from now on; `trouble` is what is wrong with it as it is. One that `waits` is taken up as soon as it
    /// can be.
    pub fn new(path: &Path, trouble: Option<String>, waits: bool) -> Self {
        let state = State { seal: if waits { Seal::new() } else { seal(path) }, moving: None, trouble };
        Self { path: path.to_owned(), state: Mutex::new(state) }
    }

    /// What is wrong with the file as it is, if it is not in force for that.
    pub fn trouble(&self) -> Option<String> {
        self.state().trouble.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks once, and takes up a change that has stood still.
    pub fn look(&self, steward: &Steward) {
        let now = seal(&self.path);
        {
            let mut state = self.state();
            if now == state.seal {
                state.moving = None;
                return;
            }
            match &state.moving {
                Some((moving, since)) if *moving == now && since.elapsed() >= STILL => {}
                Some((moving, _)) if *moving == now => return,
                _ => {
                    state.moving = Some((now, Instant::now()));
                    return;
                }
            }
        }
        if steward.is_rolling_out() {
            let waits = "it changed, and waits for the change before it, whose keys move in steps: look at `keysteer rollout show`";
            self.state().trouble = Some(waits.to_owned());
            steward.file_is(false);
            return;
        }
        if self.is_as_taken_up(steward) {
            tracing::info!("something beside the policy file changed, which it does not read");
            let mut state = self.state();
            (state.seal, state.moving, state.trouble) = (now, None, None);
            steward.file_is(true);
            return;
        }
        self.take_up(steward, "watch");
    }

    /// Whether the file, with all that it reads, is what was taken up last: a policy that came another way since then
    /// is not displaced by it.
    fn is_as_taken_up(&self, steward: &Steward) -> bool {
        Bundle::read(&self.path).is_ok_and(|bundle| steward.has_followed(&bundle.digest()))
    }

    /// Reads the file and applies it, whether it changed or not.
    pub fn take_up(&self, steward: &Steward, why: &'static str) {
        let before = seal(&self.path);
        let none = AtomicBool::new(false);
        let done = match Bundle::read(&self.path) {
            Ok(bundle) => {
                let digest = bundle.digest();
                match steward.apply(&Apply::by_agent(bundle, why, &none)) {
                    // Somebody else changes the node at this moment: the file has its turn with one of the next looks.
                    Err(error @ (ChangeError::Busy | ChangeError::RollingOut(_))) => {
                        let mut state = self.state();
                        state.seal = Seal::new();
                        state.moving = None;
                        if matches!(error, ChangeError::RollingOut(_)) {
                            state.trouble = Some(error.to_string());
                        }
                        return;
                    }
                    Ok(applied) => {
                        if let Err(error) = steward.followed(&digest) {
                            tracing::error!(%error, "that the policy file was taken up cannot be kept");
                        }
                        Ok(applied)
                    }
                    Err(error) => Err(error.to_string()),
                }
            }
            Err(error) => Err(error.to_string()),
        };
        let mut state = self.state();
        state.seal = before;
        state.moving = None;
        state.trouble = match done {
            Ok(applied) => {
                let generation = applied.generation;
                if applied.changed {
                    tracing::info!(
                        generation,
                        millis = applied.millis,
                        "the policy file changed and is in force"
                    );
                } else {
                    tracing::info!(generation, "the policy file means what is in force");
                }
                None
            }
            Err(error) => {
                let file = self.path.display().to_string();
                tracing::error!(file, %error, "the policy file is not in force: the policy before it still is");
                Some(error)
            }
        };
        steward.file_is(state.trouble.is_none());
    }
}

/// What the file system says of the policy at `path`, and of what lies beside it, where that may belong to it.
fn seal(path: &Path) -> Seal {
    let directory = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let beside =
        fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let belongs = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| ["yaml", "yml", "csv"].iter().any(|known| extension == *known))
    };
    let mut files: Vec<PathBuf> = beside.filter(belongs).collect();
    if !path.is_dir() {
        files.push(path.to_owned());
    }
    files.sort();
    files.dedup();
    let about = |path: PathBuf| {
        let about = fs::metadata(&path).ok()?;
        Some((path, about.dev(), about.ino(), about.mtime(), about.mtime_nsec(), about.len()))
    };
    files.into_iter().filter_map(about).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn writes_and_swapped_links_are_noticed_and_other_files_are_not() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for (version, text) in [("..1", "a"), ("..2", "b")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("policy.yaml"), text).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/policy.yaml", at("policy.yaml")).unwrap();
        let (file, directory) = (at("policy.yaml"), place.path().to_owned());
        let before = [seal(&file), seal(&directory)];
        fs::write(at("notes.txt"), "x").unwrap();
        assert_eq!([seal(&file), seal(&directory)], before);
        symlink("..2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        let swapped = [seal(&file), seal(&directory)];
        assert!(swapped[0] != before[0] && swapped[1] != before[1]);
        fs::write(at("keys.csv"), "x").unwrap();
        assert_ne!(seal(&file), swapped[0]);
    }
}
