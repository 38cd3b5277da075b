//! Programs of a few instructions, and test runs without copies.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::{bpf, owned};

/// `BPF_PROG_LOAD` of bpf(2).
const BPF_PROG_LOAD: libc::c_long = 5;
/// `BPF_PROG_TEST_RUN` of bpf(2).
const BPF_PROG_TEST_RUN: libc::c_long = 10;
/// `BPF_PROG_TYPE_SYSCALL`
const SYSCALL: u32 = 31;
/// `BPF_F_SLEEPABLE`, which programs of that type must be.
const SLEEPABLE: u32 = 1 << 4;

/// `BPF_PROG_TYPE_XDP`
const XDP: u32 = 6;

/// The part of `union bpf_attr` that loading a program uses.
#[repr(C)]
#[derive(Default)]
struct ProgramAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

/// The part of `union bpf_attr` that test runs use.
#[repr(C)]
#[derive(Default)]
struct RunAttr {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
}

/// Loads a program of type `syscall`: instructions as little-endian words.
pub(in crate::kernel) fn load_syscall_program(instructions: &[u64]) -> io::Result<OwnedFd> {
    load_program(SYSCALL, SLEEPABLE, instructions)
}

/// Loads an XDP program: instructions as little-endian words.
pub(in crate::kernel) fn load_xdp_program(instructions: &[u64]) -> io::Result<OwnedFd> {
    load_program(XDP, 0, instructions)
}

fn load_program(prog_type: u32, prog_flags: u32, instructions: &[u64]) -> io::Result<OwnedFd> {
    let mut attr = ProgramAttr {
        prog_type,
        insn_cnt: u32::try_from(instructions.len()).map_err(io::Error::other)?,
        insns: instructions.as_ptr() as u64,
        license: c"Dual MIT/GPL".as_ptr() as u64,
        prog_flags,
        ..ProgramAttr::default()
    };
    // SAFETY: `insns` is of `insn_cnt` instructions of eight bytes, `license` ends with a zero, both outlive
    // the call; the answer is a new descriptor.
    unsafe { bpf(BPF_PROG_LOAD, &mut attr).map(|fd| owned(fd)) }
}

/// Runs a program of type `syscall` without a context, and gives what it returned.
pub(in crate::kernel) fn run_syscall_program(program: BorrowedFd<'_>) -> io::Result<u32> {
    let mut attr = RunAttr { prog_fd: program.as_raw_fd().unsigned_abs(), ..RunAttr::default() };
    // SAFETY: there are no addresses.
    unsafe { bpf(BPF_PROG_TEST_RUN, &mut attr) }?;
    Ok(attr.retval)
}

/// Runs a frame through an XDP program once. What becomes of the frame is not copied back.
pub(in crate::kernel) fn run_xdp_program(program: BorrowedFd<'_>, frame: &[u8]) -> io::Result<()> {
    let mut attr = RunAttr {
        prog_fd: program.as_raw_fd().unsigned_abs(),
        data_size_in: u32::try_from(frame.len()).map_err(io::Error::other)?,
        data_in: frame.as_ptr() as u64,
        repeat: 1,
        ..RunAttr::default()
    };
    // SAFETY: `data_in` is of `data_size_in` bytes, which the kernel only reads; nothing is written back.
    unsafe { bpf(BPF_PROG_TEST_RUN, &mut attr) }.map(|_| ())
}
