//! The floor of a pool.

use super::*;

/// Kills shards one after the other, and says what is out after each.
fn kill_all(weights: &[u32], floor: &str) -> Vec<Vec<u16>> {
    let mut world = World::new(checks(&check(), weights, floor));
    world.pass(5_000);
    let all = u16::try_from(weights.len()).unwrap();
    (0..all)
        .map(|shard| {
            world.dead.insert(shard);
            world.pass(5_000);
            world.out()
        })
        .collect()
}

#[test]
fn below_the_floor_all_are_used() {
    const ALL: &[u16] = &[];
    /// Weights, the floor, and what is out after each death.
    type Row = (&'static [u32], &'static str, &'static [&'static [u16]]);
    let table: [Row; 8] = [
        (&[1, 1, 1, 1], "50%", &[&[0], &[0, 1], ALL, ALL]),
        (&[1, 1, 1], "50%", &[&[0], ALL, ALL]),
        (&[1, 1], "50%", &[&[0], ALL]),
        (&[1], "50%", &[ALL]),
        (&[1, 1, 1], "100%", &[ALL, ALL, ALL]),
        (&[1, 1, 1], "0%", &[&[0], &[0, 1], &[0, 1, 2]]),
        (&[1, 9], "50%", &[&[0], ALL]),
        (&[9, 1], "50%", &[ALL, ALL]),
    ];
    for (weights, floor, out) in table {
        assert_eq!(kill_all(weights, floor), out, "{weights:?} {floor}");
    }
}

#[test]
fn it_is_trusted_again_once_enough_answer() {
    let mut world = World::new(checks(&check(), &[1, 1, 1, 1], "50%"));
    world.dead.extend(0..4);
    world.pass(6_000);
    let events = world.happened();
    assert!(events.contains(&Event::Doubt { pool: 0 }), "{events:?}");
    assert_eq!(world.condition(3), Condition::Doubted);
    assert!(world.out().is_empty());
    world.dead.remove(&0);
    world.pass(3_000);
    assert!(matches!(world.happened()[..], [Event::Up { shard: 0, .. }]), "a quarter is not enough");
    assert!(world.out().is_empty());
    world.dead.remove(&1);
    world.pass(3_000);
    let events = world.happened();
    assert!(matches!(events[..], [Event::Up { shard: 1, .. }, Event::Trust { pool: 0 }]), "{events:?}");
    assert_eq!(world.out(), [2, 3]);
}

#[test]
fn one_that_was_used_all_along_has_no_slow_start() {
    let check = Check { slow_start: Duration::from_secs(60), ..check() };
    let mut world = World::new(checks(&check, &[1, 1], "100%"));
    world.dead.insert(0);
    world.pass(6_000);
    assert_eq!(world.condition(0), Condition::Doubted);
    world.dead.clear();
    world.pass(3_000);
    assert_eq!(world.condition(0), Condition::Up);
}

#[test]
fn those_that_are_not_asked_are_taken_for_living() {
    let mut checks = Checks::clone(&checks(&check(), &[1, 1, 1, 1], "50%"));
    checks.shards.truncate(2);
    let mut world = World::new(Arc::new(checks));
    world.dead.extend([0, 1]);
    world.pass(6_000);
    assert_eq!(world.out(), [0, 1]);
}

#[test]
fn those_that_operators_took_out_are_no_part_of_it() {
    let mut world = World::new(checks(&check(), &[1, 1, 1, 1], "50%"));
    world.monitor.set_aside([0, 1].into());
    // They are switched off, and another dies: half of what is left.
    world.dead.extend([0, 1, 2]);
    world.pass(6_000);
    assert_eq!(world.out(), [0, 1, 2]);
    assert!(!world.happened().contains(&Event::Doubt { pool: 0 }));
    // Taken back while they are dead they count.
    let events = world.monitor.set_aside(BTreeSet::new());
    assert_eq!(events, [Event::Doubt { pool: 0 }]);
    assert!(world.out().is_empty());
}

#[test]
fn a_shard_of_two_pools_is_used_if_one_of_them_is_doubted() {
    let mut checks = Checks::clone(&checks(&check(), &[1, 1, 1, 1, 1], "50%"));
    let floor = checks.pools[0].floor;
    let pool = |name: &str, members: &[u16]| Pool {
        name: name.to_owned(),
        members: members.iter().map(|index| (*index, 1)).collect(),
        floor,
    };
    checks.pools = vec![pool("large", &[0, 1, 2, 3, 4]), pool("small", &[0, 1])];
    let mut world = World::new(Arc::new(checks));
    world.dead.insert(2);
    world.pass(5_000);
    assert_eq!(world.out(), [2]);
    world.dead.insert(0);
    world.pass(5_000);
    assert_eq!(world.out(), [0, 2]);
    world.dead = [0, 1].into();
    world.pass(5_000);
    assert_eq!(world.out(), [0; 0], "of the small pool none is left");
    assert!(world.happened().contains(&Event::Doubt { pool: 1 }));
}

#[test]
fn more_than_the_floor_down_at_the_start_is_doubted_at_once() {
    let mut world = World::with_down(checks(&check(), &[1, 1, 1], "50%"), &[0, 1]);
    assert_eq!(world.happened(), [Event::Doubt { pool: 0 }]);
    assert!(world.out().is_empty());
}
