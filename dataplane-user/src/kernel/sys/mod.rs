//! Raw bpf(2) and mmap(2), for what aya does not offer.
//!
//! ```text
//!  values    entries of array maps: one, and many in batches
//!  memory    array maps as memory: filled by a copy, read where they are
//!  links     programs on interfaces, by links that are pinned and updated
//!  programs  programs of a few instructions, and test runs without copies
//! ```

mod links;
mod memory;
mod programs;
mod values;

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

pub(super) use links::{
    BPF_TCX_EGRESS, BPF_TCX_INGRESS, BPF_XDP, LINK_TCX, count_at_tc, create_link, get_pinned, link_info, pin,
    update_link,
};
pub(super) use memory::{Mapping, Words, create_mapped_array, fill_array};
pub(super) use programs::{load_syscall_program, load_xdp_program, run_syscall_program, run_xdp_program};
pub(super) use values::{read_batch, read_value, write_value};

/// bpf(2), with a result that is not negative.
///
/// # Safety
/// `T` is laid out as the kernel's `union bpf_attr` is for `command`, without padding, and the addresses in it
/// are of memory that is there for the call, as long as its lengths say.
unsafe fn bpf<T>(command: libc::c_long, attr: &mut T) -> io::Result<i32> {
    // SAFETY: the caller's.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, ptr::from_mut(attr), size_of::<T>()) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(i32::try_from(answer).unwrap_or(i32::MAX)) }
}

/// A descriptor that the kernel has just given us.
///
/// # Safety
/// `fd` is open and nobody else's.
unsafe fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the caller's.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
