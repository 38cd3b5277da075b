//! The packet inside a tunnel. What of it is cut off or contradicts itself is absent: the outer packet is whole, and can be steered by what it has.

use core::mem::offset_of;

use network_types::eth::EthHdr;
use network_types::ip::{Ipv4Hdr, Ipv6Hdr};

use crate::access::{Packet, Pos, load_u16};
use crate::headers::{Headers, found};
use crate::inside::{Inside, kind, within};
use crate::parse::link::{self, ETHER_TYPE_IPV4, ETHER_TYPE_IPV6};
use crate::parse::tunnel::in_datagram;
use crate::parse::{network, transport};
use crate::seeded::bug;
use crate::vocabulary::Fault;

/// Notes addresses, protocol and ports of the packet at [`Inside::next`].
#[inline(always)]
pub fn parse<P: Packet>(packet: &P, headers: &Headers, inside: &mut Inside) {
    if inside.kind == kind::ETHERNET && ethernet(packet, headers, inside).is_none() {
        return;
    }
    let at = Pos::from_stored(inside.next);
    let version = match packet.load::<[u8; 1]>(at, 0) {
        Some([first]) => first >> 4,
        None => return,
    };
    let found = match inside.kind {
        kind::IPV4 | kind::IP if version == 4 => ipv4(packet, headers, inside, at),
        kind::IPV6 | kind::IP if version == 6 => ipv6(packet, headers, inside, at),
        _ => return,
    };
    if found == Some(true) {
        ports(packet, headers, inside);
    }
    if headers.has(found::QUOTED) {
        // What was sent by the service, turned round like the packet around it.
        core::mem::swap(&mut inside.source, &mut inside.destination);
        core::mem::swap(&mut inside.source_port, &mut inside.destination_port);
    }
}

/// Follows an Ethernet frame, with up to two tags, to what it carries.
#[inline(always)]
fn ethernet<P: Packet>(packet: &P, headers: &Headers, inside: &mut Inside) -> Option<()> {
    let at = Pos::from_stored(inside.next);
    if !in_datagram(headers, at, EthHdr::LEN) {
        return None;
    }
    let mut ether_type = load_u16(packet, at, offset_of!(EthHdr, ether_type))?;
    inside.ethernet = at.store();
    inside.set(within::ETHERNET);
    let mut at = packet.advance(at, EthHdr::LEN)?;
    if link::is_vlan(ether_type) {
        ether_type = load_u16(packet, at, 2)?;
        at = packet.advance(at, 4)?;
        if link::is_vlan(ether_type) {
            ether_type = load_u16(packet, at, 2)?;
            at = packet.advance(at, 4)?;
        }
    }
    inside.next = at.store();
    inside.kind = match ether_type {
        ETHER_TYPE_IPV4 => kind::IPV4,
        ETHER_TYPE_IPV6 => kind::IPV6,
        _ => return None,
    };
    Some(())
}

/// Reads an IPv4 header; whether a transport header follows.
#[inline(always)]
fn ipv4<P: Packet>(packet: &P, headers: &Headers, inside: &mut Inside, at: Pos) -> Option<bool> {
    if !in_datagram(headers, at, Ipv4Hdr::LEN) {
        return None;
    }
    let ip = packet.load::<Ipv4Hdr>(at, 0)?;
    let header_length = ((ip.vihl & 0x0f) as usize) << 2;
    if header_length < Ipv4Hdr::LEN || (u16::from_be_bytes(ip.tot_len) as usize) < header_length {
        return None;
    }
    inside.l3 = at.store();
    inside.source = at.plus::<{ offset_of!(Ipv4Hdr, src_addr) }>().store();
    inside.destination = at.plus::<{ offset_of!(Ipv4Hdr, dst_addr) }>().store();
    inside.protocol = ip.proto as u16;
    inside.set(within::IPV4 | within::PROTOCOL);
    inside.l4 = packet.advance(at, header_length)?.store();
    let fragment = u16::from_be_bytes(ip.frags);
    if ip.proto == transport::AUTHENTICATION && fragment & network::FRAGMENT_BITS == 0 {
        inside.found &= !within::PROTOCOL;
        let (protocol, to) = transport::behind_authentication(packet, Pos::from_stored(inside.l4))?;
        if !in_datagram(headers, to, 0) {
            return None;
        }
        inside.protocol = protocol as u16;
        inside.l4 = to.store();
        inside.set(within::PROTOCOL);
        return Some(true);
    }
    Some(fragment & network::FRAGMENT_OFFSET == 0)
}

/// Reads an IPv6 header and walks its extension headers; whether a transport header follows.
#[inline(always)]
fn ipv6<P: Packet>(packet: &P, headers: &Headers, inside: &mut Inside, at: Pos) -> Option<bool> {
    if !in_datagram(headers, at, Ipv6Hdr::LEN) {
        return None;
    }
    let [first, ..] = packet.load::<network::Ipv6Words>(at, 0)?;
    inside.l3 = at.store();
    inside.source = at.plus::<{ offset_of!(Ipv6Hdr, src_addr) }>().store();
    inside.destination = at.plus::<{ offset_of!(Ipv6Hdr, dst_addr) }>().store();
    inside.set(within::IPV6);
    inside.l4 = packet.advance(at, Ipv6Hdr::LEN)?.store();
    walk(packet, headers, inside, first[offset_of!(Ipv6Hdr, next_hdr)])
}

/// Walks extension headers from [`Inside::l4`], as of the outer packet.
#[inline(always)]
fn walk<P: Packet>(packet: &P, headers: &Headers, inside: &mut Inside, next: u8) -> Option<bool> {
    let end = transport::walk(packet, next, Pos::from_stored(inside.l4));
    if end.fault as u8 != Fault::None as u8
        || !in_datagram(headers, end.at, 0)
        || (end.fragment && transport::is_extension(end.protocol))
    {
        inside.found &= !within::PROTOCOL;
        return None;
    }
    inside.l4 = end.at.store();
    inside.protocol = end.protocol as u16;
    inside.set(within::PROTOCOL);
    Some(!end.later)
}

/// Reads the ports at [`Inside::l4`], where the protocol has any.
#[inline(always)]
fn ports<P: Packet>(packet: &P, headers: &Headers, inside: &mut Inside) {
    let at = Pos::from_stored(inside.l4);
    if !transport::has_ports(inside.protocol as u8) || !in_datagram(headers, at, 4) {
        return;
    }
    if let Some([a, b, c, d]) = packet.load::<[u8; 4]>(at, 0) {
        inside.source_port = u16::from_be_bytes([a, b]);
        inside.destination_port = u16::from_be_bytes(bug!(Inner, [c, d], [a, b]));
        inside.set(within::PORTS);
    }
}
