//! What TC says of a packet beside its bytes: a tag, and that it stands for many frames.

use crate::access::{Packet, Pos, Segments, Wire};
use crate::account::Counter;
use crate::headers::found;
use crate::segments::carried;
use crate::slice::Frame;

use super::world::{syn6, udp4};

/// A frame as TC has it.
struct AtTc<'f> {
    frame: Frame<'f>,
    tag: Option<u16>,
    segments: Option<Segments>,
}

impl Packet for AtTc<'_> {
    const LENGTH_KNOWN: bool = true;

    fn linear_len(&self) -> usize {
        self.frame.linear_len()
    }
    fn frame_len(&self) -> usize {
        self.frame.frame_len()
    }
    fn ingress(&self) -> u32 {
        self.frame.ingress()
    }
    fn load<T: Wire>(&self, pos: Pos, d: usize) -> Option<T> {
        self.frame.load(pos, d)
    }
    fn tag(&self) -> Option<u16> {
        self.tag
    }
    fn segments(&self) -> Option<Segments> {
        self.segments
    }
}

fn count(frame: &mut [u8], tag: Option<u16>, segments: Option<u64>) -> Counter {
    let segments = segments.map(|count| Segments { count, size: 1_000 });
    carried(&AtTc { frame: Frame::new(frame, 3), tag, segments })
}

#[test]
fn every_segment_has_the_headers_anew() {
    let bytes = udp4().len() as u64;
    assert_eq!(count(&mut udp4(), None, None), Counter { packets: 1, bytes });
    assert_eq!(count(&mut udp4(), None, Some(5)), Counter { packets: 5, bytes: bytes + 4 * (14 + 20 + 8) });
    let bytes = syn6().len() as u64;
    assert_eq!(count(&mut syn6(), None, Some(3)), Counter { packets: 3, bytes: bytes + 2 * (14 + 40 + 20) });
}

#[test]
fn a_tag_beside_the_frame_counts_as_if_it_were_in_it() {
    let bytes = udp4().len() as u64 + 4;
    assert_eq!(count(&mut udp4(), Some(100), None), Counter { packets: 1, bytes });
    assert_eq!(
        count(&mut udp4(), Some(100), Some(2)),
        Counter { packets: 2, bytes: bytes + 14 + 4 + 20 + 8 }
    );
}

#[test]
fn what_cannot_be_read_is_not_counted_again() {
    for length in 14..udp4().len() {
        let counted = count(&mut udp4()[..length], None, Some(3));
        let again = counted.bytes - length as u64;
        assert!(counted.packets == 3 && again <= 2 * length as u64, "{length}: {counted:?}");
    }
}

#[test]
fn the_tag_is_the_outer_one_and_one_in_the_frame_the_inner() {
    let mut headers = crate::headers::Headers::NONE;
    let mut frame = udp4();
    let packet = AtTc { frame: Frame::new(&mut frame, 3), tag: Some(7), segments: None };
    let l3 = crate::parse::link::parse(&packet, &mut headers).map(Pos::get);
    assert_eq!((l3, headers.found, headers.outer_tci), (Some(14), found::VLAN, 7));

    let mut frame = udp4();
    frame.splice(12..12, [0x81, 0, 0, 9]);
    let mut headers = crate::headers::Headers::NONE;
    let packet = AtTc { frame: Frame::new(&mut frame, 3), tag: Some(7), segments: None };
    let l3 = crate::parse::link::parse(&packet, &mut headers).map(Pos::get);
    assert_eq!((l3, headers.found), (Some(18), found::VLAN | found::VLAN_INNER));
    assert_eq!((headers.outer_tci, headers.inner_tci), (7, 9));
}
