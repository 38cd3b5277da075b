//! Rows over zones, a lattice: one table per zone, of which a row takes its shards in turn, as many from each zone as
//! from any other, or one more.
//!
//! ```text
//!  bounds    every zone gives floor or ceiling of width / zones; one with fewer shards gives all, the others the rest
//!  shares    of a zone: by its weight, within its bounds          the rest is divided among the others, by theirs
//!  pattern   which zones of a row give the one more               a table of zones, minimal moves as in any other
//!  tables    a zone's shards over its cells, by weight            the same
//! ```
//! The first shard of a row is that of width 1, and its zone the one that the row begins with.

use super::columns::FREE;
use super::settle::{Wish, settle};
use super::share::{bounded, capped};
use super::{Candidate, ROWS};

/// The zones of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zones {
    /// Their names, in ascending order.
    pub(super) names: Vec<String>,
    /// The number of each shard's, in the order of the shards' names.
    pub(super) of: Vec<usize>,
}

impl Zones {
    /// The zones of shards that are all in one, in the order of their names; `None` where one is in none.
    pub fn new<'z>(zones: impl IntoIterator<Item = Option<&'z str>>) -> Option<Self> {
        let zones: Vec<&str> = zones.into_iter().collect::<Option<_>>()?;
        let mut names: Vec<String> = zones.iter().map(|zone| (*zone).to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        let of = zones.iter().filter_map(|zone| names.iter().position(|name| name == zone)).collect();
        (!names.is_empty()).then_some(Self { names, of })
    }

    /// Their names, in ascending order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// The zone of a shard, by its place in the order of names.
    pub fn of(&self, shard: usize) -> Option<&str> {
        self.names.get(*self.of.get(shard)?).map(String::as_str)
    }

    /// How many shards a row of `width` takes at least and at most from each zone.
    pub fn bounds(&self, width: usize) -> Vec<(usize, usize)> {
        let mut sizes = vec![0_usize; self.names.len()];
        for zone in &self.of {
            if let Some(size) = sizes.get_mut(*zone) {
                *size += 1;
            }
        }
        let mut bounds: Vec<Option<(usize, usize)>> = vec![None; sizes.len()];
        let mut left = width.min(self.of.len());
        loop {
            let open = bounds.iter().filter(|bound| bound.is_none()).count();
            let (least, more) = (left / open.max(1), left % open.max(1));
            // Of a zone that has no more than the others give all are in every row, and the others make up for it.
            let mut found = false;
            for (bound, size) in bounds.iter_mut().zip(&sizes) {
                if bound.is_none() && *size <= least {
                    *bound = Some((*size, *size));
                    left -= *size;
                    found = true;
                }
            }
            if !found {
                let most = least + usize::from(more > 0);
                return bounds.into_iter().map(|bound| bound.unwrap_or((least, most))).collect();
            }
        }
    }
}

impl Zones {
    /// How many cells each zone should have.
    fn cells(&self, shards: &[Candidate<'_>], width: usize) -> Vec<usize> {
        let weight = |zone: usize| -> u64 {
            let members = shards.iter().zip(&self.of).filter(|(_, of)| **of == zone);
            members.map(|(shard, _)| u64::from(shard.weight)).sum()
        };
        let weights: Vec<u64> = (0..self.names.len()).map(weight).collect();
        bounded(&weights, &self.bounds(width), width.min(shards.len()) * ROWS, ROWS)
    }

    /// How many cells each shard should have, in the order of names.
    pub(super) fn shares(&self, shards: &[Candidate<'_>], width: usize) -> Vec<usize> {
        let mut shares = vec![0; shards.len()];
        for (zone, cells) in self.cells(shards, width).into_iter().enumerate() {
            let members = || self.of.iter().enumerate().filter(|(_, of)| **of == zone).map(|(at, _)| at);
            let weights: Vec<u64> =
                members().filter_map(|at| Some(u64::from(shards.get(at)?.weight))).collect();
            for (at, share) in members().zip(capped(&weights, cells, ROWS)) {
                if let Some(to) = shares.get_mut(at) {
                    *to = share;
                }
            }
        }
        shares
    }
}

/// A pool's rows over zones.
pub(super) struct Lattice<'a> {
    pub(super) zones: &'a Zones,
    /// In the order of names.
    pub(super) shards: &'a [Candidate<'a>],
    pub(super) width: usize,
    /// The table of width 1.
    pub(super) first: &'a [u16],
}

/// The shards of each row, by zone.
pub(super) struct Parts {
    /// Of each zone: its cells a row, and its rows with [`FREE`] where they are shorter.
    parts: Vec<(usize, Vec<u16>)>,
}

impl Parts {
    /// The shards of a row, zones in turn, beginning with zone `begin`.
    pub(super) fn row(&self, row: usize, begin: usize, to: &mut Vec<u16>) {
        let zones = self.parts.len();
        let longest = self.parts.iter().map(|(width, _)| *width).max().unwrap_or(0);
        for round in 0..longest {
            for step in 0..zones {
                let Some((width, cells)) = self.parts.get((begin + step) % zones) else { continue };
                if round < *width
                    && let Some(shard) = cells.get(row * width + round).filter(|shard| **shard != FREE)
                {
                    to.push(*shard);
                }
            }
        }
    }
}

