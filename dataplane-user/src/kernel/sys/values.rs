//! Entries of array maps.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

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
pub(in crate::kernel) fn write_value(map: BorrowedFd<'_>, value: &[u8]) -> io::Result<()> {
    let answer = element(BPF_MAP_UPDATE_ELEM, map, value.as_ptr() as u64);
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads the only entry of an array map whose value is `value.len()` bytes, a multiple of 8.
pub(in crate::kernel) fn read_value(map: BorrowedFd<'_>, value: &mut [u8]) -> io::Result<()> {
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

/// Reads the first `entries` values of an array, `stride` bytes each (of a per-CPU one all CPUs' values).
pub(in crate::kernel) fn read_batch(map: BorrowedFd<'_>, entries: u32, stride: usize) -> io::Result<Vec<u8>> {
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
