//! A policy compiled and loaded, and what that took.

use std::fs;
use std::time::Instant;

use keysteer::compile::{Host, compile_for};
use keysteer::kernel::Dataplane;
use keysteer::kernel::interfaces::Interfaces;
use keysteer::policy;
use keysteer::state::{Ids, Secrets};
use keysteer_common::program::Hook;

use tempfile::TempDir;

use crate::policies::{KEYS, Policy};

/// What a configuration costs before any packet.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) name: &'static str,
    /// Instructions that the verifier looked at.
    pub(crate) verified: u32,
    /// The most that it may look at, asserted.
    pub(crate) verified_budget: u32,
    /// Bytes of machine code.
    pub(crate) jited: u32,
    /// Policy text to image, in milliseconds.
    pub(crate) compile_ms: f64,
    /// Image to loaded program, in milliseconds.
    pub(crate) load_ms: f64,
    /// Memory of all maps, in bytes.
    pub(crate) memory: u64,
    /// The most it may take, where there is a budget.
    pub(crate) memory_budget: Option<u64>,
}

impl Facts {
    /// Whether the figures that do not depend on the machine are within their budgets.
    pub(crate) fn within_budget(&self) -> bool {
        self.verified <= self.verified_budget && self.memory_budget.is_none_or(|most| self.memory <= most)
    }
}

/// A loaded configuration.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) facts: Facts,
    pub(crate) dataplane: Dataplane,
}

/// Compiles and loads a policy on this machine's interfaces.
pub(crate) fn load(wanted: &Policy) -> Result<Loaded, String> {
    let directory = TempDir::new().map_err(|error| error.to_string())?;
    fs::write(directory.path().join(KEYS), &wanted.csv).map_err(|error| error.to_string())?;
    let begun = Instant::now();
    let checked = policy::parse(&wanted.text, wanted.name, Some(directory.path()))
        .map_err(|error| error.to_string())?;
    let interfaces = Interfaces::read().map_err(|error| error.to_string())?;
    let host = Host { interfaces: &interfaces, cpus: &[0] };
    let secrets = Secrets::from_bytes(&[0x5a; 32]);
    let mut image =
        compile_for(&checked, host, &secrets, &mut Ids::default()).map_err(|error| error.to_string())?;
    let compile_ms = begun.elapsed().as_secs_f64() * 1e3;
    (wanted.change)(&mut image);
    image.tc |= wanted.hook == Hook::Tc;
    let begun = Instant::now();
    let dataplane = Dataplane::load(&image).map_err(|error| error.to_string())?;
    let load_ms = begun.elapsed().as_secs_f64() * 1e3;
    let program = dataplane.program_at(wanted.hook).map_err(|error| error.to_string())?;
    let maps = dataplane.maps().map_err(|error| error.to_string())?;
    Ok(Loaded {
        facts: Facts {
            name: wanted.name,
            verified: program.verified_instructions,
            verified_budget: wanted.verified_budget,
            jited: program.jited_bytes,
            compile_ms,
            load_ms,
            memory: maps.iter().map(|map| map.bytes).sum(),
            memory_budget: wanted.memory_budget,
        },
        dataplane,
    })
}
