//! The packet socket under a capture (packet(7)).

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Memory the kernel may queue frames in. With its bookkeeping a small frame costs below 1 KiB, so
/// this holds bursts of tens of thousands.
const QUEUE: libc::c_int = 64 << 20;

/// The longest frame: a jumbo of 64 KiB with its header and tags.
pub(super) const LONGEST: usize = 65_536 + 64;

/// A packet socket for all frames of all interfaces of the namespace it was opened in.
#[derive(Debug)]
pub(super) struct Tap {
    socket: OwnedFd,
}

/// One frame.
pub(super) struct Received {
    pub(super) interface: u32,
    pub(super) outgoing: bool,
    pub(super) frame: Vec<u8>,
}

/// Room for one `tpacket_auxdata` control message, aligned as `cmsghdr` wants it.
#[repr(C, align(8))]
struct Control([u8; 64]);

impl Tap {
    /// Opens the socket in the calling thread's namespace.
    pub(super) fn open() -> io::Result<Self> {
        // Protocol 0 hears nothing until it is bound, so that the options are set before the first frame.
        // SAFETY: plain integers.
        let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a fresh descriptor that nobody else owns.
        let tap = Self { socket: unsafe { OwnedFd::from_raw_fd(socket) } };
        tap.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, QUEUE)?;
        tap.set(libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
        // SAFETY: made of integers and an array of them: all zeroes are a value of it.
        let mut all: libc::sockaddr_ll = unsafe { zeroed() };
        all.sll_family = libc::AF_PACKET as u16;
        all.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: the address is a `sockaddr_ll` of the given length.
        let bound = unsafe {
            libc::bind(tap.socket.as_raw_fd(), (&raw const all).cast(), length::<libc::sockaddr_ll>())
        };
        if bound == 0 { Ok(tap) } else { Err(io::Error::last_os_error()) }
    }

    /// The next frame, if one is queued, read through `room`.
    pub(super) fn next(&self, room: &mut [u8; LONGEST]) -> io::Result<Option<Received>> {
        let mut control = Control([0; 64]);
        // SAFETY: integers, arrays of them and pointers: all zeroes are values of these structures.
        let (mut from, mut message): (libc::sockaddr_ll, libc::msghdr) = unsafe { zeroed() };
        let mut part = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
        message.msg_name = (&raw mut from).cast();
        message.msg_namelen = length::<libc::sockaddr_ll>();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = size_of::<Control>();
        // SAFETY: every pointer in `message` is to a local of the stated length that outlives the call.
        let read = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
        let Ok(read) = usize::try_from(read) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock => Ok(None),
                // Reported once for an interface that went down; the socket goes on.
                _ if error.raw_os_error() == Some(libc::ENETDOWN) => Ok(None),
                _ => Err(error),
            };
        };
        if message.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
            return Err(io::Error::other("a frame is longer than 64 KiB"));
        }
        let mut frame = room.get(..read).unwrap_or_default().to_vec();
        // SAFETY: the kernel has filled `control` and said in `msg_controllen` how far.
        if let Some(tag) = unsafe { stripped_tag(&message) } {
            // The tag's place is behind the two MAC addresses.
            let at = frame.len().min(12);
            frame.splice(at..at, tag);
        }
        let interface = u32::try_from(from.sll_ifindex).map_err(io::Error::other)?;
        Ok(Some(Received { interface, outgoing: from.sll_pkttype == libc::PACKET_OUTGOING, frame }))
    }

    /// Waits until a frame is queued, at most so long.
    pub(super) fn wait(&self, at_most: Duration) -> io::Result<()> {
        let timeout = PollTimeout::try_from(at_most).map_err(io::Error::other)?;
        poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], timeout)?;
        Ok(())
    }

    /// How many frames the kernel had no room for, since this was last asked.
    pub(super) fn missed(&self) -> io::Result<u32> {
        // SAFETY: made of integers: all zeroes are a value of it.
        let mut counted: libc::tpacket_stats = unsafe { zeroed() };
        let mut size = length::<libc::tpacket_stats>();
        // SAFETY: `counted` and `size` are ours, and `size` is the length of `counted`.
        let answer = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut counted).cast(),
                &raw mut size,
            )
        };
        if answer == 0 { Ok(counted.tp_drops) } else { Err(io::Error::last_os_error()) }
    }

    fn set(&self, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
        // SAFETY: the value is a `c_int` of the given length.
        let answer = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                level,
                option,
                (&raw const value).cast(),
                length::<libc::c_int>(),
            )
        };
        if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// The VLAN tag that the kernel took out of the frame, as it was in it.
///
/// # Safety
/// `message` must come from a successful recvmsg, its control buffer still in place.
unsafe fn stripped_tag(message: &libc::msghdr) -> Option<[u8; 4]> {
    // SAFETY: the caller's promise; the macro stays within `msg_controllen`.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: a header that the macros found lies within the control buffer, which is aligned.
        let found = unsafe { &*header };
        if found.cmsg_level == libc::SOL_PACKET && found.cmsg_type == libc::PACKET_AUXDATA {
            // SAFETY: the payload of this type is a `tpacket_auxdata`; it may lie unaligned.
            let auxiliary: libc::tpacket_auxdata =
                unsafe { libc::CMSG_DATA(header).cast::<libc::tpacket_auxdata>().read_unaligned() };
            if auxiliary.tp_status & libc::TP_STATUS_VLAN_VALID != 0 {
                let [a, b] = auxiliary.tp_vlan_tpid.to_be_bytes();
                let [c, d] = auxiliary.tp_vlan_tci.to_be_bytes();
                return Some([a, b, c, d]);
            }
        }
        // SAFETY: as for the first.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    None
}

fn length<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}
