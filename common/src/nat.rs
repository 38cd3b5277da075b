//! Stateless translation between a service's address and the pod's that answers for it: what goes to the pod is addressed to it, what
//! comes from it is from the service. Ports stay, so that nothing need be remembered. Checksums follow (RFC 1624), and so does what an ICMP
//! error quotes (RFC 5508): path MTU discovery works through it.
//!
//! ```text
//!  in    to the service        destination: service -> pod     quoted source:      service -> pod
//!  out   from the pod          source:      pod -> service     quoted destination: pod -> service
//! ```

use core::mem::offset_of;

use network_types::ip::{Ipv4Hdr, Ipv6Hdr};

use crate::access::{PacketMut, Pos};
use crate::back::{NOBODY, parse, turn};
use crate::checksum::{Change, Pseudo, follow};
use crate::headers::{Headers, found};
use crate::parse::network::{self, Destination, Ipv6Words};
use crate::parse::transport::{self, ICMP, ICMPV6, TCP, UDP};
use crate::prefix;
use crate::scope;
use crate::seeded::bug;
use crate::tables::Tables;

/// Bytes of an ICMP error before what it quotes.
const ERROR: usize = 8;
/// Where TCP has its checksum.
const TCP_SUM: usize = 16;
/// Where UDP has it.
const UDP_SUM: usize = 6;
/// Where ICMP has it.
const ICMP_SUM: usize = 2;

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the pod.
    In,
    /// From it.
    Out,
}

/// Readdresses a packet for shard `shard`, whose IP header is at `l3`. `None` where its headers are cut off, or the pod has no
/// address of that family.
#[inline(always)]
pub fn to_pod<P: PacketMut, T: Tables>(packet: &mut P, tables: &T, shard: u32, l3: Pos) -> Option<()> {
    let pod = tables.pod(shard)?;
    let back = &tables.config().back;
    let [first] = packet.load::<[u8; 1]>(l3, 0)?;
    match first >> 4 {
        4 if pod.v4 != [0; 4] => ipv4(packet, l3, Way::In, back.service4, pod.v4),
        6 if pod.v6 != [[0; 8]; 2] => ipv6(packet, l3, Way::In, back.service6, pod.v6),
        _ => None,
    }
}

/// Gives an answer of a pod the service's address, and says whose it was: the shard's index. [`NOBODY`], and nothing done, for any other
/// packet: what a pod sends from a port that is no service's is its own.
#[inline(always)]
pub fn from_pod<P: PacketMut, T: Tables>(packet: &mut P, tables: &T, headers: &mut Headers) -> u32 {
    *headers = Headers::NONE;
    if parse(packet, headers, &mut 0).is_none() {
        return NOBODY;
    }
    // Of an error that quotes, the flow is what it quotes; its sender may be another than the pod.
    transport::parse(packet, headers);
    if headers.is_broken() {
        return NOBODY;
    }
    let back = &tables.config().back;
    let source = Pos::from_stored(headers.source);
    let l3 = Pos::from_stored(headers.l3);
    if headers.has(found::IPV4) {
        let Some(pod) = packet.load::<[u8; 4]>(source, 0) else { return NOBODY };
        let number = prefix::find4(tables, &back.pods, u32::from_be_bytes(pod));
        let service = Destination::V4(u32::from_be_bytes(back.service4));
        if number == 0 || !answers(tables, headers, service) {
            return NOBODY;
        }
        ipv4(packet, l3, Way::Out, pod, back.service4);
        number - 1
    } else {
        let Some(pod) = packet.load::<[[u8; 8]; 2]>(source, 0) else { return NOBODY };
        let number = prefix::find6(tables, &back.pods, pod.map(u64::from_be_bytes));
        let service = Destination::V6(back.service6.map(u64::from_be_bytes));
        if number == 0 || !answers(tables, headers, service) {
            return NOBODY;
        }
        ipv6(packet, l3, Way::Out, pod, back.service6);
        number - 1
    }
}

