//! The options of a packet, one after another: for tools, where the packet path looks for the one that is asked for
//! ([`keysteer_common::parse::option`]).

use std::ops::Range;

/// Options that are listed of a packet; there can be no more of TCP, and Geneve's beyond are not looked at either.
const MOST: usize = 40;

/// A TCP option's kind, and the id of its experiment where it is of one.
pub(crate) type TcpKind = (u8, Option<u16>);

/// Geneve's, of the header at a position: class and type, and where the data are.
pub(crate) fn geneve(frame: &[u8], tunnel: usize) -> Vec<((u16, u8), Range<usize>)> {
    let mut found = Vec::new();
    let Some(first) = frame.get(tunnel) else { return found };
    let end = tunnel + 8 + usize::from(first & 0x3f) * 4;
    let mut at = tunnel + 8;
    while let Some([a, b, kind, length]) = frame.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        let data = at + 4..at + 4 + usize::from(length & 0x1f) * 4;
        if data.end > end.min(frame.len()) || found.len() == MOST {
            break;
        }
        at = data.end;
        found.push(((u16::from_be_bytes([*a, *b]), *kind), data));
    }
    found
}

/// TCP's, of the header at a position: kind, an experiment's id where the kind is for those, and where the data are.
pub(crate) fn tcp(frame: &[u8], header: usize) -> Vec<(TcpKind, Range<usize>)> {
    let mut found = Vec::new();
    let Some(words) = frame.get(header + 12) else { return found };
    let end = (header + usize::from(words >> 4) * 4).min(frame.len());
    let mut at = header + 20;
    while at < end && found.len() < MOST {
        let (kind, length) = match frame.get(at..end) {
            Some([0, ..]) => break,
            Some([1, ..]) => {
                at += 1;
                continue;
            }
            Some([kind, length, ..]) => (*kind, usize::from(*length)),
            _ => break,
        };
        if length < 2 || at + length > end {
            break;
        }
        let id = match frame.get(at + 2..at + length) {
            Some([a, b, ..]) if kind >= 253 => Some(u16::from_be_bytes([*a, *b])),
            _ => None,
        };
        found.push(((kind, id), at + if id.is_some() { 4 } else { 2 }..at + length));
        at += length;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_listed_as_far_as_they_are_whole() {
        let mut frame = vec![9, 9, 4, 0, 0, 0, 0, 0, 0, 0];
        frame.extend([1, 2, 0x83, 1, 5, 6, 7, 8]);
        frame.extend([0, 3, 4, 0]);
        frame.extend([0, 3, 5, 1]);
        assert_eq!(geneve(&frame, 2), [((0x102, 0x83), 14..18), ((3, 4), 22..22)]);
        assert_eq!(geneve(&frame, 99), []);

        let mut frame = vec![0; 20];
        frame[12] = 0x90;
        frame.extend([2, 4, 5, 0xb4, 1, 1, 253, 6, 0, 9, 7, 7, 0, 3, 3, 7]);
        assert_eq!(tcp(&frame, 0), [((2, None), 22..24), ((253, Some(9)), 30..32)]);
        frame[21] = 200;
        assert_eq!(tcp(&frame, 0), []);
    }
}
