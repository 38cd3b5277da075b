//! IPv6 extension headers (RFC 8200, bounded), then TCP, UDP, SCTP and ICMP.

use crate::access::{Packet, Pos, load_u16};
use crate::headers::{Headers, found};
use crate::parse::{network, quote};
use crate::seeded::bug;
use crate::vocabulary::Fault;

/// ICMP (RFC 792).
pub const ICMP: u8 = 1;
/// TCP (RFC 9293).
pub const TCP: u8 = 6;
/// UDP (RFC 768).
pub const UDP: u8 = 17;
/// ICMPv6 (RFC 4443).
pub const ICMPV6: u8 = 58;
/// SCTP (RFC 9260).
pub const SCTP: u8 = 132;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
/// RFC 4302.
pub(super) const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;

/// How many extension headers are walked.
pub const MAX_EXTENSIONS: u32 = 6;

const TCP_SYN: u8 = 0x02;
const TCP_ACK: u8 = 0x10;

pub(super) const fn is_extension(next: u8) -> bool {
    matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS | MOBILITY)
}

/// Where a walk over extension headers ended.
pub(crate) struct Walk {
    /// The protocol reached, or the extension that could not be passed or was not to be.
    pub(crate) protocol: u8,
    /// Position of its header.
    pub(crate) at: Pos,
    /// The datagram is one of several fragments.
    pub(crate) fragment: bool,
    /// A fragment other than the first: what is at `at` is the middle of something.
    pub(crate) later: bool,
    /// What stopped the walk.
    pub(super) fault: Fault,
}

/// Walks extension headers from `at`, where a header of type `next` begins. Nothing is walked behind a
/// fragment header: the later fragments do not have it, and the first must not be told from them by it.
#[inline(always)]
pub(crate) fn walk<P: Packet>(packet: &P, next: u8, at: Pos) -> Walk {
    let mut walk = Walk { protocol: next, at, fragment: false, later: false, fault: Fault::None };
    let mut walked = 0;
    while walked < MAX_EXTENSIONS && is_extension(walk.protocol) && !walk.fragment {
        let Some(header) = packet.load::<[u8; 8]>(walk.at, 0) else {
            walk.fault = Fault::ExtensionCut;
            break;
        };
        let length = match walk.protocol {
            FRAGMENT => {
                let offset_and_more = u16::from_be_bytes([header[2], header[3]]) & 0xfff9;
                // Offset 0 and no more: an atomic fragment, a whole datagram (RFC 6946).
                walk.fragment |= offset_and_more != 0;
                walk.later = offset_and_more & 0xfff8 != 0;
                8
            }
            AUTHENTICATION => bug!(Transport, (header[1] as usize + 2) << 2, (header[1] as usize + 1) << 3),
            _ => (header[1] as usize + 1) << 3,
        };
        let Some(to) = packet.advance(walk.at, length) else {
            walk.fault = Fault::ExtensionCut;
            break;
        };
        walk.protocol = header[0];
        walk.at = to;
        walked += 1;
    }
    if walk.fault as u8 == Fault::None as u8 && !walk.fragment && is_extension(walk.protocol) {
        walk.fault = Fault::TooManyExtensions;
    }
    walk
}

/// The protocol behind an authentication header at `at`, the only one that stands before the transport header of IPv4, and where that
/// begins.
#[inline(always)]
pub(super) fn behind_authentication<P: Packet>(packet: &P, at: Pos) -> Option<(u8, Pos)> {
    let [next, words] = packet.load::<[u8; 2]>(at, 0)?;
    Some((next, packet.advance(at, (words as usize + 2) << 2)?))
}

/// Fills `protocol`, ports and what opens a flow; follows an ICMP error into what it quotes.
#[inline(always)]
pub fn parse<P: Packet>(packet: &P, headers: &mut Headers) {
    if headers.is_broken() {
        return;
    }
    if headers.has(found::IPV6) {
        extensions(packet, headers);
    } else if headers.has(found::FRAGMENT) {
        later(packet, headers);
    } else if headers.protocol == AUTHENTICATION {
        authenticated(packet, headers);
    }
    if headers.is_broken() || !headers.has(found::PROTOCOL) || headers.has(found::LATER) {
        return;
    }
    if upper(packet, headers).is_none() {
        headers.fail(Fault::TransportCut);
    }
}

/// Walks the extension headers of IPv6.
#[inline(always)]
fn extensions<P: Packet>(packet: &P, headers: &mut Headers) {
    let end = walk(packet, headers.protocol, Pos::from_stored(headers.l4));
    headers.l4 = end.at.store();
    if end.fragment {
        headers.set(found::FRAGMENT);
    }
    if end.fault as u8 != Fault::None as u8 {
        headers.fail(end.fault);
        return;
    }
    headers.protocol = end.protocol;
    if end.fragment && is_extension(end.protocol) {
        // Of no fragment of this datagram is more known.
        return;
    }
    headers.set(found::PROTOCOL | if end.later { found::LATER } else { 0 });
}

