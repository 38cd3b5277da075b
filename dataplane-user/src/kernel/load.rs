//! Object and image to a loaded program: maps of the right shape, filled ([`super::fill`]), and the verifier's consent.

use std::io;
use std::path::Path;

use aya::programs::ProgramError;
use aya::util::{KernelVersion, nr_cpus};
use aya::{EbpfError, EbpfLoader};
use keysteer_common::config::{ABI, Config};
use keysteer_common::program::{Hook, Program};
use keysteer_common::shared::bytes_of;
use keysteer_common::shim::Signing;

use super::counter_set::{Capacity, CounterSet, Counting};
use super::fill::fill;
use super::flows::Flows;
use super::home::{CONSTANTS, Home, PINNED};
use super::tables::{Tables, resize, sizes};
use super::{About, Dataplane, KernelError};
use crate::image::{Image, Moves};

/// The committed object; `build.rs` checks that it is as new as its sources.
static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("KEYSTEER_OBJECT"));

/// Checks that the running kernel is recent enough.
///
/// # Errors
/// It is older than 6.1, or does not say.
pub fn check_kernel() -> Result<(), KernelError> {
    let version =
        KernelVersion::current().map_err(|error| KernelError::other("read the kernel's version", error))?;
    check_version(version)
}

/// Checks a kernel's version.
fn check_version(version: KernelVersion) -> Result<(), KernelError> {
    if version >= KernelVersion::new(6, 1, 0) {
        return Ok(());
    }
    let code = version.code();
    Err(KernelError::TooOld { found: format!("{}.{}", code >> 16, (code >> 8) & 0xff) })
}

/// Which variant of the program is loaded, and what it shares.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Variant<'a> {
    /// Notes every packet: [`Config::record`].
    pub(super) record: bool,
    /// Heeds operators' words: [`Config::overlay`].
    pub(super) overlay: bool,
    /// Counts in the set pinned in this directory, of this capacity. Else in maps of its own.
    pub(super) counters: Option<(&'a Path, Capacity)>,
}

/// The bound on probes is a multiple of this.
const PROBES: u32 = 4;

/// What a program is before its tables are filled: policies of one shape differ in nothing but what the tables hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Its constants, which hold secrets.
    pub(super) config: Config,
    /// Entries of the map of services.
    pub(super) services: u32,
    /// Entries of the map of devices.
    pub(super) devices: u32,
    /// Entries of the map of moves.
    pub(super) moves: u32,
    /// Entries of the map of what is counted of them.
    pub(super) units: u32,
    /// For how many flows there is room, where no other generation has made it.
    pub(super) pins: u32,
    /// Whether there is a program for TC too.
    pub(super) tc: bool,
}

impl Shape {
    /// The shape that a policy's tables need.
    pub(super) fn of(image: &Image, record: bool, overlay: bool) -> Result<Self, KernelError> {
        if image.config.abi != ABI {
            return Err(KernelError::Object { what: format!("ABI version {}", image.config.abi) });
        }
        let bounds = Tables::of(image)?.bounds();
        // In steps, so that few keys more or less make no other program: a look-up ends at an empty entry anyway.
        let key_probes = image.config.key_probes.next_multiple_of(PROBES);
        let config =
            Config { bounds, key_probes, record: record.into(), overlay: overlay.into(), ..image.config };
        let (services, devices) = (entries(image.services.len()), entries(image.shards.len()));
        let Moves { words, units, pins, .. } = &image.moves;
        let (moves, units, pins) = (entries(words.len()), (*units).max(1), (*pins).max(1));
        Ok(Self { config, services, devices, moves, units, pins, tc: image.tc })
    }

    /// The same with nothing under way.
    pub(super) fn steady(mut self) -> Self {
        let none = Tables::none();
        self.config.migrating = 0;
        (self.config.bounds.old_tables, self.config.bounds.old_slots) = (none.old_tables, none.old_slots);
        (self.moves, self.units, self.pins) = (1, 1, 1);
        self
    }

