//! Objects that are not keysteer's, made with raw bpf(2): a program on an interface, a map where keysteer pins its own.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use keysteer::world::Namespace;

/// Commands of bpf(2).
const BPF_MAP_CREATE: libc::c_long = 0;
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_OBJ_PIN: libc::c_long = 6;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_MAP_TYPE_PERCPU_ARRAY: u32 = 6;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
const BPF_TCX_INGRESS: u32 = 46;
const BPF_XDP: u32 = 37;
const XDP_FLAGS_SKB_MODE: u32 = 2;
const XDP_FLAGS_DRV_MODE: u32 = 4;

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

/// The first part of `union bpf_attr` for `BPF_OBJ_PIN`.
#[repr(C)]
struct PinAttr {
    path: u64,
    map: u32,
    flags: u32,
}

/// A program that passes everything, attached until dropped.
#[derive(Debug)]
pub struct Foreign {
    _program: OwnedFd,
    _link: OwnedFd,
}

/// What the kernel calls it.
pub const NAME: &str = "somebody_elses";

impl Foreign {
    /// Attaches one to `interface` in generic mode.
    ///
    /// # Panics
    /// The kernel refuses.
    pub fn attach(namespace: &Namespace, interface: &str) -> Self {
        Self::attach_in(namespace, interface, XDP_FLAGS_SKB_MODE)
    }

    /// Attaches one to `interface` in native mode.
    ///
    /// # Panics
    /// The kernel refuses.
    pub fn attach_native(namespace: &Namespace, interface: &str) -> Self {
        Self::attach_in(namespace, interface, XDP_FLAGS_DRV_MODE)
    }

    /// Attaches one at TC ingress of `interface`, which drops everything.
    ///
    /// # Panics
    /// The kernel refuses.
    pub fn drop_at_tc(namespace: &Namespace, interface: &str) -> Self {
        Self::attach_at(namespace, interface, (BPF_PROG_TYPE_SCHED_CLS, BPF_TCX_INGRESS), 0)
    }

    fn attach_in(namespace: &Namespace, interface: &str, flags: u32) -> Self {
        Self::attach_at(namespace, interface, (BPF_PROG_TYPE_XDP, BPF_XDP), flags)
    }

    fn attach_at(
        namespace: &Namespace,
        interface: &str,
        (program_type, attach_type): (u32, u32),
        flags: u32,
    ) -> Self {
        let interface = namespace.index(interface).unwrap();
        // XDP_PASS, and at TC TC_ACT_SHOT
        let program = load(program_type, 2);
        let number = program.as_raw_fd().unsigned_abs();
        let mut attach = LinkAttr { program: number, interface, attach_type, flags };
        // SAFETY: laid out as the kernel's, and without pointers.
        let link =
            namespace.run(|| unsafe { bpf(BPF_LINK_CREATE, &mut attach) }).unwrap().expect("attach it");
        Self { _program: program, _link: link }
    }
}

/// A program for TC that returns `result`.
///
/// # Panics
/// The kernel refuses.
pub fn load_at_tc(result: i32) -> OwnedFd {
    load(BPF_PROG_TYPE_SCHED_CLS, result)
}

/// A program that returns `result`.
fn load(program_type: u32, result: i32) -> OwnedFd {
    // mov r0, result; exit
    let code: [u64; 2] = [u64::from(result.cast_unsigned()) << 32 | 0xb7, 0x95];
    let mut load = LoadAttr {
        program_type,
        instructions: 2,
        code: code.as_ptr() as u64,
        license: c"MIT".as_ptr() as u64,
        ..LoadAttr::default()
    };
    load.name[..NAME.len()].copy_from_slice(NAME.as_bytes());
    // SAFETY: laid out as the kernel's; its pointers are to `code` and to a literal, which outlive the call.
    unsafe { bpf(BPF_PROG_LOAD, &mut load) }.expect("load a program")
}

/// Pins an array with values per CPU at `path`, in the calling thread's mount namespace.
///
/// # Panics
/// The kernel refuses: something is there.
pub fn pin_array(path: &Path, value_size: u32, entries: u32) {
    // map_type, key_size, value_size, max_entries, map_flags
    let mut create = [BPF_MAP_TYPE_PERCPU_ARRAY, 4, value_size, entries, 0];
    // SAFETY: the first part of `union bpf_attr` for the command, without pointers.
    let map = unsafe { bpf(BPF_MAP_CREATE, &mut create) }.expect("make a map");
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).expect("a path without zeroes");
    let mut pin = PinAttr { path: path.as_ptr() as u64, map: map.as_raw_fd().unsigned_abs(), flags: 0 };
    // SAFETY: laid out as the kernel's; the path outlives the call.
    unsafe { call(BPF_OBJ_PIN, &mut pin) }.expect("pin a map");
}

/// A command that answers with a descriptor.
///
/// # Safety
/// `attr` must be what the command reads, its pointers valid for the call.
unsafe fn bpf<T>(command: libc::c_long, attr: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise.
    let fd = unsafe { call(command, attr) }?;
    // SAFETY: a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A command that answers with a number.
///
/// # Safety
/// `attr` must be what the command reads, its pointers valid for the call.
unsafe fn call<T>(command: libc::c_long, attr: &mut T) -> io::Result<i32> {
    // SAFETY: `attr` is of the stated length; the rest is the caller's promise.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    match i32::try_from(answer) {
        Ok(answer) if answer >= 0 => Ok(answer),
        _ => Err(io::Error::last_os_error()),
    }
}
