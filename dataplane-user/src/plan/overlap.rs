//! How many shards the keys of a pool have in common: for every pair of keys, exactly, although there can be 10^12
//! pairs. Keys with the same shards are one group, and groups are counted in one of two ways:
//!
//! ```text
//!  narrow rows   by subset      Σ over sets S of C(keys whose shards include S, 2), by size of S, is
//!                               Σ over pairs of C(shards in common, size): inverted, that is the histogram
//!  wide rows     by bits        for one group, the shards in common with 64 others at a time: a shard is a bit
//!                               per group, and bits are added in planes
//! ```
//!
//! Should both take too long, evenly chosen groups are each compared with all, and the result says so.

use std::collections::HashMap;

use super::mixer::Mixed;

/// Keys with the same shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Their shards, ascending.
    pub(super) shards: Vec<u16>,
    /// How many they are.
    pub(super) keys: u64,
    /// The first of them, and the second if there is one: what the caller knows them by.
    pub(super) examples: [usize; 2],
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// By number of shards in common: pairs of keys.
    pub(super) pairs: Vec<u64>,
    /// Whether every pair was counted.
    pub(super) exact: bool,
    /// Two keys that have the most in common.
    pub(super) example: Option<[usize; 2]>,
}

/// Subsets that are counted at most; more, and rows are compared bit by bit.
const SUBSETS: u64 = 1 << 22;
/// Shards that a subset can hold: 16 bits each.
const PACKED: usize = 8;
/// Additions of 64 bits that are made at most; about a second.
const STEPS: u64 = 3_000_000_000;

/// Counts pairs. Groups must differ, and none be empty.
pub(super) fn count(groups: &[Group]) -> Counted {
    let widest = groups.iter().map(|group| group.shards.len()).max().unwrap_or(0);
    let subsets: u64 =
        if widest > PACKED { u64::MAX } else { groups.iter().map(|group| 1_u64 << group.shards.len()).sum() };
    if subsets <= SUBSETS { by_subset(groups, widest) } else { by_bits(groups, widest, STEPS) }
}

type Subsets = HashMap<u128, u64, Mixed>;

fn by_subset(groups: &[Group], widest: usize) -> Counted {
    // By size: every subset of so many shards, and how many keys have all of them.
    let mut having: Vec<Subsets> = vec![Subsets::default(); widest + 1];
    for group in groups {
        for_subsets(&group.shards, |size, packed| {
            if let Some(subsets) = having.get_mut(size) {
                *subsets.entry(packed).or_default() += group.keys;
            }
        });
    }
    let twos = |keys: &u64| i128::from(*keys) * (i128::from(*keys) - 1) / 2;
    let sums: Vec<i128> = having.iter().map(|subsets| subsets.values().map(twos).sum()).collect();
    let mut pairs = Vec::with_capacity(sums.len());
    for common in 0..sums.len() {
        let mut found = 0;
        for (size, sum) in sums.iter().enumerate().skip(common) {
            let term = sum * binomial(size, common);
            found += if (size - common) % 2 == 0 { term } else { -term };
        }
        pairs.push(u64::try_from(found).unwrap_or(0));
    }
    let most = pairs.iter().rposition(|pairs| *pairs > 0);
    let example = most.and_then(|most| first_pair(groups, most, having.get(most)?));
    Counted { pairs, exact: true, example }
}

/// The first two keys that have `most` shards in common; `having` is how many keys have each subset of that size.
fn first_pair(groups: &[Group], most: usize, having: &Subsets) -> Option<[usize; 2]> {
    groups.iter().enumerate().find_map(|(at, first)| {
        let mut shared = Vec::new();
        for_subsets(&first.shards, |size, packed| {
            if size == most && having.get(&packed).is_some_and(|keys| *keys > 1) {
                shared.push(packed);
            }
        });
        if shared.is_empty() {
            return None;
        }
        let [one, two] = first.examples;
        let own = (first.keys > 1 && first.shards.len() == most).then_some(two);
        let other = groups.iter().skip(at + 1).find(|group| {
            let mut has = false;
            for_subsets(&group.shards, |size, packed| has |= size == most && shared.contains(&packed));
            has
        });
        let second = own.into_iter().chain(other.map(|other| other.examples[0])).min()?;
        Some([one, second])
    })
}

