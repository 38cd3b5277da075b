//! The files that bundles are kept in, one each.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::state::StateError;
use crate::state::file::Kind;

/// What their names end with.
pub(super) const BUNDLE: &str = "bundle";

pub(super) const BUNDLES: Kind = Kind {
    name: "generation-bundle",
    version: 1,
    consequence: "the generation can no longer be rebuilt; apply its policy again",
};

/// A bundle file's body.
#[derive(Serialize, Deserialize)]
pub(super) struct BundleBody<T> {
    pub(super) generation: u64,
    pub(super) bundle: T,
}

/// The files of bundles in a directory, also unfinished ones, with the number of each that is finished.
pub(super) fn bundles(directory: &Path) -> Result<Vec<(Option<u64>, PathBuf)>, StateError> {
    files(directory, BUNDLE)
}

/// The files of generations whose names end with `ending`, in the same way.
pub(super) fn files(directory: &Path, ending: &str) -> Result<Vec<(Option<u64>, PathBuf)>, StateError> {
    let failed =
        |cause| StateError::Io { operation: "read the directory", path: directory.to_owned(), cause };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(failed(cause)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let (finished, name) = match name.strip_suffix(".new") {
            Some(name) => (false, name),
            None => (true, name),
        };
        let number = name.strip_suffix(ending).and_then(|rest| rest.strip_suffix('.')?.parse::<u64>().ok());
        if let Some(number) = number {
            found.push((finished.then_some(number), path));
        }
    }
    Ok(found)
}
