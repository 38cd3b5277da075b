//! What parsing may say of a frame, whatever the frame.

use std::net::IpAddr;

use etherparse::{LinkExtSlice, NetSlice, SlicedPacket, TransportSlice};
use keysteer_common::access::MAX_POS;
use keysteer_common::config::{Config, Ports, reads};
use keysteer_common::headers::{Headers, found};
use keysteer_common::inside::within;
use keysteer_common::look::{facts_of, headers_of};
use keysteer_common::slice::Frame;
use keysteer_common::vocabulary::Fault;

use super::model::{address, bytes};

/// Protocols whose header begins with ports.
const WITH_PORTS: [u8; 3] = [6, 17, 132];
/// RFC 4302.
const AUTHENTICATION: u8 = 51;
/// The longest frame worth trying: more than any position can be.
const LONGEST: usize = 4096;

/// Parses a frame and checks what is said of it.
pub fn parse(data: &[u8]) {
    let mut frame = data.get(..LONGEST).unwrap_or(data).to_vec();
    let headers = headers_of(&Frame::new(&mut frame, 1));
    tunnels(&mut frame);
    consistent(&headers);
    inside(&headers, &frame);
    faults(&headers, &frame);
    facts(&headers, &frame);
    extensions(&headers, &frame);
    others(&headers, &frame);
}

/// What has everything looked for.
pub(super) fn everything() -> Config {
    Config { reads: reads::ALL, ports: Ports::IANA, quic_length: 8, ..Config::ZERO }
}

/// What is found beyond the outer headers, by a policy that reads everything, is in the frame, and what goes together
/// is there together.
fn tunnels(frame: &mut [u8]) {
    let (headers, inside) = facts_of(&Frame::new(frame, 1), &everything());
    let has = |bits| inside.has(bits);
    assert_eq!(inside.found >> 14, 0, "a bit without a meaning");
    assert!(!has(within::IPV4 | within::IPV6), "two families inside");
    let kinds = [within::VXLAN, within::GENEVE, within::GRE_KEY, within::GTPU, within::QUIC];
    assert!(kinds.iter().filter(|kind| has(**kind)).count() <= 1, "two tunnels");
    let needs = [
        (within::VXLAN_POLICY, within::VXLAN),
        (within::NSH_CONTEXT, within::NSH),
        (within::PORTS, within::PROTOCOL),
    ];
    for (bit, needed) in needs {
        assert!(!has(bit) || has(needed), "{inside:?}");
    }
    let ip = inside.found & (within::IPV4 | within::IPV6) != 0;
    assert!(!has(within::PROTOCOL) || ip, "a protocol of nothing");
    assert!(
        inside.found == 0 || headers.found & (found::IPV4 | found::IPV6) != 0 || !ip,
        "inside of nothing"
    );
    // Of a later fragment nothing is known but what is below IP.
    if headers.has(found::LATER) {
        assert_eq!(inside.found & !(within::MPLS | within::NSH | within::NSH_CONTEXT), 0, "{headers:?}");
    }
    let address = if has(within::IPV4) { 4 } else { 16 };
    for (there, at, length) in [
        (has(within::VXLAN), inside.tunnel, 8),
        (has(within::GENEVE), inside.tunnel, 8),
        (has(within::GTPU), inside.tunnel, 8),
        (has(within::GRE_KEY), inside.id, 4),
        (has(within::QUIC), inside.id, usize::from(inside.id_length)),
        (has(within::NSH), inside.nsh, 8),
        (has(within::ETHERNET), inside.ethernet, 14),
        (has(within::IPV4), inside.l3, 20),
        (has(within::IPV6), inside.l3, 40),
        (ip, inside.source, address),
        (ip, inside.destination, address),
    ] {
        let end = usize::from(at) + length;
        assert!(!there || end <= frame.len(), "{length} bytes at {at} of {}: {inside:?}", frame.len());
    }
    if has(within::GRE_KEY) {
        // Behind the checksum, where there is one (RFC 2890).
        let [flags] = bytes(frame, inside.tunnel.into());
        assert_eq!(inside.id, inside.tunnel + 4 + if flags & 0x80 == 0 { 0 } else { 4 });
    }
    if has(within::MPLS) {
        let tags = [found::VLAN, found::VLAN_INNER].iter().filter(|tag| headers.has(**tag)).count();
        assert_eq!(inside.label, u32::from_be_bytes(bytes(frame, 14 + 4 * tags)) >> 12, "not the top label");
    }
    if has(within::PORTS) {
        let [mut from, mut to] = [inside.source_port, inside.destination_port].map(u16::to_be_bytes);
        if headers.has(found::QUOTED) {
            std::mem::swap(&mut from, &mut to);
        }
        let at = usize::from(inside.l4);
        assert_eq!(frame.get(at..at + 4), Some([from, to].as_flattened()), "ports inside");
    }
}

