//! Damage to frames: bits flipped, ends cut off, lengths that lie.

use crate::dice::Dice;

/// The shortest frame that the kernel takes for a test run: an Ethernet header.
const SHORTEST: usize = 14;
/// Where the headers of most frames are.
const HEADERS: usize = 100;
/// Where those of a tunnel may be, from the IP header: behind a header of either family, and behind UDP.
const TUNNELS: [usize; 4] = [20, 28, 40, 48];

/// Damages a frame in one to three ways.
pub(super) fn mutate(frame: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..1 + dice.below(3) {
        let at = dice.below(frame.len().min(HEADERS));
        let l3 = l3(frame);
        match dice.below(11) {
            0 => change(frame, at, |byte| byte ^ 1 << dice.below(8)),
            1 => change(frame, at, |_| dice.any() as u8),
            2 => frame.truncate(SHORTEST + dice.below(frame.len())),
            3 => frame.truncate(SHORTEST + dice.below(HEADERS)),
            4 => frame.resize(frame.len() + dice.below(40), 0xee),
            // The IP length: a little off, or anything.
            5 => {
                let low = if frame.get(l3).is_some_and(|byte| byte >> 4 == 4) { l3 + 3 } else { l3 + 5 };
                change(frame, low, |byte| byte.wrapping_add(dice.one([1, 255, 4, 252, 128])));
            }
            // The version and, in IPv4, the header's length.
            6 => change(frame, l3, |byte| byte & 0xf0 | dice.below(16) as u8),
            // Lengths of the transport or of an extension header, behind a header without options.
            7 => {
                let l4 = l3 + dice.one([20, 40]);
                let (at, most) = dice.one([(1, 256), (4, 256), (5, 9), (12, 0x60)]);
                change(frame, l4 + at, |_| dice.below(most) as u8);
            }
            // Flags, lengths and types of a tunnel, or of an option or extension behind its header.
            8 => {
                let tunnel = l3 + dice.one(TUNNELS) + dice.below(16);
                let with = [1 << dice.below(8), dice.any() as u8, dice.any() as u8];
                change(frame, tunnel, |byte| dice.one([byte ^ with[0], with[1], byte & with[2], 0, 0xff]));
            }
            // What is inside a tunnel.
            9 => {
                let inside = l3 + dice.one(TUNNELS) + 8 + dice.below(80);
                change(frame, inside, |byte| byte ^ 1 << dice.below(8));
            }
            _ => change(frame, l3 + 20 + at % 40, |_| dice.any() as u8),
        }
        if frame.len() < SHORTEST {
            frame.resize(SHORTEST, 0);
        }
    }
}

/// Where the IP header begins, behind what looks like tags.
fn l3(frame: &[u8]) -> usize {
    let tagged = |at: usize| matches!(frame.get(at..at + 2), Some([0x81, 0] | [0x88, 0xa8] | [0x91, 0]));
    match (tagged(12), tagged(16)) {
        (true, true) => 22,
        (true, false) => 18,
        _ => 14,
    }
}

fn change(frame: &mut [u8], at: usize, with: impl FnOnce(u8) -> u8) {
    if let Some(byte) = frame.get_mut(at) {
        *byte = with(*byte);
    }
}