/// Notes whether a fragment of IPv4 is not the first.
#[inline(always)]
fn later<P: Packet>(packet: &P, headers: &mut Headers) {
    let bits = load_u16(packet, Pos::from_stored(headers.l3), 6);
    if bits.is_none_or(|bits| bits & network::FRAGMENT_OFFSET != 0) {
        headers.set(found::LATER);
    }
}

/// Follows the authentication header of IPv4.
#[inline(always)]
fn authenticated<P: Packet>(packet: &P, headers: &mut Headers) {
    match behind_authentication(packet, Pos::from_stored(headers.l4)) {
        Some((protocol, to)) if to.get() <= headers.end as usize => {
            headers.protocol = protocol;
            headers.l4 = to.store();
        }
        _ => headers.fail(Fault::ExtensionCut),
    }
}

/// Reads `N` bytes of a transport header at `at`: inside the frame, and inside the datagram, because
/// what follows that is padding.
#[inline(always)]
fn header<const N: usize, P: Packet>(packet: &P, headers: &Headers, at: Pos) -> Option<[u8; N]> {
    if at.get() + N > headers.end as usize {
        return None;
    }
    packet.load::<[u8; N]>(at, 0)
}

/// Whether a TCP segment with these flags opens a flow.
#[inline(always)]
pub(super) const fn opens(flags: u8) -> bool {
    flags & (TCP_SYN | TCP_ACK) == TCP_SYN
}

/// Reads a TCP header; `None` when it is cut off.
#[inline(always)]
fn tcp<P: Packet>(packet: &P, headers: &mut Headers, at: Pos) -> Option<()> {
    let tcp = header::<20, P>(packet, headers, at)?;
    ports(headers, [tcp[0], tcp[1], tcp[2], tcp[3]]);
    if tcp[12] >> 4 < 5 {
        headers.fail(Fault::TransportLength);
    }
    if opens(tcp[13]) {
        headers.set(found::OPENS);
    }
    Some(())
}

/// Reads a UDP header; `None` when it is cut off.
#[inline(always)]
fn udp<P: Packet>(packet: &P, headers: &mut Headers, at: Pos) -> Option<()> {
    let udp = header::<8, P>(packet, headers, at)?;
    ports(headers, [udp[0], udp[1], udp[2], udp[3]]);
    let length = u16::from_be_bytes([udp[4], udp[5]]);
    // 0 is allowed in jumbograms only (RFC 2675), and harmless: the length is not used.
    if length != 0 && length < 8 {
        headers.fail(Fault::TransportLength);
    }
    Some(())
}

/// Reads the transport header; `None` when it is cut off.
#[inline(always)]
fn upper<P: Packet>(packet: &P, headers: &mut Headers) -> Option<()> {
    let at = Pos::from_stored(headers.l4);
    match headers.protocol {
        TCP => tcp(packet, headers, at)?,
        UDP => udp(packet, headers, at)?,
        SCTP => {
            let sctp = header::<12, P>(packet, headers, at)?;
            ports(headers, [sctp[0], sctp[1], sctp[2], sctp[3]]);
        }
        ICMP if headers.has(found::IPV4) => {
            let icmp = header::<8, P>(packet, headers, at)?;
            // Unreachable, source quench, redirect, time exceeded, parameter problem (RFC 792).
            if matches!(icmp[0], 3 | 4 | 5 | 11 | 12) && !headers.has(found::FRAGMENT) {
                quote::ipv4(packet, headers, at);
            }
        }
        ICMPV6 if headers.has(found::IPV6) => {
            let icmp = header::<4, P>(packet, headers, at)?;
            // Multicast listener discovery (RFC 2710, 3810) and neighbour discovery (RFC 4861).
            if matches!(icmp[0], 130..=137 | 143) {
                headers.set(found::DISCOVERY);
            }
            // Unreachable, packet too big, time exceeded, parameter problem (RFC 4443).
            if matches!(icmp[0], 1..=4) && !headers.has(found::FRAGMENT) {
                quote::ipv6(packet, headers, at);
            }
        }
        _ => {}
    }
    Some(())
}

/// Notes the ports that begin every transport header that has any.
#[inline(always)]
pub(super) fn ports(headers: &mut Headers, bytes: [u8; 4]) {
    headers.source_port = u16::from_be_bytes([bytes[0], bytes[1]]);
    headers.destination_port = u16::from_be_bytes([bytes[2], bytes[3]]);
    headers.set(found::PORTS);
}

/// Whether a protocol's header begins with two ports.
#[inline(always)]
pub(super) const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | SCTP)
}
