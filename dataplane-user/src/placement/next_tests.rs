//! Nothing moves that need not, and every shard has its share, whatever happened before.

use proptest::prelude::*;

use super::share::{divide, over_rows};
use super::*;

/// Shards by name and weight; by name they are ordered here as everywhere.
type Shards = Vec<(String, u32)>;

fn shards(count: usize, weight: impl Fn(usize) -> u32) -> Shards {
    let mut shards: Shards = (0..count).map(|n| (format!("shard-{n}"), weight(n))).collect();
    shards.sort();
    shards
}

fn candidates(shards: &Shards) -> Vec<Candidate<'_>> {
    shards.iter().map(|(name, weight)| Candidate { name, weight: *weight }).collect()
}

/// A table of `old` by the numbers that its shards have among `new`.
fn renamed(cells: &[u16], old: &Shards, new: &Shards) -> Vec<u16> {
    let to: Vec<u16> = old
        .iter()
        .map(|(name, _)| {
            new.binary_search_by(|(other, _)| other.cmp(name)).map_or(GONE, |at| u16::try_from(at).unwrap())
        })
        .collect();
    cells.iter().map(|cell| to[usize::from(*cell)]).collect()
}

fn counts(cells: &[u16], shards: usize) -> Vec<usize> {
    let mut counts = vec![0; shards];
    cells.iter().for_each(|cell| counts[usize::from(*cell)] += 1);
    counts
}

/// The next table of width 1, which is checked.
fn step(cells: &[u16], old: &Shards, new: &Shards) -> Vec<u16> {
    let before = renamed(cells, old, new);
    let after = next_one(Some(&before), &candidates(new));
    let weights: Vec<u64> = new.iter().map(|(_, weight)| u64::from(*weight)).collect();
    assert_eq!(counts(&after, new.len()), divide(&weights, ROWS));
    let moved = moved(&before, &after, 1, new.len());
    assert_eq!(moved.cells, moved.unavoidable, "{} to {} shards", old.len(), new.len());
    after
}

fn seed(shards: &Shards) -> Vec<u16> {
    next_one(None, &candidates(shards))
}

#[test]
fn the_seed_is_the_table_of_old() {
    let shards = shards(20, |n| 1 + n as u32 % 3);
    let of = candidates(&shards);
    assert_eq!(seed(&shards), table(&of, 1));
    assert_eq!(next_rows(None, &of, None, 3, &seed(&shards)), table(&of, 3));
    // A table without shards is the seed, too.
    assert_eq!(next_one(Some(&vec![GONE; ROWS]), &of), seed(&shards));
}

#[test]
fn without_a_change_nothing_moves() {
    for (count, width) in [(3, 2), (10, 4), (100, 4)] {
        let shards = shards(count, |n| 1 << (n % 3));
        let one = seed(&shards);
        assert_eq!(step(&one, &shards, &shards), one);
        let rows = next_rows(None, &candidates(&shards), None, width, &one);
        assert_eq!(next_rows(Some(&rows), &candidates(&shards), None, width, &one), rows);
    }
}

#[test]
fn only_the_unavoidable_moves_when_a_shard_comes_goes_or_weighs_otherwise() {
    for count in [10, 100, 1000] {
        for weight in [|_| 1, |n: usize| 1 << (n % 3)] {
            let all = shards(count, weight);
            let mut fewer = all.clone();
            fewer.remove(count / 2);
            let mut lighter = all.clone();
            lighter[count / 3].1 += 3;
            let cells = seed(&all);
            let without = step(&cells, &all, &fewer);
            step(&without, &fewer, &all);
            let changed = step(&cells, &all, &lighter);
            step(&changed, &lighter, &all);
            let half: Shards = all.iter().step_by(2).cloned().collect();
            let halved = step(&cells, &all, &half);
            step(&halved, &half, &all);
        }
    }
}

/// A change: which shard, and its weight then; none takes it out.
type Change = (usize, Option<u32>);

fn changed(shards: &Shards, changes: &[Change]) -> Shards {
    let mut next = shards.clone();
    for (at, weight) in changes {
        let name = format!("shard-{at}");
        next.retain(|(other, _)| *other != name);
        next.extend(weight.map(|weight| (name, weight)));
    }
    if next.is_empty() {
        next.push(("last".to_owned(), 1));
    }
    next.sort();
    next
}

