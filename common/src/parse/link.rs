//! Ethernet II with up to two VLAN tags (IEEE 802.1Q, 802.1ad).

use network_types::eth::EthHdr;

use crate::access::{Packet, Pos, load_u16};
use crate::headers::{Headers, found};
use crate::seeded::bug;

/// IPv4 (RFC 894).
pub const ETHER_TYPE_IPV4: u16 = 0x0800;
/// IPv6 (RFC 2464).
pub const ETHER_TYPE_IPV6: u16 = 0x86dd;
const ETHER_TYPE_VLAN: u16 = 0x8100;
const ETHER_TYPE_QINQ: u16 = 0x88a8;
/// Pre-standard stacked VLANs, still seen.
const ETHER_TYPE_QINQ_OLD: u16 = 0x9100;

/// Whether a tag follows this EtherType.
#[inline(always)]
pub(super) fn is_vlan(ether_type: u16) -> bool {
    matches!(ether_type, ETHER_TYPE_VLAN | ETHER_TYPE_QINQ)
        || bug!(Link, ether_type == ETHER_TYPE_QINQ_OLD, false)
}

/// Fills `ether_type`, the VLAN tags, and in `l3` where what they announce begins. Gives the position of the IP header; `None` when the frame
/// carries no IP (nor, behind more than two tags, any that is looked for): it is foreign.
#[inline(always)]
pub fn parse<P: Packet>(packet: &P, headers: &mut Headers) -> Option<Pos> {
    let mut ether_type = load_u16(packet, Pos::START, core::mem::offset_of!(EthHdr, ether_type))?;
    let mut at = packet.advance(Pos::START, EthHdr::LEN)?;
    if let Some(outer) = packet.tag() {
        headers.outer_tci = outer;
        headers.set(found::VLAN);
        if is_vlan(ether_type) {
            ether_type = inner(packet, headers, &mut at)?;
        }
    } else if is_vlan(ether_type) {
        let tag = packet.load::<[u8; 4]>(at, 0)?;
        headers.outer_tci = u16::from_be_bytes([tag[0], tag[1]]);
        headers.set(found::VLAN);
        ether_type = u16::from_be_bytes([tag[2], tag[3]]);
        at = packet.advance(at, 4)?;
        if is_vlan(ether_type) {
            ether_type = inner(packet, headers, &mut at)?;
        }
    }
    headers.ether_type = ether_type;
    headers.l3 = at.store();
    matches!(ether_type, ETHER_TYPE_IPV4 | ETHER_TYPE_IPV6).then_some(at)
}

/// Notes the inner tag at `at`, which it passes; gives what follows it.
#[inline(always)]
fn inner<P: Packet>(packet: &P, headers: &mut Headers, at: &mut Pos) -> Option<u16> {
    let tag = packet.load::<[u8; 4]>(*at, 0)?;
    headers.inner_tci = u16::from_be_bytes([tag[0], tag[1]]);
    headers.set(found::VLAN_INNER);
    *at = packet.advance(*at, 4)?;
    Some(u16::from_be_bytes([tag[2], tag[3]]))
}
