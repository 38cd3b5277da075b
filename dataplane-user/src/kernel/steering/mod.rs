//! A node's steering, which outlives the agent: generations of programs, the maps that they share, and the links that
//! hold one of them on each interface. Everything is pinned ([`super::pins`]).
//!
//! ```text
//!  open       what is pinned: counter sets and links, each checked          nothing is changed
//!  adopt      a pinned generation                                            nothing is changed
//!  ready      a program with a new policy                                    not attached
//!  load       it as a new generation, pinned beside the others               not attached
//!  prove      what it decides, by test runs of its twin                      nothing is changed
//!  commit     intent, every link to the generation, what is not wanted goes  packets meet the old or the new
//!  settle     the intent is over                                             once the state says the same
//!  retire     a generation that is not attached goes
//! ```
//! Whoever comes after a crash finds the intent, and commits the same generation again.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::counter_set::{Capacity, CounterSet};
use super::home::{Home, PROGRAM_PIN};
use super::link::{Direction, Link as BpfLink};
use super::load::cpus;
use super::pair::Pair;
use super::pins::{PinError, Pins};
use super::{About, Dataplane, KernelError};
use crate::image::Image;

mod back;
mod commit;
mod counted;
mod make;
mod moves;
mod speaker;
mod words;

pub use counted::Counted;
pub use moves::{Seen, Tick};
pub use speaker::Speaker;

/// A steered interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The interface's index.
    pub index: u32,
    /// Id of the attached program; 0 when the interface has gone.
    pub program: u32,
}

/// A node's generations and links.
pub struct Steering {
    pub(super) pins: Pins,
    sets: BTreeMap<u64, CounterSet>,
    generations: BTreeMap<u64, Dataplane>,
    pub(super) links: BTreeMap<u32, BpfLink>,
    /// On what leaves.
    pub(super) backs: BTreeMap<u32, BpfLink>,
    /// The twin of the generation that was loaded last, until that is proved.
    twin: Option<(u64, Dataplane)>,
    /// A program with a policy, and its twin, that are not pinned as a generation yet.
    ready: Option<(Dataplane, Dataplane)>,
    /// Programs that wait for a policy of the live one's shape.
    spare: Option<Pair>,
}

impl fmt::Debug for Steering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steering")
            .field("pins", &self.pins)
            .field("generations", &self.generations.keys())
            .finish_non_exhaustive()
    }
}

impl Steering {
    /// Opens what is pinned in `directory`, which this process then has for itself. What a crash left half made is
    /// removed.
    ///
    /// # Errors
    /// The directory cannot be used, or something in it is not ours.
    pub fn open(directory: &Path) -> Result<Self, KernelError> {
        let pins = Pins::open(directory)?;
        let cpus = cpus()?;
        let mut sets = BTreeMap::new();
        for number in pins.counter_sets()? {
            let path = pins.counters(number);
            match CounterSet::open(&path, cpus)? {
                Some(set) => {
                    sets.insert(number, set);
                }
                None => pins.remove(&path)?,
            }
        }
        let open = |index, path: PathBuf, direction| -> Result<(u32, BpfLink), PinError> {
            Ok((index, BpfLink::from_pin(&path, index, direction).map_err(PinError::io("open", &path))?))
        };
        let ingress = |index| open(index, pins.link(index), Direction::Ingress);
        let links = pins.links()?.into_iter().map(ingress).collect::<Result<_, _>>()?;
        let egress = |index| open(index, pins.egress(index), Direction::Egress);
        let backs = pins.egresses()?.into_iter().map(egress).collect::<Result<_, _>>()?;
        for number in pins.generations()? {
            let path = pins.generation(number);
            if !path.join(PROGRAM_PIN).exists() {
                pins.remove(&path)?;
            }
        }
        for number in pins.variants()? {
            // The variant is whole once the other is gone; else its generation is asked to heed once more.
            let (path, variant) = (pins.generation(number), pins.variant(number));
            if path.exists() {
                pins.remove(&variant)?;
            } else {
                std::fs::rename(&variant, &path).map_err(PinError::io("rename", &variant))?;
            }
        }
        pins.remove(&pins.spare())?;
        Ok(Self {
            pins,
            sets,
            generations: BTreeMap::new(),
            links,
            backs,
            ready: None,
            twin: None,
            spare: None,
        })
    }

    /// Numbers of the pinned generations.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn pinned(&self) -> Result<Vec<u64>, KernelError> {
        Ok(self.pins.generations()?)
    }

    /// The generation whose commit was begun and not settled.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn intent(&self) -> Result<Option<u64>, KernelError> {
        Ok(self.pins.intent()?)
    }

    /// Takes a pinned generation over, whose policy was compiled to `image`; false, and nothing, where its tables are
    /// others: what the host has may have changed since.
    ///
    /// # Errors
    /// A pin is missing, or not what it should be.
    pub fn adopt(&mut self, number: u64, image: &Image) -> Result<bool, KernelError> {
        let path = self.pins.generation(number);
        let (home, shape) = Home::adopt(&path)?;
        let cpus = cpus()?;
        let newest = self.sets.keys().next_back().map(|set| self.pins.counters(*set));
        let set = match newest {
            Some(newest) => CounterSet::open(&newest, cpus)?,
            None => None,
        };
        let set = set.ok_or_else(|| PinError::strange(&path, "there are no counters"))?;
        let about = About { shape, counted: Capacity::of(image), to_cpu: image.steers_to_cpus(), cpus };
        let dataplane = Dataplane { home, links: Vec::new(), set, about };
        // A device may have lost what it had for XDP meanwhile: then a program for TC is wanted, which nobody loaded.
        let has = shape.tc || !image.tc;
        let same = has && image.same_tables(&dataplane.tables_in_force()?);
        if same {
            self.generations.insert(number, dataplane);
        }
        Ok(same)
    }

    /// Where it steers.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn links(&self) -> Result<Vec<Link>, KernelError> {
        facts(&self.links)
    }

    /// Where it sees what leaves.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn backs(&self) -> Result<Vec<Link>, KernelError> {
        facts(&self.backs)
    }

    /// Ids of the programs of a generation.
    ///
    /// # Errors
    /// There is no such generation, or the kernel does not say.
    pub fn programs(&self, number: u64) -> Result<Vec<u32>, KernelError> {
        self.generation(number)?.programs()
    }

    /// A generation that was loaded or adopted.
    ///
    /// # Errors
    /// There is none of that number.
    pub fn generation(&self, number: u64) -> Result<&Dataplane, KernelError> {
        let found = self.generations.get(&number);
        found.ok_or_else(|| KernelError::other("use a generation", format!("{number} is not loaded")))
    }

    /// Where everything is counted.
    pub fn counted(&self) -> Counted {
        Counted(self.sets.keys().map(|number| self.pins.counters(*number)).collect())
    }
}

/// What the kernel says of links.
fn facts(links: &BTreeMap<u32, BpfLink>) -> Result<Vec<Link>, KernelError> {
    let link = |(index, link): (&u32, &BpfLink)| {
        let facts = link.facts().map_err(|error| KernelError::other("read a link", error))?;
        Ok(Link { index: *index, program: if facts.interface == 0 { 0 } else { facts.program } })
    };
    links.iter().map(link).collect()
}
