//! An echo, asked for by ICMP (RFC 792) or ICMPv6 (RFC 4443).

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockProtocol, SockType, SockaddrStorage, connect, recv, send};

use super::{Begun, Question, Stage, outcome};
use crate::agent::road::{RoadError, open};
use crate::health::Outcome;

/// Types of the messages: of IPv4 the request and the reply, of IPv6 the same.
const TYPES: [(u8, u8); 2] = [(8, 0), (128, 129)];
/// Bytes of a message's header.
const HEADER: usize = 8;
/// Bytes of a message: its header, and what it is known again by.
const MESSAGE: usize = HEADER + size_of::<u64>();
/// More than an answer has.
const LONGEST: usize = 128;

/// The answer that is waited for.
#[derive(Debug)]
pub(super) struct Wanted {
    v4: bool,
    /// Whether what is read begins with the IP header.
    with_ip: bool,
    cookie: [u8; 8],
}

/// Asks for an echo. With `CAP_NET_RAW` by a raw socket, else by one that the kernel lets anybody have
/// (`net.ipv4.ping_group_range`).
pub(super) fn put(
    mark: Option<u32>,
    from: Option<IpAddr>,
    to: IpAddr,
    number: u64,
) -> Result<Begun, RoadError> {
    let v4 = to.is_ipv4();
    let protocol = if v4 { SockProtocol::Icmp } else { SockProtocol::IcmpV6 };
    let raw = open(SockType::Raw, Some(protocol), mark, from, v4);
    let (socket, is_raw) = match raw {
        Ok(socket) => (socket, true),
        Err(_) => (open(SockType::Datagram, Some(protocol), mark, from, v4)?, false),
    };
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(to, 0))) {
        Ok(()) => {}
        Err(error) => return outcome(error, "choose a way for an echo").map(Begun::Over),
    }
    // Nobody else's echo has it: whose it is, and which.
    let cookie = (u64::from(std::process::id()) << 32 ^ number.rotate_left(16) ^ 0x6b65_7973).to_be_bytes();
    match send(socket.as_raw_fd(), &message(v4, cookie, number), MsgFlags::MSG_NOSIGNAL) {
        Ok(_) => {
            let wanted = Wanted { v4, with_ip: v4 && is_raw, cookie };
            Ok(Begun::Waiting(Question { socket, stage: Stage::Echo(wanted) }))
        }
        Err(error) => outcome(error, "ask for an echo").map(Begun::Over),
    }
}

/// A request. Of ICMPv6 the kernel makes the checksum, which has the addresses in it.
fn message(v4: bool, cookie: [u8; 8], number: u64) -> [u8; MESSAGE] {
    let (request, _) = TYPES[usize::from(!v4)];
    let [.., a, b, c, d] = number.to_be_bytes();
    let [e, f, g, h, i, j, k, l] = cookie;
    let mut message = [request, 0, 0, 0, a, b, c, d, e, f, g, h, i, j, k, l];
    if v4 {
        let [high, low] = checksum(&message).to_be_bytes();
        (message[2], message[3]) = (high, low);
    }
    message
}

/// The Internet checksum (RFC 1071) of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.as_chunks::<2>().0.iter().map(|word| u32::from(u16::from_be_bytes(*word)));
    let mut sum: u32 = words.sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

impl Wanted {
    /// Reads what has come, until it is the answer.
    pub(super) fn go_on(&self, socket: &OwnedFd) -> Result<Option<Outcome>, RoadError> {
        let mut some = [0; LONGEST];
        loop {
            match recv(socket.as_raw_fd(), &mut some, MsgFlags::empty()) {
                Ok(many) if self.is_answer(some.get(..many).unwrap_or_default()) => {
                    return Ok(Some(Outcome::Answered));
                }
                // Somebody else's.
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(error) => return outcome(error, "read an echo").map(Some),
            }
        }
    }

    /// Whether what was read is the answer.
    fn is_answer(&self, read: &[u8]) -> bool {
        let begin = match read.first() {
            Some(first) if self.with_ip => usize::from(first & 0x0f) * 4,
            _ => 0,
        };
        let (_, reply) = TYPES[usize::from(!self.v4)];
        let Some(message) = read.get(begin..) else { return false };
        message.first() == Some(&reply) && message.get(HEADER..MESSAGE) == Some(&self.cookie[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_known_again() {
        let cookie = [1, 2, 3, 4, 5, 6, 7, 8];
        for (v4, with_ip) in [(true, true), (true, false), (false, false)] {
            let wanted = Wanted { v4, with_ip, cookie };
            let mut read = if with_ip { vec![0x45; 20] } else { Vec::new() };
            read.extend(message(v4, cookie, 7));
            assert!(!wanted.is_answer(&read), "the request is not");
            let at = read.len() - MESSAGE;
            read[at] = TYPES[usize::from(!v4)].1;
            assert!(wanted.is_answer(&read));
            *read.last_mut().unwrap() ^= 1;
            assert!(!wanted.is_answer(&read), "another's is not");
        }
        let wanted = Wanted { v4: true, with_ip: true, cookie };
        for length in 0..LONGEST {
            assert!(!wanted.is_answer(&vec![0x4f; length]));
        }
    }

    #[test]
    fn a_request_has_a_right_checksum() {
        for number in [0, 1, 0xffff_ffff, 0x1234_5678] {
            assert_eq!(checksum(&message(true, [0xff; 8], number)), 0);
        }
    }
}
