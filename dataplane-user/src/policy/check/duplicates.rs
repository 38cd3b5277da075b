//! Which of very many things are there twice. A hash map of a million names would spend its time waiting
//! for memory; this sorts their hashes, and looks at names only where two hashes are the same.

use std::hash::{BuildHasher, Hash, RandomState};

/// Pairs of places: of a thing that is like an earlier one, and of the first that it is like; by the
/// former. `thing` gives what is at each place below `len`.
pub(super) fn duplicates<T: Hash + PartialEq>(len: usize, thing: impl Fn(usize) -> T) -> Vec<(usize, usize)> {
    duplicates_by(&RandomState::new(), len, thing)
}

fn duplicates_by<T: Hash + PartialEq>(
    hasher: &impl BuildHasher,
    len: usize,
    thing: impl Fn(usize) -> T,
) -> Vec<(usize, usize)> {
    // A hash and a place in one word, the place in the low bits: half to sort, and still next to no two
    // different things of one hash; those are told apart all the same.
    let places = len.next_power_of_two() as u64 - 1;
    let mut words: Vec<u64> = (0..len).map(|at| hasher.hash_one(thing(at)) & !places | at as u64).collect();
    words.sort_unstable();
    let mut found = Vec::new();
    for group in words.chunk_by(|one, other| (one ^ other) & !places == 0).filter(|group| group.len() > 1) {
        let mut firsts: Vec<(usize, T)> = Vec::new();
        for at in group.iter().map(|word| (word & places) as usize) {
            let this = thing(at);
            match firsts.iter().find(|(_, first)| *first == this) {
                Some((first, _)) => found.push((at, *first)),
                None => firsts.push((at, this)),
            }
        }
    }
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasherDefault, Hasher};

    use super::*;

    /// Of a text, its first byte.
    #[derive(Default)]
    struct Poor(u64);

    impl Hasher for Poor {
        fn write(&mut self, bytes: &[u8]) {
            self.0 = u64::from(bytes[0]);
        }
        fn write_u8(&mut self, _: u8) {}
        fn finish(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn each_is_paired_with_its_first() {
        let names = ["a", "b", "a", "c", "b", "a", "ab"];
        let pairs = [(2, 0), (4, 1), (5, 0)];
        assert_eq!(duplicates(names.len(), |at| names[at]), pairs);
        // The same where nearly all hashes are the same.
        let poor = BuildHasherDefault::<Poor>::default();
        assert_eq!(duplicates_by(&poor, names.len(), |at| names[at]), pairs);
        assert_eq!(duplicates(0, |at| at), []);
        assert_eq!(duplicates(1000, |at| at), []);
    }
}
