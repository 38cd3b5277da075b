use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const KEYS: u32 = 12;

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Count { id: u32, packets: u64, dropped: u64 },
    Read,
    Rank,
    Scrape,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..=KEYS, 0..1_000u64, 0..3u64)
            .prop_map(|(id, packets, dropped)| Step::Count { id, packets, dropped }),
        1 => Just(Step::Read),
        3 => Just(Step::Rank),
        2 => Just(Step::Scrape),
    ]
}

fn count(snapshot: &mut Snapshot, id: u32, packets: u64, dropped: u64) {
    let key = &mut snapshot.keys[id as usize];
    key.packets += packets;
    key.bytes += packets * 100;
    snapshot.events[id as usize].flows += packets / 7;
    snapshot.events[id as usize].drops[1].packets += dropped;
}

fn total(snapshot: &Snapshot) -> Tally {
    let mut sum = Tally::default();
    (0..=KEYS).for_each(|id| sum.add(&Tally::of(snapshot, id)));
    sum
}

fn sum(shares: &Shares) -> Tally {
    let mut sum = shares.other;
    sum.add(&shares.withdrawn);
    shares.keys.iter().for_each(|(_, tally)| sum.add(tally));
    sum
}

fn not_below(now: &Tally, before: &Tally) -> bool {
    now.packets >= before.packets
        && now.bytes >= before.bytes
        && now.flows >= before.flows
        && now.drops.iter().zip(before.drops).all(|(now, before)| *now >= before)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever is counted, read and ranked in whatever order: series never fall, even over a gap, the
    /// sum is exact, the number of series is bounded, and a new series begins at 0.
    #[test]
    fn series_never_fall_and_sum_exactly(top in 0..5usize, steps in prop::collection::vec(step(), 0..400)) {
        let mut snapshot = Snapshot::empty(KEYS as usize + 1, 0);
        let mut keys = TopKeys::new(top, 1..=KEYS);
        let mut seen: HashMap<u32, Tally> = HashMap::new();
        let mut other = Tally::default();
        for step in steps {
            match step {
                Step::Count { id, packets, dropped } => count(&mut snapshot, id, packets, dropped),
                Step::Read => keys.attribute(&snapshot),
                Step::Rank => keys.rank(),
                Step::Scrape => {
                    keys.attribute(&snapshot);
                    let shares = keys.show();
                    prop_assert_eq!(sum(&shares), total(&snapshot));
                    prop_assert!(shares.keys.len() <= top * 2);
                    prop_assert!(not_below(&shares.other, &other));
                    other = shares.other;
                    for (id, tally) in shares.keys {
                        match seen.insert(id, tally) {
                            Some(before) => prop_assert!(not_below(&tally, &before)),
                            None => prop_assert_eq!(tally, Tally::default()),
                        }
                    }
                }
            }
        }
    }

    /// With no more keys than K each is shown from the first scrape on, with its very counters.
    #[test]
    fn few_keys_are_shown_one_by_one(counts in prop::collection::vec((1..=KEYS, 0..1_000u64), 0..50)) {
        let mut snapshot = Snapshot::empty(KEYS as usize + 1, 0);
        let mut keys = TopKeys::new(KEYS as usize, 1..=KEYS);
        for (id, packets) in counts {
            count(&mut snapshot, id, packets, 0);
            keys.rank();
            keys.attribute(&snapshot);
            let shares = keys.show();
            prop_assert_eq!(shares.other, Tally::default());
            prop_assert_eq!(shares.keys.len(), KEYS as usize);
            for (id, tally) in shares.keys {
                prop_assert_eq!(tally, Tally::of(&snapshot, id));
            }
        }
    }
}

/// One window of traffic: `packets` for each of `ids`, then a reading, a rank and a scrape.
fn window(keys: &mut TopKeys, snapshot: &mut Snapshot, traffic: &[(u32, u64)]) -> Shares {
    for (id, packets) in traffic {
        count(snapshot, *id, *packets, 0);
    }
    keys.attribute(snapshot);
    keys.rank();
    keys.show()
}

fn ids(shares: &Shares) -> Vec<u32> {
    shares.keys.iter().map(|(id, _)| *id).collect()
}

#[test]
fn a_key_keeps_its_series_until_it_was_cold_long_enough_and_resumes_where_it_stopped() {
    let mut snapshot = Snapshot::empty(KEYS as usize + 1, 0);
    let mut keys = TopKeys::new(1, 1..=KEYS);
    assert_eq!(ids(&window(&mut keys, &mut snapshot, &[(1, 10)])), [1]);
    assert_eq!(ids(&window(&mut keys, &mut snapshot, &[(1, 10), (2, 20)])), [1, 2]);
    // Both places are taken. Key 3 leads, but 1 and 2 are not cold yet; key 2 stays within rank 2.
    for _ in 0..COLD_WINDOWS - 1 {
        assert_eq!(ids(&window(&mut keys, &mut snapshot, &[(3, 30), (2, 20)])), [1, 2]);
    }
    assert_eq!(ids(&window(&mut keys, &mut snapshot, &[(3, 30), (2, 20)])), [2, 3]);
    // Key 1 was attributed 10: its first 10 went to `other`, before it had a series.
    let shares = keys.show();
    assert_eq!(shares.withdrawn.packets, 10);
    for _ in 0..=COLD_WINDOWS {
        window(&mut keys, &mut snapshot, &[(1, 50), (3, 30)]);
    }
    let shares = keys.show();
    assert_eq!(ids(&shares), [1, 3]);
    assert!(shares.keys[0].1.packets >= 10);
    assert_eq!(sum(&shares), total(&snapshot));
}
