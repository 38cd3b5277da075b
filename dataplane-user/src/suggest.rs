//! "Did you mean": the declared name nearest to what was written.

/// The candidate nearest to `given`, when it is near enough to be a slip of the finger: at most a third
/// of its letters, at least one, at most three.
pub(crate) fn nearest<'n>(given: &str, candidates: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let given: Vec<char> = given.chars().flat_map(char::to_lowercase).collect();
    let limit = (given.len() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .take(SEARCHED)
        .filter_map(|candidate| {
            let letters: Vec<char> = candidate.chars().flat_map(char::to_lowercase).collect();
            if letters.len().abs_diff(given.len()) > limit {
                return None;
            }
            let distance = distance(&given, &letters);
            // Two letters of two changed is another word, not a slip.
            (distance <= limit && distance < given.len().max(letters.len())).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Beyond so many candidates the search would cost more than the answer is worth.
const SEARCHED: usize = 10_000;

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(above.len());
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX - 1);
            let mut best =
                (at(&above, j) + usize::from(x != y)).min(at(&above, j + 1) + 1).min(at(&row, j) + 1);
            if i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x) {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = above;
        above = row;
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let names = ["general", "gold", "shards", "ip.src"];
        assert_eq!(nearest("genral", names), Some("general"));
        assert_eq!(nearest("Shrads", names), Some("shards"));
        assert_eq!(nearest("ip.scr", names), Some("ip.src"));
        assert_eq!(nearest("silver", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest("a", ["b"]), None);
    }
}