fn changes(shards: usize) -> impl Strategy<Value = Vec<Vec<Change>>> {
    let change = (0..shards, prop_oneof![Just(None), (1_u32..9).prop_map(Some), Just(Some(65_535))]);
    prop::collection::vec(prop::collection::vec(change, 1..6), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn any_changes_one_after_the_other_move_the_unavoidable(
        count in 1_usize..60,
        changes in changes(60),
    ) {
        let mut now = shards(count, |n| 1 + n as u32 % 5);
        let mut cells = seed(&now);
        for change in changes {
            let next = changed(&now, &change);
            cells = step(&cells, &now, &next);
            now = next;
        }
    }

    #[test]
    fn rows_stay_whole_balanced_and_near_whatever_changes(
        count in 5_usize..40,
        width in 2_usize..5,
        changes in changes(40),
    ) {
        let mut now = shards(count, |n| 1 + n as u32 % 5);
        let mut one = seed(&now);
        let mut rows = next_rows(None, &candidates(&now), None, width, &one);
        for change in changes {
            let next = changed(&now, &change);
            if next.len() <= width {
                break;
            }
            one = step(&one, &now, &next);
            rows = step_rows(&rows, &now, &next, width, &one, None, MANY).0;
            now = next;
        }
    }
}

/// Room for what a random change may move beyond the unavoidable: see `rows_move_little_more_than_they_must`.
const MANY: f64 = 0.05;

/// The next rows, which are checked; and what moved.
fn step_rows(
    rows: &[u16],
    old: &Shards,
    new: &Shards,
    width: usize,
    one: &[u16],
    zones: Option<&Zones>,
    beyond: f64,
) -> (Vec<u16>, Moved) {
    let before = renamed(rows, old, new);
    let of = candidates(new);
    let after = next_rows(Some(&before), &of, zones, width, one);
    assert_rows(&after, new, width, one);
    if zones.is_none() {
        for (at, (got, share)) in counts(&after, new.len()).into_iter().zip(over_rows(&of, width)).enumerate()
        {
            assert!(got.abs_diff(share) <= 1, "{:?} of width {width}: {got}, not {share}", new[at]);
        }
    }
    // Who stays in a row and is not first before or after stays where it was.
    let stays = |old: &[u16], new: &[u16]| {
        (1..width).all(|at| {
            let shard = old[at];
            !new[1..].contains(&shard) || new[at] == shard
        })
    };
    assert!(before.chunks(width).zip(after.chunks(width)).all(|(old, new)| stays(old, new)));
    let moved = moved(&before, &after, width, new.len());
    let more = moved.cells - moved.unavoidable;
    assert!(
        more as f64 <= beyond * after.len() as f64,
        "{} to {} shards of width {width}: {moved:?}",
        old.len(),
        new.len()
    );
    (after, moved)
}

fn assert_rows(cells: &[u16], shards: &Shards, width: usize, one: &[u16]) {
    assert_eq!(cells.len(), ROWS * width);
    for (row, first) in cells.chunks(width).zip(one) {
        assert_eq!(row[0], *first);
        for (at, shard) in row.iter().enumerate() {
            assert!(usize::from(*shard) < shards.len(), "{row:?}");
            assert!(!row[..at].contains(shard), "{row:?}");
        }
    }
}

#[test]
fn rows_move_little_more_than_they_must() {
    for (count, width) in [(5, 3), (5, 4), (10, 2), (10, 4), (100, 4)] {
        for weight in [|_| 1, |n: usize| 1 << (n % 3)] {
            let all = shards(count, weight);
            let mut fewer = all.clone();
            fewer.remove(count / 2);
            let mut heavier = all.clone();
            heavier[count / 3].1 += 1;
            let one = seed(&all);
            let rows = next_rows(None, &candidates(&all), None, width, &one);
            for (what, other) in [("goes", &fewer), ("weighs more", &heavier)] {
                let there = step(&one, &all, other);
                // Of few shards rows are all but full: that of two a row must have both moves more than shares tell.
                let beyond = if count < 10 { 0.05 } else { 0.002 };
                let (changed, gone) = step_rows(&rows, &all, other, width, &there, None, beyond);
                let back = step(&there, other, &all);
                let (_, come) = step_rows(&changed, other, &all, width, &back, None, beyond);
                println!("{count} shards, width {width}, one {what}: {gone:?}; and back: {come:?}");
            }
        }
    }
}

/// Zones by number, of shards in the order of their names.
fn zones_of(shards: &Shards, zone: impl Fn(&str) -> usize) -> Zones {
    let names: Vec<String> = shards.iter().map(|(name, _)| format!("zone-{}", zone(name))).collect();
    Zones::new(names.iter().map(|name| Some(name.as_str()))).unwrap()
}

fn number(name: &str) -> usize {
    name.trim_start_matches("shard-").parse().unwrap()
}

/// Checks that every row takes from each zone what it should.
fn assert_zones(cells: &[u16], zones: &Zones, width: usize) {
    let bounds = zones.bounds(width);
    for row in cells.chunks(width) {
        let mut from = vec![0; zones.count()];
        row.iter().for_each(|shard| from[zones.of[usize::from(*shard)]] += 1);
        assert!(
            from.iter().zip(&bounds).all(|(from, (least, most))| from >= least && from <= most),
            "{from:?} of {bounds:?}"
        );
    }
}

#[test]
fn rows_are_spread_over_zones() {
    type Zone = fn(usize) -> usize;
    let cases: [(usize, usize, Zone); 7] = [
        (100, 4, |n| n % 4),
        (100, 2, |n| n % 4),
        (100, 6, |n| n % 4),
        // Zones of 1, 2 and 27 shards.
        (30, 4, |n| usize::from(n > 0) + usize::from(n > 2)),
        (30, 2, |n| usize::from(n > 0) + usize::from(n > 2)),
        (30, 12, |n| n % 5),
        (7, 5, |n| n % 3),
    ];
    for (count, width, zone) in cases {
        for weight in [|_| 1, |n: usize| 1 << (n % 3)] {
            let all = shards(count, weight);
            let zones = zones_of(&all, |name| zone(number(name)));
            let one = seed(&all);
            let rows = next_rows(None, &candidates(&all), Some(&zones), width, &one);
            assert_rows(&rows, &all, width, &one);
            assert_zones(&rows, &zones, width);
            // Columns begin in the first shard's zone, and go round.
            if zones.bounds(width).iter().all(|(least, most)| *most >= 1 && *least == *most) {
                let turn = |row: &[u16], at: usize| zones.of[usize::from(row[at])];
                assert!(rows.chunks(width).all(|row| {
                    (1..zones.count().min(width))
                        .all(|at| turn(row, at) == (turn(row, at - 1) + 1) % zones.count())
                }));
            }
            let mut fewer = all.clone();
            fewer.remove(count / 2);
            let there = step(&one, &all, &fewer);
            let fewer_zones = zones_of(&fewer, |name| zone(number(name)));
            let (changed, gone) = step_rows(&rows, &all, &fewer, width, &there, Some(&fewer_zones), 0.03);
            assert_zones(&changed, &fewer_zones, width);
            let back = step(&there, &fewer, &all);
            let (again, come) = step_rows(&changed, &fewer, &all, width, &back, Some(&zones), 0.03);
            assert_zones(&again, &zones, width);
            println!("{count} shards, {} zones, width {width}: {gone:?}; and back: {come:?}", zones.count());
        }
    }
}

#[test]
fn within_a_zone_weights_decide_and_zones_share_within_their_bounds() {
    // Zone 0 has a quarter of the weight: 8 shards of weights 1 and 2 against 12 of 3.
    let all = shards(20, |n| if n < 8 { 1 + n as u32 % 2 } else { 3 });
    let zones = zones_of(&all, |name| usize::from(number(name) >= 8));
    let one = seed(&all);
    for (width, zone_0) in [(2, ROWS), (3, ROWS), (4, 2 * ROWS)] {
        let rows = next_rows(None, &candidates(&all), Some(&zones), width, &one);
        let counts = counts(&rows, all.len());
        let of = |zone: usize| -> usize {
            counts.iter().zip(&zones.of).filter(|(_, of)| **of == zone).map(|(count, _)| *count).sum()
        };
        assert_eq!([of(0), of(1)], [zone_0, width * ROWS - zone_0], "width {width}");
        for (((_, weight), zone), count) in all.iter().zip(&zones.of).zip(&counts) {
            let sum = if *zone == 0 { 12 } else { 36 };
            let share = of(*zone) as f64 * f64::from(*weight) / f64::from(sum);
            assert!((*count as f64 - share).abs() <= 1.0, "width {width}: {count}, not {share}");
        }
    }
}

#[test]
fn zones_can_come_and_go() {
    let all = shards(24, |_| 1);
    let one = seed(&all);
    let plain = next_rows(None, &candidates(&all), None, 3, &one);
    let zones = zones_of(&all, |name| number(name) % 3);
    let (zoned, _) = step_rows(&plain, &all, &all, 3, &one, Some(&zones), 1.0);
    assert_zones(&zoned, &zones, 3);
    let (_, moved) = step_rows(&zoned, &all, &all, 3, &one, None, 0.001);
    println!("without zones again: {moved:?}");
    assert_eq!(Zones::new([Some("a"), None]), None);
    assert_eq!(Zones::new([]), None);
}

#[test]
fn bounds_are_floor_and_ceiling_and_small_zones_give_all() {
    let zones = |of: &[usize]| {
        let names: Vec<String> = of.iter().map(|zone| zone.to_string()).collect();
        Zones::new(names.iter().map(|name| Some(name.as_str()))).unwrap()
    };
    assert_eq!(zones(&[0, 0, 1, 1]).bounds(2), [(1, 1), (1, 1)]);
    assert_eq!(zones(&[0, 0, 1, 1]).bounds(3), [(1, 2), (1, 2)]);
    assert_eq!(zones(&[0, 0, 1, 1, 2, 2]).bounds(2), [(0, 1), (0, 1), (0, 1)]);
    assert_eq!(zones(&[0, 1, 1, 1, 1, 1]).bounds(4), [(1, 1), (3, 3)]);
    assert_eq!(zones(&[0, 1, 1, 2, 2, 2, 2, 2]).bounds(6), [(1, 1), (2, 2), (3, 3)]);
}
