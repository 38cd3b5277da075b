//! What may stand between Ethernet and IP: a label stack (RFC 3032), or a service header (RFC 8300).

use network_types::eth::EthHdr;

use crate::access::{Packet, Pos, load_u16, load_u32};
use crate::config::{Config, reads};
use crate::headers::Headers;
use crate::inside::{Inside, kind, within};
use crate::parse::link::{ETHER_TYPE_IPV4, ETHER_TYPE_IPV6};
use crate::parse::nsh;
use crate::seeded::bug;

const ETHER_TYPE_MPLS: u16 = 0x8847;
/// Upstream-assigned labels (RFC 5332).
const ETHER_TYPE_MPLS_UPSTREAM: u16 = 0x8848;
/// RFC 8300, section 3.
pub(super) const ETHER_TYPE_NSH: u16 = 0x894f;

/// How many labels are followed.
pub const MAX_LABELS: u32 = 8;

/// Follows what stands at [`Headers::l3`] to the IP header: its position, and whether it is IPv4. `None` where there is
/// none, or the policy reads no such thing: the frame is foreign.
#[inline(always)]
pub fn parse<P: Packet>(
    packet: &P,
    config: &Config,
    headers: &Headers,
    inside: &mut Inside,
) -> Option<(Pos, bool)> {
    let at = Pos::from_stored(headers.l3);
    match headers.ether_type {
        ETHER_TYPE_MPLS | ETHER_TYPE_MPLS_UPSTREAM if config.reads & reads::MPLS != 0 => {
            labels(packet, inside, at)?;
        }
        ETHER_TYPE_NSH if config.reads & reads::NSH != 0 => {
            nsh::parse(packet, inside, at)?;
            let at = Pos::from_stored(inside.next);
            match inside.kind {
                kind::IPV4 => return Some((at, true)),
                kind::IPV6 => return Some((at, false)),
                kind::ETHERNET => {}
                _ => return None,
            }
            let ether_type = load_u16(packet, at, core::mem::offset_of!(EthHdr, ether_type))?;
            let at = packet.advance(at, EthHdr::LEN)?;
            return match ether_type {
                ETHER_TYPE_IPV4 => Some((at, true)),
                ETHER_TYPE_IPV6 => Some((at, false)),
                _ => None,
            };
        }
        _ => return None,
    }
    let at = Pos::from_stored(inside.next);
    // Behind labels nothing says what follows but its first four bits (RFC 4928).
    match packet.load::<[u8; 1]>(at, 0)?[0] >> 4 {
        4 => Some((at, true)),
        6 => Some((at, false)),
        _ => None,
    }
}

/// Walks a label stack; notes its top, and in [`Inside::next`] what follows its bottom.
#[inline(always)]
fn labels<P: Packet>(packet: &P, inside: &mut Inside, at: Pos) -> Option<()> {
    let mut at = at;
    inside.label = load_u32(packet, at, 0)? >> bug!(Below, 12, 8);
    let mut bottom = false;
    let mut walked = 0;
    while walked < MAX_LABELS && !bottom {
        let Some(entry) = load_u32(packet, at, 0) else { break };
        let Some(to) = packet.advance(at, 4) else { break };
        bottom = entry & 0x100 != 0;
        at = to;
        walked += 1;
    }
    if !bottom {
        return None;
    }
    inside.next = at.store();
    inside.set(within::MPLS);
    Some(())
}
