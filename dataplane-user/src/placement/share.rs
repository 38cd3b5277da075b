//! How many cells each shard gets: whole numbers with a given sum, nearest to the weights.

use super::{Candidate, ROWS};

/// Divides `total` by weight, by the method of the largest remainder; ties go to the earlier shard.
pub(super) fn divide(weights: &[u64], total: usize) -> Vec<usize> {
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let exact = |weight: u64| u128::from(weight) * total as u128;
    let mut shares: Vec<usize> =
        weights.iter().map(|weight| usize::try_from(exact(*weight) / sum).unwrap_or(total)).collect();
    let mut by_remainder: Vec<(u128, usize)> =
        weights.iter().enumerate().map(|(at, weight)| (exact(*weight) % sum, at)).collect();
    by_remainder.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let missing = total - shares.iter().sum::<usize>();
    for (_, at) in by_remainder.into_iter().take(missing) {
        if let Some(share) = shares.get_mut(at) {
            *share += 1;
        }
    }
    shares
}

/// How many rows each shard is in when a row holds `width` of them. A row holds a shard once, so a heavy
/// shard's share ends at all rows, and the others divide what it leaves (water-filling).
pub(super) fn over_rows(shards: &[Candidate<'_>], width: usize) -> Vec<usize> {
    let mut full = vec![false; shards.len()];
    let mut left = width.min(shards.len());
    loop {
        let open = || shards.iter().zip(&full).filter(|(_, full)| !**full).map(|(shard, _)| shard);
        let sum: u64 = open().map(|shard| u64::from(shard.weight)).sum();
        let capped: Vec<usize> = shards
            .iter()
            .enumerate()
            .filter(|(at, shard)| {
                full.get(*at) == Some(&false) && left as u64 * u64::from(shard.weight) >= sum && left > 0
            })
            .map(|(at, _)| at)
            .collect();
        if capped.is_empty() {
            break;
        }
        left -= capped.len();
        for at in capped {
            if let Some(full) = full.get_mut(at) {
                *full = true;
            }
        }
    }
    let weights: Vec<u64> = shards
        .iter()
        .zip(&full)
        .map(|(shard, full)| if *full { 0 } else { u64::from(shard.weight) })
        .collect();
    let mut shares = divide(&weights, left * ROWS);
    for (share, full) in shares.iter_mut().zip(&full) {
        if *full {
            *share = ROWS;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_is_exact_and_near() {
        assert_eq!(divide(&[1, 1, 1], 10), [4, 3, 3]);
        assert_eq!(divide(&[1, 2, 4], 7), [1, 2, 4]);
        assert_eq!(divide(&[], 0), [0_usize; 0]);
    }

    #[test]
    fn a_heavy_shard_is_in_every_row_and_no_more() {
        let shard = |name, weight| Candidate { name, weight };
        let shares = over_rows(&[shard("a", 10), shard("b", 1), shard("c", 1)], 2);
        assert_eq!(shares, [ROWS, ROWS / 2, ROWS / 2]);
        assert_eq!(over_rows(&[shard("a", 3), shard("b", 1)], 2), [ROWS, ROWS]);
    }
}
