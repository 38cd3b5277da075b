//! The frames that most are: untagged, without IP options or extension headers, no fragment, TCP or UDP,
//! and nothing wrong with their lengths. Nothing is parsed here that `network.rs` and `transport.rs` do not
//! parse: they are called with positions that are constants, so that the kernel home needs neither masks
//! nor a memory of positions. What is not plain is `None`, and is parsed in full from its beginning.

use network_types::eth::EthHdr;
use network_types::ip::{Ipv4Hdr, Ipv6Hdr};

use crate::access::{Packet, Pos, load_u16};
use crate::headers::{Headers, found};
use crate::parse::link::{ETHER_TYPE_IPV4, ETHER_TYPE_IPV6};
use crate::parse::network::{self, Destination};
use crate::parse::transport::{self, TCP, UDP, is_extension};

/// Where IP begins.
const L3: Pos = Pos::START.plus::<{ EthHdr::LEN }>();

/// Version 4 and a header of five words.
const VERSION_AND_LENGTH: u8 = 0x45;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The family of an untagged frame.
#[inline(always)]
pub fn family<P: Packet>(packet: &P) -> Option<Family> {
    match load_u16(packet, Pos::START, core::mem::offset_of!(EthHdr, ether_type))? {
        ETHER_TYPE_IPV4 => Some(Family::V4),
        ETHER_TYPE_IPV6 => Some(Family::V6),
        _ => None,
    }
}

/// Fills what the IP header says.
#[inline(always)]
pub fn network<const V4: bool, P: Packet>(
    packet: &P,
    headers: &mut Headers,
    bytes: &mut u32,
) -> Option<Destination> {
    if V4 {
        headers.ether_type = ETHER_TYPE_IPV4;
        if packet.load::<Ipv4Hdr>(L3, 0)?.vihl != VERSION_AND_LENGTH {
            return None;
        }
        network::ipv4(packet, headers, bytes, L3)
    } else {
        headers.ether_type = ETHER_TYPE_IPV6;
        network::ipv6(packet, headers, bytes, L3)
    }
}

/// Fills what the TCP or UDP header says. `None` also where anything is wrong so far.
#[inline(always)]
pub fn transport<const V4: bool, P: Packet>(packet: &P, headers: &mut Headers) -> Option<()> {
    if headers.is_broken() || headers.has(found::FRAGMENT) || (!V4 && is_extension(headers.protocol)) {
        return None;
    }
    headers.set(found::PROTOCOL);
    let l4 = if V4 { L3.plus::<{ Ipv4Hdr::LEN }>() } else { L3.plus::<{ Ipv6Hdr::LEN }>() };
    headers.l4 = l4.store();
    match headers.protocol {
        TCP => transport::tcp(packet, headers, l4)?,
        UDP => transport::udp(packet, headers, l4)?,
        _ => return None,
    }
    if headers.is_broken() { None } else { Some(()) }
}
