//! One shard.

use super::*;
use crate::policy::Damping;

const LATE: Failure = Failure::Timeout;

#[test]
fn a_dead_shard_is_noticed_within_interval_times_fall_and_back_after_rise() {
    for (interval, timeout, fall) in
        [(1000, 500, 3), (1000, 100, 2), (200, 100, 2), (50, 25, 10), (1000, 666, 3)]
    {
        let check = Check {
            interval: Duration::from_millis(interval),
            timeout: Duration::from_millis(timeout),
            fall,
            ..check()
        };
        let mut world = World::new(checks(&check, &[1, 1], "50%"));
        world.pass(10 * interval);
        let last = world.asked.iter().rev().find(|(_, shard)| *shard == 0).unwrap().0;
        world.dead.insert(0);
        world.pass(interval * u64::from(fall) + interval);
        let (at, event) = world.events[0];
        assert_eq!(event, Event::Down { shard: 0, why: LATE, failures: fall });
        let took = at.saturating_sub(last);
        assert!(took <= check.interval * fall, "{interval} {timeout} {fall}: {took:?}");
        assert_eq!(world.out(), [0]);
        world.happened();
        world.dead.clear();
        world.pass(3 * interval);
        let events = world.happened();
        assert!(matches!(events[..], [Event::Up { shard: 0, answers: 2, .. }]), "{events:?}");
        assert!(world.out().is_empty());
    }
}

#[test]
fn one_that_fails_once_in_a_while_stays() {
    let mut world = World::new(checks(&check(), &[1, 1], "0%"));
    for _ in 0..20 {
        world.pass(2_000);
        world.dead.insert(0);
        // Not as long as three questions take.
        world.pass(1_200);
        world.dead.clear();
    }
    assert_eq!(world.happened(), []);
}

#[test]
fn a_refusal_counts_at_once() {
    let mut world = World::new(checks(&Check { fall: 1, ..check() }, &[1, 1], "0%"));
    world.pass(5_000);
    world.now = world.monitor.due().unwrap();
    let asked = world.monitor.tick(world.now);
    let [Step::Ask(shard)] = asked[..] else { panic!("{asked:?}") };
    let events = world.monitor.came(shard, Outcome::Failed(Failure::Refused), world.now);
    assert_eq!(events, [Event::Down { shard, why: Failure::Refused, failures: 1 }]);
    assert_eq!(world.out(), [shard]);
}

#[test]
fn what_could_not_be_asked_says_nothing() {
    let mut world = World::new(checks(&check(), &[1], "0%"));
    for _ in 0..100 {
        world.now = world.monitor.due().unwrap();
        for step in world.monitor.tick(world.now) {
            let Step::Ask(shard) = step else { panic!("{step:?}") };
            assert_eq!(world.monitor.came(shard, Outcome::Unasked, world.now), []);
        }
    }
    assert_eq!(world.condition(0), Condition::Up);
}

#[test]
fn an_answer_that_comes_too_late_is_none() {
    let mut world = World::new(checks(&Check { fall: 1, ..check() }, &[1], "0%"));
    world.now = world.monitor.due().unwrap();
    world.monitor.tick(world.now);
    world.now = world.monitor.deadline(0).unwrap();
    let steps = world.monitor.tick(world.now);
    assert_eq!(steps[0], Step::GiveUp(0));
    assert_eq!(world.monitor.came(0, Outcome::Answered, world.now), []);
    assert_eq!(world.condition(0), Condition::Down);
}

#[test]
fn one_that_was_down_when_the_agent_started_stays_so_until_it_is_measured() {
    let mut world = World::with_down(checks(&check(), &[1, 1, 1], "50%"), &[1]);
    assert_eq!((world.condition(1), world.out()), (Condition::Down, vec![1]));
    world.pass(1_000);
    assert_eq!(world.out(), [1], "one answer is not enough");
    world.pass(1_000);
    assert_eq!(world.out(), [0; 0]);
    assert!(matches!(world.happened()[..], [Event::Up { shard: 1, .. }]));
}

#[test]
fn one_that_comes_and_goes_is_held_and_longer_each_time() {
    let [within, hold] = [60, 30].map(Duration::from_secs);
    let damping = Some(Damping { flaps: 3, within, hold });
    let mut world = World::new(checks(&Check { damping, ..check() }, &[1, 1, 1], "0%"));
    let flap = |world: &mut World| {
        world.dead.insert(0);
        world.pass(4_000);
        world.dead.clear();
        world.pass(4_000);
    };
    let mut spans = Vec::new();
    for _ in 0..7 {
        // Twice it comes back at once; the third time it is kept out, though it answers.
        for held in [false, false, true] {
            flap(&mut world);
            assert_eq!(matches!(world.condition(0), Condition::Held { .. }), held);
        }
        assert_eq!(world.out(), [0]);
        let held = world.happened().into_iter().find_map(|event| match event {
            Event::Held { span, .. } => Some(span),
            _ => None,
        });
        let span = held.unwrap();
        spans.push(span.as_secs());
        world.pass(u64::try_from(span.as_millis()).unwrap());
        let events = world.happened();
        assert!(matches!(events[..], [Event::Up { shard: 0, .. }]), "{events:?}");
    }
    assert_eq!(spans, [30, 60, 120, 240, 480, 480, 480]);
    // Once it stood long enough it begins anew.
    world.pass(61_000);
    for _ in 0..3 {
        flap(&mut world);
    }
    let held = world.happened().into_iter().find(|event| matches!(event, Event::Held { .. }));
    assert_eq!(held, Some(Event::Held { shard: 0, span: hold }));
}

