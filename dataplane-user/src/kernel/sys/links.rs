//! Programs on interfaces by BPF links, and pins.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{bpf, owned};

/// Commands of bpf(2) on links and pins.
const BPF_OBJ_PIN: libc::c_long = 6;
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_LINK_UPDATE: libc::c_long = 29;
/// `BPF_XDP` of `enum bpf_attach_type`.
pub(in crate::kernel) const BPF_XDP: u32 = 37;
/// `BPF_TCX_INGRESS` of the same (Linux 6.6).
pub(in crate::kernel) const BPF_TCX_INGRESS: u32 = 46;
/// `BPF_TCX_EGRESS` of the same.
pub(in crate::kernel) const BPF_TCX_EGRESS: u32 = 47;
/// `BPF_LINK_TYPE_TCX` of `enum bpf_link_type`.
pub(in crate::kernel) const LINK_TCX: u32 = 11;

/// Attaches a program to interface `index` by a link: to XDP with `XDP_FLAGS_*_MODE`, or to TC.
pub(in crate::kernel) fn create_link(
    program: BorrowedFd<'_>,
    index: u32,
    attach_type: u32,
    flags: u32,
) -> io::Result<OwnedFd> {
    let mut attr = [program.as_raw_fd().unsigned_abs(), index, attach_type, flags];
    // SAFETY: `prog_fd`, `target_ifindex`, `attach_type`, `flags` of `link_create`; the answer is a new descriptor.
    unsafe { bpf(BPF_LINK_CREATE, &mut attr).map(|fd| owned(fd)) }
}

/// `BPF_PROG_QUERY` of bpf(2).
const BPF_PROG_QUERY: libc::c_long = 16;

/// How many programs are attached at TC ingress of interface `index` (TCX, Linux 6.6).
pub(in crate::kernel) fn count_at_tc(index: u32) -> io::Result<u32> {
    // `target_ifindex`, `attach_type`, `query_flags`, `attach_flags`, `prog_ids` (two words), `count`, ...
    let mut attr = [index, BPF_TCX_INGRESS, 0, 0, 0, 0, 0, 0];
    // SAFETY: without room for ids, `count` 0, none are written.
    let answer = unsafe { bpf(BPF_PROG_QUERY, &mut attr) };
    let [_, _, _, _, _, _, count, _] = attr;
    match answer {
        // There are some, and no room for them.
        Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => Ok(count),
        Err(error) => Err(error),
        Ok(_) => Ok(count),
    }
}

/// Replaces a link's program.
pub(in crate::kernel) fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = [link.as_raw_fd().unsigned_abs(), program.as_raw_fd().unsigned_abs(), 0, 0];
    // SAFETY: `link_fd`, `new_prog_fd`, `flags`, `old_prog_fd` of `link_update`.
    unsafe { bpf(BPF_LINK_UPDATE, &mut attr) }.map(|_| ())
}

/// What the kernel says of a link to an interface.
pub(in crate::kernel) struct LinkInfo {
    /// `enum bpf_link_type`
    pub(in crate::kernel) kind: u32,
    /// Id of its program.
    pub(in crate::kernel) program: u32,
    /// Index of its interface.
    pub(in crate::kernel) interface: u32,
    /// `enum bpf_attach_type`, of a link at TC.
    pub(in crate::kernel) attach_type: u32,
}

/// Asks about a link.
pub(in crate::kernel) fn link_info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    // `struct bpf_link_info`: type, id, prog_id, (padding), then by type; of XDP and TCX the interface's index, and of TCX
    // where it is.
    let mut info = [0_u32; 16];
    #[repr(C)]
    struct InfoAttr {
        fd: u32,
        length: u32,
        info: u64,
    }
    let mut attr = InfoAttr {
        fd: link.as_raw_fd().unsigned_abs(),
        length: size_of_val(&info) as u32,
        info: info.as_mut_ptr() as u64,
    };
    // SAFETY: the kernel writes at most `length` bytes to `info`, which outlives the call.
    unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attr) }?;
    let [kind, _, program, _, interface, attach_type, ..] = info;
    Ok(LinkInfo { kind, program, interface, attach_type })
}

/// The part of `union bpf_attr` that pins use.
#[repr(C)]
struct PinAttr {
    path: u64,
    fd: u32,
    flags: u32,
}

/// Pins an object on a BPF file system.
pub(in crate::kernel) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = PinAttr { path: path.as_ptr() as u64, fd: object.as_raw_fd().unsigned_abs(), flags: 0 };
    // SAFETY: `path` ends with a zero and outlives the call.
    unsafe { bpf(BPF_OBJ_PIN, &mut attr) }.map(|_| ())
}

/// A pinned object.
pub(in crate::kernel) fn get_pinned(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = PinAttr { path: path.as_ptr() as u64, fd: 0, flags: 0 };
    // SAFETY: `path` ends with a zero and outlives the call; the answer is a new descriptor.
    unsafe { bpf(BPF_OBJ_GET, &mut attr).map(|fd| owned(fd)) }
}
