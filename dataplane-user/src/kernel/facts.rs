//! What the kernel says of the loaded program and its maps.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};

use aya::maps::{Map, MapData};
use aya::programs::{SchedClassifier, Xdp};

use keysteer_common::program::Hook;

use super::{Dataplane, KernelError};
use crate::control::types::{MapStatus, ProgramStatus};

impl Dataplane {
    /// The loaded program.
    ///
    /// # Errors
    /// The object has no such program.
    pub fn xdp(&self) -> Result<&Xdp, KernelError> {
        self.home.xdp()
    }

    /// The loaded program for TC ingress or egress.
    ///
    /// # Errors
    /// There is none.
    pub fn classifier(&self, hook: Hook) -> Result<&SchedClassifier, KernelError> {
        self.home.classifier(hook)
    }

    /// The XDP program: id, tag, size.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn program(&self) -> Result<ProgramStatus, KernelError> {
        self.program_at(Hook::Xdp)
    }

    /// The program for a hook: id, tag, size.
    ///
    /// # Errors
    /// There is none, or the kernel does not say.
    pub fn program_at(&self, hook: Hook) -> Result<ProgramStatus, KernelError> {
        let info = self.home.info(hook)?;
        Ok(ProgramStatus {
            id: info.id(),
            tag: format!("{:016x}", info.tag().to_be()),
            verified_instructions: info.verified_instruction_count().unwrap_or_default(),
            jited_bytes: info.size_jitted(),
        })
    }

    /// Ids of the programs, of every hook that there is one for.
    ///
    /// # Errors
    /// The kernel does not say.
    pub(super) fn programs(&self) -> Result<Vec<u32>, KernelError> {
        self.home.ids(&self.about.shape)
    }

    /// The maps: id, entries, memory.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn maps(&self) -> Result<Vec<MapStatus>, KernelError> {
        let mut maps = Vec::new();
        for (name, map) in self.home.maps().chain(self.set.maps()) {
            let Some(data) = data(map) else { continue };
            let info = data.info().map_err(|error| KernelError::other("read a map's facts", error))?;
            maps.push(MapStatus {
                name: name.to_owned(),
                id: info.id(),
                entries: info.max_entries(),
                bytes: memory(data),
            });
        }
        maps.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(maps)
    }
}

/// The map behind any of the kinds that the object has.
fn data(map: &Map) -> Option<&MapData> {
    match map {
        Map::Array(data) | Map::PerCpuArray(data) | Map::DevMap(data) | Map::CpuMap(data) => Some(data),
        _ => None,
    }
}

/// Bytes that the kernel accounts to a map.
fn memory(map: &MapData) -> u64 {
    let path = format!("/proc/self/fdinfo/{}", map.fd().as_fd().as_raw_fd());
    fs::read_to_string(path)
        .ok()
        .and_then(|text| {
            text.lines()
                .find_map(|line| line.strip_prefix("memlock:").and_then(|rest| rest.trim().parse().ok()))
        })
        .unwrap_or_default()
}