impl Lattice<'_> {
    /// The shards of each row, as near to `previous` (rows of as many cells) as zones and shares allow.
    pub(super) fn settle(&self, previous: &[u16]) -> Parts {
        let count = self.zones.names.len();
        let bounds = self.zones.bounds(self.width);
        let shares = self.zones.cells(self.shards, self.width);
        let mut lengths: Vec<Vec<u16>> =
            bounds.iter().map(|(least, _)| vec![u16::try_from(*least).unwrap_or(u16::MAX); ROWS]).collect();
        let more = self.more(&bounds).max(1);
        for (at, zone) in self.pattern(previous, &bounds, &shares).into_iter().enumerate() {
            let row = at / more;
            if let Some(length) = lengths.get_mut(usize::from(zone)).and_then(|lengths| lengths.get_mut(row))
            {
                *length += 1;
            }
        }
        let parts = (0..count).zip(&bounds).zip(&lengths);
        Parts {
            parts: parts
                .map(|((zone, bounds), lengths)| self.part(zone, bounds.1, lengths, previous))
                .collect(),
        }
    }

    /// How many zones of a row give one more than the others.
    fn more(&self, bounds: &[(usize, usize)]) -> usize {
        let least: usize = bounds.iter().map(|(least, _)| *least).sum();
        self.width.min(self.shards.len()).saturating_sub(least)
    }

    /// Which zones give one more, row after row.
    fn pattern(&self, previous: &[u16], bounds: &[(usize, usize)], shares: &[usize]) -> Vec<u16> {
        let more = self.more(bounds);
        if more == 0 {
            return Vec::new();
        }
        let more_of: Vec<usize> =
            shares.iter().zip(bounds).map(|(share, (least, _))| share.saturating_sub(least * ROWS)).collect();
        let zone = |shard: u16| self.zones.of.get(usize::from(shard)).copied();
        let mut before = Vec::new();
        if !previous.is_empty() {
            before = vec![FREE; ROWS * bounds.len()];
            let mut had = vec![0; bounds.len()];
            for (row, to) in previous.chunks(self.width).zip(before.chunks_mut(bounds.len())) {
                had.fill(0);
                for zone in row.iter().filter_map(|shard| zone(*shard)) {
                    if let Some(had) = had.get_mut(zone) {
                        *had += 1;
                    }
                }
                let gave = had.iter().zip(bounds).zip((0..FREE).zip(to));
                for ((had, (least, most)), (zone, to)) in gave {
                    if had > least && most > least {
                        *to = zone;
                    }
                }
            }
        }
        // The zone that a row begins with is in it.
        let begins = |shard: &u16| {
            let zone = zone(*shard)?;
            (bounds.get(zone)?.0 == 0).then(|| u16::try_from(zone).ok())?
        };
        let fixed: Vec<u16> = self.first.iter().map(|shard| begins(shard).unwrap_or(FREE)).collect();
        let names: Vec<&str> = self.zones.names.iter().map(String::as_str).collect();
        let wish =
            Wish { names: &names, shares: &more_of, width: more, lengths: None, fixed: &fixed, order: 1 };
        settle(&wish, &before, bounds.len())
    }

    /// The rows of a zone, of at most `width` cells.
    fn part(&self, zone: usize, width: usize, lengths: &[u16], previous: &[u16]) -> (usize, Vec<u16>) {
        let members: Vec<usize> =
            (0..self.shards.len()).filter(|at| self.zones.of.get(*at) == Some(&zone)).collect();
        // By place among all shards: the place among the zone's.
        let mut within = vec![FREE; self.shards.len()];
        for (at, member) in (0..FREE).zip(&members) {
            if let Some(within) = within.get_mut(*member) {
                *within = at;
            }
        }
        let inside = |shard: &u16| within.get(usize::from(*shard)).copied().unwrap_or(FREE);
        let shards: Vec<&Candidate<'_>> = members.iter().filter_map(|at| self.shards.get(*at)).collect();
        let names: Vec<&str> = shards.iter().map(|shard| shard.name).collect();
        let weights: Vec<u64> = shards.iter().map(|shard| u64::from(shard.weight)).collect();
        let cells = lengths.iter().map(|length| usize::from(*length)).sum();
        let shares = capped(&weights, cells, ROWS);
        let fixed: Vec<u16> = self.first.iter().map(inside).collect();
        let before: Vec<u16> = previous.iter().map(inside).collect();
        let wish =
            Wish { names: &names, shares: &shares, width, lengths: Some(lengths), fixed: &fixed, order: 1 };
        let mut cells = settle(&wish, &before, if previous.is_empty() { 0 } else { self.width });
        for cell in &mut cells {
            *cell = members.get(usize::from(*cell)).and_then(|at| u16::try_from(*at).ok()).unwrap_or(FREE);
        }
        (width, cells)
    }
}