/// Bits that go together, and no others.
fn consistent(headers: &Headers) {
    let has = |bits| headers.has(bits);
    assert_eq!(headers.found >> 11, 0, "a bit without a meaning");
    assert!(!has(found::IPV4 | found::IPV6), "two families");
    assert!(!has(found::VLAN_INNER) || has(found::VLAN), "a second tag without a first");
    let fault = Fault::from_number(headers.fault).expect("a fault of the vocabulary");
    let ip = headers.found & (found::IPV4 | found::IPV6) != 0;
    let of_ip = found::PROTOCOL
        | found::PORTS
        | found::FRAGMENT
        | found::LATER
        | found::OPENS
        | found::QUOTED
        | found::DISCOVERY;
    assert!(ip || (headers.found & of_ip == 0 && fault == Fault::None), "more than the link without IP");
    if has(found::PORTS) {
        assert!(
            has(found::PROTOCOL) && WITH_PORTS.contains(&headers.protocol),
            "ports of a protocol without"
        );
    }
    assert!(!has(found::LATER) || has(found::FRAGMENT) && !has(found::PORTS), "a later part of no fragment");
    if has(found::OPENS) {
        assert!(has(found::PORTS) && headers.protocol == 6 && !has(found::QUOTED), "only TCP opens");
    }
    if has(found::DISCOVERY) {
        assert!(has(found::IPV6 | found::PROTOCOL) && headers.protocol == 58 && !has(found::QUOTED));
    }
    if has(found::QUOTED) {
        assert!(fault == Fault::None && has(found::PROTOCOL), "a quote of a broken error");
    }
}

/// What was found is in the frame, where the kernel's mask changes no position.
fn inside(headers: &Headers, frame: &[u8]) {
    if headers.found & (found::IPV4 | found::IPV6) == 0 {
        return;
    }
    let (header, long) = if headers.has(found::IPV4) { (20, 4) } else { (40, 16) };
    let [l3, l4, source, destination] =
        [headers.l3, headers.l4, headers.source, headers.destination].map(usize::from);
    assert!([14, 18, 22].contains(&l3));
    assert!(l4 <= MAX_POS && source <= MAX_POS + 24 && destination <= MAX_POS + 24);
    assert!(l3 + header <= frame.len());
    assert!(source + long <= frame.len() && destination + long <= frame.len());
    if headers.fault == Fault::None as u8 {
        assert!(l4 >= l3 + header, "the transport begins inside the IP header");
    }
    if !headers.has(found::QUOTED) {
        let first = if long == 4 { l3 + 12 } else { l3 + 8 };
        assert_eq!((source, destination), (first, first + long), "addresses of another header");
        if headers.has(found::PORTS) {
            let ports = [headers.source_port.to_be_bytes(), headers.destination_port.to_be_bytes()];
            assert_eq!(frame.get(l4..l4 + 4), Some(ports.as_flattened()));
        }
    } else {
        // The quoted header is turned round: its destination is the flow's source.
        assert!(destination > l3 + header && source == destination + long && l4 >= source + long);
    }
}

/// Lengths that lie are found out, and no others.
fn faults(headers: &Headers, frame: &[u8]) {
    let l3 = usize::from(headers.l3);
    let word = |at: usize| usize::from(u16::from_be_bytes(bytes(frame, at)));
    let fault = Fault::from_number(headers.fault).expect("a fault of the vocabulary");
    let (own, beyond) = if headers.has(found::IPV4) {
        let [first] = bytes(frame, l3);
        let (header, total) = (usize::from(first & 0xf) * 4, word(l3 + 2));
        let own = header < 20 || total < header;
        (own, !own && l3 + total > frame.len())
    } else if headers.has(found::IPV6) {
        (false, word(l3 + 4) != 0 && l3 + 40 + word(l3 + 4) > frame.len())
    } else {
        return;
    };
    assert_eq!(own, fault == Fault::Ipv4HeaderLength);
    assert_eq!(beyond, fault == Fault::IpLength);
    if matches!(fault, Fault::ExtensionCut | Fault::TooManyExtensions) {
        // IPv4 has the authentication header alone, and knows it for its protocol.
        let six = headers.has(found::IPV6) && !headers.has(found::PROTOCOL);
        let four = headers.has(found::IPV4) && headers.protocol == AUTHENTICATION;
        assert!(six || four, "an extension's fault elsewhere");
    }
    if fault == Fault::TransportLength {
        assert!([6, 17].contains(&headers.protocol) && headers.has(found::PORTS));
    }
}

