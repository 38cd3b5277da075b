//! Frames of more than a page, which the kernel keeps in several buffers.

use keysteer::image::Image;
use keysteer_common::vocabulary::{Class, Reason, Verdict};
use keysteer_tests::frames::Packet;
use keysteer_tests::lab::mac;

use crate::table::{A, Expect, POLICY, acme, acme6, table, table_of};

#[test]
fn a_frame_in_several_buffers_is_counted_whole_and_leaves_whole() {
    // Of an interface that takes whatever comes.
    let wide = |image: &mut Image| image.shards.iter_mut().for_each(|shard| shard.most = 0);
    table_of(POLICY, wide, |lab, mut table| {
        let to_a = Expect::redirected("acme", "a", Verdict::Interface, [A, mac(1)]);
        for payload in [200, 214, 215, 1_472, 3_000, 3_400, 3_800, 4_096, 9_000, 16_000] {
            for packet in [acme(0), acme6(0)] {
                let frame = Packet { payload, ..packet }.bytes();
                table.frame("jumbo", &frame, 0, &to_a);
                table.frame("jumbo from an interface", &frame, lab.index("eth0"), &to_a);
            }
        }
    });
}

#[test]
fn a_length_beyond_several_buffers_is_seen() {
    table(|_, mut table| {
        for packet in [acme(0), acme6(0)] {
            let mut frame = Packet { payload: 9_000, ..packet }.bytes();
            frame.truncate(frame.len() - 1);
            let malformed = Expect::class(Class::Malformed, Reason::ClassDrop);
            table.frame("one byte is missing at the far end", &frame, 0, &malformed);
        }
    });
}
