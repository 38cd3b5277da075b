//! How often each value was seen, in bounded memory: exactly up to a number of distinct values; beyond it how many
//! there are is an estimate, and counts are the least that they can be.
//!
//! Beyond the bound, whenever room is needed all counts are reduced by the median one and what is then empty is
//! forgotten (Misra and Gries 1982; in bulk, Anderson and others 2017): no count is more than [`Values::lost`] too
//! low, and a value that many packets have stays.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::sketch::Sketch;

/// Distinct values that are counted exactly.
pub const EXACT: usize = 16_384;

/// Values and how often each was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    /// Values seen, with repetition.
    seen: u64,
    counts: HashMap<u128, u64>,
    /// All distinct values, once they are too many.
    sketch: Option<Sketch>,
    lost: u64,
}

impl Values {
    /// Adds a value.
    pub(super) fn add(&mut self, value: u128) {
        self.seen += 1;
        if let Some(sketch) = &mut self.sketch {
            sketch.add(value);
        }
        if let Some(count) = self.counts.get_mut(&value) {
            *count += 1;
            return;
        }
        if self.counts.len() >= EXACT {
            self.make_room(value);
        }
        self.counts.insert(value, 1);
    }

    /// Halves what is kept.
    fn make_room(&mut self, value: u128) {
        let sketch = self.sketch.get_or_insert_with(|| {
            let mut sketch = Sketch::new();
            self.counts.keys().for_each(|value| sketch.add(*value));
            sketch
        });
        sketch.add(value);
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let at = counts.len() / 2;
        let by = *counts.select_nth_unstable(at).1;
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(by);
            *count > 0
        });
        self.lost += by;
    }

    /// Values seen, with repetition.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Whether counts and number are exact.
    pub(super) fn is_exact(&self) -> bool {
        self.sketch.is_none()
    }

    /// How many distinct values, or about how many.
    pub(super) fn distinct(&self) -> u64 {
        self.sketch.as_ref().map_or(self.counts.len() as u64, Sketch::count)
    }

    /// The most common values and how often each was seen, at least; the smaller value first where that is equal.
    pub(super) fn top(&self, most: usize) -> Vec<(u128, u64)> {
        let mut all: Vec<(u128, u64)> = self.all().collect();
        let order = |(value, count): &(u128, u64)| (Reverse(*count), *value);
        if all.len() > most {
            all.select_nth_unstable_by_key(most, order);
            all.truncate(most);
        }
        all.sort_unstable_by_key(order);
        all
    }

    /// Every value that is kept, with its count, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = (u128, u64)> {
        self.counts.iter().map(|(value, count)| (*value, *count))
    }

    /// The entropy in bits (Shannon 1948); none where counts are not exact.
    pub(super) fn entropy(&self) -> Option<f64> {
        if !self.is_exact() || self.seen == 0 {
            return None;
        }
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        // In the same order every time, so that the same traffic gives the same last digit.
        counts.sort_unstable();
        let seen = self.seen as f64;
        let entropy = counts.iter().map(|count| *count as f64 / seen).map(|part| -part * part.log2()).sum();
        Some(f64::max(entropy, 0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u128>) -> Values {
        let mut all = Values::default();
        values.into_iter().for_each(|value| all.add(value));
        all
    }

    #[test]
    fn few_values_are_counted_exactly() {
        let values = of([5, 7, 5, 5, 9, 7, 5, 5]);
        assert_eq!((values.seen(), values.distinct(), values.is_exact()), (8, 3, true));
        assert_eq!(values.top(2), [(5, 5), (7, 2)]);
        assert_eq!(of([2, 1, 3]).top(2), [(1, 1), (2, 1)]);
        assert_eq!(of([]).entropy(), None);
        assert_eq!(of([4, 4, 4]).entropy(), Some(0.0));
        assert_eq!(of(0..64).entropy(), Some(6.0));
    }

    #[test]
    fn exactly_as_many_as_fit_are_exact() {
        let mut values = of(0..EXACT as u128);
        assert!(values.is_exact() && values.distinct() == EXACT as u64);
        values.add(u128::MAX);
        assert!(!values.is_exact() && values.entropy().is_none());
    }

    /// One value in ten, among a million that are all different.
    #[test]
    fn many_values_are_estimated_in_bounded_memory() {
        let values = of((0..1_000_000).map(|n| if n % 10 == 0 { 0 } else { n }));
        assert!(values.counts.len() <= EXACT);
        assert_eq!((values.seen(), values.is_exact()), (1_000_000, false));
        let distinct = values.distinct();
        assert!((870_000..930_000).contains(&distinct), "{distinct}");
        let [(value, count)] = values.top(1)[..] else { panic!("one") };
        assert_eq!(value, 0);
        assert!(count <= 100_000 && count + values.lost >= 100_000, "{count} and {} lost", values.lost);
        assert!(values.lost < 200, "{}", values.lost);
    }
}
