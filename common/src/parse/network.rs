//! IPv4 (RFC 791) and the fixed IPv6 header (RFC 8200).

use core::mem::offset_of;

use network_types::ip::{Ipv4Hdr, Ipv6Hdr};

use crate::access::{Packet, Pos, Wire};
use crate::headers::{Headers, found};
use crate::seeded::bug;
use crate::vocabulary::Fault;

// SAFETY: `repr(C)`, made of `u8` and byte arrays alone: no padding, no invalid pattern, alignment 1.
unsafe impl Wire for Ipv4Hdr {}

const _: () = assert!(size_of::<Ipv4Hdr>() == 20 && align_of::<Ipv4Hdr>() == 1);

/// "More fragments" and the fragment offset (RFC 791); reserved and "don't fragment" left out.
pub(crate) const FRAGMENT_BITS: u16 = 0x3fff;
/// The fragment offset alone.
pub(crate) const FRAGMENT_OFFSET: u16 = 0x1fff;

/// The fixed IPv6 header as eight-byte words, because its first fields are not whole bytes.
pub(crate) type Ipv6Words = [[u8; 8]; 5];

// SAFETY: byte arrays: no padding, no invalid pattern, alignment 1.
unsafe impl Wire for Ipv6Words {}

const _: () = assert!(size_of::<Ipv6Words>() == Ipv6Hdr::LEN);

/// Where an IP packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An IPv4 address.
    V4(u32),
    /// An IPv6 address, most significant half first.
    V6([u64; 2]),
}

/// Fills what the IP header at `at`, of IPv4 where `v4` says so, has and gives its destination. `None` when that cannot be read or
/// believed (cut off, or another version): then the frame is foreign. A fault found later leaves the
/// destination good.
///
/// `bytes` is the frame's length as far as known; see [`crate::decide`].
#[inline(always)]
pub fn parse<P: Packet>(
    packet: &P,
    headers: &mut Headers,
    bytes: &mut u64,
    at: Pos,
    v4: bool,
) -> Option<Destination> {
    if v4 { ipv4(packet, headers, bytes, at) } else { ipv6(packet, headers, bytes, at) }
}

/// [`parse`], for IPv4.
#[inline(always)]
fn ipv4<P: Packet>(packet: &P, headers: &mut Headers, bytes: &mut u64, at: Pos) -> Option<Destination> {
    let ip = packet.load::<Ipv4Hdr>(at, 0)?;
    if ip.vihl >> 4 != 4 {
        return None;
    }
    headers.l3 = at.store();
    headers.source = at.plus::<{ offset_of!(Ipv4Hdr, src_addr) }>().store();
    headers.destination = at.plus::<{ offset_of!(Ipv4Hdr, dst_addr) }>().store();
    headers.protocol = ip.proto;
    let fragment = u16::from_be_bytes(ip.frags) & bug!(Network, FRAGMENT_BITS, FRAGMENT_OFFSET) != 0;
    headers.set(found::IPV4 | found::PROTOCOL | if fragment { found::FRAGMENT } else { 0 });

    let header_length = ((ip.vihl & 0x0f) as usize) << 2;
    let total_length = u16::from_be_bytes(ip.tot_len) as usize;
    match packet.advance(at, header_length) {
        Some(l4) => headers.l4 = l4.store(),
        None => headers.fail(Fault::TransportCut),
    }
    if header_length < Ipv4Hdr::LEN || total_length < header_length {
        headers.fail(Fault::Ipv4HeaderLength);
    } else {
        measure(packet, headers, bytes, at, total_length);
    }
    Some(Destination::V4(u32::from_be_bytes(ip.dst_addr)))
}

/// [`parse`], for IPv6.
#[inline(always)]
fn ipv6<P: Packet>(packet: &P, headers: &mut Headers, bytes: &mut u64, at: Pos) -> Option<Destination> {
    let [first, _, _, high, low] = packet.load::<Ipv6Words>(at, 0)?;
    if first[0] >> 4 != 6 {
        return None;
    }
    headers.l3 = at.store();
    headers.source = at.plus::<{ offset_of!(Ipv6Hdr, src_addr) }>().store();
    headers.destination = at.plus::<{ offset_of!(Ipv6Hdr, dst_addr) }>().store();
    headers.protocol = first[offset_of!(Ipv6Hdr, next_hdr)];
    headers.set(found::IPV6);

    let payload_length = u16::from_be_bytes([first[4], first[5]]) as usize;
    match packet.advance(at, Ipv6Hdr::LEN) {
        Some(l4) => headers.l4 = l4.store(),
        None => headers.fail(Fault::TransportCut),
    }
    if payload_length != 0 {
        measure(packet, headers, bytes, at, Ipv6Hdr::LEN + payload_length);
    } else {
        // A jumbogram (RFC 2675) or a GSO packet above 64 KiB: only the frame says where it ends.
        ends(headers, packet.linear_len());
    }
    Some(Destination::V6([u64::from_be_bytes(high), u64::from_be_bytes(low)]))
}

/// Notes where a datagram of `length` bytes at `at` ends, and a fault where that is past the frame. The
/// whole frame's length is only asked for when its linear part does not settle it, and is then noted.
#[inline(always)]
fn measure<P: Packet>(packet: &P, headers: &mut Headers, bytes: &mut u64, at: Pos, length: usize) {
    let (end, linear) = (at.get() + length, packet.linear_len());
    if end > linear {
        ends(headers, linear);
        let whole = packet.frame_len();
        if !P::LENGTH_KNOWN {
            *bytes = whole as u64;
        }
        if end > whole {
            headers.fail(Fault::IpLength);
        }
    } else {
        ends(headers, end);
    }
}

/// Notes where what can be read of the datagram ends.
#[inline(always)]
const fn ends(headers: &mut Headers, end: usize) {
    headers.end = if end < u16::MAX as usize { end as u16 } else { u16::MAX };
}
