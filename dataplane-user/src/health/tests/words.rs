//! What the kernel is told.

use std::collections::BTreeMap;

use keysteer_common::overlay::shard_word;

use super::*;

#[test]
fn a_shard_that_is_down_takes_no_packets() {
    assert_ne!(health_word(Some(Wanted::Down)) & shard_word::DISABLED, 0);
    assert_eq!(health_word(None), 0);
    assert_eq!(health_word(Some(Wanted::Recovering { share: 128 })) & shard_word::DISABLED, 0);
}

#[test]
fn what_operators_did_not_say_was_healths() {
    let down = health_word(Some(Wanted::Down));
    let kernel = BTreeMap::from([(1, down), (2, shard_word::DISABLED), (3, down)]);
    let operators = BTreeMap::from([(2, shard_word::DISABLED), (9, shard_word::DISABLED)]);
    assert_eq!(inherited(&kernel, &operators), BTreeMap::from([(1, down), (3, down)]));
}