/// Every subset of up to [`PACKED`] shards: its size, and itself in one number.
fn for_subsets(shards: &[u16], mut each: impl FnMut(usize, u128)) {
    for chosen in 0..1_u32 << shards.len() {
        let mut packed = 0;
        for (nth, shard) in shards.iter().enumerate() {
            if chosen >> nth & 1 == 1 {
                packed = packed << 16 | u128::from(*shard);
            }
        }
        each(chosen.count_ones() as usize, packed);
    }
}

fn binomial(n: usize, k: usize) -> i128 {
    (0..k).fold(1, |product, at| product * (n - at) as i128 / (at as i128 + 1))
}

/// Groups in words of 64, all of a word with the same number of keys.
struct Bits<'g> {
    groups: Vec<Option<&'g Group>>,
    /// By word: which of its places are taken, and how many keys each group there has.
    words: Vec<(u64, u64)>,
    /// By shard: the groups that have it.
    having: HashMap<u16, Vec<u64>>,
}

impl<'g> Bits<'g> {
    fn new(groups: &'g [Group]) -> Self {
        let mut sorted: Vec<&Group> = groups.iter().collect();
        sorted.sort_by_key(|group| group.keys);
        let mut places = Vec::with_capacity(sorted.len());
        let mut words = Vec::new();
        for same in sorted.chunk_by(|a, b| a.keys == b.keys) {
            for part in same.chunks(64) {
                let keys = part.first().map_or(0, |group| group.keys);
                words.push((u64::MAX >> (64 - part.len()), keys));
                places.extend(part.iter().copied().map(Some));
                places.resize(words.len() * 64, None);
            }
        }
        let mut having: HashMap<u16, Vec<u64>> = HashMap::new();
        for (place, group) in places.iter().enumerate() {
            for shard in group.iter().flat_map(|group| &group.shards) {
                let bits = having.entry(*shard).or_insert_with(|| vec![0; words.len()]);
                if let Some(word) = bits.get_mut(place / 64) {
                    *word |= 1 << (place % 64);
                }
            }
        }
        Self { groups: places, words, having }
    }
}

/// How many bits a number up to the width of the widest row has: 65,535.
const PLANES: usize = 16;

