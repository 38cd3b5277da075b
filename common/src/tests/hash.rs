use std::hash::Hasher;

use proptest::prelude::*;
use siphasher::sip::{SipHasher13, SipHasher24};

use crate::hash::{Sip13, Sip24, key};

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

    /// So is the other one.
    #[test]
    fn sip24_is_siphash_2_4(secret: [u64; 2], words: Vec<u64>) {
        let mut ours = Sip24::new(secret);
        let mut theirs = SipHasher24::new_with_keys(secret[0], secret[1]);
        for word in &words {
            ours.word(*word);
            theirs.write(&word.to_le_bytes());
        }
        prop_assert_eq!(ours.finish(), theirs.finish());
    }
}

/// The vectors of Aumasson and Bernstein (`vectors_sip64` of the reference implementation): the secret is the bytes
/// 00 to 0f and the message 00, 01, 02 and so on. These are the ones of whole words: 0, 8, 16, ... 56 bytes.
#[test]
fn sip24_hashes_the_published_vectors() {
    let published: [u64; 8] = [
        0x726f_db47_dd0e_0e31,
        0x93f5_f579_9a93_2462,
        0x3f2a_cc7f_57c2_9bdb,
        0xb8ad_50c6_f649_af94,
        0x7127_512f_72f2_7cce,
        0x0e3e_a96b_5304_a7d0,
        0xe612_a3cb_9ecb_a951,
        0xb78d_bfaf_3a8d_83bd,
    ];
    let word = |n: u64| u64::from_le_bytes(std::array::from_fn(|i| (n * 8) as u8 + i as u8));
    for (words, expected) in published.iter().enumerate() {
        let mut sip = Sip24::new([word(0), word(1)]);
        for n in 0..words {
            sip.word(word(n as u64));
        }
        assert_eq!(sip.finish(), *expected, "a message of {} bytes", 8 * words);
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