    /// The hooks that it has a program for.
    pub(super) fn hooks(&self) -> impl Iterator<Item = Hook> + use<> {
        let back = self.config.back.on != 0;
        let all = [(true, Hook::Xdp), (self.tc, Hook::Tc), (back, Hook::Back)];
        all.into_iter().filter_map(|(has, hook)| has.then_some(hook))
    }

    /// Bytes of the tables.
    pub(super) fn bytes(&self) -> u64 {
        sizes(&self.config.bounds).iter().map(|size| u64::from(*size)).sum()
    }
}

impl Dataplane {
    /// Loads the committed object with the tables of `image`. Nothing is attached yet.
    ///
    /// # Errors
    /// The kernel is too old, refuses for lack of privilege or memory, or its verifier rejects the
    /// program.
    pub fn load(image: &Image) -> Result<Self, KernelError> {
        Self::load_variant(image, Variant { overlay: image.has_words(), ..Variant::default() })
    }

    /// [`Dataplane::load`] of the variant that records every packet, for [`Dataplane::test_run`].
    ///
    /// # Errors
    /// As [`Dataplane::load`].
    pub fn load_recording(image: &Image) -> Result<Self, KernelError> {
        Self::load_variant(image, Variant { record: true, overlay: image.has_words(), ..Variant::default() })
    }

    /// [`Dataplane::load`] of a given variant.
    fn load_variant(image: &Image, variant: Variant<'_>) -> Result<Self, KernelError> {
        Self::load_tables(image, Capacity::of(image), variant)
    }

    /// [`Dataplane::load_variant`] that counts `counted`, of which an image without names does not know.
    fn load_tables(image: &Image, counted: Capacity, variant: Variant<'_>) -> Result<Self, KernelError> {
        let shape = Shape::of(image, variant.record, variant.overlay)?;
        let counting = match variant.counters {
            Some((pins, capacity)) => Counting::Pinned(pins, capacity),
            None => Counting::Own(counted),
        };
        let mut dataplane = Self::make(&shape, counting, None)?;
        dataplane.fill(image, counted)?;
        dataplane.verify()?;
        if variant.counters.is_none() {
            dataplane.set.write(&image.words)?;
        }
        Ok(dataplane)
    }

    /// Another variant of this program, over copies of its tables. Tables themselves cannot be shared with what is loaded:
    /// the loader fills every section with zeroes first.
    pub(super) fn load_beside(&self, variant: Variant<'_>) -> Result<Self, KernelError> {
        let tables = Image { tc: self.about.shape.tc, ..self.tables_in_force()? };
        Self::load_tables(&tables, self.about.counted, variant)
    }

    /// A variant that has `tables`, and counts what this program counts.
    pub(super) fn load_like(&self, tables: &Image, variant: Variant<'_>) -> Result<Self, KernelError> {
        Self::load_tables(tables, self.about.counted, variant)
    }

    /// Makes the maps of a program of `shape`; its tables are empty, and shared by all that are made with the same
    /// `tables`, a directory for pins.
    pub(super) fn make(
        shape: &Shape,
        counting: Counting<'_>,
        tables: Option<&Path>,
    ) -> Result<Self, KernelError> {
        check_kernel()?;
        let record = shape.config.record != 0;
        let mut object = object(record)?;
        resize(&mut object, &shape.config.bounds)
            .map_err(|error| KernelError::Object { what: error.to_string() })?;
        let cpus = cpus()?;
        let mut loader = EbpfLoader::new();
        loader
            .map_max_entries("SERVICES", shape.services)
            .map_max_entries("DEVICES", shape.devices)
            .map_max_entries("DEVICES_TC", shape.devices)
            .map_max_entries("CPUS", entries(cpus))
            .map_max_entries("DATAGRAMS", shape.config.datagrams.max(1))
            .map_max_entries("MOVES", shape.moves)
            .map_max_entries("MOVING", shape.units)
            .map_max_entries("PINS", shape.pins.max(1))
            .override_global("CONFIG", bytes_of(std::slice::from_ref(&shape.config)), true);
        for (name, file) in PINNED.into_iter().filter(|(name, _)| holds_policy(name)) {
            if let Some(tables) = tables {
                loader.map_pin_path(name, tables.join(file));
            }
        }
        if let (Counting::Pinned(pins, _), true) = (counting, shape.config.migrating != 0) {
            Flows::share(&mut loader, pins)?;
        }
        let capacity = counting.prepare(&mut loader);
        let mut ebpf = loader.load(&object).map_err(load_error)?;
        #[cfg(feature = "bpf-log")]
        if record {
            super::debug_log::follow(&mut ebpf)?;
        }
        let set = CounterSet::take(|name| ebpf.take_map(name), capacity, cpus)?;
        let about = About { shape: *shape, counted: capacity, to_cpu: false, cpus };
        Ok(Self { home: Home::Loaded(ebpf, Program::of(&shape.config)), links: Vec::new(), set, about })
    }

