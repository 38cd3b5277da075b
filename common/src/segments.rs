//! What a packet counts as: one frame, or those that the kernel makes of it later (segmentation offload). Each of them has the
//! headers anew, so that counters say what crosses the wire, whichever hook counted.

use core::mem::offset_of;

use network_types::ip::{Ipv4Hdr, Ipv6Hdr};

use crate::access::{Packet, Segments};
use crate::account::Counter;
use crate::headers::Headers;
use crate::hint::rare;
use crate::parse::link;
use crate::parse::network::Ipv6Words;
use crate::parse::transport::{self, TCP, UDP};

/// Bytes of a VLAN tag.
const TAG: u64 = 4;

/// Frames and bytes that a packet counts as.
#[inline(always)]
pub(crate) fn carried<P: Packet>(packet: &P) -> Counter {
    let bytes = packet.quick_len() as u64 + beside(packet);
    match packet.segments() {
        None => Counter::frame(bytes),
        Some(Segments { count, .. }) => {
            rare();
            Counter { packets: count, bytes: bytes + (count - 1) * repeated(packet) }
        }
    }
}

/// Bytes of the longest frame of a packet that counts as `carried`.
#[inline(always)]
pub(crate) fn longest<P: Packet>(packet: &P, carried: Counter) -> u64 {
    match packet.segments() {
        None => carried.bytes,
        Some(Segments { count, size }) => {
            rare();
            // Its headers are in what it counts as, so they need not be parsed again.
            let once = packet.quick_len() as u64 + beside(packet);
            carried.bytes.saturating_sub(once) / (count - 1).max(1) + size
        }
    }
}

/// Bytes of the tag that is kept beside the frame.
#[inline(always)]
fn beside<P: Packet>(packet: &P) -> u64 {
    if packet.tag().is_some() { TAG } else { 0 }
}

/// Bytes of the headers that every segment has: as far as the outer TCP or UDP header. What of a tunnel is behind that is not
/// counted again.
#[inline(always)]
fn repeated<P: Packet>(packet: &P) -> u64 {
    let mut headers = Headers::NONE;
    headers_len(packet, &mut headers).unwrap_or(0).min(packet.frame_len()) as u64 + beside(packet)
}

#[inline(always)]
fn headers_len<P: Packet>(packet: &P, headers: &mut Headers) -> Option<usize> {
    let l3 = link::parse(packet, headers)?;
    let (protocol, at) = if headers.ether_type == link::ETHER_TYPE_IPV4 {
        let ip = packet.load::<Ipv4Hdr>(l3, 0)?;
        (ip.proto, packet.advance(l3, ((ip.vihl & 0x0f) as usize) << 2)?)
    } else {
        let [first, ..] = packet.load::<Ipv6Words>(l3, 0)?;
        let end =
            transport::walk(packet, first[offset_of!(Ipv6Hdr, next_hdr)], packet.advance(l3, Ipv6Hdr::LEN)?);
        (end.protocol, end.at)
    };
    match protocol {
        TCP => {
            let [offset] = packet.load::<[u8; 1]>(at, 12)?;
            Some(at.get() + ((offset >> 4) as usize) * 4)
        }
        UDP => Some(at.get() + 8),
        _ => Some(at.get()),
    }
}
