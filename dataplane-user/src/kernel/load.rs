//! Object and image to a loaded program with filled maps.

use std::io;
use std::os::fd::AsFd;

use aya::maps::{CpuMap, DevMap, Map, MapError};
use aya::programs::{ProgramError, Xdp};
use aya::util::{KernelVersion, nr_cpus, online_cpus};
use aya::{Ebpf, EbpfError, EbpfLoader};
use keysteer_common::config::{ABI, Config};
use keysteer_common::shared::{Shared, bytes_of};
use keysteer_common::tables::target;

use super::counters::tallies;
use super::tables::Tables;
use super::{Dataplane, KernelError, PROGRAM, sys};
use crate::image::Image;

/// The committed object; `build.rs` checks that it is as new as its sources.
static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("KEYSTEER_OBJECT"));

/// Frames that a CPU's queue holds (CPUMAP).
const CPU_QUEUE: u32 = 2048;

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

impl Dataplane {
    /// Loads the committed object with the tables of `image`. Nothing is attached yet.
    ///
    /// # Errors
    /// The kernel is too old, refuses for lack of privilege or memory, or its verifier rejects the
    /// program.
    pub fn load(image: &Image) -> Result<Self, KernelError> {
        #[cfg(feature = "bpf-log")]
        if let Some(object) = super::debug_log::object()? {
            let mut dataplane = Self::load_object(object, image, true)?;
            super::debug_log::follow(&mut dataplane.ebpf)?;
            return Ok(dataplane);
        }
        Self::load_object(OBJECT.to_vec(), image, false)
    }

    /// [`Dataplane::load`] of the variant that records every packet, for [`Dataplane::test_run`].
    ///
    /// # Errors
    /// As [`Dataplane::load`].
    pub fn load_recording(image: &Image) -> Result<Self, KernelError> {
        Self::load_object(OBJECT.to_vec(), image, true)
    }

    fn load_object(mut object: Vec<u8>, image: &Image, record: bool) -> Result<Self, KernelError> {
        check_kernel()?;
        if image.config.abi != ABI {
            return Err(KernelError::Object { what: format!("ABI version {}", image.config.abi) });
        }
        let cpus = nr_cpus().map_err(|(what, error)| KernelError::other(what, error))?;
        let key_ids = image.key_ids();
        let shards = entries(image.shards.len());
        let tables = Tables::of(image)?;
        tables.resize(&mut object).map_err(|error| KernelError::Object { what: error.to_string() })?;
        let config = Config { bounds: tables.bounds(), record: record.into(), ..image.config };
        let mut loader = EbpfLoader::new();
        loader
            .override_global("CONFIG", bytes_of(std::slice::from_ref(&config)), true)
            .map_max_entries("SERVICES", entries(image.services.len()))
            .map_max_entries("TALLIES", tallies(shards))
            .map_max_entries("DEVICES", shards)
            .map_max_entries("KEY_COUNTERS", key_ids)
            .map_max_entries("KEY_EVENTS", key_ids)
            .map_max_entries("CPUS", u32::try_from(cpus).unwrap_or(u32::MAX));
        let mut ebpf = loader.load(&object).map_err(load_error)?;
        let filler = Filler { megabytes: image.table_bytes() >> 20 };
        tables.fill(&ebpf).map_err(|(map, cause)| filler.failed(map, cause))?;
        filler.array(&ebpf, "SERVICES", &image.services)?;
        filler.exits(&mut ebpf, image)?;
        let program: &mut Xdp = ebpf
            .program_mut(PROGRAM)
            .ok_or_else(|| KernelError::Object { what: format!("program {PROGRAM}") })?
            .try_into()
            .map_err(|error| KernelError::other("use the program", error))?;
        program.load().map_err(program_error)?;
        let to_cpu = image.shards.iter().any(|shard| shard.target == target::CPU);
        let observes = image.config.observe != 0;
        Ok(Self { ebpf, links: Vec::new(), key_ids, shards, to_cpu, cpus, observes })
    }
}

/// A map cannot have zero entries.
fn entries(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX).max(1)
}

/// Fills maps, and knows how to say that it could not.
struct Filler {
    megabytes: usize,
}

impl Filler {
    fn failed(&self, map: &'static str, cause: io::Error) -> KernelError {
        KernelError::Map { operation: "fill", map, megabytes: self.megabytes, cause }
    }

    fn array<T: Shared>(&self, ebpf: &Ebpf, name: &'static str, values: &[T]) -> Result<(), KernelError> {
        let map = ebpf.map(name).ok_or_else(|| KernelError::Object { what: format!("map {name}") })?;
        let fd = match map {
            Map::Array(data) => data.fd().as_fd(),
            _ => return Err(KernelError::Object { what: format!("array map {name}") }),
        };
        sys::fill_array(fd, values).map_err(|cause| self.failed(name, cause))
    }

    /// Fills the device and CPU maps from the shards' targets.
    fn exits(&self, ebpf: &mut Ebpf, image: &Image) -> Result<(), KernelError> {
        let mut devices: DevMap<_> = typed(ebpf, "DEVICES")?;
        for (index, shard) in (0_u32..).zip(&image.shards) {
            if matches!(shard.target, target::INTERFACE | target::NEXT_HOP) {
                devices
                    .set(index, shard.port, None, 0)
                    .map_err(|error| self.failed("DEVICES", io::Error::other(error)))?;
            }
        }
        let mut cpus: CpuMap<_> = typed(ebpf, "CPUS")?;
        let online = online_cpus().map_err(|(what, error)| KernelError::other(what, error))?;
        for shard in image.shards.iter().filter(|shard| shard.target == target::CPU) {
            if !online.contains(&shard.port) {
                return Err(
                    self.failed("CPUS", io::Error::other(format!("CPU {} is not online", shard.port)))
                );
            }
            cpus.set(shard.port, CPU_QUEUE, None, 0)
                .map_err(|error| self.failed("CPUS", io::Error::other(error)))?;
        }
        Ok(())
    }
}

/// A map by name, as aya's type for it.
fn typed<'a, M>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<M, KernelError>
where
    M: TryFrom<&'a mut Map, Error = MapError>,
{
    ebpf.map_mut(name)
        .ok_or_else(|| KernelError::Object { what: format!("map {name}") })?
        .try_into()
        .map_err(|error| KernelError::other("use a map of the object", error))
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

fn program_error(error: ProgramError) -> KernelError {
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
