use std::hash::Hasher;

use proptest::prelude::*;
use siphasher::sip::SipHasher13;

use crate::hash::{Sip13, key};

proptest! {
    /// Our SipHash over words is the published one over their little-endian bytes.
    #[test]
    fn sip13_is_siphash_1_3(secret: [u64; 2], words: Vec<u64>) {
        let mut ours = Sip13::new(secret);
        let mut theirs = SipHasher13::new_with_keys(secret[0], secret[1]);
        for word in &words {
            ours.word(*word);
            theirs.write(&word.to_le_bytes());
        }
        prop_assert_eq!(ours.finish(), theirs.finish());
    }
}

#[test]
fn structured_keys_spread() {
    let multipliers = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];
    for shift in [0, 16, 32, 48] {
        let home = |n: u64| key(multipliers, [0, n << shift], false) >> 48;
        let homes: std::collections::BTreeSet<u64> = (0..256).map(home).collect();
        assert!(homes.len() > 250, "keys at bit {shift}: {} homes", homes.len());
    }
}

#[test]
fn both_halves_count_in_a_wide_key() {
    assert_ne!(key([3, 5], [1, 7], true), key([3, 5], [2, 7], true));
    assert_eq!(key([3, 5], [1, 7], false), key([3, 5], [2, 7], false));
}
