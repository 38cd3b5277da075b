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
    let weights: Vec<u64> = shards.iter().map(|shard| u64::from(shard.weight)).collect();
    capped(&weights, width * ROWS, ROWS)
}

/// Divides `total`, or what all may have if that is less, by weight, where each may have at most `most`.
pub(super) fn capped(weights: &[u64], total: usize, most: usize) -> Vec<usize> {
    let mut full = vec![false; weights.len()];
    let mut left = total.min(weights.len() * most);
    loop {
        let open = || weights.iter().zip(&full).filter(|(_, full)| !**full).map(|(weight, _)| weight);
        let sum: u128 = open().map(|weight| u128::from(*weight)).sum();
        let reaches = |weight: u64| left as u128 * u128::from(weight) >= sum * most as u128 && left > 0;
        let at: Vec<usize> = weights
            .iter()
            .enumerate()
            .filter(|(at, weight)| full.get(*at) == Some(&false) && reaches(**weight))
            .map(|(at, _)| at)
            .collect();
        if at.is_empty() {
            break;
        }
        left = left.saturating_sub(at.len() * most);
        for at in at {
            if let Some(full) = full.get_mut(at) {
                *full = true;
            }
        }
    }
    let open: Vec<u64> =
        weights.iter().zip(&full).map(|(weight, full)| if *full { 0 } else { *weight }).collect();
    let mut shares = divide(&open, left);
    for (share, full) in shares.iter_mut().zip(&full) {
        if *full {
            *share = most;
        }
    }
    shares
}

/// Divides `cells` by weight, each within its bounds of so many cells in each of `rows` rows; the bounds must leave room.
///
/// Those that are outside are put on their bounds, on the side that is further off in sum, and the others divide what is
/// left, until all are inside: as CSS resolves flexible lengths (CSS Flexible Box Layout 1, 9.7).
pub(super) fn bounded(weights: &[u64], bounds: &[(usize, usize)], cells: usize, rows: usize) -> Vec<usize> {
    let mut put: Vec<Option<usize>> =
        bounds.iter().map(|(least, most)| (least == most).then_some(least * rows)).collect();
    loop {
        let fixed: usize = put.iter().flatten().sum();
        let left = cells.saturating_sub(fixed) as u128;
        let open = || weights.iter().zip(bounds).zip(&put).filter(|(_, put)| put.is_none()).map(|(it, _)| it);
        let sum: u128 = open().map(|(weight, _)| u128::from(*weight)).sum();
        let under = |weight: u64, least: usize| {
            ((least * rows) as u128 * sum).saturating_sub(left * u128::from(weight))
        };
        let over = |weight: u64, most: usize| {
            (left * u128::from(weight)).saturating_sub((most * rows) as u128 * sum)
        };
        let unders: u128 = open().map(|(weight, (least, _))| under(*weight, *least)).sum();
        let overs: u128 = open().map(|(weight, (_, most))| over(*weight, *most)).sum();
        if unders == 0 && overs == 0 {
            let open: Vec<u64> = weights
                .iter()
                .zip(&put)
                .map(|(weight, put)| if put.is_some() { 0 } else { *weight })
                .collect();
            let shares = divide(&open, cells.saturating_sub(fixed));
            return put.into_iter().zip(shares).map(|(put, share)| put.unwrap_or(share)).collect();
        }
        for ((weight, (least, most)), put) in weights.iter().zip(bounds).zip(&mut put) {
            if put.is_none() && unders >= overs && under(*weight, *least) > 0 {
                *put = Some(least * rows);
            } else if put.is_none() && overs >= unders && over(*weight, *most) > 0 {
                *put = Some(most * rows);
            }
        }
    }
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
