// What the committed object was built from. Included by path in `xtask` (which writes it) and in
// `dataplane-user/build.rs` (which refuses to build against a stale object).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The object, relative to the top of the tree.
pub(crate) const OBJECT: &str = "dataplane-ebpf/object/keysteer.bpf.o";
/// The benchmark's wrapper, which is not part of keysteer.
#[allow(dead_code, reason = "only xtask builds it")]
pub(crate) const BENCH_OBJECT: &str = "dataplane-ebpf/object/bench.bpf.o";
/// Their manifest, relative to the top of the tree.
pub(crate) const MANIFEST: &str = "dataplane-ebpf/object/manifest.txt";

/// Folders whose Rust sources are compiled into the object.
const SOURCES: &[&str] = &["common/src", "dataplane-ebpf/src"];
/// Further files that decide what is built.
const FILES: &[&str] = &["common/Cargo.toml", "dataplane-ebpf/Cargo.toml"];
/// Packages of the lock file that end up in the object.
const PACKAGES: &[&str] =
    &["aya-ebpf", "aya-ebpf-bindings", "aya-ebpf-cty", "aya-ebpf-macros", "network-types"];

/// `key = value` lines.
pub(crate) type Manifest = BTreeMap<String, String>;

/// Hex SHA-256.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every file under `folder` that is compiled into the object: Rust sources but tests.
fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if name != "tests" {
                rust_files(&path, into)?;
            }
        } else if name.ends_with(".rs") && name != "tests.rs" {
            into.push(path);
        }
    }
    Ok(())
}

/// Digest of everything that the object is built from, except the toolchain.
pub(crate) fn source_digest(root: &Path) -> io::Result<String> {
    let mut files: Vec<PathBuf> = FILES.iter().map(|file| root.join(file)).collect();
    for folder in SOURCES {
        rust_files(&root.join(folder), &mut files)?;
    }
    files.sort();
    let mut all = Sha256::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
        all.update(name.as_bytes());
        all.update([0]);
        let text = fs::read_to_string(&file)?;
        // What only tests depend on does not reach the object.
        let built = text.split("[dev-dependencies]").next().unwrap_or_default();
        all.update(digest(if name.ends_with(".toml") { built } else { &text }.as_bytes()));
    }
    let lock = fs::read_to_string(root.join("Cargo.lock"))?;
    for package in lock.split("[[package]]") {
        let name = package.lines().find_map(|line| line.strip_prefix("name = ")).unwrap_or_default();
        if PACKAGES.contains(&name.trim_matches('"')) {
            all.update(package.trim().as_bytes());
        }
    }
    Ok(all.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Reads the manifest beside the committed object.
pub(crate) fn read(root: &Path) -> io::Result<Manifest> {
    let text = fs::read_to_string(root.join(MANIFEST))?;
    Ok(text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = "))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect())
}
