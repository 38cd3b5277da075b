//! A policy's tables into the maps of a program.

use std::io;
use std::os::fd::AsFd;

use aya::Ebpf;
use aya::maps::{CpuMap, DevMap, Map, MapError};
use aya::util::online_cpus;
use keysteer_common::shared::Shared;
use keysteer_common::tables::target;

use super::tables::Tables;
use super::{KernelError, sys};
use crate::image::Image;

/// Frames that a CPU's queue holds (CPUMAP).
const CPU_QUEUE: u32 = 2048;

/// Fills the maps of `ebpf`, which are empty and of the image's shape.
pub(super) fn fill(ebpf: &mut Ebpf, image: &Image) -> Result<(), KernelError> {
    let filler = Filler { megabytes: image.table_bytes() >> 20 };
    Tables::of(image)?.fill(ebpf).map_err(|(map, cause)| filler.failed(map, cause))?;
    filler.array(ebpf, "SERVICES", &image.services)?;
    filler.array(ebpf, "MOVES", &image.moves.words)?;
    filler.exits(ebpf, image)
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
        for name in ["DEVICES", "DEVICES_TC"] {
            let mut devices: DevMap<_> = typed(ebpf, name)?;
            for (index, shard) in (0_u32..).zip(&image.shards) {
                if matches!(shard.target, target::INTERFACE | target::NEXT_HOP) {
                    devices
                        .set(index, shard.port, None, 0)
                        .map_err(|error| self.failed(name, io::Error::other(error)))?;
                }
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
