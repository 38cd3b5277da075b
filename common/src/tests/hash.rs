use std::hash::Hasher;

use proptest::prelude::*;
use siphasher::sip::SipHasher13;

use crate::hash::{Sip13, mix};

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
fn mix_spreads_keys_that_differ_in_one_high_bit() {
    let buckets: std::collections::BTreeSet<u64> = (0..16).map(|n: u64| mix(n << 48) & 0xffff).collect();
    assert_eq!(buckets.len(), 16);
}
