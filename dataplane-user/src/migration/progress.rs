//! How far a migration is: whose flows are quiet, what is left on shards that are not the current ones, how long it may take.

use std::time::Duration;

use crate::kernel::flows::Left;

/// Something that moves.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    /// The index of its move: of a class or a key.
    pub at: u32,
    /// What it is counted by.
    unit: u32,
    /// What was counted of it when it was looked at last.
    pub counted: Left,
    /// Since when nothing went to another shard than the current one.
    quiet_since: Duration,
    over: bool,
    turn: Turn,
    /// Since when it may be over: its deadline is counted from then.
    free_since: Duration,
}

/// Whether the turn of something that moves has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// Not yet.
    Held,
    /// It moves and is watched: it is not over before that is.
    Watched,
    /// It moves.
    #[default]
    Free,
}

impl Unit {
    /// Whether its turn has come.
    pub fn turn(&self) -> Turn {
        self.turn
    }
}

/// A migration under way. Times are since it began, or since this agent took it over.
#[derive(Clone, Debug)]
pub struct Progress {
    units: Vec<Unit>,
    idle: Duration,
    deadline: Duration,
    /// Flows that were cut off at the deadline, about.
    cut: u64,
    now: Duration,
}

/// What is over after a look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// The indices of moves that are over now.
    pub moves: Vec<u32>,
    /// About how many flows were cut off, because the deadline has come.
    pub cut: u64,
    /// Whether all are.
    pub all: bool,
}

/// What is left to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remaining {
    /// Keys and classes that still move.
    pub moving: usize,
    /// Of how many.
    pub of: usize,
    /// About how many flows went to another shard than the current one lately.
    pub flows: u64,
    /// How long it takes if nothing more goes there; at most until the deadline.
    pub at_least: Duration,
    /// How long it takes at most.
    pub at_most: Duration,
}

impl Progress {
    /// A migration of these moves, each the unit that it is counted by and its index. It is over when each has been quiet for `idle`, or
    /// after `deadline`.
    pub fn new(moves: impl IntoIterator<Item = (u32, u32)>, idle: Duration, deadline: Duration) -> Self {
        let units = moves.into_iter().map(|(unit, at)| Unit { at, unit, ..Unit::default() }).collect();
        Self { units, idle, deadline, cut: 0, now: Duration::ZERO }
    }

    /// Looks at what was counted by `now`, by unit.
    pub fn look(&mut self, now: Duration, counted: &[Left]) -> Ended {
        self.now = now;
        let mut ended = Ended::default();
        for unit in self.units.iter_mut().filter(|unit| !unit.over) {
            let Some(counted) = counted.get(unit.unit as usize) else { continue };
            if unit.counted.left != counted.left {
                unit.quiet_since = now;
            }
            unit.counted = *counted;
            if unit.turn != Turn::Free {
                continue;
            }
            let late = now.saturating_sub(unit.free_since) >= self.deadline;
            let quiet = now.saturating_sub(unit.quiet_since) >= self.idle;
            if quiet || late {
                unit.over = true;
                ended.moves.push(unit.at);
                if !quiet {
                    ended.cut += counted.flows();
                }
            }
        }
        self.cut += ended.cut;
        ended.all = self.units.iter().all(|unit| unit.over);
        ended
    }

    /// Says of each move, by its index, whether its turn has come.
    pub fn turn(&mut self, now: Duration, turn: impl Fn(u32) -> Turn) {
        for unit in &mut self.units {
            let to = turn(unit.at);
            if unit.turn != to && to == Turn::Free {
                unit.free_since = now;
            }
            unit.turn = to;
        }
    }

    /// What still moves.
    pub fn moving(&self) -> impl Iterator<Item = &Unit> {
        self.units.iter().filter(|unit| !unit.over)
    }

    /// What was counted of all, also of what is over.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// About how many flows were cut off.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// What is left to do.
    pub fn remaining(&self) -> Remaining {
        let until = |unit: &Unit| match unit.turn {
            Turn::Free => (unit.free_since + self.deadline).saturating_sub(self.now),
            Turn::Held | Turn::Watched => self.deadline,
        };
        let at_most = self.moving().map(until).max().unwrap_or_default();
        let last = self.moving().map(|unit| unit.quiet_since).max().unwrap_or_default();
        Remaining {
            moving: self.moving().count(),
            of: self.units.len(),
            flows: self.moving().map(|unit| unit.counted.flows()).sum(),
            at_least: (last + self.idle).saturating_sub(self.now).min(at_most),
            at_most,
        }
    }
}

#[cfg(test)]
mod tests {
    use keysteer_common::account::Counter;

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn left(packets: u64, marks: u64) -> Left {
        Left { left: Counter { packets, bytes: packets * 60 }, marks: [marks, 0, 0, 0], ..Left::default() }
    }

    #[test]
    fn each_is_over_when_it_was_quiet_for_long_enough() {
        let mut progress = Progress::new([(1, 8), (2, 9)], seconds(10), seconds(100));
        let none = Left::default();
        assert_eq!(progress.look(seconds(1), &[none, none, left(5, 3)]), Ended::default());
        assert_eq!(progress.look(seconds(9), &[none, none, left(5, 3)]), Ended::default());
        let Remaining { moving, flows, at_least, at_most, .. } = progress.remaining();
        assert_eq!((moving, flows, at_least, at_most), (2, 2, seconds(2), seconds(91)));
        let ended = progress.look(seconds(10), &[none, none, left(5, 3)]);
        assert_eq!(ended, Ended { moves: vec![8], ..Ended::default() });
        assert_eq!(progress.look(seconds(11), &[none, none, left(6, 3)]).moves, [0; 0]);
        let ended = progress.look(seconds(21), &[none, none, left(6, 3)]);
        assert_eq!(ended, Ended { moves: vec![9], cut: 0, all: true });
    }

    #[test]
    fn what_is_not_quiet_by_the_deadline_is_cut_off_and_counted() {
        let mut progress = Progress::new([(0, 8), (1, 9)], seconds(10), seconds(20));
        for now in 0..20 {
            let ended = progress.look(seconds(now), &[left(now, 0b111), Left::default()]);
            assert_eq!(ended.moves, if now == 10 { vec![9] } else { vec![] });
        }
        let ended = progress.look(seconds(20), &[left(20, 0b111), Left::default()]);
        assert_eq!(ended, Ended { moves: vec![8], cut: 3, all: true });
        assert_eq!((progress.cut(), progress.remaining().moving), (3, 0));
    }

    #[test]
    fn what_is_held_or_watched_is_not_over_and_has_its_time_from_when_it_is_free() {
        let mut progress = Progress::new([(1, 8), (2, 9)], seconds(10), seconds(100));
        progress.turn(seconds(0), |at| if at == 8 { Turn::Watched } else { Turn::Held });
        let none = [Left::default(); 3];
        assert_eq!(progress.look(seconds(150), &none), Ended::default());
        assert_eq!((progress.remaining().at_most, progress.moving().count()), (seconds(100), 2));
        progress.turn(seconds(150), |at| if at == 8 { Turn::Free } else { Turn::Watched });
        assert_eq!(progress.look(seconds(151), &none).moves, [8]);
        progress.turn(seconds(160), |_| Turn::Free);
        let busy = |packets| [Left::default(), Left::default(), left(packets, 1)];
        for now in 161..260 {
            assert_eq!(progress.look(seconds(now), &busy(now)).moves, [0; 0]);
        }
        let ended = progress.look(seconds(260), &busy(260));
        assert_eq!(ended, Ended { moves: vec![9], cut: 1, all: true });
    }
}
