//! The platform in production: the only file of the agent that names the policy, the compiler and the
//! kernel.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::meter::{Cause, Meter};
use super::platform::{Plane, Platform};
use keysteer_common::config::Config;

use crate::control::types::{InterfaceStatus, MapStatus, ProgramStatus};
use crate::counters::Snapshot;
use crate::image::Image;
use crate::kernel::interfaces::Interfaces;
use crate::kernel::{Dataplane, WantedMode};
use crate::policy::{self, AttachMode, Policy};
use crate::state::{KeyIds, Secrets};

/// This host's kernel.
#[derive(Clone, Copy, Debug)]
pub struct Kernel;

impl Platform for Kernel {
    type Policy = Policy;

    fn policy(&self, file: &Path) -> Result<(Policy, Vec<String>), Cause> {
        let policy = policy::load(file)?;
        let warnings = policy.warnings.iter().map(ToString::to_string).collect();
        Ok((policy, warnings))
    }

    fn compile(&self, policy: &Policy, secrets: &Secrets, ids: &mut KeyIds) -> Result<Image, Cause> {
        Ok(crate::compile::compile(policy, &Interfaces::read()?, secrets, ids)?)
    }

    fn load(&self, policy: &Policy, image: &Image) -> Result<Arc<dyn Plane>, Cause> {
        let modes = policy.interfaces.iter().map(|it| (it.name.clone(), wanted(it.mode))).collect();
        let dataplane = Mutex::new(Some(Dataplane::load(image)?));
        Ok(Arc::new(Loaded { dataplane, modes, config: image.config }))
    }
}

/// How the policy's interface mode reads to the kernel.
fn wanted(mode: AttachMode) -> WantedMode {
    match mode {
        AttachMode::Auto => WantedMode::Auto,
        AttachMode::Native => WantedMode::Native,
        AttachMode::Generic => WantedMode::Generic,
    }
}

/// A program in the kernel, until it is detached.
struct Loaded {
    dataplane: Mutex<Option<Dataplane>>,
    modes: BTreeMap<String, WantedMode>,
    config: Config,
}

/// Only at the end, when a reader is late.
#[derive(Debug, thiserror::Error)]
#[error("the agent is stopping: the program is detached")]
struct Detached;

impl Loaded {
    fn lock(&self) -> MutexGuard<'_, Option<Dataplane>> {
        self.dataplane.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meter for Loaded {
    fn counters(&self) -> Result<Snapshot, Cause> {
        Ok(self.lock().as_ref().ok_or(Detached)?.counters()?)
    }

    fn tables(&self) -> Result<Image, Cause> {
        Ok(self.lock().as_ref().ok_or(Detached)?.tables(self.config)?)
    }

    fn program(&self) -> Result<ProgramStatus, Cause> {
        Ok(self.lock().as_ref().ok_or(Detached)?.program()?)
    }

    fn maps(&self) -> Result<Vec<MapStatus>, Cause> {
        Ok(self.lock().as_ref().ok_or(Detached)?.maps()?)
    }
}

impl Plane for Loaded {
    fn attach(&self, name: &str) -> Result<InterfaceStatus, Cause> {
        let interfaces = Interfaces::read()?;
        let interface = interfaces.find(name).ok_or_else(|| {
            format!("there is no interface {name}; this host has {}", interfaces.names().join(", "))
        })?;
        let wanted = self.modes.get(name).copied().unwrap_or(WantedMode::Auto);
        let attachment = self.lock().as_mut().ok_or(Detached)?.attach(interface, wanted)?;
        Ok(InterfaceStatus {
            name: attachment.name,
            index: attachment.index,
            mode: attachment.mode.name().to_owned(),
            fallback: attachment.fallback,
        })
    }

    fn detach(&self) {
        // Dropping detaches.
        drop(self.lock().take());
    }
}
