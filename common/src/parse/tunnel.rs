//! The headers that carry other packets: VXLAN, Geneve, GTP-U, GRE, IP in IP; and the connection id of QUIC, which is found in the
//! same place. One level is followed.

use crate::access::{Packet, Pos, load_u16, load_u32};
use crate::config::{Config, reads};
use crate::headers::{Headers, found};
use crate::inside::{Inside, kind, within};
use crate::parse::below::ETHER_TYPE_NSH;
use crate::parse::link::{ETHER_TYPE_IPV4, ETHER_TYPE_IPV6};
use crate::parse::nsh;
use crate::parse::transport::UDP;
use crate::seeded::bug;
use crate::vocabulary::Fault;

/// IPv4 inside (RFC 2003).
const IPIP: u8 = 4;
/// IPv6 inside (RFC 4213, RFC 2473).
const IPV6: u8 = 41;
/// RFC 2784.
const GRE: u8 = 47;
/// Ethernet inside (RFC 8986, section 10.1).
const ETHERNET: u8 = 143;

/// Transparent Ethernet bridging (RFC 7637, RFC 8926).
const ETHER_TYPE_BRIDGED: u16 = 0x6558;

/// Bytes of a UDP header.
const UDP_HEADER: usize = 8;
/// Bytes of a VXLAN, Geneve or GTP-U header without what is optional.
const HEADER: usize = 8;
/// GTP-U extension headers that are followed.
pub const MAX_GTPU_EXTENSIONS: u32 = 4;
/// RFC 9000, section 17.2.
pub const MAX_CONNECTION_ID: u8 = 20;

/// Notes the tunnel that the datagram at [`Headers::l4`] is, if it is one that the policy reads. A header that is cut off is a
/// fault; in what an ICMP error quotes it is only absent.
#[inline(always)]
pub fn parse<P: Packet>(packet: &P, config: &Config, headers: &mut Headers, inside: &mut Inside) {
    let at = Pos::from_stored(headers.l4);
    let read = |bits| config.reads & bits != 0;
    let whole = match headers.protocol {
        UDP if headers.has(found::PORTS) => udp(packet, config, headers, inside, at),
        GRE if read(reads::GRE | reads::NSH | reads::INNER) => gre(packet, headers, inside, at),
        IPIP if read(reads::INNER) => carries(inside, kind::IPV4, at),
        IPV6 if read(reads::INNER) => carries(inside, kind::IPV6, at),
        ETHERNET if read(reads::INNER) => carries(inside, kind::ETHERNET, at),
        _ => Some(()),
    };
    if whole.is_none() && !headers.has(found::QUOTED) {
        headers.fail(Fault::TunnelCut);
        return;
    }
    if inside.kind == kind::NSH {
        inside.kind = kind::NOTHING;
        let at = Pos::from_stored(inside.next);
        let whole = in_datagram(headers, at, nsh::FIXED)
            && nsh::parse(packet, inside, at).is_some()
            && in_datagram(headers, Pos::from_stored(inside.next), 0);
        if !whole && !headers.has(found::QUOTED) {
            headers.fail(Fault::TunnelCut);
        }
    }
}

/// Notes what the tunnel carries, and where.
#[inline(always)]
fn carries(inside: &mut Inside, kind: u16, at: Pos) -> Option<()> {
    inside.kind = kind;
    inside.next = at.store();
    Some(())
}

/// What an EtherType says of what follows.
#[inline(always)]
const fn kind_of(ether_type: u16) -> u16 {
    match ether_type {
        ETHER_TYPE_IPV4 => kind::IPV4,
        ETHER_TYPE_IPV6 => kind::IPV6,
        ETHER_TYPE_BRIDGED => kind::ETHERNET,
        ETHER_TYPE_NSH => kind::NSH,
        _ => kind::NOTHING,
    }
}

/// Whether `bytes` bytes at `at` are inside the IP datagram, and can be read.
#[inline(always)]
pub(crate) const fn in_datagram(headers: &Headers, at: Pos, bytes: usize) -> bool {
    at.get() + bytes <= headers.end as usize
}

/// What a UDP datagram's port says it carries.
#[inline(always)]
fn udp<P: Packet>(
    packet: &P,
    config: &Config,
    headers: &Headers,
    inside: &mut Inside,
    at: Pos,
) -> Option<()> {
    // Tunnels are addressed by destination port in both directions; a quoted packet's ports are turned round.
    let port = if headers.has(found::QUOTED) { headers.source_port } else { headers.destination_port };
    let read = |bits| config.reads & bits != 0;
    let ports = &config.ports;
    // One after the other, not a choice among all: what the policy does not read is removed, with its comparison.
    if read(reads::QUIC) && port == ports.quic {
        return connection_id(packet, config, headers, inside, packet.advance(at, UDP_HEADER)?);
    }
    if read(reads::VXLAN | reads::INNER) && port == ports.vxlan {
        let (at, header) = header(packet, headers, inside, at)?;
        return vxlan(packet, inside, header, at);
    }
    if read(reads::GENEVE | reads::NSH | reads::INNER) && port == ports.geneve {
        let (at, header) = header(packet, headers, inside, at)?;
        return geneve(packet, headers, inside, header, at);
    }
    if read(reads::GTPU | reads::INNER) && port == ports.gtpu {
        let (at, header) = header(packet, headers, inside, at)?;
        return gtpu(packet, headers, inside, header, at);
    }
    Some(())
}

