//! Refuses to build against an eBPF object that is older than its sources (decision 8), and puts the
//! object where `include_bytes!` in the kernel module finds it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::exit;

#[path = "../dataplane-ebpf/object/manifest.rs"]
mod manifest;

const REBUILD: &str = "run `cargo xtask ebpf` (after `cargo xtask setup`, once), then build again";

fn stop(what: &str) -> ! {
    eprintln!("error: {what}: {REBUILD}");
    exit(1)
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for watched in
        ["common", "dataplane-ebpf/src", "dataplane-ebpf/Cargo.toml", "dataplane-ebpf/object", "Cargo.lock"]
    {
        println!("cargo::rerun-if-changed=../{watched}");
    }

    let Ok(manifest) = manifest::read(&root) else { stop(&format!("there is no {}", manifest::MANIFEST)) };
    let Ok(object) = std::fs::read(root.join(manifest::OBJECT)) else {
        stop(&format!("there is no {}", manifest::OBJECT))
    };
    if manifest.get("object") != Some(&manifest::digest(&object)) {
        stop(&format!("{} is not the one its manifest describes", manifest::OBJECT));
    }
    let sources = match manifest::source_digest(&root) {
        Ok(sources) => sources,
        Err(error) => stop(&format!("cannot read the sources of the eBPF object ({error})")),
    };
    if manifest.get("sources") != Some(&sources) {
        stop("the eBPF object is older than its sources");
    }
    let object: PathBuf = root.join(manifest::OBJECT);
    let object = object.canonicalize().unwrap_or(object);
    println!("cargo::rustc-env=KEYSTEER_OBJECT={}", object.display());
    println!("cargo::rustc-env=KEYSTEER_SOURCES={sources}");
}
