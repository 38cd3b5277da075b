//! Any sequence of changes, against a simple model.

use proptest::prelude::*;

use super::tests::{bundle, prepare};
use super::*;
use crate::state::crash::unsynced;

/// What the records should say, simply.
#[derive(Clone, Debug, Default)]
struct Model {
    next: u64,
    live: Option<u64>,
    last: Option<u64>,
    prepared: Vec<u64>,
    retired: Vec<u64>,
    failed: Vec<u64>,
}

impl Model {
    fn set_live(&mut self, number: u64) -> bool {
        if let Some(at) = self.prepared.iter().position(|prepared| *prepared == number) {
            self.prepared.remove(at);
            self.retired.extend(self.last);
            self.last = self.live;
            self.live = Some(number);
            return true;
        }
        self.last == Some(number) && self.swap()
    }

    fn swap(&mut self) -> bool {
        if self.last.is_some() {
            std::mem::swap(&mut self.live, &mut self.last);
        }
        self.last.is_some()
    }

    fn fail(&mut self, number: u64) -> bool {
        let at = self.prepared.iter().position(|prepared| *prepared == number);
        at.map(|at| self.failed.push(self.prepared.remove(at))).is_some()
    }

    fn retire(&mut self, number: u64) -> bool {
        let is = self.last == Some(number);
        if is {
            self.retired.extend(self.last.take());
        }
        is
    }

    fn agrees(&self, generations: &Generations) {
        let of = |wanted: fn(&Status) -> bool| {
            let records = generations.iter().filter(move |record| wanted(&record.status));
            records.map(|record| record.number).collect::<Vec<_>>()
        };
        let sorted = |numbers: &[u64]| {
            let mut numbers = numbers.to_vec();
            numbers.sort_unstable();
            numbers
        };
        assert_eq!(generations.next_number(), self.next + 1);
        assert_eq!(of(|status| *status == Status::Live), Vec::from_iter(self.live));
        assert_eq!(of(|status| *status == Status::Last), Vec::from_iter(self.last));
        assert_eq!(of(|status| *status == Status::Prepared), sorted(&self.prepared));
        assert_eq!(of(|status| *status == Status::Retired), sorted(&self.retired));
        assert_eq!(of(|status| matches!(status, Status::Failed { .. })), sorted(&self.failed));
        for number in [self.live, self.last].into_iter().flatten().chain(self.prepared.iter().copied()) {
            assert_eq!(generations.bundle::<String>(number).unwrap(), bundle(number));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_sequence_is_as_a_simple_model_says(steps in proptest::collection::vec((0..7_u8, 0..3_u64), 1..24)) {
        let _quick = unsynced();
        let directory = tempfile::tempdir().unwrap();
        let mut generations = Generations::open(directory.path()).unwrap();
        let mut model = Model::default();
        for (step, back) in steps {
            // One of the newest, or one that is not there.
            let number = (model.next + 1).saturating_sub(back);
            match step {
                0 | 1 => {
                    prop_assert_eq!(prepare(&mut generations), model.next + 1);
                    model.next += 1;
                    model.prepared.push(model.next);
                }
                2 => prop_assert_eq!(generations.set_live(number).is_ok(), model.set_live(number)),
                3 => prop_assert_eq!(generations.swap().is_ok(), model.swap()),
                4 => prop_assert_eq!(generations.fail(number, "x").is_ok(), model.fail(number)),
                5 => prop_assert_eq!(generations.retire(number).is_ok(), model.retire(number)),
                _ => drop(generations.prune().unwrap()),
            }
            model.agrees(&generations);
            generations = Generations::open(directory.path()).unwrap();
            model.agrees(&generations);
        }
    }
}
