//! "Did you mean": the known name nearest to the one that was asked for.

/// The nearest of `names` to `asked`, if it is near enough to be meant.
pub(super) fn nearest<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let asked: Vec<char> = asked.chars().collect();
    let limit = (asked.len() / 3).max(1);
    let near = |name: &str| name.chars().count().abs_diff(asked.len()) <= limit;
    names
        .filter(|name| near(name))
        .map(|name| (distance(&asked, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Edit distance: how many characters to insert, remove, replace or swap with their neighbour.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replace = above[j] + usize::from(x != y);
            let mut best = replace.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_typos_and_nothing_far_fetched() {
        let names = ["acme", "acme-video", "globex"];
        let nearest = |asked| nearest(asked, names.into_iter());
        assert_eq!(nearest("acem"), Some("acme"));
        assert_eq!(nearest("acme-vidoe"), Some("acme-video"));
        assert_eq!(nearest("globx"), Some("globex"));
        assert_eq!(nearest("initech"), None);
        assert_eq!(nearest(""), None);
    }
}
