//! The network service header (RFC 8300).

use crate::access::{Packet, Pos};
use crate::inside::{Inside, kind, within};

/// Bytes of the base and the service path header.
pub(super) const FIXED: usize = 8;

/// Notes the service header at `at`, and in [`Inside::next`] and [`Inside::kind`] what follows it; `None` where it is cut off or says an impossible length.
#[inline(always)]
pub(super) fn parse<P: Packet>(packet: &P, inside: &mut Inside, at: Pos) -> Option<()> {
    let base = packet.load::<[u8; FIXED]>(at, 0)?;
    // Version 0; the length in words of four bytes.
    let length = ((base[1] & 0x3f) as usize) << 2;
    if base[0] >> 6 != 0 || length < FIXED {
        return None;
    }
    let fixed_metadata = base[2] & 0x0f == 1;
    if fixed_metadata && length != FIXED + 16 {
        return None;
    }
    let next = packet.advance(at, length)?;
    if next.get() > packet.linear_len() {
        return None;
    }
    inside.nsh = at.store();
    inside.next = next.store();
    inside.kind = match base[3] {
        1 => kind::IPV4,
        2 => kind::IPV6,
        3 => kind::ETHERNET,
        _ => kind::NOTHING,
    };
    inside.set(within::NSH | if fixed_metadata { within::NSH_CONTEXT } else { 0 });
    Some(())
}