/// Flags that the frame's own bytes must bear out.
fn facts(headers: &Headers, frame: &[u8]) {
    let (l3, l4) = (usize::from(headers.l3), usize::from(headers.l4));
    if headers.has(found::OPENS) {
        let [flags] = bytes(frame, l4 + 13);
        assert_eq!(flags & 0x12, 2, "SYN without ACK");
    }
    if headers.has(found::DISCOVERY) {
        let [kind] = bytes(frame, l4);
        assert!((130..=137).contains(&kind) || kind == 143);
    }
    if headers.has(found::IPV4) && !headers.has(found::QUOTED) {
        let fragment = u16::from_be_bytes(bytes(frame, l3 + 6)) & 0x3fff != 0;
        assert_eq!(fragment, headers.has(found::FRAGMENT));
        let [protocol] = bytes(frame, l3 + 9);
        // Behind an authentication header is another; the dissector's test knows which.
        if protocol != AUTHENTICATION || fragment {
            assert_eq!(protocol, headers.protocol);
        }
    }
    if headers.has(found::QUOTED) {
        let [kind] = bytes(frame, icmp(headers));
        let error: &[u8] = if headers.has(found::IPV4) { &[3, 4, 5, 11, 12] } else { &[1, 2, 3, 4] };
        assert!(error.contains(&kind), "a quote in ICMP type {kind}");
    }
}

/// The transport is where the extension headers lead (RFC 8200; RFC 4302 for the authentication header).
fn extensions(headers: &Headers, frame: &[u8]) {
    let fault = Fault::from_number(headers.fault).expect("a fault of the vocabulary");
    let walked = matches!(fault, Fault::None | Fault::TransportCut | Fault::TransportLength);
    if !headers.has(found::IPV6) || !walked {
        return;
    }
    let l3 = usize::from(headers.l3);
    let ([mut next], mut at, mut fragment) = (bytes(frame, l3 + 6), l3 + 40, false);
    while !fragment && [0, 43, 44, 51, 60, 135].contains(&next) {
        let [following, length, high, low] = bytes(frame, at).map(usize::from);
        at += match next {
            44 => {
                // An offset, or more to come; neither is a whole datagram (RFC 6946).
                fragment = high != 0 || low & 0xf9 != 0;
                8
            }
            51 => (length + 2) * 4,
            _ => (length + 1) * 8,
        };
        next = following as u8;
    }
    let l4 = if headers.has(found::QUOTED) { icmp(headers) } else { headers.l4.into() };
    assert_eq!((l4, headers.has(found::FRAGMENT)), (at, fragment || quotes_one(headers)));
    if headers.has(found::QUOTED) {
        assert_eq!(next, 58, "a quote in something else than ICMPv6");
    } else if headers.has(found::PROTOCOL) {
        assert_eq!(headers.protocol, next);
    }
}

/// Where the ICMP error is: eight bytes before the quoted header, whose source is the flow's destination.
fn icmp(headers: &Headers) -> usize {
    usize::from(headers.destination) - if headers.has(found::IPV4) { 12 + 8 } else { 8 + 8 }
}

/// Whether it may be a quoted packet that is a fragment.
fn quotes_one(headers: &Headers) -> bool {
    headers.has(found::QUOTED | found::FRAGMENT)
}

/// Another project's parser, where it finds nothing wrong and neither do we, reads the same.
fn others(headers: &Headers, frame: &[u8]) {
    let Ok(parsed) = SlicedPacket::from_ethernet(frame) else {
        return;
    };
    // It looks behind MACsec too, which is foreign to us.
    if parsed.link_exts.iter().any(|extension| !matches!(extension, LinkExtSlice::Vlan(_))) {
        return;
    }
    if headers.fault != Fault::None as u8 || headers.found & (found::IPV4 | found::IPV6) == 0 {
        // Three tags are foreign to us.
        let tags = parsed.vlan_ids().len();
        assert!(tags > 2 || headers.fault != Fault::None as u8 || parsed.net.as_ref().is_none_or(is_arp));
        return;
    }
    let tags: Vec<u16> = parsed.vlan_ids().iter().map(|id| id.value()).collect();
    let ours = [(found::VLAN, headers.outer_tci), (found::VLAN_INNER, headers.inner_tci)];
    let ours: Vec<u16> =
        ours.iter().filter(|(bit, _)| headers.has(*bit)).map(|(_, tci)| tci & 0xfff).collect();
    assert_eq!(ours, tags);
    let addresses: (IpAddr, IpAddr) = match &parsed.net {
        Some(NetSlice::Ipv4(ip)) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        Some(NetSlice::Ipv6(ip)) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        other => panic!("IP is found where another parser sees {other:?}"),
    };
    if headers.has(found::QUOTED) {
        return;
    }
    let at = |position: u16| address(frame, headers.has(found::IPV4), position);
    assert_eq!((at(headers.source), at(headers.destination)), addresses);
    let (protocol, ports) = match &parsed.transport {
        Some(TransportSlice::Tcp(tcp)) => (6, (tcp.source_port(), tcp.destination_port())),
        Some(TransportSlice::Udp(udp)) => (17, (udp.source_port(), udp.destination_port())),
        _ => return,
    };
    // Extension headers behind IPv4 are not followed.
    if headers.protocol == protocol {
        assert!(headers.has(found::PORTS));
        assert_eq!((headers.source_port, headers.destination_port), ports);
    } else {
        assert!(headers.has(found::IPV4), "{protocol} is reached behind extension headers");
    }
}

fn is_arp(net: &NetSlice<'_>) -> bool {
    matches!(net, NetSlice::Arp(_))
}