fn by_bits(groups: &[Group], widest: usize, steps: u64) -> Counted {
    let bits = Bits::new(groups);
    let planes = (usize::BITS - widest.leading_zeros()) as usize;
    let per_word = (widest * planes * 2 + (widest + 1) * (planes + 4)) as u64;
    let all = per_word * bits.words.len() as u64 * groups.len() as u64 / 2;
    // Which groups are compared: all, with those behind them; or every so many, with all.
    let every = usize::try_from(all.div_ceil(steps)).unwrap_or(usize::MAX).max(1);
    let exact = every == 1;
    let stride = if exact { 1 } else { every.saturating_mul(2) };
    let mut pairs = vec![0_u64; widest + 1];
    let mut best: Option<(usize, [usize; 2])> = None;
    let taken = bits.groups.iter().enumerate().filter_map(|(place, group)| Some((place, (*group)?)));
    for (place, group) in taken.step_by(stride) {
        let own = group.shards.len();
        if let Some(pairs) = pairs.get_mut(own) {
            *pairs += group.keys * (group.keys - 1) / 2;
        }
        if group.keys > 1 && best.is_none_or(|(most, _)| own > most) {
            best = Some((own, group.examples));
        }
        let having: Vec<&[u64]> =
            group.shards.iter().filter_map(|shard| bits.having.get(shard)).map(Vec::as_slice).collect();
        let first = if exact { place / 64 } else { 0 };
        for (at, (taken, keys)) in bits.words.iter().enumerate().skip(first) {
            let mut others = *taken;
            if at == place / 64 {
                let here = 1_u64 << (place % 64);
                others &= if exact { !(here | (here - 1)) } else { !here };
            }
            let mut sum = [0_u64; PLANES];
            for having in &having {
                let mut carry = having.get(at).copied().unwrap_or(0);
                for plane in sum.iter_mut().take(planes) {
                    (*plane, carry) = (*plane ^ carry, *plane & carry);
                }
            }
            for (common, pairs) in pairs.iter_mut().enumerate().take(own + 1) {
                let mut equal = others;
                for (nth, plane) in sum.iter().take(planes).enumerate() {
                    equal &= if common >> nth & 1 == 1 { *plane } else { !*plane };
                }
                *pairs += u64::from(equal.count_ones()) * keys * group.keys;
                if equal != 0 && best.is_none_or(|(most, _)| common > most) {
                    let other = bits.groups.get(at * 64 + equal.trailing_zeros() as usize);
                    if let Some(Some(other)) = other {
                        best = Some((common, [group.examples[0], other.examples[0]]));
                    }
                }
            }
        }
    }
    let example = best.map(|(_, example)| example);
    Counted { pairs, exact, example }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each pair of keys, one by one.
    fn brute(groups: &[Group]) -> Vec<u64> {
        let widest = groups.iter().map(|group| group.shards.len()).max().unwrap_or(0);
        let mut pairs = vec![0; widest + 1];
        for (at, one) in groups.iter().enumerate() {
            pairs[one.shards.len()] += one.keys * (one.keys - 1) / 2;
            for other in &groups[at + 1..] {
                let common = one.shards.iter().filter(|shard| other.shards.contains(shard)).count();
                pairs[common] += one.keys * other.keys;
            }
        }
        pairs
    }

    /// The same, for rows of up to `widest`.
    fn brute_to(groups: &[Group], widest: usize) -> Vec<u64> {
        let mut pairs = brute(groups);
        pairs.resize(widest + 1, 0);
        pairs
    }

    fn common(groups: &[Group], example: [usize; 2]) -> usize {
        let of = |key: usize| groups.iter().find(|group| group.examples.contains(&key)).unwrap();
        let (one, other) = (of(example[0]), of(example[1]));
        one.shards.iter().filter(|shard| other.shards.contains(shard)).count()
    }

    /// Groups of random sets of shards.
    fn groups(widest: usize, shards: u16) -> impl Strategy<Value = Vec<Group>> {
        let set = proptest::collection::btree_set(0..shards, 1..=widest);
        proptest::collection::btree_map(set, 1_u64..5, 1..200).prop_map(|sets| {
            let groups = sets.into_iter().enumerate();
            groups
                .map(|(at, (shards, keys))| Group {
                    shards: shards.into_iter().collect(),
                    keys,
                    examples: [2 * at, 2 * at + 1],
                })
                .collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn both_ways_count_every_pair(groups in groups(6, 12)) {
            let widest = groups.iter().map(|group| group.shards.len()).max().unwrap();
            let expected = brute(&groups);
            let most = expected.iter().rposition(|pairs| *pairs > 0);
            for counted in [by_subset(&groups, widest), by_bits(&groups, widest, STEPS)] {
                prop_assert!(counted.exact);
                prop_assert_eq!(&counted.pairs, &expected);
                prop_assert_eq!(counted.example.map(|example| common(&groups, example)), most);
                if let Some([one, other]) = counted.example {
                    prop_assert!(one != other);
                }
            }
        }

        #[test]
        fn wide_rows_are_counted_too(groups in groups(40, 60)) {
            let counted = count(&groups);
            prop_assert!(counted.exact);
            prop_assert_eq!(counted.pairs, brute(&groups));
        }

        #[test]
        fn what_takes_too_long_is_counted_in_part(groups in groups(40, 60)) {
            let counted = by_bits(&groups, 40, 1_000);
            let all = brute_to(&groups, 40);
            if counted.exact {
                prop_assert_eq!(&counted.pairs, &all);
            }
            // Chosen groups meet all others, so two chosen ones meet twice.
            prop_assert!(counted.pairs.iter().zip(&all).all(|(counted, all)| *counted <= 2 * all));
            prop_assert!(counted.pairs.iter().sum::<u64>() > 0 || all.iter().sum::<u64>() == 0);
        }
    }

    #[test]
    fn many_keys_take_no_longer_than_few() {
        let group = |shards: &[u16], at: usize| Group {
            shards: shards.into(),
            keys: 500_000,
            examples: [at, at + 1],
        };
        let counted = count(&[group(&[1, 2], 0), group(&[2, 3], 2)]);
        assert_eq!(counted.pairs, [0, 250_000_000_000, 2 * 124_999_750_000]);
        assert!([Some([0, 1]), Some([2, 3])].contains(&counted.example), "{counted:?}");
        assert_eq!(count(&[]), Counted { pairs: vec![0], exact: true, example: None });
    }
}
