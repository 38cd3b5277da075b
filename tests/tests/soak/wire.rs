//! Packet sockets (packet(7)) that send and receive many frames by one system call.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Frames of one system call.
pub(crate) const BATCH: usize = 64;
/// No frame here is longer.
const LONGEST: usize = 128;
/// Memory for frames that were not read yet.
const QUEUE: libc::c_int = 32 << 20;

/// A socket that sends frames out of an interface, and hears nothing.
#[derive(Debug)]
pub(crate) struct Transmitter(OwnedFd);

impl Transmitter {
    /// On interface `index` of the calling thread's namespace.
    pub(crate) fn new(index: u32) -> io::Result<Self> {
        let socket = open()?;
        bind(&socket, index, 0)?;
        // Frames go to the driver at once: there is no queueing discipline to wait in.
        set(&socket, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, &1_i32)?;
        Ok(Self(socket))
    }

    /// Sends frames in order; says how many it could.
    pub(crate) fn send(&self, frames: &[Vec<u8>]) -> io::Result<usize> {
        let mut parts: Vec<libc::iovec> = frames
            .iter()
            .map(|frame| libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() })
            .collect();
        let mut headers: Vec<libc::mmsghdr> = parts.iter_mut().map(header).collect();
        // SAFETY: every header has one part, which is a frame that outlives the call and is only read.
        let sent = unsafe {
            libc::sendmmsg(self.0.as_raw_fd(), headers.as_mut_ptr(), u32::try_from(headers.len()).unwrap(), 0)
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// A socket that hears every frame of every interface of a namespace.
#[derive(Debug)]
pub(crate) struct Receiver {
    socket: OwnedFd,
    room: Vec<[u8; LONGEST]>,
    from: Vec<libc::sockaddr_ll>,
}

impl Receiver {
    /// In the calling thread's namespace; a read waits at most for `patience`.
    pub(crate) fn new(patience: Duration) -> io::Result<Self> {
        let socket = open()?;
        set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &QUEUE)?;
        let wait = libc::timeval { tv_sec: 0, tv_usec: patience.as_micros().try_into().unwrap() };
        set(&socket, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &wait)?;
        bind(&socket, 0, libc::ETH_P_ALL)?;
        // SAFETY: made of integers and an array of them: all zeroes are a value of it.
        let nobody: libc::sockaddr_ll = unsafe { zeroed() };
        Ok(Self { socket, room: vec![[0; LONGEST]; BATCH], from: vec![nobody; BATCH] })
    }

    /// Waits for frames and gives each, with the index of its interface, to `take`; says how many there were.
    pub(crate) fn receive(&mut self, mut take: impl FnMut(u32, &[u8])) -> io::Result<usize> {
        let mut parts: Vec<libc::iovec> = self
            .room
            .iter_mut()
            .map(|room| libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() })
            .collect();
        let mut headers: Vec<libc::mmsghdr> = parts.iter_mut().map(header).collect();
        for (header, from) in headers.iter_mut().zip(&mut self.from) {
            header.msg_hdr.msg_name = std::ptr::from_mut(from).cast();
            header.msg_hdr.msg_namelen = length::<libc::sockaddr_ll>();
        }
        // SAFETY: every header has one part and one address, of the stated lengths, which outlive the call.
        let read = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                headers.as_mut_ptr(),
                u32::try_from(headers.len()).unwrap(),
                libc::MSG_WAITFORONE,
                std::ptr::null_mut(),
            )
        };
        let Ok(read) = usize::try_from(read) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            };
        };
        for ((header, room), from) in headers.iter().zip(&self.room).zip(&self.from).take(read) {
            if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
                return Err(io::Error::other("a frame is longer than any of ours"));
            }
            take(from.sll_ifindex.unsigned_abs(), &room[..header.msg_len as usize]);
        }
        Ok(read)
    }

    /// How many frames the kernel had no room for.
    pub(crate) fn missed(&self) -> io::Result<u32> {
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
}

/// A message of one part.
fn header(part: &mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: made of integers and pointers: all zeroes are a value of it.
    let mut header: libc::mmsghdr = unsafe { zeroed() };
    header.msg_hdr.msg_iov = part;
    header.msg_hdr.msg_iovlen = 1;
    header
}

/// A packet socket that hears nothing until it is bound.
fn open() -> io::Result<OwnedFd> {
    // SAFETY: plain integers.
    let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(socket) })
}

fn bind(socket: &OwnedFd, index: u32, protocol: libc::c_int) -> io::Result<()> {
    // SAFETY: made of integers and an array of them: all zeroes are a value of it.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = u16::try_from(protocol).map_err(io::Error::other)?.to_be();
    address.sll_ifindex = i32::try_from(index).map_err(io::Error::other)?;
    // SAFETY: the address is a `sockaddr_ll` of the given length.
    let bound =
        unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length::<libc::sockaddr_ll>()) };
    if bound == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets an option whose value is a `T`.
fn set<T: Copy>(socket: &OwnedFd, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: the value is of the given length; the kernel checks that against the option and only reads it.
    let answer = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), length::<T>())
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn length<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}
