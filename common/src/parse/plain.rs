//! The frames that most are: untagged, without IP options or extension headers, no fragment, TCP or UDP,
//! and nothing wrong with their lengths. Their positions are constants, so the kernel home needs neither masks
//! nor a memory of positions, and what is read of them stays in registers. What is not plain is `None`, and is
//! parsed in full from its beginning by `link.rs`, `network.rs` and `transport.rs`; a property test holds the
//! two together (`tests/junk.rs`).

use core::mem::offset_of;

use network_types::eth::EthHdr;
use network_types::ip::{Ipv4Hdr, Ipv6Hdr};
use network_types::udp::UdpHdr;

use crate::access::{Packet, Pos, Wire, load_u16};
use crate::headers::{Headers, found};
use crate::parse::link::{self, ETHER_TYPE_IPV4, ETHER_TYPE_IPV6};
use crate::parse::network::{Destination, FRAGMENT_BITS, Ipv6Words};
use crate::parse::transport::{self, TCP, UDP};
use crate::seeded::bug;

// SAFETY: `repr(C)`, made of byte arrays alone: no padding, no invalid pattern, alignment 1.
unsafe impl Wire for UdpHdr {}

const _: () = assert!(size_of::<UdpHdr>() == 8 && align_of::<UdpHdr>() == 1);

/// A TCP header (RFC 9293), of which each part that is read can be loaded by itself.
#[repr(C)]
#[derive(Clone, Copy)]
struct Tcp {
    source: [u8; 2],
    destination: [u8; 2],
    numbers: [u8; 8],
    offset: u8,
    flags: u8,
    rest: [u8; 6],
}

// SAFETY: `repr(C)`, made of `u8` and byte arrays alone: no padding, no invalid pattern, alignment 1.
unsafe impl Wire for Tcp {}

const _: () = assert!(size_of::<Tcp>() == 20);

/// Where IP begins.
const L3: Pos = Pos::START.plus::<{ EthHdr::LEN }>();

/// Version 4 and a header of five words.
const VERSION_AND_LENGTH: u8 = 0x45;

/// What an untagged frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Neither: it is foreign.
    Other,
}

/// What an untagged frame carries; `None` of a tagged or cut one.
#[inline(always)]
pub fn family<P: Packet>(packet: &P) -> Option<Family> {
    if packet.tag().is_some() {
        return None;
    }
    match load_u16(packet, Pos::START, offset_of!(EthHdr, ether_type))? {
        ETHER_TYPE_IPV4 => Some(Family::V4),
        ETHER_TYPE_IPV6 => Some(Family::V6),
        ether_type if link::is_vlan(ether_type) => None,
        _ => Some(Family::Other),
    }
}

/// What is read of an IP header before scope is decided.
#[derive(Clone, Copy, Debug)]
pub struct Ip {
    /// Where the packet goes.
    pub destination: Destination,
    /// Transport protocol, or the next header.
    protocol: u8,
    /// The datagram's length by its header; 0 where it does not say.
    length: u16,
    /// Whether it is one of several fragments.
    fragment: bool,
}

/// Reads the IP header.
#[inline(always)]
pub fn network<const V4: bool, P: Packet>(packet: &P) -> Option<Ip> {
    if V4 {
        let ip = packet.load::<Ipv4Hdr>(L3, 0)?;
        if ip.vihl != VERSION_AND_LENGTH {
            return None;
        }
        Some(Ip {
            destination: Destination::V4(u32::from_be_bytes(ip.dst_addr)),
            protocol: ip.proto,
            length: u16::from_be_bytes(ip.tot_len),
            fragment: u16::from_be_bytes(ip.frags)
                & bug!(Network, FRAGMENT_BITS, crate::parse::network::FRAGMENT_OFFSET)
                != 0,
        })
    } else {
        let [first, _, _, high, low] = packet.load::<Ipv6Words>(L3, 0)?;
        if first[0] >> 4 != 6 {
            return None;
        }
        Some(Ip {
            destination: Destination::V6([u64::from_be_bytes(high), u64::from_be_bytes(low)]),
            protocol: first[offset_of!(Ipv6Hdr, next_hdr)],
            length: u16::from_be_bytes([first[4], first[5]]),
            fragment: false,
        })
    }
}

/// Reads the TCP or UDP header and gives all that is known of the frame, apart from that whether it opens a flow,
/// so that the rest is constant; `None` also where anything is wrong.
#[inline(always)]
pub fn transport<const V4: bool, P: Packet>(packet: &P, ip: &Ip) -> Option<(Headers, bool)> {
    let (l4, before) =
        if V4 { (L3.plus::<{ Ipv4Hdr::LEN }>(), 0) } else { (L3.plus::<{ Ipv6Hdr::LEN }>(), Ipv6Hdr::LEN) };
    let end = L3.get() + before + ip.length as usize;
    // Of IPv6, a length of 0 is not a length (RFC 2675).
    if ip.fragment || (!V4 && ip.length == 0) || end > packet.linear_len() {
        return None;
    }
    let (ports, opens, length) = match ip.protocol {
        TCP => {
            let tcp = packet.load::<Tcp>(l4, 0)?;
            if tcp.offset >> 4 < 5 {
                return None;
            }
            ([tcp.source, tcp.destination], transport::opens(tcp.flags), size_of::<Tcp>())
        }
        UDP => {
            let udp = packet.load::<UdpHdr>(l4, 0)?;
            // 1 to 7: too short to be. 0 is left to `transport.rs`.
            if u16::from_be_bytes(udp.len) < 8 {
                return None;
            }
            ([udp.src, udp.dst], false, UdpHdr::LEN)
        }
        _ => return None,
    };
    if end < l4.get() + length {
        return None;
    }
    let headers = Headers {
        found: if V4 { found::IPV4 } else { found::IPV6 } | found::PROTOCOL | found::PORTS,
        ether_type: if V4 { ETHER_TYPE_IPV4 } else { ETHER_TYPE_IPV6 },
        l3: L3.store(),
        l4: l4.store(),
        source: if V4 {
            L3.plus::<{ offset_of!(Ipv4Hdr, src_addr) }>()
        } else {
            L3.plus::<{ offset_of!(Ipv6Hdr, src_addr) }>()
        }
        .store(),
        destination: if V4 {
            L3.plus::<{ offset_of!(Ipv4Hdr, dst_addr) }>()
        } else {
            L3.plus::<{ offset_of!(Ipv6Hdr, dst_addr) }>()
        }
        .store(),
        source_port: u16::from_be_bytes(ports[0]),
        destination_port: u16::from_be_bytes(ports[1]),
        protocol: ip.protocol,
        ..Headers::NONE
    };
    Some((headers, opens))
}
