//! ICMP messages, by raw sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use keysteer::world::Namespace;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, sendto, socket,
};

/// Sends an ICMP message (ICMPv6 from an IPv6 address); its checksum is filled in.
///
/// # Panics
/// The kernel refuses.
pub fn send(from: &Namespace, source: IpAddr, destination: IpAddr, mut message: Vec<u8>) {
    let sent = from.run(|| -> io::Result<()> {
        let (family, protocol) = match source {
            IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
            IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
        };
        if source.is_ipv4() {
            // The kernel does it for ICMPv6 alone.
            let sum = checksum(&message);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        let socket: OwnedFd = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        bind(socket.as_raw_fd(), &address(source))?;
        sendto(socket.as_raw_fd(), &message, &address(destination), MsgFlags::empty())?;
        Ok(())
    });
    sent.unwrap().unwrap();
}

fn address(of: IpAddr) -> SockaddrStorage {
    SockaddrStorage::from(SocketAddr::new(of, 0))
}

/// "Fragmentation needed" (RFC 1191) or "packet too big" (RFC 4443) about a UDP datagram that `from` sent
/// to `to`.
///
/// # Panics
/// The two are of different families.
pub fn too_big(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let mut udp = Vec::new();
    for field in [from.port(), to.port(), 1408, 0] {
        udp.extend(field.to_be_bytes());
    }
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            // Type, code, checksum, unused, MTU of the next hop.
            let mut message = vec![3, 4, 0, 0, 0, 0];
            message.extend(1400_u16.to_be_bytes());
            // Version and length, DSCP, total length 1428, identification, DF; hop limit, UDP, no checksum.
            let mut quoted = vec![0x45, 0, 0x05, 0x94, 0, 7, 0x40, 0, 60, 17, 0, 0];
            quoted.extend(from.octets());
            quoted.extend(to.octets());
            let sum = checksum(&quoted);
            quoted[10..12].copy_from_slice(&sum.to_be_bytes());
            message.extend(quoted);
            message.extend(udp);
            message
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut message = vec![2, 0, 0, 0];
            message.extend(1400_u32.to_be_bytes());
            // Version, payload length 1408, UDP, hop limit.
            message.extend([0x60, 0, 0, 0, 0x05, 0x80, 17, 60]);
            message.extend(from.octets());
            message.extend(to.octets());
            message.extend(udp);
            message
        }
        _ => panic!("{from} and {to} are of different families"),
    }
}

/// An echo request (RFC 792) with a number that its reply repeats.
pub fn echo_request(number: u16) -> Vec<u8> {
    let mut message = vec![8, 0, 0, 0, 0x6b, 0x73];
    message.extend(number.to_be_bytes());
    message
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | word.get(1).map_or(0, |low| u32::from(*low)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
