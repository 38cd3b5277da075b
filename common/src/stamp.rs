//! A key stamped on the traffic that leaves, so that whoever comes next can read it: in the differentiated services code point (RFC 2474) of
//! either family and in the flow label of IPv6 (RFC 6437).
//!
//! ```text
//!  31           30        29..24   20          19..0
//!  DSCP is set  0         DSCP     label set   flow label
//! ```

use core::mem::offset_of;

use network_types::ip::Ipv4Hdr;

use crate::access::{PacketMut, Pos};
use crate::checksum::{Change, follow};
use crate::headers::{Headers, found};
use crate::seeded::bug;

const DSCP: u32 = 1 << 31;
const LABEL: u32 = 1 << 20;

/// The stamp that sets what is given: a code point of 6 bits, a label of 20.
pub const fn stamp_of(dscp: Option<u8>, label: Option<u32>) -> u32 {
    let dscp = match dscp {
        Some(dscp) => DSCP | (dscp as u32 & 0x3f) << 24,
        None => 0,
    };
    match label {
        Some(label) => dscp | LABEL | label & 0xf_ffff,
        None => dscp,
    }
}

/// Stamps a packet with these headers. Congestion bits stay as they are.
#[inline(always)]
pub fn stamp<P: PacketMut>(packet: &mut P, headers: &Headers, stamp: u32) -> Option<()> {
    let l3 = Pos::from_stored(headers.l3);
    let dscp = (stamp >> 24) as u8 & 0x3f;
    if headers.has(found::IPV4) {
        if stamp & DSCP == 0 {
            return None;
        }
        let [version, class] = packet.load::<[u8; 2]>(l3, 0)?;
        let after = [version, dscp << 2 | class & bug!(Stamp, 3, 0)];
        packet.store(l3, 0, after)?;
        follow(packet, l3, offset_of!(Ipv4Hdr, check), Change::word([version, class], after), false)?;
    } else {
        let mut word = u32::from_be_bytes(packet.load::<[u8; 4]>(l3, 0)?);
        if stamp & DSCP != 0 {
            word = word & !(0x3f << 22) | (dscp as u32) << 22;
        }
        if stamp & LABEL != 0 {
            word = word & !0xf_ffff | stamp & 0xf_ffff;
        }
        packet.store(l3, 0, word.to_be_bytes())?;
    }
    Some(())
}
