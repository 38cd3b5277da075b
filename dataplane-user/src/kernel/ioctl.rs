//! Requests about an interface, by ioctl (netdevice(7)), in the calling thread's namespace.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// A request about an interface.
///
/// # Errors
/// No interface can have that name.
pub(crate) fn request(interface: &str) -> io::Result<libc::ifreq> {
    // SAFETY: `ifreq` is made of integers, arrays of them and a pointer: all zeroes are a value of it.
    let mut request: libc::ifreq = unsafe { zeroed() };
    // One byte stays for the terminating zero.
    if interface.len() >= request.ifr_name.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the interface's name is too long"));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from.cast_signed();
    }
    Ok(request)
}

/// Makes a request.
///
/// # Errors
/// The kernel's answer.
///
/// # Safety
/// The request's union must hold what `command` reads; a pointer in it must be valid for the command.
pub(crate) unsafe fn control(command: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
    let socket: OwnedFd = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: the descriptor is open and `request` is an `ifreq` of ours; the rest is the caller's.
    match unsafe { libc::ioctl(socket.as_raw_fd(), command as _, std::ptr::from_mut(request)) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