/// Whether a pod's packet answers for `service`; its headers are turned round.
#[inline(always)]
fn answers<T: Tables>(tables: &T, headers: &mut Headers, service: Destination) -> bool {
    turn(headers);
    let set = scope::destination(tables, service);
    set != 0 && scope::service(tables, headers, set)
}

/// Which checksum a transport protocol has over its addresses, and where.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sum {
    Tcp,
    Udp,
    Icmpv6,
    None,
}

impl Sum {
    #[inline(always)]
    const fn of(protocol: u8) -> Self {
        match protocol {
            TCP => Self::Tcp,
            UDP => Self::Udp,
            ICMPV6 => Self::Icmpv6,
            _ => Self::None,
        }
    }
}

/// Replaces `from` by `to` in an IPv4 packet.
#[inline(always)]
fn ipv4<P: PacketMut>(packet: &mut P, l3: Pos, way: Way, from: [u8; 4], to: [u8; 4]) -> Option<()> {
    let ip = packet.load::<Ipv4Hdr>(l3, 0)?;
    let l4 = packet.advance(l3, ((ip.vihl & 0x0f) as usize) << 2)?;
    let end = l3.get() + u16::from_be_bytes(ip.tot_len) as usize;
    let bits = u16::from_be_bytes(ip.frags);
    let address = if way as u8 == Way::Out as u8 { ip.src_addr } else { ip.dst_addr };
    if address == from {
        let change = Change::four(from, to);
        put4(packet, l3, way, to)?;
        follow(packet, l3, offset_of!(Ipv4Hdr, check), change, false)?;
        if bits & network::FRAGMENT_OFFSET == 0 {
            transport_sum(packet, l4, ip.proto, change, true)?;
        }
    }
    if ip.proto == ICMP && bits & network::FRAGMENT_BITS == 0 {
        let [kind] = packet.load::<[u8; 1]>(l4, 0)?;
        if matches!(kind, 3 | 4 | 5 | 11 | 12) {
            quoted4(packet, l4, end, way, from, to);
        }
    }
    Some(())
}

/// Replaces `from` by `to` in an IPv6 packet.
#[inline(always)]
fn ipv6<P: PacketMut>(packet: &mut P, l3: Pos, way: Way, from: [[u8; 8]; 2], to: [[u8; 8]; 2]) -> Option<()> {
    let words = packet.load::<Ipv6Words>(l3, 0)?;
    let next = words[0][offset_of!(Ipv6Hdr, next_hdr)];
    let end = l3.get() + Ipv6Hdr::LEN + u16::from_be_bytes([words[0][4], words[0][5]]) as usize;
    let walk = transport::walk(packet, next, packet.advance(l3, Ipv6Hdr::LEN)?);
    let address = if way as u8 == Way::Out as u8 { [words[1], words[2]] } else { [words[3], words[4]] };
    if address == from {
        let change = Change::sixteen(from, to);
        put6(packet, l3, way, to)?;
        if !walk.later {
            transport_sum(packet, walk.at, walk.protocol, change, false)?;
        }
    }
    if walk.protocol == ICMPV6 && !walk.fragment {
        let [kind] = packet.load::<[u8; 1]>(walk.at, 0)?;
        if matches!(kind, 1..=4) {
            quoted6(packet, walk.at, end, way, from, to);
        }
    }
    Some(())
}

/// Puts an address in its place.
#[inline(always)]
fn put4<P: PacketMut>(packet: &mut P, l3: Pos, way: Way, address: [u8; 4]) -> Option<()> {
    match way {
        Way::Out => packet.store(l3, offset_of!(Ipv4Hdr, src_addr), address),
        Way::In => packet.store(l3, offset_of!(Ipv4Hdr, dst_addr), address),
    }
}

/// Puts an address in its place.
#[inline(always)]
fn put6<P: PacketMut>(packet: &mut P, l3: Pos, way: Way, address: [[u8; 8]; 2]) -> Option<()> {
    match way {
        Way::Out => packet.store(l3, offset_of!(Ipv6Hdr, src_addr), address),
        Way::In => packet.store(l3, offset_of!(Ipv6Hdr, dst_addr), address),
    }
}

