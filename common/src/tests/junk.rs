//! Any bytes survive. Debug assertions in the host's packet prove that no position ever exceeds what
//! the kernel's mask leaves unchanged.

use proptest::prelude::*;

use crate::config::class_action;
use crate::headers::Headers;
use crate::vocabulary::{Class, Verdict};

use super::world::{
    CLIENT6, Count, IPV6, Noted, SERVICE6, UDP, World, framed, headers, ipv6, syn6, udp, udp4, with_vlans,
};

/// Frames whose parts a mutation can turn into anything.
fn seeds() -> Vec<Vec<u8>> {
    let mut extensions = vec![60, 0, 1, 4, 0, 0, 0, 0];
    extensions.extend([44, 0, 1, 4, 0, 0, 0, 0]);
    extensions.extend([UDP, 0, 0, 1, 0, 0, 0, 9]);
    extensions.extend(udp(5, 6, 0));
    let mut icmp = vec![2, 0, 0, 0, 0, 0, 5, 0];
    icmp.extend(ipv6(UDP, SERVICE6, CLIENT6, &udp(443, 1111, 0)));
    vec![
        udp4(),
        syn6(),
        with_vlans(&udp4(), &[(0x88a8, 5), (0x8100, 6)]),
        framed(IPV6, &ipv6(60, CLIENT6, SERVICE6, &extensions)),
        framed(IPV6, &ipv6(58, CLIENT6, SERVICE6, &icmp)),
    ]
}

fn survives(mut frame: Vec<u8>) -> Result<(), TestCaseError> {
    let mut world = World::new();
    for class in &mut world.config.classes {
        class.action = class_action::STEER;
    }
    let before = frame.clone();
    let mut noted = Noted::default();
    let (_, work) = world.decide(&mut frame, &mut noted);
    prop_assert_eq!(noted.counts.iter().filter(|count| matches!(count, Count::Node(..))).count(), 1);
    prop_assert_eq!(work.record.decision.bytes as usize, before.len());
    if work.record.decision.class != Class::Foreign as u8 {
        // Whether it was parsed plainly or in full, the same was found.
        let end = work.headers.end;
        prop_assert_eq!(work.headers, Headers { end, ..headers(&mut before.clone()) });
    }
    if work.record.decision.verdict == Verdict::Pass as u8 {
        prop_assert_eq!(frame, before, "a frame that passes is untouched");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(frame in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(frame)?;
    }

    #[test]
    fn mutated_frames(
        seed in 0..5_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        whole: bool,
    ) {
        let mut frame = seeds()[seed].clone();
        for (at, value) in changes {
            let at = at.index(frame.len());
            frame[at] = value;
        }
        if !whole {
            frame.truncate(cut.index(frame.len() + 1));
        }
        survives(frame)?;
    }

    #[test]
    fn long_frames_with_far_headers(pad in 0..3000_usize, next in any::<u8>()) {
        let mut extension = vec![next, 255, 1, 4];
        extension.resize(2048, 0);
        let mut frame = framed(IPV6, &ipv6(0, CLIENT6, SERVICE6, &extension));
        frame.resize(frame.len() + pad, 0);
        survives(frame)?;
    }
}
