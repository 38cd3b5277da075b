//! Packets of flows that were seen: what a flow says next, and what somebody else says in its name.

use keysteer_common::headers::found;

use crate::dice::Dice;
use crate::leaving::headers;

/// TCP and UDP (IANA protocol numbers).
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Flags of a TCP segment.
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// Makes another packet of the flow of `frame`; none where that has no flow.
pub(super) fn next(frame: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let headers = headers(frame);
    if !headers.has(found::PORTS) || headers.found & (found::FRAGMENT | found::QUOTED) != 0 {
        return None;
    }
    let at = usize::from(headers.l4);
    let mut next = frame.to_vec();
    match headers.protocol {
        TCP => {
            let flags = *next.get(at + 13)?;
            let number = next.get_mut(at + 4..at + 8)?;
            let sequence = u32::from_be_bytes(number.try_into().ok()?);
            let ahead = [0, 1, 1, 1, 2, 1_460, 16_384, 16_385, 2 << 20, 1 << 27, (1 << 27) + 9, u32::MAX];
            number.copy_from_slice(&sequence.wrapping_add(dice.one(ahead)).to_be_bytes());
            // What opened goes on, most often; what did not may open.
            let opened = flags & (SYN | ACK) == SYN;
            *next.get_mut(at + 13)? =
                dice.one(if opened { [ACK, ACK, ACK, SYN] } else { [SYN, SYN, ACK, ACK] });
        }
        UDP => {
            // A first byte of QUIC, and a version.
            let first = dice.one([0xc0, 0xd0, 0xe0, 0xf0, 0x40]);
            let version = dice.one([[0, 0, 0, 1], [0x6b, 0x33, 0x43, 0xcf], [0, 0, 0, 0]]);
            *next.get_mut(at + 8)? = first;
            next.get_mut(at + 9..at + 13)?.copy_from_slice(&version);
        }
        _ => return None,
    }
    Some(next)
}
