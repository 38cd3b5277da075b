//! Whose turn comes with which step.

use std::collections::BTreeMap;
use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use crate::policy::{Cohort, Rollout, Share};

/// The step of each move.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// By the move's index.
    steps: BTreeMap<u32, usize>,
    /// How many steps there are; the rest has its turn behind the last.
    last: usize,
}

impl Turns {
    /// The turns of `moving`: the index of each move and the name of its key, if it is one of a key; and the bounds of the steps, for
    /// [`Turns::again`]. `salt` gives each change an order of its own, the same on every node.
    pub fn new<'n>(
        rollout: &Rollout,
        salt: &str,
        moving: impl IntoIterator<Item = (u32, Option<&'n str>)>,
    ) -> (Self, Vec<u64>) {
        let moving: Vec<_> = moving.into_iter().collect();
        let mut places: Vec<u64> =
            moving.iter().filter_map(|(_, key)| key.map(|key| place(salt, key))).collect();
        places.sort_unstable();
        let bound = |step: &crate::policy::RolloutStep| match &step.cohort {
            Cohort::Percent(share) => bound(&places, *share),
            Cohort::Named { .. } | Cohort::Tier { .. } => 0,
        };
        let bounds: Vec<u64> = rollout.steps.iter().map(bound).collect();
        (Self::again(rollout, salt, &bounds, moving), bounds)
    }

    /// The same turns, of those that still move.
    pub fn again<'n>(
        rollout: &Rollout,
        salt: &str,
        bounds: &[u64],
        moving: impl IntoIterator<Item = (u32, Option<&'n str>)>,
    ) -> Self {
        let last = rollout.steps.len();
        let step = |key: Option<&str>| {
            let Some(key) = key else { return last };
            let place = place(salt, key);
            let has = |(index, step): (usize, &crate::policy::RolloutStep)| match &step.cohort {
                Cohort::Percent(_) => bounds.get(index).is_some_and(|bound| place <= *bound),
                Cohort::Named { keys, .. } | Cohort::Tier { keys, .. } => keys.contains(key),
            };
            rollout.steps.iter().enumerate().position(has).unwrap_or(last)
        };
        Self { steps: moving.into_iter().map(|(at, key)| (at, step(key))).collect(), last }
    }

    /// The step of a move.
    pub fn of(&self, at: u32) -> usize {
        self.steps.get(&at).copied().unwrap_or(self.last)
    }

    /// The moves whose turn has come with `step`, and their steps.
    pub fn until(&self, step: usize) -> impl Iterator<Item = (u32, usize)> {
        self.steps.iter().map(|(at, of)| (*at, *of)).filter(move |(_, of)| *of <= step)
    }

    /// How many moves have their turn with `step`.
    pub fn at(&self, step: usize) -> usize {
        self.steps.values().filter(|of| **of == step).count()
    }

    /// How many moves there are.
    pub fn all(&self) -> usize {
        self.steps.len()
    }
}

/// Where a key stands in the order of a change.
fn place(salt: &str, key: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(salt.as_bytes());
    hasher.write_u8(0);
    hasher.write(key.as_bytes());
    // No key stands at 0, where nobody's turn comes.
    hasher.finish().max(1)
}

/// The last place of a share of these, at least of one.
fn bound(places: &[u64], share: Share) -> u64 {
    if share == Share::ALL {
        return u64::MAX;
    }
    let many = (share.as_f64() * places.len() as f64).ceil() as usize;
    many.max(1).checked_sub(1).and_then(|at| places.get(at)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::{AbortIf, RolloutStep};

    fn rollout(cohorts: &[Cohort]) -> Rollout {
        let step = |cohort: &Cohort| RolloutStep { cohort: cohort.clone(), lasts: Duration::from_secs(1) };
        Rollout { steps: cohorts.iter().map(step).collect(), abort_if: AbortIf::default(), least: 1 }
    }

    fn percent(percent: f64) -> Cohort {
        Cohort::Percent(Share::of(percent, 100.0))
    }

    #[test]
    fn a_share_takes_so_many_along_and_at_least_one() {
        let names: Vec<String> = (0..200).map(|key| format!("key-{key}")).collect();
        let moving = || (8_u32..).zip(names.iter().map(|name| Some(name.as_str())));
        let steps = rollout(&[percent(0.1), percent(10.0), percent(50.0)]);
        let (turns, bounds) = Turns::new(&steps, "a", moving());
        assert_eq!([0, 1, 2, 3].map(|step| turns.at(step)), [1, 19, 80, 100]);
        assert_eq!(turns.until(1).count(), 20);
        // Of those that still move, each has the turn that it had.
        let some = || moving().filter(|(at, _)| at % 3 == 0);
        let again = Turns::again(&steps, "a", &bounds, some());
        assert!(some().all(|(at, _)| again.of(at) == turns.of(at)));
        assert_eq!(again.all(), some().count());
        // Another change begins with others.
        let (other, _) = Turns::new(&steps, "b", moving());
        assert!(moving().any(|(at, _)| other.of(at) != turns.of(at)));
        let (all, _) = Turns::new(&rollout(&[percent(100.0)]), "a", moving());
        assert_eq!(all.at(0), 200);
    }

    #[test]
    fn cohorts_go_with_their_step_and_classes_with_the_rest() {
        let named = Cohort::Named { name: "beta".to_owned(), keys: ["b".to_owned(), "x".to_owned()].into() };
        let (turns, _) =
            Turns::new(&rollout(&[named, percent(100.0)]), "", [(1, None), (8, Some("a")), (9, Some("b"))]);
        assert_eq!([1, 8, 9, 77].map(|at| turns.of(at)), [2, 1, 0, 2]);
        let (none, _) = Turns::new(&rollout(&[percent(10.0)]), "", [(1, None)]);
        assert_eq!(none.of(1), 1);
    }
}
