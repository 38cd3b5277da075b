//! Sysctls and offloads of a namespace.
//!
//! Two offloads decide whether a world of veth works under XDP. A local socket's TCP segment has only
//! a partial checksum, which XDP cannot finish: turn [`Offload::TxChecksum`] off where clients send. A
//! veth accepts redirected frames only where its peer polls: turn [`Offload::Gro`] on at the far end.

use std::fs;
use std::io;

use super::{Namespace, WorldError};
use crate::kernel::ioctl::{control, request};

/// An offload that can be switched, by its legacy ethtool command (linux/ethtool.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Offload {
    /// Checksums of frames sent are left to the device; off, frames leave complete (and TSO goes too).
    TxChecksum = 0x17,
    /// Frames received are merged; on a veth this is also what makes it poll.
    Gro = 0x2c,
}

impl Namespace {
    /// Writes a sysctl below `/proc/sys/net`, such as `ipv4/ip_forward`.
    ///
    /// # Errors
    /// There is no such sysctl, or it cannot be written (a read-only `/proc/sys`).
    pub fn sysctl(&self, name: &str, value: &str) -> Result<(), WorldError> {
        // /proc/sys/net shows the namespace of the thread that opens it.
        let path = format!("/proc/sys/net/{name}");
        self.run(|| fs::write(&path, value))?
            .map_err(WorldError::at(format_args!("write {value} to {path} in {}", self.label())))
    }

    /// Switches an offload of an interface.
    ///
    /// # Errors
    /// The driver refuses.
    pub fn offload(&self, interface: &str, offload: Offload, on: bool) -> Result<(), WorldError> {
        self.run(|| {
            /// `struct ethtool_value` (linux/ethtool.h).
            #[repr(C)]
            struct Value {
                command: u32,
                data: u32,
            }
            let mut value = Value { command: offload as u32, data: u32::from(on) };
            let mut request = request(interface)?;
            request.ifr_ifru.ifru_data = (&raw mut value).cast();
            // SAFETY: `ifru_data` points to an ethtool_value that outlives the call, and both commands
            // only read it.
            unsafe { control(libc::SIOCETHTOOL, &mut request) }
        })?
        .map_err(WorldError::at(format_args!("switch {offload:?} of `{interface}` in {}", self.label())))
    }
}

/// Brings `lo` of the calling thread's namespace up.
pub(super) fn up_loopback() -> io::Result<()> {
    let mut request = request("lo")?;
    // SAFETY: SIOCGIFFLAGS writes the flags into the request and follows no pointer.
    unsafe { control(libc::SIOCGIFFLAGS, &mut request)? };
    let up = i16::try_from(libc::IFF_UP).map_err(io::Error::other)?;
    // SAFETY: SIOCGIFFLAGS has just written this member.
    request.ifr_ifru.ifru_flags = unsafe { request.ifr_ifru.ifru_flags } | up;
    // SAFETY: SIOCSIFFLAGS reads the flags from the request and follows no pointer.
    unsafe { control(libc::SIOCSIFFLAGS, &mut request) }
}
