//! Flows that opened while placements change: the bounded memory that generations share, and what is counted of keys that move.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use aya::EbpfLoader;
use aya::maps::{HashMap, Map, MapData};
use keysteer_common::account::Counter;
use keysteer_common::migrate::Move;
use keysteer_common::pin::{MARKS, Moving, Pin, filter};

use super::counter_set::{open_map, per_cpu};
use super::pins::{self, FLOWS, PinError};
use super::{Dataplane, KernelError, sys};

/// The maps, by their names in the object, and the bytes of a value.
const MAPS: [(&str, usize); 3] =
    [("PINS", size_of::<Pin>()), ("EPOCH", size_of::<u64>()), ("FILTER", size_of::<u64>())];

/// A pin as a map's value.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct Value(Pin);

// SAFETY: three u64.
unsafe impl aya::Pod for Value {}

/// The pinned memory of flows.
#[derive(Debug)]
pub struct Flows {
    pins: Map,
    epoch: sys::Words,
    filter: sys::Words,
    room: u32,
}

/// How full it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Flows that are pinned.
    pub used: u32,
    /// How many can be.
    pub room: u32,
    /// Of those that are pinned, the ones that were let go just now.
    pub let_go: u32,
}

impl Flows {
    /// Has the maps of what `loader` loads be the pinned ones beside the counters at `counters`; those that are not there are made.
    pub(super) fn share(loader: &mut EbpfLoader<'_>, counters: &Path) -> Result<(), KernelError> {
        let directory = counters.with_file_name(FLOWS);
        pins::make(&directory)?;
        for (name, _) in MAPS {
            loader.map_pin_path(name, directory.join(name));
        }
        Ok(())
    }

    /// Opens those in `directory`; `None` where there are none.
    pub(super) fn open(directory: &Path) -> Result<Option<Self>, KernelError> {
        let [pins, epoch, filter] = MAPS.map(|(name, size)| (directory.join(name), name, size));
        if [&pins, &epoch, &filter].into_iter().any(|(path, _, _)| !path.exists()) {
            return Ok(None);
        }
        let words = |(path, name, size): &(PathBuf, &'static str, usize), words: u32| {
            let (map, _) = open_map(path, name, Some(*size))?;
            let Map::Array(map) = &map else { return Err(PinError::strange(path, "no array").into()) };
            sys::Words::new(map.fd().as_fd(), words as usize)
                .map_err(|error| KernelError::other("map words of the pinned flows", error))
        };
        let (map, room) = open_map(&pins.0, pins.1, Some(pins.2))?;
        Ok(Some(Self { pins: map, epoch: words(&epoch, 1)?, filter: words(&filter, filter::ALL)?, room }))
    }

    /// What pins are dated by: a count of seconds, and the number of a span.
    pub fn epoch(&self) -> (u32, u32) {
        let epoch = self.epoch.load(0);
        (epoch as u32, (epoch >> 32) as u32)
    }

    /// Says what pins are dated by from now on.
    pub fn set_epoch(&self, seconds: u32, span: u32) {
        self.epoch.store(0, u64::from(span) << 32 | u64::from(seconds));
    }

    /// Lets the pins go that are `stale`, by the pin itself and its age in seconds, and says how many there are left. The filter is made anew
    /// from those that are there: see [`filter`].
    ///
    /// # Errors
    /// The kernel does not let the map be read.
    pub fn sweep(&mut self, stale: impl Fn(&Pin, u32) -> bool) -> Result<Room, KernelError> {
        let (now, _) = self.epoch();
        let failed = |error| KernelError::other("read the pinned flows", error);
        let mut map: HashMap<&mut MapData, u64, Value> = (&mut self.pins).try_into().map_err(failed)?;
        let age = |pin: &Pin| now.wrapping_sub(pin.seen as u32);
        let mut old = Vec::new();
        let mut used = 0;
        let next = 1 - (self.filter.load(filter::ASKED as usize) & 1);
        // From here on whoever is offered sets its own bit, and those that were offered before are found below.
        let first = filter::word(0, next);
        (first..first + filter::WORDS).for_each(|at| self.filter.store(at as usize, 0));
        for entry in map.iter() {
            let (flow, Value(pin)) = entry.map_err(failed)?;
            used += 1;
            self.filter.set(filter::word(flow, next) as usize, filter::bit(flow));
            if stale(&pin, age(&pin)) {
                old.push(flow);
            }
        }
        self.filter.store(filter::ASKED as usize, next);
        let mut let_go = 0;
        for flow in old {
            // It may have been seen since.
            if map.get(&flow, 0).is_ok_and(|Value(pin)| stale(&pin, age(&pin))) && map.remove(&flow).is_ok() {
                let_go += 1;
            }
        }
        Ok(Room { used: used - let_go, room: self.room, let_go })
    }
}

