//! An XDP program that is not keysteer's, put on an interface with raw bpf(2).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use keysteer::world::Namespace;

/// Commands of bpf(2).
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
const XDP_FLAGS_SKB_MODE: u32 = 2;

/// The first part of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    program_type: u32,
    instructions: u32,
    code: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// The first part of `union bpf_attr` for `BPF_LINK_CREATE`.
#[repr(C)]
struct LinkAttr {
    program: u32,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

/// A program that passes everything, attached in generic mode until dropped.
#[derive(Debug)]
pub struct Foreign {
    _program: OwnedFd,
    _link: OwnedFd,
}

/// What the kernel calls it.
pub const NAME: &str = "somebody_elses";

impl Foreign {
    /// Attaches one to `interface`.
    ///
    /// # Panics
    /// The kernel refuses.
    pub fn attach(namespace: &Namespace, interface: &str) -> Self {
        let interface = namespace.index(interface).unwrap();
        // mov r0, 2 (XDP_PASS); exit
        let code: [u64; 2] = [0x0000_0002_0000_00b7, 0x95];
        let mut load = LoadAttr {
            program_type: BPF_PROG_TYPE_XDP,
            instructions: 2,
            code: code.as_ptr() as u64,
            license: c"MIT".as_ptr() as u64,
            ..LoadAttr::default()
        };
        load.name[..NAME.len()].copy_from_slice(NAME.as_bytes());
        // SAFETY: laid out as the kernel's; its pointers are to `code` and to a literal, which outlive the call.
        let program = unsafe { bpf(BPF_PROG_LOAD, &mut load) }.expect("load a program");
        let number = program.as_raw_fd().unsigned_abs();
        let mut attach =
            LinkAttr { program: number, interface, attach_type: BPF_XDP, flags: XDP_FLAGS_SKB_MODE };
        // SAFETY: laid out as the kernel's, and without pointers.
        let link =
            namespace.run(|| unsafe { bpf(BPF_LINK_CREATE, &mut attach) }).unwrap().expect("attach it");
        Self { _program: program, _link: link }
    }
}

/// A command that answers with a descriptor.
///
/// # Safety
/// `attr` must be what the command reads, its pointers valid for the call.
unsafe fn bpf<T>(command: libc::c_long, attr: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: `attr` is of the stated length; the rest is the caller's promise.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    match i32::try_from(answer) {
        // SAFETY: a fresh descriptor that nobody else owns.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}
