//! The packet that an ICMP error quotes (RFC 792, RFC 4443).
//!
//! An error that reaches a service quotes what the service sent. Turned round, that is the flow which
//! the error belongs to: source and destination are swapped, so that everything downstream (scope,
//! carriers, flow hash) sees the flow's own packet and sends the error to the same shard. A quote that
//! cannot be read, or that was not sent by the address which the error goes to, leaves the error as an
//! ordinary ICMP packet: otherwise anybody could put any flow's addresses into a quote.

use core::mem::offset_of;

use network_types::ip::{Ipv4Hdr, Ipv6Hdr};

use crate::access::{Packet, Pos};
use crate::headers::{Headers, found};
use crate::parse::{network, transport};
use crate::seeded::bug;
use crate::vocabulary::Fault;

/// Bytes of the ICMP error header before the quote.
const HEADER: usize = 8;

/// Follows an ICMPv4 error at `icmp`.
#[inline(always)]
pub(super) fn ipv4<P: Packet>(packet: &P, headers: &mut Headers, icmp: Pos) -> Option<()> {
    let at = packet.advance(icmp, HEADER)?;
    let ip = packet.load::<Ipv4Hdr>(at, 0)?;
    let header_length = ((ip.vihl & 0x0f) as usize) << 2;
    if ip.vihl >> 4 != 4 || header_length < Ipv4Hdr::LEN {
        return None;
    }
    let source = at.plus::<{ offset_of!(Ipv4Hdr, dst_addr) }>();
    let destination = at.plus::<{ offset_of!(Ipv4Hdr, src_addr) }>();
    let l4 = packet.advance(at, header_length)?;
    let fragment_bits = u16::from_be_bytes(ip.frags);
    let fragment = fragment_bits & network::FRAGMENT_BITS != 0;
    let later = fragment_bits & network::FRAGMENT_OFFSET != 0;
    if packet.load::<[u8; 4]>(Pos::from_stored(headers.destination), 0)? != ip.src_addr {
        return None;
    }
    turn_round(packet, headers, Quoted { source, destination, l4, protocol: ip.proto, fragment, later });
    Some(())
}

/// Follows an ICMPv6 error at `icmp`.
#[inline(always)]
pub(super) fn ipv6<P: Packet>(packet: &P, headers: &mut Headers, icmp: Pos) -> Option<()> {
    let at = packet.advance(icmp, HEADER)?;
    let [first, high, low, ..] = packet.load::<network::Ipv6Words>(at, 0)?;
    if packet.load::<[[u8; 8]; 2]>(Pos::from_stored(headers.destination), 0)? != [high, low] {
        return None;
    }
    if first[0] >> 4 != 6 {
        return None;
    }
    let source = at.plus::<{ offset_of!(Ipv6Hdr, dst_addr) }>();
    let destination = at.plus::<{ offset_of!(Ipv6Hdr, src_addr) }>();
    let next = first[offset_of!(Ipv6Hdr, next_hdr)];
    let end = transport::walk(packet, next, packet.advance(at, Ipv6Hdr::LEN)?);
    if end.fault as u8 != Fault::None as u8 || transport::is_extension(end.protocol) {
        return None;
    }
    turn_round(
        packet,
        headers,
        Quoted {
            source,
            destination,
            l4: end.at,
            protocol: end.protocol,
            fragment: end.fragment,
            later: end.later,
        },
    );
    Some(())
}

/// A quoted packet, already turned round.
#[derive(Clone, Copy)]
struct Quoted {
    source: Pos,
    destination: Pos,
    l4: Pos,
    protocol: u8,
    fragment: bool,
    later: bool,
}

/// Replaces the error's flow by the quoted one's.
#[inline(always)]
fn turn_round<P: Packet>(packet: &P, headers: &mut Headers, quoted: Quoted) {
    headers.source = quoted.source.store();
    headers.destination = quoted.destination.store();
    headers.protocol = quoted.protocol;
    headers.l4 = quoted.l4.store();
    headers.set(found::QUOTED);
    if quoted.later {
        headers.set(found::LATER);
    }
    if quoted.fragment {
        headers.set(found::FRAGMENT);
    }
    if transport::has_ports(quoted.protocol) && !quoted.later {
        // Eight bytes of the quoted payload are guaranteed (RFC 792): the ports are there.
        if let Some(p) = packet.load::<[u8; 4]>(quoted.l4, 0) {
            transport::ports(headers, bug!(Quote, [p[2], p[3], p[0], p[1]], p));
        }
    }
}
