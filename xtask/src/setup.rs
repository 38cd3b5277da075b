//! What the eBPF build and the tests need, and how to get it. Building and running keysteer needs none of this:
//! the object is committed.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell::{self, is_root, output};

/// LLVM of Debian's `rustc-web` (1.96). The linker must be built against the same.
pub(crate) const LLVM: &str = "/usr/lib/llvm-22";
/// Version of bpf-linker that is known to work with it.
pub(crate) const BPF_LINKER: &str = "0.13.0";

/// Debian packages: a rustc with library sources, and the LLVM that it was built with.
const PACKAGES: &[&str] =
    &["rustc-web", "cargo-web", "rust-web-src", "llvm-22-dev", "libzstd-dev", "zlib1g-dev"];

/// Debian packages that tests run: the dissector that packets are read by besides us.
const DISSECTOR: &[&str] = &["tshark"];

const APT: &str = "/usr/bin/apt-get";

/// Installs what is missing.
pub(crate) fn run() -> Result<()> {
    if !Path::new(APT).exists() {
        bail!("{}", elsewhere());
    }
    require(&[PACKAGES, DISSECTOR].concat())?;
    if linker_version().as_deref() != Some(BPF_LINKER) {
        shell::run(
            Command::new("cargo")
                .args(["install", "bpf-linker", "--locked", "--force", "--version", BPF_LINKER])
                .args(["--no-default-features", "--features", "llvm-22"])
                .env("LLVM_PREFIX", LLVM)
                .env("LLVM_SYS_221_PREFIX", LLVM),
        )?;
    }
    println!("ready: `cargo xtask ebpf` builds the eBPF object, `cargo xtask test` tests it");
    Ok(())
}

/// Installs those of these Debian packages that are missing.
pub(crate) fn require(packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !Path::new(APT).exists() || !is_root() {
        bail!("as root on Debian: apt-get install {}\nthen run this again", missing.join(" "));
    }
    shell::run(Command::new(APT).args(["update", "--quiet"]))?;
    shell::run(
        Command::new(APT)
            .args(["install", "--yes", "--quiet", "--no-install-recommends"])
            .args(&missing)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// The version of the linker on the path.
pub(crate) fn linker_version() -> Option<String> {
    output(Command::new("bpf-linker").arg("--version"))
        .ok()
        .and_then(|line| line.split_whitespace().last().map(str::to_owned))
}

fn installed(package: &str) -> bool {
    output(Command::new("dpkg-query").args(["-W", "-f=${Status}", package]))
        .is_ok_and(|status| status.ends_with("ok installed"))
}

fn elsewhere() -> String {
    format!(
        "this is not Debian or Ubuntu. The eBPF build needs:\n\
         - a rustc 1.96 with its library sources (rust-src) and RUSTC_BOOTSTRAP, as /usr/bin/rustc and\n  \
           /usr/bin/cargo, or named by KEYSTEER_RUSTC and KEYSTEER_CARGO\n\
         - LLVM 22 with headers and llvm-objcopy, in {LLVM} or where KEYSTEER_LLVM says\n\
         - LLVM_PREFIX={LLVM} LLVM_SYS_221_PREFIX={LLVM} cargo install bpf-linker --locked \
           --version {BPF_LINKER} --no-default-features --features llvm-22\n\
         The tests need tshark, version 4, on the path.\n\
         Building and running keysteer needs none of it: the object is committed."
    )
}