    /// Fills the tables with those of `image`, which is of this shape, and of which `counted` is counted.
    pub(super) fn fill(&mut self, image: &Image, counted: Capacity) -> Result<(), KernelError> {
        let Home::Loaded(ebpf, _) = &mut self.home else {
            return Err(KernelError::other("fill the tables", "they are another agent's"));
        };
        fill(ebpf, image)?;
        if image.signing != Signing::default() {
            self.write_signing(&image.signing)?;
        }
        self.about.counted = counted;
        self.about.to_cpu = image.steers_to_cpus();
        Ok(())
    }

    /// Has the kernel verify the programs.
    pub(super) fn verify(&mut self) -> Result<(), KernelError> {
        for hook in self.about.shape.hooks() {
            self.home.verify(hook)?;
        }
        Ok(())
    }
}

/// Whether what a map holds is a policy's, and not the program's own.
fn holds_policy(name: &str) -> bool {
    !matches!(name, CONSTANTS | "WORK" | "MOVING")
}

/// The object to load.
fn object(record: bool) -> Result<Vec<u8>, KernelError> {
    #[cfg(feature = "bpf-log")]
    if let Some(object) = super::debug_log::object()?.filter(|_| record) {
        return Ok(object);
    }
    let _ = record;
    Ok(OBJECT.to_vec())
}

/// How many CPUs the kernel may ever bring up.
pub(super) fn cpus() -> Result<usize, KernelError> {
    nr_cpus().map_err(|(what, error)| KernelError::other(what, error))
}

/// A map cannot have zero entries.
fn entries(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX).max(1)
}

fn is_permission(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES))
}

/// The error behind aya's, if it is the system's.
fn system_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}

fn load_error(error: EbpfError) -> KernelError {
    match system_error(&error) {
        Some(io) if is_permission(io) => KernelError::NotPermitted { operation: "create maps" },
        Some(io) if io.raw_os_error() == Some(libc::ENOMEM) => {
            KernelError::other("create the maps: not enough memory for this policy", error)
        }
        _ => KernelError::other("create the maps", error),
    }
}

pub(super) fn program_error(error: ProgramError) -> KernelError {
    match error {
        ProgramError::LoadError { io_error, .. } if io_error.raw_os_error() == Some(libc::EPERM) => {
            KernelError::NotPermitted { operation: "load the program" }
        }
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            // The log ends with statistics; what went wrong is in the lines before them.
            let statistics = ["verification time", "stack depth", "processed "];
            let mut last: Vec<&str> = log
                .lines()
                .rev()
                .filter(|line| !statistics.iter().any(|begin| line.trim_start().starts_with(begin)))
                .take(4)
                .collect();
            last.reverse();
            tracing::debug!(verifier_log = %log, "the verifier's whole log");
            let log = last.join(" | ");
            KernelError::Rejected { cause: io_error, log }
        }
        error => KernelError::other("load the program", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kernel_is_named_with_what_is_needed() {
        let error = check_version(KernelVersion::new(5, 15, 3)).unwrap_err();
        assert_eq!(error.to_string(), "this kernel is Linux 5.15; keysteer needs 6.1 or later");
        assert!(check_version(KernelVersion::new(6, 1, 0)).is_ok());
        assert!(check_version(KernelVersion::new(7, 0, 0)).is_ok());
    }
}