/// The header behind the UDP header at `at`: where it is, and its bytes. VNI and TEID are at the same place in it.
#[inline(always)]
fn header<P: Packet>(
    packet: &P,
    headers: &Headers,
    inside: &mut Inside,
    at: Pos,
) -> Option<(Pos, [u8; HEADER])> {
    let at = packet.advance(at, UDP_HEADER)?;
    if !in_datagram(headers, at, HEADER) {
        return None;
    }
    let header = packet.load::<[u8; HEADER]>(at, 0)?;
    inside.tunnel = at.store();
    inside.id = at.plus::<4>().store();
    Some((at, header))
}

/// VXLAN (RFC 7348), with the group policy extension.
#[inline(always)]
fn vxlan<P: Packet>(packet: &P, inside: &mut Inside, header: [u8; HEADER], at: Pos) -> Option<()> {
    // Without this flag the identifier is not valid.
    if header[0] & 0x08 == 0 {
        return Some(());
    }
    inside.set(within::VXLAN | if header[0] & 0x80 != 0 { within::VXLAN_POLICY } else { 0 });
    carries(inside, kind::ETHERNET, packet.advance(at, HEADER)?)
}

/// Geneve (RFC 8926).
#[inline(always)]
fn geneve<P: Packet>(
    packet: &P,
    headers: &Headers,
    inside: &mut Inside,
    header: [u8; HEADER],
    at: Pos,
) -> Option<()> {
    if header[0] >> 6 != 0 {
        return Some(());
    }
    let options = ((header[0] & 0x3f) as usize) << 2;
    let next = packet.advance(at, HEADER + options)?;
    if !in_datagram(headers, next, 0) {
        return None;
    }
    inside.set(within::GENEVE);
    carries(inside, kind_of(u16::from_be_bytes([header[2], header[3]])), next)
}

/// GTP-U (3GPP TS 29.281): version 1, not GTP prime.
#[inline(always)]
fn gtpu<P: Packet>(
    packet: &P,
    headers: &Headers,
    inside: &mut Inside,
    header: [u8; HEADER],
    at: Pos,
) -> Option<()> {
    if header[0] & 0xf0 != 0x30 {
        return Some(());
    }
    inside.set(within::GTPU);
    let mut at = packet.advance(at, HEADER)?;
    // Sequence number, N-PDU number and the type of the first extension are there together or not at all.
    if header[0] & 0x07 != 0 {
        if !in_datagram(headers, at, 4) {
            return None;
        }
        let optional = packet.load::<[u8; 4]>(at, 0)?;
        at = packet.advance(at, 4)?;
        let mut next = if header[0] & 0x04 != 0 { optional[3] } else { 0 };
        let mut walked = 0;
        while walked < MAX_GTPU_EXTENSIONS && next != 0 {
            let Some([words]) = packet.load::<[u8; 1]>(at, 0) else { break };
            // Its length in words of four bytes; its last byte is the type of the next.
            let Some(to) = packet.advance(at, (words as usize) << 2) else { break };
            if words == 0 || !in_datagram(headers, to, 0) {
                break;
            }
            let Some(last) = packet.advance(at, ((words as usize) << 2) - 1) else { break };
            let Some([after]) = packet.load::<[u8; 1]>(last, 0) else { break };
            next = after;
            at = to;
            walked += 1;
        }
        if next != 0 {
            // More than are followed, or cut off: what is carried is not known.
            return Some(());
        }
    }
    // A user's packet, and not a message between the tunnel's ends.
    if header[1] != 255 {
        return Some(());
    }
    carries(inside, kind::IP, at)
}

/// GRE (RFC 2784, RFC 2890), version 0 without source routes.
#[inline(always)]
fn gre<P: Packet>(packet: &P, headers: &Headers, inside: &mut Inside, at: Pos) -> Option<()> {
    if !in_datagram(headers, at, 4) {
        return None;
    }
    let flags = load_u16(packet, at, 0)?;
    let protocol = load_u16(packet, at, 2)?;
    if flags & 0x4007 != 0 {
        return Some(());
    }
    inside.tunnel = at.store();
    let mut length = 4 + if flags & 0x8000 != 0 { bug!(Tunnel, 4, 0) } else { 0 };
    if flags & 0x2000 != 0 {
        let key = packet.advance(at, length)?;
        if !in_datagram(headers, key, 4) {
            return None;
        }
        load_u32(packet, key, 0)?;
        inside.id = key.store();
        inside.set(within::GRE_KEY);
        length += 4;
    }
    if flags & 0x1000 != 0 {
        length += 4;
    }
    carries(inside, kind_of(protocol), packet.advance(at, length)?)
}

/// The destination connection id of a QUIC packet (RFC 9000, section 17).
#[inline(always)]
fn connection_id<P: Packet>(
    packet: &P,
    config: &Config,
    headers: &Headers,
    inside: &mut Inside,
    at: Pos,
) -> Option<()> {
    let [first] = packet.load::<[u8; 1]>(at, 0)?;
    let (before, length) = if first & 0x80 != 0 {
        let [.., length] = packet.load::<[u8; 6]>(at, 0)?;
        (6, length)
    } else {
        (1, config.quic_length)
    };
    // Other versions may have longer ids; they are not ours to read (RFC 8999 lets them).
    if length > MAX_CONNECTION_ID {
        return Some(());
    }
    let at = packet.advance(at, before)?;
    if !in_datagram(headers, at, length as usize) {
        return None;
    }
    inside.id = at.store();
    inside.id_length = length as u16;
    inside.set(within::QUIC);
    Some(())
}