#[test]
fn slow_flapping_is_not_held() {
    let damping = Some(Damping { flaps: 2, within: Duration::from_secs(10), hold: Duration::from_secs(30) });
    let mut world = World::new(checks(&Check { damping, ..check() }, &[1, 1], "0%"));
    for _ in 0..5 {
        world.dead.insert(0);
        world.pass(4_000);
        world.dead.clear();
        world.pass(8_000);
    }
    assert!(world.happened().iter().all(|event| !matches!(event, Event::Held { .. })));
}

#[test]
fn one_that_came_back_gets_its_share_by_and_by() {
    let slow_start = Duration::from_secs(32);
    let mut world = World::new(checks(&Check { slow_start, ..check() }, &[1, 1], "0%"));
    world.dead.insert(0);
    world.pass(5_000);
    assert_eq!(world.monitor.wanted().get(&0), Some(&Wanted::Down));
    world.dead.clear();
    while world.condition(0) == Condition::Down {
        world.pass(100);
    }
    world.happened();
    let mut shares = Vec::new();
    while let Condition::Ramp { share } = world.condition(0) {
        assert_eq!(world.monitor.wanted().get(&0), Some(&Wanted::Recovering { share }));
        shares.push(share);
        world.pass(1_000);
    }
    assert!((31..=33).contains(&shares.len()), "{shares:?}");
    assert_eq!((shares[0], *shares.last().unwrap()), (7, 255));
    assert!(shares.is_sorted(), "{shares:?}");
    assert!(world.monitor.wanted().is_empty());
    // Down in the middle of it: out at once.
    world.dead.insert(0);
    world.pass(5_000);
    world.dead.clear();
    world.pass(10_000);
    world.dead.insert(0);
    world.pass(5_000);
    assert_eq!(world.out(), [0]);
}

#[test]
fn times_are_spread_and_the_same_again_by_the_same_seed() {
    let check = Check { jitter: Share::of(1.0, 4.0), ..check() };
    let run = |seed: u64| {
        let (mut monitor, _) =
            Monitor::new(checks(&check, &[1; 50], "0%"), seed, Moment::ZERO, &BTreeSet::new());
        let mut asked: Vec<(u16, Moment)> = Vec::new();
        while asked.len() < 2_000 {
            let now = monitor.due().unwrap();
            for step in monitor.tick(now) {
                let Step::Ask(shard) = step else { panic!("{step:?}") };
                monitor.came(shard, Outcome::Answered, now);
                asked.push((shard, now));
            }
        }
        asked
    };
    let (one, again, other) = (run(1), run(1), run(2));
    assert_eq!(one, again);
    assert_ne!(one, other);
    let of = |shard| one.iter().filter(move |(index, _)| *index == shard).map(|(_, at)| *at);
    let firsts: BTreeSet<u128> = (0..50).map(|shard| of(shard).next().unwrap().as_millis() / 100).collect();
    assert!(firsts.len() >= 8, "spread over the first second: {firsts:?}");
    for shard in 0..50 {
        let at: Vec<Moment> = of(shard).collect();
        for pair in at.windows(2) {
            let between = pair[1].saturating_sub(pair[0]);
            assert!(between >= Duration::from_millis(750) && between <= check.interval, "{between:?}");
        }
    }
}

#[test]
fn another_policy_keeps_what_is_known() {
    let mut world = World::new(checks(&check(), &[1, 1, 1], "0%"));
    world.dead.insert(1);
    world.pass(5_000);
    assert_eq!(world.out(), [1]);
    // Asked more often, and a shard more.
    let faster =
        Check { interval: Duration::from_millis(500), timeout: Duration::from_millis(100), ..check() };
    let (monitor, events) = world.monitor.by(checks(&faster, &[1, 1, 1, 1], "0%"), world.now);
    world.monitor = monitor;
    assert_eq!((events, world.out()), (Vec::new(), vec![1]));
    world.dead.clear();
    world.happened();
    world.pass(2_000);
    assert!(matches!(world.happened()[..], [Event::Up { shard: 1, .. }]));
    // And without it.
    let (monitor, _) = world.monitor.by(checks(&faster, &[1], "0%"), world.now);
    assert_eq!(monitor.conditions().count(), 1);
}
