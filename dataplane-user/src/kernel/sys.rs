//! Raw bpf(2) and mmap(2), for what aya does not offer: filling arrays by memory copy, reading arrays
//! in batches, links that are pinned and updated.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use keysteer_common::shared::{Shared, bytes_of};

/// `BPF_MAP_LOOKUP_BATCH` of bpf(2) (Linux 5.6; per-CPU arrays 5.13).
const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;

/// The part of `union bpf_attr` that batches use.
#[repr(C)]
#[derive(Default)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// Copies `values` to the start of an mmapable array map (`BPF_F_MMAPABLE`).
///
/// The map must have been made with at least `values.len()` entries of `size_of::<T>()` bytes, a
/// multiple of 8 (the kernel's element stride).
pub(super) fn fill_array<T: Shared>(map: BorrowedFd<'_>, values: &[T]) -> io::Result<()> {
    const { assert!(size_of::<T>().is_multiple_of(8), "the kernel rounds elements up to 8 bytes") };
    let bytes = bytes_of(values);
    if bytes.is_empty() {
        return Ok(());
    }
    // SAFETY: a new shared mapping at an address of the kernel's choice; it fails unless the map is
    // mmapable and at least this long.
    let memory = unsafe {
        libc::mmap(
            ptr::null_mut(),
            bytes.len(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            map.as_raw_fd(),
            0,
        )
    };
    if memory == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping is `bytes.len()` long, writable and ours alone; the two do not overlap. The
    // kernel reads it concurrently only once a program that uses the map is attached, which is later.
    unsafe {
        ptr::copy_nonoverlapping(bytes.as_ptr(), memory.cast::<u8>(), bytes.len());
        libc::munmap(memory, bytes.len());
    }
    Ok(())
}

/// `BPF_MAP_LOOKUP_ELEM` of bpf(2).
const BPF_MAP_LOOKUP_ELEM: libc::c_long = 1;
/// `BPF_MAP_UPDATE_ELEM` of bpf(2).
const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;

/// The part of `union bpf_attr` that an update uses.
#[repr(C)]
struct ElementAttr {
    map_fd: u32,
    _pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Writes the only entry of an array map whose value is `value.len()` bytes, a multiple of 8.
pub(super) fn write_value(map: BorrowedFd<'_>, value: &[u8]) -> io::Result<()> {
    let answer = element(BPF_MAP_UPDATE_ELEM, map, value.as_ptr() as u64);
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads the only entry of an array map whose value is `value.len()` bytes, a multiple of 8.
pub(super) fn read_value(map: BorrowedFd<'_>, value: &mut [u8]) -> io::Result<()> {
    let answer = element(BPF_MAP_LOOKUP_ELEM, map, value.as_mut_ptr() as u64);
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// One command on entry 0; `value` is the address of as many bytes as the map's value has, which the command
/// reads or writes.
fn element(command: libc::c_long, map: BorrowedFd<'_>, value: u64) -> libc::c_long {
    let key = 0_u32;
    let mut attr = ElementAttr {
        map_fd: map.as_raw_fd().unsigned_abs(),
        _pad: 0,
        key: &raw const key as u64,
        value,
        flags: 0,
    };
    // SAFETY: `attr` is laid out as the kernel's and outlives the call; it points to a u32 key and to the buffer
    // that the callers above have borrowed, writable where the command writes.
    unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut attr, size_of::<ElementAttr>()) }
}

/// Reads the first `entries` values of an array, `stride` bytes each (of a per-CPU one all CPUs' values).
pub(super) fn read_batch(map: BorrowedFd<'_>, entries: u32, stride: usize) -> io::Result<Vec<u8>> {
    let mut values = vec![0_u8; entries as usize * stride];
    let mut keys = vec![0_u32; entries as usize];
    let mut next = 0_u32;
    let mut done = 0_u32;
    while done < entries {
        let mut attr = BatchAttr {
            in_batch: if done == 0 { 0 } else { &raw const next as u64 },
            out_batch: &raw mut next as u64,
            keys: keys.as_mut_ptr().wrapping_add(done as usize) as u64,
            values: values.as_mut_ptr().wrapping_add(done as usize * stride) as u64,
            count: entries - done,
            map_fd: map.as_raw_fd().unsigned_abs(),
            ..BatchAttr::default()
        };
        // SAFETY: `attr` is laid out as the kernel's and outlives the call; its pointers are to buffers
        // that hold `count` keys and `count` values of `stride` bytes, the map's per-CPU value size.
        let answer = unsafe {
            libc::syscall(libc::SYS_bpf, BPF_MAP_LOOKUP_BATCH, &raw mut attr, size_of::<BatchAttr>())
        };
        done += attr.count;
        if answer != 0 {
            let error = io::Error::last_os_error();
            // ENOENT: that was the last entry.
            if error.raw_os_error() == Some(libc::ENOENT) && done == entries {
                break;
            }
            return Err(error);
        }
    }
    Ok(values)
}

/// Commands of bpf(2) on links and pins.
const BPF_OBJ_PIN: libc::c_long = 6;
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_LINK_UPDATE: libc::c_long = 29;
/// `BPF_XDP` of `enum bpf_attach_type`.
const BPF_XDP: u32 = 37;

/// bpf(2) with attributes that have no padding; its answer, which is not negative.
///
/// # Safety
/// `attr` is laid out as the kernel's `union bpf_attr` for `command`, and its pointers are to memory that is valid for
/// what the command does with it.
unsafe fn bpf<A>(command: libc::c_long, attr: &mut A) -> io::Result<libc::c_int> {
    // SAFETY: by the caller.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, ptr::from_mut(attr), size_of::<A>()) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer as libc::c_int) }
}

/// Attaches an XDP program to interface `index` by a link, with `XDP_FLAGS_*_MODE`.
pub(super) fn create_xdp_link(program: BorrowedFd<'_>, index: u32, flags: u32) -> io::Result<OwnedFd> {
    let mut attr = [program.as_raw_fd().unsigned_abs(), index, BPF_XDP, flags];
    // SAFETY: `prog_fd`, `target_ifindex`, `attach_type`, `flags` of `link_create`; the answer is a new descriptor.
    unsafe { Ok(OwnedFd::from_raw_fd(bpf(BPF_LINK_CREATE, &mut attr)?)) }
}

/// Replaces a link's program.
pub(super) fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = [link.as_raw_fd().unsigned_abs(), program.as_raw_fd().unsigned_abs(), 0, 0];
    // SAFETY: `link_fd`, `new_prog_fd`, `flags`, `old_prog_fd` of `link_update`.
    unsafe { bpf(BPF_LINK_UPDATE, &mut attr) }.map(|_| ())
}

/// Id of a link's program and index of its interface.
pub(super) fn link_facts(link: BorrowedFd<'_>) -> io::Result<[u32; 2]> {
    // `struct bpf_link_info`: type, id, prog_id, (padding), then by type; of XDP the interface's index.
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
    let [_, _, program, _, interface, ..] = info;
    Ok([program, interface])
}

/// The part of `union bpf_attr` that pins use.
#[repr(C)]
struct PinAttr {
    path: u64,
    fd: u32,
    flags: u32,
}

/// Pins an object on a BPF file system.
pub(super) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = PinAttr { path: path.as_ptr() as u64, fd: object.as_raw_fd().unsigned_abs(), flags: 0 };
    // SAFETY: `path` ends with a zero and outlives the call.
    unsafe { bpf(BPF_OBJ_PIN, &mut attr) }.map(|_| ())
}

/// A pinned object.
pub(super) fn get_pinned(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = PinAttr { path: path.as_ptr() as u64, fd: 0, flags: 0 };
    // SAFETY: `path` ends with a zero and outlives the call; the answer is a new descriptor.
    unsafe { Ok(OwnedFd::from_raw_fd(bpf(BPF_OBJ_GET, &mut attr)?)) }
}
