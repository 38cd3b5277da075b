//! The kernel, the BPF file system, privilege.

use super::facts::Facts;
use super::report::Report;

/// Where an agent mounts a BPF file system, if none is there.
const MOUNT: &str = "/sys/fs/bpf";

pub(super) fn check(facts: &Facts, report: &mut Report) {
    kernel(facts, report);
    let place = facts.pins.display().to_string();
    match &facts.bpffs {
        Ok(true) => report.ok("host.bpffs", &place, "is on a BPF file system"),
        Ok(false) if facts.pins.starts_with(MOUNT) => report.warn(
            "host.bpffs",
            &place,
            "is not on a BPF file system yet: an agent mounts one there when it starts, where it may",
            "mount -t bpf bpf /sys/fs/bpf",
        ),
        Ok(false) => report.fail(
            "host.bpffs",
            &place,
            "is not on a BPF file system: what outlives an agent cannot be pinned",
            "mount one there (mount -t bpf bpf DIR), or name a folder on one with --bpffs",
        ),
        Err(why) => report.unknown("host.bpffs", &place, why.clone()),
    }
    let place = "this process";
    if facts.lacks.is_empty() {
        report.ok("host.privilege", place, "may do what an agent does");
    } else {
        let finding = format!(
            "lacks {}: an agent run like this cannot steer, and some checks see less",
            facts.lacks.join(", ")
        );
        report.warn("host.privilege", place, finding, "sudo keysteer doctor");
    }
}

fn kernel(facts: &Facts, report: &mut Report) {
    let place = "kernel";
    match &facts.kernel {
        Ok(version @ (major, minor)) if *version >= (6, 1) => {
            report.ok("kernel.version", place, format!("Linux {major}.{minor}"));
        }
        Ok((major, minor)) => report.fail(
            "kernel.version",
            place,
            format!("Linux {major}.{minor}: keysteer needs 6.1 or later"),
            "boot a newer kernel",
        ),
        Err(why) => report.unknown("kernel.version", place, why.clone()),
    }
    if facts.tcx {
        report.ok("kernel.tcx", place, "programs can be attached to TC by links");
    } else {
        report.warn(
            "kernel.tcx",
            place,
            "has no TCX: `mode: tc` cannot be had, and `auto` falls back to generic XDP",
            "boot Linux 6.6 or later, where drivers lack native XDP",
        );
    }
    if facts.btf {
        report.ok("kernel.btf", "/sys/kernel/btf/vmlinux", "is there");
    } else {
        report.warn(
            "kernel.btf",
            "/sys/kernel/btf/vmlinux",
            "is not there: tools such as bpftool show less of what is loaded",
            "take a kernel with CONFIG_DEBUG_INFO_BTF",
        );
    }
    let place = "net.core.bpf_jit_enable";
    match &facts.jit {
        Ok(true) => report.ok("kernel.jit", place, "programs are compiled"),
        Ok(false) => report.warn(
            "kernel.jit",
            place,
            "programs are interpreted, which takes several times as long",
            "sysctl -w net.core.bpf_jit_enable=1",
        ),
        Err(why) => report.unknown("kernel.jit", place, why.clone()),
    }
}