/// What was counted of a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// What went to another shard than the current one.
    pub left: Counter,
    /// Flows that opened and were pinned.
    pub pinned: u64,
    /// Flows that opened and found no room.
    pub full: u64,
    /// Of those that were pinned, the ones that were proved.
    pub proved: u64,
    /// And those whose opening segment came again.
    pub again: u64,
    /// Segments to or from the current shard that reset a connection.
    pub resets: u64,
    /// The hashes of what went to another shard lately.
    pub marks: [u64; 4],
}

impl Left {
    /// About how many flows went to another shard lately.
    pub fn flows(&self) -> u64 {
        estimated(self.marks.iter().map(|marks| marks.count_ones()).sum())
    }
}

/// How many flows left `marks` of [`MARKS`] hashes (linear counting: Whang et al. 1990).
fn estimated(marks: u32) -> u64 {
    let all = f64::from(MARKS);
    let free = (all - f64::from(marks.min(MARKS - 1))).max(1.0);
    (-all * (free / all).ln()).round() as u64
}

impl Dataplane {
    /// What was counted of each unit, over all CPUs; flows are those of span `span` and the one before.
    ///
    /// # Errors
    /// The kernel does not let the map be read.
    pub fn moving(&self, span: u32) -> Result<Vec<Left>, KernelError> {
        const MAP: &str = "MOVING";
        let map = self.home.map(MAP).ok_or_else(|| KernelError::Object { what: format!("map {MAP}") })?;
        let entries = self.about.shape.units;
        let mut units = vec![Left::default(); entries as usize];
        per_cpu::<Moving>(map, MAP, entries, self.about.cpus, |index, from| {
            let Some(to) = units.get_mut(index) else { return };
            to.left.add(from.left);
            to.pinned += from.pinned;
            to.full += from.full;
            to.proved += from.proved;
            to.again += from.again;
            to.resets += from.resets;
            for (to, from) in to.marks.iter_mut().zip(from.marked(span)) {
                *to |= from;
            }
        })?;
        Ok(units)
    }

    /// Ends the moves of these indices, each by one store.
    ///
    /// # Errors
    /// The kernel does not let the map be mapped.
    pub fn end_moves(&self, indices: &[u32]) -> Result<(), KernelError> {
        let words = self.move_words()?;
        indices.iter().for_each(|index| words.store(*index as usize, 0));
        Ok(())
    }

    /// Has the turn of the moves of these indices come, each by one store.
    ///
    /// # Errors
    /// The kernel does not let the map be mapped.
    pub fn release_moves(&self, indices: &[u32]) -> Result<(), KernelError> {
        let words = self.move_words()?;
        for index in indices.iter().map(|index| *index as usize) {
            words.store(index, Move(words.load(index)).held(false).0);
        }
        Ok(())
    }

    fn move_words(&self) -> Result<sys::Words, KernelError> {
        const MAP: &str = "MOVES";
        let Some(Map::Array(data)) = self.home.map(MAP) else {
            return Err(KernelError::Object { what: format!("map {MAP}") });
        };
        sys::Words::new(data.fd().as_fd(), self.about.shape.moves as usize)
            .map_err(|error| KernelError::other("map the moves", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_flows_are_estimated_well() {
        assert_eq!((estimated(0), estimated(1), estimated(10)), (0, 1, 10));
        // Of 256 hashes, 500 flows leave 36 unmarked.
        assert!((450..550).contains(&estimated(256 - 36)), "{}", estimated(220));
        assert!(estimated(256) > 1_000);
    }
}
