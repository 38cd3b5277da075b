//! The hashes of the packet path.
//!
//! [`key`] finds key-table entries: a sender without the secret multipliers cannot aim at one bucket,
//! and at worst costs the bounded probes. [`Sip13`] spreads flows: senders choose the five-tuple, so it is a keyed
//! pseudo-random function (SipHash-1-3, Aumasson and Bernstein 2012, with one compression and three
//! finalisation rounds), over whole 64-bit words. [`Sip24`] signs and verifies ([`crate::shim`]): with the rounds
//! that its authors recommend for a message authentication code.

/// A key's hash, whose *high* bits say where to begin looking: multiply-shift, which is 2-universal for
/// secret odd multipliers (Dietzfelbinger et al. 1997). `wide` is whether the high half of the key can
/// be other than zero.
#[inline(always)]
pub const fn key(multipliers: [u64; 2], key: [u64; 2], wide_key: bool) -> u64 {
    let hash = low(multipliers, key[1]);
    if wide_key { wide(multipliers, hash, key[0]) } else { hash }
}

/// [`key`], of the low half.
#[inline(always)]
pub(crate) const fn low(multipliers: [u64; 2], low: u64) -> u64 {
    low.wrapping_mul(multipliers[1])
}

/// [`key`], where the low half has `hash`.
#[inline(always)]
pub(crate) const fn wide(multipliers: [u64; 2], hash: u64, high: u64) -> u64 {
    hash.wrapping_add(high.wrapping_mul(multipliers[0]))
}

/// SipHash over a sequence of 64-bit words, with `C` compression rounds a word and `D` finalisation rounds.
#[derive(Clone, Copy)]
pub struct Sip<const C: usize, const D: usize> {
    v: [u64; 4],
    words: u64,
}

/// SipHash-1-3, where the hash does not leave the node.
pub type Sip13 = Sip<1, 3>;

/// SipHash-2-4, for authenticity.
pub type Sip24 = Sip<2, 4>;

impl<const C: usize, const D: usize> Sip<C, D> {
    /// A hasher under a 128-bit secret.
    #[inline(always)]
    pub const fn new(secret: [u64; 2]) -> Self {
        Self {
            v: [
                secret[0] ^ 0x736f_6d65_7073_6575,
                secret[1] ^ 0x646f_7261_6e64_6f6d,
                secret[0] ^ 0x6c79_6765_6e65_7261,
                secret[1] ^ 0x7465_6462_7974_6573,
            ],
            words: 0,
        }
    }

    #[inline(always)]
    fn round(&mut self) {
        let [v0, v1, v2, v3] = &mut self.v;
        *v0 = v0.wrapping_add(*v1);
        *v1 = v1.rotate_left(13) ^ *v0;
        *v0 = v0.rotate_left(32);
        *v2 = v2.wrapping_add(*v3);
        *v3 = v3.rotate_left(16) ^ *v2;
        *v0 = v0.wrapping_add(*v3);
        *v3 = v3.rotate_left(21) ^ *v0;
        *v2 = v2.wrapping_add(*v1);
        *v1 = v1.rotate_left(17) ^ *v2;
        *v2 = v2.rotate_left(32);
    }

    /// Without a loop: the kernel home's code is better when there is none to begin with.
    #[inline(always)]
    fn rounds<const N: usize>(&mut self) {
        const { assert!(N >= 1 && N <= 4) };
        self.round();
        if N > 1 {
            self.round();
        }
        if N > 2 {
            self.round();
        }
        if N > 3 {
            self.round();
        }
    }

    /// Adds a word (eight bytes, little-endian, in the terms of the paper).
    #[inline(always)]
    pub fn word(&mut self, word: u64) {
        self.v[3] ^= word;
        self.rounds::<C>();
        self.v[0] ^= word;
        self.words += 1;
    }

    /// The hash of the words added.
    #[inline(always)]
    pub fn finish(mut self) -> u64 {
        let length = self.words << 59;
        self.word(length);
        self.v[2] ^= 0xff;
        self.rounds::<D>();
        self.v[0] ^ self.v[1] ^ self.v[2] ^ self.v[3]
    }
}
