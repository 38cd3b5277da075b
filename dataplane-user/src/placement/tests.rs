//! Balance, distinctness, determinism and stability of tables.

use super::share::{divide, over_rows};
use super::*;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("shard-{n}")).collect()
}

fn equal(names: &[String]) -> Vec<Candidate<'_>> {
    names.iter().map(|name| Candidate { name, weight: 1 }).collect()
}

/// `1 : 2 : 4 : 1 : 2 : 4 ...`
fn uneven(names: &[String]) -> Vec<Candidate<'_>> {
    names.iter().enumerate().map(|(n, name)| Candidate { name, weight: 1 << (n % 3) }).collect()
}

fn counts(cells: &[u16], shards: usize) -> Vec<usize> {
    let mut counts = vec![0; shards];
    for cell in cells {
        counts[usize::from(*cell)] += 1;
    }
    counts
}

fn assert_sound(shards: &[Candidate<'_>], width: usize) -> Vec<u16> {
    let cells = table(shards, width);
    assert_eq!(cells.len(), ROWS * width);
    for row in cells.chunks(width) {
        for (at, shard) in row.iter().enumerate() {
            assert!(usize::from(*shard) < shards.len());
            assert!(!row[..at].contains(shard), "{shard} is in a row twice");
        }
    }
    let shares = over_rows(shards, width);
    for (shard, (got, share)) in counts(&cells, shards.len()).into_iter().zip(shares).enumerate() {
        // Ties in rounding go by name, so another order of the list may round another way.
        assert!(got.abs_diff(share) <= 1, "shard {shard} of width {width}: {got}, not {share}");
    }
    cells
}

#[test]
fn each_shard_gets_its_share_and_no_row_has_one_twice() {
    for (count, width) in [(1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (5, 4), (10, 3), (10, 9), (100, 4)] {
        let names = names(count);
        assert_sound(&equal(&names), width);
        assert_sound(&uneven(&names), width);
    }
}

#[test]
fn weights_decide_the_shares_of_width_1() {
    let shards = [("a", 1), ("b", 2), ("c", 4)].map(|(name, weight)| Candidate { name, weight });
    let counts = counts(&table(&shards, 1), 3);
    assert_eq!(counts, divide(&[1, 2, 4], ROWS));
}

#[test]
fn heavy_shards_are_in_every_row() {
    let shards = [("a", 100), ("b", 50), ("c", 1), ("d", 1), ("e", 1)]
        .map(|(name, weight)| Candidate { name, weight });
    for width in 1..=5 {
        assert_sound(&shards, width);
    }
}

#[test]
fn the_first_column_is_the_table_of_width_1() {
    let names = names(20);
    let shards = uneven(&names);
    let narrow = table(&shards, 1);
    for width in 2..=5 {
        let wide = table(&shards, width);
        assert!(wide.chunks(width).zip(&narrow).all(|(row, first)| row[0] == *first), "width {width}");
    }
}

#[test]
fn the_order_of_the_list_means_nothing() {
    let names = names(17);
    let shards = uneven(&names);
    let mut turned = shards.clone();
    turned.reverse();
    turned.swap(3, 9);
    let named = |shards: &[Candidate<'_>], width| -> Vec<String> {
        table(shards, width).iter().map(|at| shards[usize::from(*at)].name.to_owned()).collect()
    };
    for width in [1, 2, 3] {
        assert_eq!(named(&shards, width), named(&turned, width));
        assert_eq!(table(&shards, width), table(&shards, width));
    }
}

/// A placement is a promise across versions: if this fails, every key of every user would move.
#[test]
fn the_table_is_the_one_that_was_published() {
    let names = names(5);
    let digest = |width| {
        let cells: Vec<u8> = table(&equal(&names), width).into_iter().flat_map(u16::to_le_bytes).collect();
        siphasher::sip::SipHasher24::new().hash(&cells)
    };
    assert_eq!([digest(1), digest(2), digest(3)], PUBLISHED);
}

const PUBLISHED: [u64; 3] =
    [12_716_929_386_393_982_840, 8_492_226_845_926_969_212, 17_680_356_997_305_131_417];

/// Rows whose set of shards, by name, differs in so many members on average.
fn moved(before: &[Candidate<'_>], after: &[Candidate<'_>], width: usize) -> f64 {
    let old = table(before, width);
    let new = table(after, width);
    let moved: usize = old
        .chunks(width)
        .zip(new.chunks(width))
        .map(|(old, new)| {
            let kept = |shard: &&u16| {
                new.iter().any(|other| after[usize::from(*other)].name == before[usize::from(**shard)].name)
            };
            width - old.iter().filter(kept).count()
        })
        .sum();
    moved as f64 / (ROWS * width) as f64
}

#[test]
fn few_slots_move_when_a_shard_comes_or_goes() {
    let names = names(100);
    let all = equal(&names);
    // The unavoidable part is 1/100 of all cells.
    for (width, bound) in [(1, 0.03), (2, 0.05), (4, 0.08)] {
        let gone = moved(&all, &all[..99], width);
        let come = moved(&all[..99], &all, width);
        println!(
            "width {width}: {gone:.4} of all cells change when one of 100 goes, {come:.4} when it comes"
        );
        assert!(gone < bound && come < bound, "width {width}: {gone} {come}");
    }
}

#[test]
fn large_tables_are_whole() {
    for (count, width) in [(100, 4), (1000, 1), (1000, 4)] {
        let names = names(count);
        assert_eq!(table(&uneven(&names), width).len(), ROWS * width);
    }
}
