//! Whatever shards do: the rules hold at every moment.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::policy::Damping;

/// What a shard does with a question.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Answers(u64),
    Refuses(u64),
    IsSilent,
    Unasked,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0..120_u64).prop_map(Deed::Answers),
        2 => (0..120_u64).prop_map(Deed::Refuses),
        2 => Just(Deed::IsSilent),
        1 => Just(Deed::Unasked),
    ]
}

fn any_check() -> impl Strategy<Value = Check> {
    let damping = proptest::option::of((2..4_u32, 1..5_000_u64, 1..3_000_u64));
    let times = (50..1_000_u64, 1..=100_u64, 0..=500_000_u32, prop_oneof![Just(0_u64), 1..4_000_u64]);
    (1..4_u32, 1..4_u32, times, damping).prop_map(|(rise, fall, (interval, part, jitter, slow), damping)| {
        let millis = Duration::from_millis;
        Check {
            interval: millis(interval),
            timeout: millis((interval * part / 100).max(1)),
            rise,
            fall,
            jitter: Share::from_millionths(jitter),
            slow_start: millis(slow),
            damping: damping.map(|(flaps, within, hold)| Damping {
                flaps,
                within: millis(within),
                hold: millis(hold),
            }),
            ..check()
        }
    })
}

/// What is seen of a shard from outside.
#[derive(Default)]
struct Seen {
    answers: u32,
    failures: u32,
    /// Whether it ever did anything but answer in time.
    failed: bool,
    down: bool,
    held: Option<Moment>,
    asked: Option<Moment>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_rule_is_ever_broken(
        check in any_check(),
        weights in proptest::collection::vec(1..5_u32, 1..7),
        floor in prop_oneof![Just(0), Just(1_000_000), 0..1_000_000_u32],
        deeds in proptest::collection::vec(deed(), 20..250),
        faithful in any::<bool>(),
    ) {
        let mut all = Checks::clone(&checks(&check, &weights, "0%"));
        all.pools[0].floor = Share::from_millionths(floor);
        let mut deeds = deeds.into_iter();
        let (mut monitor, _) = Monitor::new(Arc::new(all), 3, Moment::ZERO, &BTreeSet::new());
        let mut seen: BTreeMap<u16, Seen> = (0..).zip(&weights).map(|(index, _)| (index, Seen::default())).collect();
        // What is on its way: when it comes, to whom.
        let mut coming: BTreeMap<(Moment, u16), Outcome> = BTreeMap::new();
        let mut now;
        'world: loop {
            let due = monitor.due().unwrap();
            let next = coming.keys().next().copied();
            let mut events = Vec::new();
            match next {
                Some((at, shard)) if at < due => {
                    now = at;
                    let outcome = coming.remove(&(at, shard)).unwrap();
                    let it = seen.get_mut(&shard).unwrap();
                    prop_assert!(it.asked.take().is_some());
                    match outcome {
                        Outcome::Answered => (it.answers, it.failures) = (it.answers + 1, 0),
                        Outcome::Failed(_) => (it.answers, it.failures, it.failed) = (0, it.failures + 1, true),
                        Outcome::Unasked => {}
                    }
                    events.extend(monitor.came(shard, outcome, now));
                }
                _ => {
                    now = due;
                    for step in monitor.tick(now) {
                        match step {
                            Step::Happened(event) => events.push(event),
                            Step::GiveUp(shard) => {
                                let it = seen.get_mut(&shard).unwrap();
                                let asked = it.asked.take();
                                prop_assert!(asked.is_some_and(|asked| now >= asked + check.timeout));
                                (it.answers, it.failures, it.failed) = (0, it.failures + 1, true);
                                coming.retain(|(_, whom), _| *whom != shard);
                            }
                            Step::Ask(shard) => {
                                let it = seen.get_mut(&shard).unwrap();
                                prop_assert!(it.asked.is_none(), "one question at a time");
                                it.asked = Some(now);
                                let Some(deed) = deeds.next() else { break 'world };
                                let deed = if faithful && shard == 0 { Deed::Answers(0) } else { deed };
                                let (after, outcome) = match deed {
                                    Deed::Answers(part) => (part, Outcome::Answered),
                                    Deed::Refuses(part) => (part, Outcome::Failed(Failure::Refused)),
                                    Deed::Unasked => (0, Outcome::Unasked),
                                    Deed::IsSilent => continue,
                                };
                                let after = check.timeout.mul_f64(after as f64 / 100.0);
                                if after < check.timeout {
                                    coming.insert((now + after, shard), outcome);
                                }
                            }
                        }
                    }
                }
            }
            for event in &events {
                match *event {
                    Event::Down { shard, failures, .. } => {
                        let it = seen.get_mut(&shard).unwrap();
                        prop_assert!(!it.down);
                        prop_assert_eq!(failures, it.failures);
                        prop_assert!(failures >= check.fall);
                        it.down = true;
                    }
                    Event::Up { shard, answers, .. } => {
                        let it = seen.get_mut(&shard).unwrap();
                        prop_assert!(it.down);
                        prop_assert_eq!(answers, it.answers);
                        prop_assert!(answers >= check.rise);
                        prop_assert!(it.held.is_none_or(|until| until <= now), "it is kept out as long as was said");
                        (it.down, it.held) = (false, None);
                    }
                    Event::Held { shard, span } => {
                        prop_assert!(span >= check.damping.unwrap().hold);
                        seen.get_mut(&shard).unwrap().held = Some(now + span);
                    }
                    Event::Ramp { .. } | Event::Doubt { .. } | Event::Trust { .. } => {}
                }
            }
            // Nothing is due that was not done.
            prop_assert!(monitor.due().unwrap() >= now);
            let wanted = monitor.wanted();
            let out: Vec<u16> = wanted.iter().filter(|(_, it)| **it == Wanted::Down).map(|(index, _)| *index).collect();
            for shard in &out {
                prop_assert!(seen[shard].down && seen[shard].failed);
            }
            let sum = |of: &dyn Fn(u16) -> bool| -> u64 {
                (0..).zip(&weights).filter(|(index, _)| of(*index)).map(|(_, weight)| u64::from(*weight)).sum()
            };
            let total = sum(&|_| true);
            let kept = |left: u64| left * 1_000_000 >= total * u64::from(floor);
            prop_assert!(out.is_empty() || kept(sum(&|shard| !out.contains(&shard))), "the floor holds");
            // Where the floor lets them, all that are down are out: a dead one is not used beside living ones.
            if kept(sum(&|shard| !seen[&shard].down)) {
                prop_assert!(seen.iter().all(|(shard, it)| it.down == out.contains(shard)));
            } else {
                prop_assert!(out.is_empty());
            }
            if faithful {
                prop_assert!(!seen[&0].down, "one that always answers is never down");
            }
        }
    }
}
