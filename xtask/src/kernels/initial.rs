//! The initial file system of an emulated machine: all that there is in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::debian::Kernel;
use super::programs::Suite;
use super::verdict::MARK;
use crate::shell::{root, run};

/// Debian's, linked statically.
const BUSYBOX: &str = "/bin/busybox";
/// Of what the tests use, what Debian does not build into its kernels: where each is, and its name. None needs another.
const MODULES: [(&str, &str); 3] =
    [("drivers/net", "veth"), ("net/sched", "sch_ingress"), ("net/sched", "cls_bpf")];
/// Seconds that an agent may take to start, or to end: here it has its programs verified by an emulated processor.
const PATIENCE: u32 = 300;

/// Writes the file system into `folder` and packs it into an archive beside it.
pub(crate) fn write(folder: &Path, kernel: &Kernel, suites: &[Suite]) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    for empty in ["bin", "dev", "modules", "proc", "run", "suites", "sys", "tmp"] {
        fs::create_dir_all(folder.join(empty))?;
    }
    copy(Path::new(BUSYBOX), &folder.join("bin/busybox"))?;
    for (place, name) in MODULES {
        fs::write(folder.join(format!("modules/{name}.ko")), module(kernel, place, name)?)?;
    }
    for suite in suites {
        copy(&suite.program, &folder.join("suites").join(suite.name))?;
        if let Some(program) = &suite.runs {
            let name = program.file_name().context("a program has a name")?;
            copy(program, &folder.join("suites").join(name))?;
        }
    }
    // The tests look for them where they were built.
    for files in ["tests/captures", "examples"] {
        let files = root().join(files);
        let there = folder.join(files.strip_prefix("/").context("the tree has no absolute path")?);
        fs::create_dir_all(&there)?;
        for file in fs::read_dir(&files)? {
            let file = file?;
            copy(&file.path(), &there.join(file.file_name()))?;
        }
    }
    let init = folder.join("init");
    fs::write(&init, script(suites))?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    pack(folder)
}

/// What the machine does: prepare, run each suite, say how it ended, switch off.
fn script(suites: &[Suite]) -> String {
    let mut script = format!(
        "#!/bin/busybox sh\n\
         busybox=/bin/busybox\n\
         $busybox mount -t proc proc /proc\n\
         $busybox mount -t sysfs sysfs /sys\n\
         $busybox mount -t devtmpfs devtmpfs /dev\n\
         $busybox mount -t tmpfs tmpfs /tmp\n\
         $busybox mount -t tmpfs tmpfs /run\n\
         echo \"{MARK} kernel $($busybox uname -r)\"\n\
         export KEYSTEER_TEST_PATIENCE={PATIENCE}\n"
    );
    for (_, name) in MODULES {
        script += &format!("$busybox insmod /modules/{name}.ko\n");
    }
    for Suite { name, arguments, .. } in suites {
        // Errors through a file: on a terminal progress would be shown, which makes one endless line.
        script += &format!(
            "/suites/{name} {} 2>/tmp/errors\n\
             code=$?\n\
             $busybox cat /tmp/errors\n\
             echo \"{MARK} exit {name} $code\"\n",
            arguments.join(" ")
        );
    }
    // The kernel's own opinion: whether it warned or died meanwhile.
    script +=
        &format!("echo \"{MARK} tainted $($busybox cat /proc/sys/kernel/tainted)\"\n$busybox poweroff -f\n");
    script
}

/// A module's bytes; newer releases compress them.
fn module(kernel: &Kernel, place: &str, name: &str) -> Result<Vec<u8>> {
    let version = fs::read_dir(&kernel.modules)?.flatten().next().context("the kernel has no modules")?;
    let plain = version.path().join(format!("kernel/{place}/{name}.ko"));
    if plain.exists() {
        return Ok(fs::read(plain)?);
    }
    let packed = plain.with_extension("ko.xz");
    let unpacked = Command::new("xz").arg("-dc").arg(&packed).stderr(Stdio::inherit()).output()?;
    if !unpacked.status.success() {
        bail!("the kernel has no module {name} that can be read: {}", packed.display());
    }
    Ok(unpacked.stdout)
}

/// Packs a folder as kernels unpack it.
fn pack(folder: &Path) -> Result<PathBuf> {
    // Its name has a version in it, whose last number is no extension.
    let archive = PathBuf::from(format!("{}.cpio.gz", folder.display()));
    run(Command::new("sh")
        .current_dir(folder)
        .args([
            "-euc",
            "find . | cpio --quiet -o -H newc -R 0:0 > \"$1.plain\" && gzip -1 < \"$1.plain\" > \"$1\" && rm \"$1.plain\"",
            "pack",
        ])
        .arg(&archive))?;
    Ok(archive)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}
