//! Builds the eBPF object: compile for the BPF target, strip debug sections, keep BTF, write it with
//! a manifest that says what it was built from. Two builds in different folders give the same bytes.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::btf;
use crate::manifest;
use crate::setup;
use crate::shell::{output, root, run as run_command};

/// Build the eBPF object.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Rebuild elsewhere and compare with the committed object; exit 0 when the bytes agree.
    #[arg(long)]
    check: bool,
    /// Build a debugging object, which logs each decision through aya-log, to this path instead.
    #[arg(long, value_name = "PATH")]
    log: Option<PathBuf>,
}

const TARGET: &str = "bpfel-unknown-none";
const BINARY: &str = "keysteer-ebpf";
const BENCH_BINARY: &str = "keysteer-bench-ebpf";

/// Builds, or checks.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = root();
    let toolchain = Toolchain::find();
    if let Some(path) = &options.log {
        build(&root, &toolchain, &["log"])?;
        fs::write(path, stripped(&root, &toolchain, BINARY)?)?;
        println!("wrote {}", path.display());
        return Ok(());
    }
    build(&root, &toolchain, &[])?;
    let object = stripped(&root, &toolchain, BINARY)?;
    let bench = stripped(&root, &toolchain, BENCH_BINARY)?;
    if options.check {
        for (name, fresh) in [(manifest::OBJECT, &object), (manifest::BENCH_OBJECT, &bench)] {
            check(&root, name, fresh, &toolchain)?;
        }
        return Ok(());
    }
    fs::write(root.join(manifest::OBJECT), &object)?;
    fs::write(root.join(manifest::BENCH_OBJECT), &bench)?;
    fs::write(root.join(manifest::MANIFEST), describe(&root, &object, &toolchain)?)?;
    println!("wrote {} ({} bytes), the benchmark's and their manifest", manifest::OBJECT, object.len());
    Ok(())
}

/// The programs that build the object.
struct Toolchain {
    rustc: String,
    cargo: String,
    llvm: String,
}

impl Toolchain {
    fn find() -> Self {
        let or = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
        Self {
            rustc: or("KEYSTEER_RUSTC", "/usr/bin/rustc"),
            cargo: or("KEYSTEER_CARGO", "/usr/bin/cargo"),
            llvm: or("KEYSTEER_LLVM", setup::LLVM),
        }
    }

    /// One line each that identifies the tools whose version changes the bytes.
    fn describe(&self) -> Result<[(&'static str, String); 2]> {
        Ok([
            ("rustc", output(Command::new(&self.rustc).arg("--version"))?),
            ("bpf-linker", setup::linker_version().context("bpf-linker is not installed")?),
        ])
    }
}

/// Where the build happens, so that it disturbs nothing.
fn target_dir(root: &Path) -> PathBuf {
    root.join("target/ebpf")
}

/// Compiles both objects.
fn build(root: &Path, toolchain: &Toolchain, features: &[&str]) -> Result<()> {
    if !Path::new(&toolchain.rustc).exists() || setup::linker_version().is_none() {
        bail!("the eBPF toolchain is not installed: run `cargo xtask setup`");
    }
    let home = env::var("CARGO_HOME").or_else(|_| env::var("HOME").map(|home| format!("{home}/.cargo")))?;
    let flags = [
        "-Clinker=bpf-linker".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        // Without it memset becomes a byte loop.
        "-Clink-arg=--disable-expand-memcpy-in-order".to_owned(),
        "-Cdebuginfo=2".to_owned(),
        // v3: the default emits code in which atomic results do not compile.
        "-Ctarget-cpu=v3".to_owned(),
        // Packed reads would otherwise be byte loads.
        "-Ctarget-feature=+allows-misaligned-mem-access".to_owned(),
        format!("--remap-path-prefix={}=.", root.display()),
        format!("--remap-path-prefix={home}=cargo"),
    ];
    run_command(
        Command::new(&toolchain.cargo)
            .current_dir(root)
            .args(["build", "--quiet", "--release", "--locked", "-Zbuild-std=core", "--target", TARGET])
            .args(["--package", "dataplane-ebpf", "--features", &features.join(",")])
            .env("RUSTC", &toolchain.rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_DIR", target_dir(root))
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            .env("CARGO_PROFILE_RELEASE_DEBUG", "2")
            .env_remove("RUSTFLAGS")
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("RUSTC_WRAPPER")
            // Incremental code is other code.
            .env_remove("CARGO_INCREMENTAL"),
    )
}

/// A built object without its debug sections; BTF is kept, in an order of its own (see [`btf`]).
fn stripped(root: &Path, toolchain: &Toolchain, binary: &str) -> Result<Vec<u8>> {
    let target = target_dir(root);
    let linked = target.join(TARGET).join("release").join(binary);
    let stripped = target.join(format!("{binary}.stripped"));
    let section = target.join(format!("{binary}.btf"));
    let objcopy = format!("{}/bin/llvm-objcopy", toolchain.llvm);
    run_command(
        Command::new(&objcopy)
            .args(["--strip-debug", "--remove-section=.comment"])
            .arg(format!("--dump-section=.BTF={}", section.display()))
            .arg(&linked)
            .arg(&stripped),
    )?;
    let mut types = fs::read(&section).with_context(|| format!("cannot read {}", section.display()))?;
    btf::canonical(&mut types).with_context(|| format!("in the BTF of {}", linked.display()))?;
    fs::write(&section, types).with_context(|| format!("cannot write {}", section.display()))?;
    let update = format!("--update-section=.BTF={}", section.display());
    run_command(Command::new(&objcopy).arg(update).arg(&stripped))?;
    fs::read(&stripped).with_context(|| format!("cannot read {}", stripped.display()))
}

fn describe(root: &Path, object: &[u8], toolchain: &Toolchain) -> Result<String> {
    let mut text = String::from("# Written by `cargo xtask ebpf`; do not edit.\n");
    writeln!(text, "sources = {}", manifest::source_digest(root)?)?;
    writeln!(text, "object = {}", manifest::digest(object))?;
    for (tool, version) in toolchain.describe()? {
        writeln!(text, "{tool} = {version}")?;
    }
    Ok(text)
}

/// Compares a fresh build with the committed object called `name`.
fn check(root: &Path, name: &str, fresh: &[u8], toolchain: &Toolchain) -> Result<()> {
    if fresh == fs::read(root.join(name))? {
        println!("{name}: the rebuilt object equals the committed one ({} bytes)", fresh.len());
        return Ok(());
    }
    let recorded = manifest::read(root)?;
    for (tool, version) in toolchain.describe()? {
        let then = recorded.get(tool).map_or("unknown", String::as_str);
        if then != version {
            bail!("{name}: the bytes differ; the recorded {tool} is {then}, here it is {version}");
        }
    }
    bail!(
        "{name}: the rebuilt object differs from the committed one: run `cargo xtask ebpf` and commit the result"
    )
}
