//! The bodies of the fuzz targets: bytes in, and a panic where something that must hold does not.
//!
//! ```text
//!  parse      a frame through the parsing stages           against what it says itself, and etherparse
//!  decision   a frame through the whole decision           model: what the policy says of it, said again
//!                                                          again: what must not change the answer
//!                                                          kernel: the program itself, when asked for
//!  policy     a text through loader and compiler           every problem has its place; every key is found
//!  capture    a file through the capture reader            however it is read, the same frames
//! ```
//! libFuzzer calls them (`fuzz/`, see `docs/fuzzing.md`); a test calls them with every seed and every
//! regression file.

mod again;
mod capture;
mod decision;
mod kernel;
mod model;
mod parse;
mod policy;
pub mod seeds;

use std::fs;
use std::path::{Path, PathBuf};

pub use capture::capture;
pub use decision::decision;
pub use parse::parse;
pub use policy::policy;

/// What a target does with an input.
pub type Body = fn(&[u8]);

/// Every target by name.
pub const TARGETS: [(&str, Body); 4] =
    [("parse", parse), ("decision", decision), ("policy", policy), ("capture", capture)];

/// The folder of the fuzz targets.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// Every file of a target in `kind` (`seeds` or `regressions`), by name. A target without any has no folder.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn files(kind: &str, target: &str) -> std::io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let folder = folder().join(kind).join(target);
    let mut paths = Vec::new();
    if folder.exists() {
        for entry in fs::read_dir(folder)? {
            paths.push(entry?.path());
        }
    }
    paths.sort();
    paths.into_iter().map(|path| Ok((path.clone(), fs::read(path)?))).collect()
}
