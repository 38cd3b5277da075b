//! What the kernel is told.

use std::collections::BTreeMap;

use keysteer_common::overlay::{DEAD, shard_word};

use super::*;

#[test]
fn a_shard_that_is_down_takes_no_packets() {
    assert_ne!(health_word(Some(Wanted::Down)) & DEAD, 0);
    assert_eq!(health_word(None), 0);
    assert_eq!(health_word(Some(Wanted::Recovering { share: 128 })) & DEAD, 0);
    assert_eq!(health_word(Some(Wanted::Recovering { share: 255 })), WHOLE);
}

#[test]
fn what_is_of_healths_bits_was_healths() {
    let down = health_word(Some(Wanted::Down));
    let kernel =
        BTreeMap::from([(1, down), (2, shard_word::DISABLED), (3, down | shard_word::DISABLED), (4, WHOLE)]);
    assert_eq!(inherited(&kernel), BTreeMap::from([(1, down), (3, down), (4, WHOLE)]));
    assert_eq!(HEALTHS & shard_word::DISABLED, 0);
}
