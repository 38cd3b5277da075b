//! The order in which a shard prefers rows: a permutation of all of them, from the shard's name.

use siphasher::sip::SipHasher24;

use super::ROWS;

/// The published key of the hash (SipHash-2-4): part of the definition of a placement, not a secret.
const KEY: (u64, u64) = (0x6b65_7973_7465_6572, 0x706c_6163_656d_656e);

/// All rows, once each: `first`, `first + skip`, ... modulo their number. The number is a power of two,
/// not a prime as in the Maglev paper (Eisenbud et al. 2016, 3.4); an odd skip has the full period just
/// the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    first: usize,
    skip: usize,
    at: usize,
}

impl Order {
    /// The order of shard `name` in column `column`.
    pub(super) fn new(name: &str, column: usize) -> Self {
        let mut bytes = Vec::with_capacity(name.len() + 4);
        bytes.extend_from_slice(&u32::try_from(column).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(name.as_bytes());
        let hash = SipHasher24::new_with_keys(KEY.0, KEY.1).hash(&bytes);
        let low = |bits: u64| usize::try_from(bits % ROWS as u64).unwrap_or(0);
        Self { first: low(hash), skip: low(hash >> 32) | 1, at: 0 }
    }
}

impl Iterator for Order {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.at == ROWS {
            return None;
        }
        let row = (self.first + self.at * self.skip) % ROWS;
        self.at += 1;
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_comes_up_once() {
        for name in ["a", "b", "", "a-very-long-name"] {
            let mut seen = vec![false; ROWS];
            for row in Order::new(name, 3) {
                assert!(!std::mem::replace(&mut seen[row], true));
            }
            assert!(seen.iter().all(|seen| *seen));
        }
    }
}