/// Lets the checksum of the transport header at `at` follow a change of address.
#[inline(always)]
fn transport_sum<P: PacketMut>(
    packet: &mut P,
    at: Pos,
    protocol: u8,
    change: Change,
    v4: bool,
) -> Option<()> {
    match Sum::of(protocol) {
        Sum::Tcp => packet.follow_pseudo(at.plus::<TCP_SUM>(), change, Pseudo { v4, optional: false }),
        Sum::Udp => packet.follow_pseudo(at.plus::<UDP_SUM>(), change, Pseudo { v4, optional: true }),
        Sum::Icmpv6 if !v4 => {
            packet.follow_pseudo(at.plus::<ICMP_SUM>(), change, Pseudo { v4, optional: false })
        }
        _ => Some(()),
    }
}

/// Replaces `from` by `to` in what the ICMP error at `icmp` quotes, as far as that is there; the datagram ends at `end`.
#[inline(always)]
fn quoted4<P: PacketMut>(
    packet: &mut P,
    icmp: Pos,
    end: usize,
    way: Way,
    from: [u8; 4],
    to: [u8; 4],
) -> Option<()> {
    let at = packet.advance(icmp, ERROR)?;
    let ip = packet.load::<Ipv4Hdr>(at, 0)?;
    let (address, opposite) = match way {
        Way::Out => (ip.dst_addr, Way::In),
        Way::In => (ip.src_addr, Way::Out),
    };
    if address != from || ip.vihl >> 4 != 4 {
        return None;
    }
    let change = Change::four(from, to);
    put4(packet, at, opposite, bug!(Nat, to, from))?;
    let mut whole = change.and(follow(packet, at, offset_of!(Ipv4Hdr, check), change, false)?);
    if u16::from_be_bytes(ip.frags) & network::FRAGMENT_OFFSET == 0
        && let Some(l4) = packet.advance(at, ((ip.vihl & 0x0f) as usize) << 2)
    {
        whole = whole.and(quoted_sum(packet, l4, end, ip.proto, change));
    }
    follow(packet, icmp, ICMP_SUM, whole, false)?;
    Some(())
}

/// [`quoted4`], of IPv6.
#[inline(always)]
fn quoted6<P: PacketMut>(
    packet: &mut P,
    icmp: Pos,
    end: usize,
    way: Way,
    from: [[u8; 8]; 2],
    to: [[u8; 8]; 2],
) -> Option<()> {
    let at = packet.advance(icmp, ERROR)?;
    let words = packet.load::<Ipv6Words>(at, 0)?;
    let (address, opposite) = match way {
        Way::Out => ([words[3], words[4]], Way::In),
        Way::In => ([words[1], words[2]], Way::Out),
    };
    if address != from || words[0][0] >> 4 != 6 {
        return None;
    }
    let change = Change::sixteen(from, to);
    put6(packet, at, opposite, bug!(Nat, to, from))?;
    let next = words[0][offset_of!(Ipv6Hdr, next_hdr)];
    let walk = transport::walk(packet, next, packet.advance(at, Ipv6Hdr::LEN)?);
    let whole =
        if walk.later { change } else { change.and(quoted_sum(packet, walk.at, end, walk.protocol, change)) };
    follow(packet, icmp, ICMP_SUM, whole, false)?;
    Some(())
}

/// Lets the checksum of a quoted transport header follow, where the quote is long enough to have it; gives how it changed.
#[inline(always)]
fn quoted_sum<P: PacketMut>(packet: &mut P, at: Pos, end: usize, protocol: u8, change: Change) -> Change {
    let fits = |offset: usize| at.get() + offset + 2 <= end;
    match Sum::of(protocol) {
        Sum::Tcp if fits(TCP_SUM) => follow(packet, at, TCP_SUM, change, false),
        Sum::Udp if fits(UDP_SUM) => follow(packet, at, UDP_SUM, change, true),
        Sum::Icmpv6 if fits(ICMP_SUM) => follow(packet, at, ICMP_SUM, change, false),
        _ => None,
    }
    .unwrap_or(Change::NONE)
}
