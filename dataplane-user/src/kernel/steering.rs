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
use std::os::fd::AsFd;
use std::path::Path;

use super::attach::{Attachment, WantedMode};
use super::counter_set::{Capacity, CounterSet};
use super::home::{Home, PROGRAM_PIN};
use super::interfaces::Interface;
use super::link::Link as BpfLink;
use super::load::{Shape, Variant, cpus};
use super::pair::Pair;
use super::pins::{PinError, Pins};
use super::{About, Dataplane, KernelError};
use crate::counters::Snapshot;
use crate::engine::Engine;
use crate::fault::{Step, point};
use crate::image::{Image, Words};

/// The smallest counter set: key ids and shards.
const SMALLEST: Capacity = Capacity { keys: 1024, shards: 256 };

/// Bytes of tables up to which programs are loaded before they are needed.
const SPARE: u64 = 8 << 20;

/// The interface that test runs arrive on: the loopback of any namespace.
const LOOPBACK: u32 = 1;

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
        let mut links = BTreeMap::new();
        for index in pins.links()? {
            let path = pins.link(index);
            let link = BpfLink::from_pin(&path).map_err(PinError::io("open", &path))?;
            links.insert(index, link);
        }
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
        Ok(Self { pins, sets, generations: BTreeMap::new(), links, ready: None, twin: None, spare: None })
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
        let same = image.same_tables(&dataplane.tables_in_force()?);
        if same {
            self.generations.insert(number, dataplane);
        }
        Ok(same)
    }

    /// Loads `image` into a program and its twin. It counts with the generations, and heeds the same words.
    ///
    /// # Errors
    /// The kernel refuses; nothing is left.
    pub fn ready(&mut self, image: &Image) -> Result<(), KernelError> {
        self.ready = None;
        // On a host that was started anew nothing has words yet but the image.
        let words = if self.sets.is_empty() { image.words.clone() } else { self.words()? };
        let overlay = !words.keys.is_empty() || !words.shards.is_empty();
        let shape = Shape::of(image, false, overlay)?;
        let (set, capacity) = self.room(Capacity::of(image));
        let pair = match self.spare.take() {
            Some(spare) if spare.shape == shape && spare.set == set => spare,
            _ => self.pair(shape, set, capacity)?,
        };
        let (mut program, twin) = pair.fill(image)?;
        point(Step::Loaded);
        if !self.sets.contains_key(&set) {
            program.set.write(&words)?;
            if let Some(added) = CounterSet::open(&self.pins.counters(set), program.about.cpus)? {
                self.sets.insert(set, added);
            }
        }
        self.ready = Some((program, twin));
        Ok(())
    }

    /// Pins what is ready as generation `number`.
    ///
    /// # Errors
    /// Nothing is ready, or it cannot be pinned; nothing is left.
    pub fn load(&mut self, number: u64) -> Result<(), KernelError> {
        let ready = self.ready.take();
        let (mut program, twin) =
            ready.ok_or_else(|| KernelError::other("pin a generation", "nothing is ready"))?;
        let path = self.pins.generation(number);
        self.pins.fresh(&path)?;
        point(Step::PinsBegun);
        if let Err(error) = program.home.pin(&path) {
            self.pins.remove(&path)?;
            return Err(error);
        }
        point(Step::Pinned);
        self.pins.remove(&self.pins.spare())?;
        self.generations.insert(number, program);
        self.twin = Some((number, twin));
        Ok(())
    }

    /// Programs of a shape that count in a set.
    fn pair(&self, shape: Shape, set: u64, capacity: Capacity) -> Result<Pair, KernelError> {
        let (tables, counters) = (self.pins.spare(), self.pins.counters(set));
        if !self.sets.contains_key(&set) {
            self.pins.fresh(&counters)?;
        }
        self.pins.fresh(&tables)?;
        Pair::load(shape, &tables, set, (&counters, capacity))
    }

    /// Loads what the next generation will need, if it is of the shape of generation `number`, which is live. Of large
    /// policies nothing is: beside the rest of the work on them it would not be noticed, and memory would.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn prepare(&mut self, number: u64) -> Result<(), KernelError> {
        self.ready = None;
        let shape = self.generation(number)?.about.shape;
        let Some((set, capacity)) = self.sets.iter().next_back().map(|(number, set)| (*number, set.capacity))
        else {
            return Ok(());
        };
        if self.spare.as_ref().is_some_and(|spare| spare.shape == shape && spare.set == set) {
            return Ok(());
        }
        self.spare = None;
        self.pins.remove(&self.pins.spare())?;
        if shape.bytes() <= SPARE {
            self.spare = Some(self.pair(shape, set, capacity)?);
            point(Step::SparePinned);
        }
        Ok(())
    }

    /// The set that holds so much: its number and its capacity.
    fn room(&self, need: Capacity) -> (u64, Capacity) {
        match self.sets.iter().next_back() {
            Some((number, set)) if set.capacity.holds(need) => (*number, set.capacity),
            Some((number, set)) => (number + 1, set.capacity.grown(need)),
            None => (1, SMALLEST.at_least(need)),
        }
    }

    /// Proves that generation `number` decides `frames` as the host engine does over `image`: what becomes of each frame,
    /// and what is counted. It is the generation that was loaded last, and it is proved once.
    ///
    /// # Errors
    /// The kernel refuses a test run, or decides otherwise.
    pub fn prove(&mut self, number: u64, image: &Image, frames: &[Vec<u8>]) -> Result<(), KernelError> {
        let twin = self.twin.take().filter(|(of, _)| *of == number).map(|(_, twin)| twin);
        let twin = twin.ok_or_else(|| KernelError::other("prove a generation", "it has no twin any more"))?;
        let mut engine = Engine::new(image);
        for frame in frames {
            let mut after = frame.clone();
            let host = engine.decide(&mut after, LOOPBACK).action;
            let (action, kernel) = twin.forward_run(frame, 0)?;
            let disproved =
                |what: String| KernelError::Disproved { what, frame: crate::explain::hex(frame).to_string() };
            if action != Some(host) {
                return Err(disproved(format!("action {action:?} instead of {host:?}")));
            }
            if kernel != after {
                return Err(disproved(format!("it becomes {}", crate::explain::hex(&kernel))));
            }
        }
        let (kernel, host) = (twin.counters()?, engine.counters());
        let keys = kernel.keys.len().min(host.keys.len());
        let same = kernel.node == host.node
            && kernel.shards.iter().eq(host.shards.iter().take(kernel.shards.len()))
            && kernel.keys.iter().take(keys).eq(host.keys.iter().take(keys));
        let frame = String::from("any of the probes");
        if same {
            Ok(())
        } else {
            Err(KernelError::Disproved { what: "it counts otherwise".to_owned(), frame })
        }
    }

    /// Puts generation `number` on every interface of `wanted`, and takes keysteer off every other. From the first to
    /// the last link an intent is pinned; [`Steering::settle`] ends it.
    ///
    /// # Errors
    /// A new interface cannot be attached to: then all is as it was, and the intent is over.
    pub fn commit(
        &mut self,
        number: u64,
        wanted: &[(Interface, WantedMode)],
    ) -> Result<Vec<Attachment>, KernelError> {
        self.pins.begin(number)?;
        point(Step::Intent);
        let attached = match self.attach_new(number, wanted) {
            Ok(attached) => attached,
            Err(error) => {
                self.pins.end(number)?;
                return Err(error);
            }
        };
        point(Step::NewAttached);
        let program = self.program(number)?;
        let fd = self.generation(number)?.xdp()?.fd().map_err(used)?;
        for link in self.links.values() {
            let facts = link.facts().map_err(|error| KernelError::other("read a link", error))?;
            if facts.interface != 0 && facts.program != program {
                link.update(fd.as_fd())
                    .map_err(|error| KernelError::other("replace the program of a link", error))?;
                point(Step::LinkUpdated);
            }
        }
        let unwanted: Vec<u32> = self
            .links
            .keys()
            .copied()
            .filter(|index| wanted.iter().all(|(interface, _)| interface.index != *index))
            .collect();
        unwanted.into_iter().try_for_each(|index| self.unlink(index))?;
        point(Step::Committed);
        Ok(attached)
    }

    /// Attaches to the interfaces that have no link yet; to none of them, if one refuses.
    fn attach_new(
        &mut self,
        number: u64,
        wanted: &[(Interface, WantedMode)],
    ) -> Result<Vec<Attachment>, KernelError> {
        let mut attached = Vec::new();
        for (interface, mode) in wanted {
            if self.links.get(&interface.index).is_some_and(is_there) {
                continue;
            }
            self.unlink(interface.index)?;
            match self.attach(number, interface, *mode) {
                Ok(attachment) => attached.push(attachment),
                Err(error) => {
                    for attachment in attached {
                        self.unlink(attachment.index)?;
                    }
                    return Err(error);
                }
            }
        }
        Ok(attached)
    }

    fn attach(
        &mut self,
        number: u64,
        interface: &Interface,
        mode: WantedMode,
    ) -> Result<Attachment, KernelError> {
        let (link, attachment) = self.generation(number)?.link(interface, mode)?;
        let path = self.pins.link(interface.index);
        link.pin(&path).map_err(PinError::io("pin", &path))?;
        self.links.insert(interface.index, link);
        Ok(attachment)
    }

    /// Ends steering on an interface.
    fn unlink(&mut self, index: u32) -> Result<(), KernelError> {
        self.pins.remove(&self.pins.link(index))?;
        self.links.remove(&index);
        Ok(())
    }

    /// Says that the commit of generation `number` is over.
    ///
    /// # Errors
    /// The intent cannot be removed.
    pub fn settle(&self, number: u64) -> Result<(), KernelError> {
        Ok(self.pins.end(number)?)
    }

    /// Lets a generation go that is not attached.
    ///
    /// # Errors
    /// Its pins cannot be removed.
    pub fn retire(&mut self, number: u64) -> Result<(), KernelError> {
        self.generations.remove(&number);
        Ok(self.pins.remove(&self.pins.generation(number))?)
    }

    /// Ends steering everywhere. Counters and generations stay pinned.
    ///
    /// # Errors
    /// A link cannot be removed.
    pub fn detach(&mut self) -> Result<(), KernelError> {
        let all: Vec<u32> = self.links.keys().copied().collect();
        all.into_iter().try_for_each(|index| self.unlink(index))
    }

    /// Where it steers.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn links(&self) -> Result<Vec<Link>, KernelError> {
        let link = |(index, link): (&u32, &BpfLink)| {
            let facts = link.facts().map_err(|error| KernelError::other("read a link", error))?;
            Ok(Link { index: *index, program: if facts.interface == 0 { 0 } else { facts.program } })
        };
        self.links.iter().map(link).collect()
    }

    /// Id of the program of a generation.
    ///
    /// # Errors
    /// There is no such generation, or the kernel does not say.
    pub fn program(&self, number: u64) -> Result<u32, KernelError> {
        Ok(self.generation(number)?.program()?.id)
    }

    /// A generation that was loaded or adopted.
    ///
    /// # Errors
    /// There is none of that number.
    pub fn generation(&self, number: u64) -> Result<&Dataplane, KernelError> {
        let found = self.generations.get(&number);
        found.ok_or_else(|| KernelError::other("use a generation", format!("{number} is not loaded")))
    }

    /// Every counter, summed over CPUs and sets, as long as the largest set.
    ///
    /// # Errors
    /// The kernel does not let a map be read.
    pub fn counters(&self) -> Result<Snapshot, KernelError> {
        let most = |part: fn(Capacity) -> u32| self.sets.values().map(|set| part(set.capacity)).max();
        let keys = most(|capacity| capacity.keys).unwrap_or_default() as usize;
        let mut snapshot =
            Snapshot::empty(keys, most(|capacity| capacity.shards).unwrap_or_default() as usize);
        self.sets.values().try_for_each(|set| set.add_to(&mut snapshot))?;
        Ok(snapshot)
    }

    /// Operators' words.
    ///
    /// # Errors
    /// The kernel does not let a map be read.
    pub fn words(&self) -> Result<Words, KernelError> {
        self.sets.values().next_back().map_or_else(|| Ok(Words::default()), CounterSet::words)
    }

    /// Makes `words` all that operators have to say. The generations then heed words, if there are any: variants of
    /// those that do not are loaded over the same tables, and take their places.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set_words(&mut self, words: &Words) -> Result<(), KernelError> {
        for set in self.sets.values_mut() {
            set.replace(words)?;
        }
        point(Step::WordsWritten);
        if words.keys.is_empty() && words.shards.is_empty() {
            return Ok(());
        }
        let deaf = self.generations.iter().filter(|(_, it)| it.about.shape.config.overlay == 0);
        let deaf: Vec<u64> = deaf.map(|(number, _)| *number).collect();
        deaf.into_iter().try_for_each(|number| self.heed(number))
    }

    /// Loads the variant of a generation that heeds words, in its place.
    fn heed(&mut self, number: u64) -> Result<(), KernelError> {
        let (set, capacity) = match self.sets.iter().next_back() {
            Some((set, it)) => (self.pins.counters(*set), it.capacity),
            None => return Ok(()),
        };
        let old = self.generation(number)?;
        let program = old.program()?.id;
        let variant = Variant { overlay: true, counters: Some((&set, capacity)), ..Variant::default() };
        let mut new = old.load_beside(variant)?;
        let (directory, beside) = (self.pins.generation(number), self.pins.variant(number));
        self.pins.fresh(&beside)?;
        new.home.pin(&beside)?;
        point(Step::VariantPinned);
        let fd = new.xdp()?.fd().map_err(used)?;
        for link in self.links.values() {
            let facts = link.facts().map_err(|error| KernelError::other("read a link", error))?;
            if facts.interface != 0 && facts.program == program {
                link.update(fd.as_fd())
                    .map_err(|error| KernelError::other("replace the program of a link", error))?;
                point(Step::VariantLinked);
            }
        }
        self.pins.remove(&directory)?;
        point(Step::VariantAlone);
        std::fs::rename(&beside, &directory).map_err(PinError::io("rename", &beside))?;
        point(Step::VariantInPlace);
        self.generations.insert(number, new);
        Ok(())
    }
}

fn is_there(link: &BpfLink) -> bool {
    link.facts().is_ok_and(|facts| facts.interface != 0)
}

fn used(error: impl fmt::Display) -> KernelError {
    KernelError::other("use the program", error)
}
