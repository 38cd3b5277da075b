//! The platform in production: the only file of the agent that names the compiler and the kernel.

use std::collections::BTreeMap;
use std::path::Path;

use keysteer_common::shim::Signing;
use keysteer_common::tables::Slot;

use super::ground::{Attached, Compiled, Counted, Ground, Places, Platform, Speak, Wanted};
use super::meter::Cause;
use super::tags;
use crate::compile::LOOPBACK;
use crate::control::types::{InterfaceStatus, MapStatus, ProgramStatus};
use crate::counters::Snapshot;
use crate::image::{Image, Moves, Words};
use crate::kernel::features::Features;
use crate::kernel::interfaces::{Interface, Interfaces};
use crate::kernel::{self, Attachment, KernelError, Pinned, Seen, Steering, Tick, WantedMode};
use crate::placement::Placement;
use crate::policy::{AttachMode, Policy};
use crate::signing::monotonic_ns;
use crate::state::{Ids, Secrets};

/// This host's kernel.
#[derive(Clone, Copy, Debug)]
pub struct Kernel;

impl Platform for Kernel {
    fn compile(
        &self,
        policy: &Policy,
        secrets: &Secrets,
        ids: &mut Ids,
        placement: &Placement,
    ) -> Result<Compiled, Cause> {
        let interfaces = Interfaces::read()?;
        let mut image = crate::compile::compile_here(policy, &interfaces, secrets, ids, placement)?;
        let devices = crate::compile::devices(policy, &interfaces)?;
        let mut wanted: Vec<Wanted> = devices.into_iter().map(Wanted::from).collect();
        if tags::reads_tags(policy) {
            for it in &mut wanted {
                if let Some(stripper) = tags::stripper(&interfaces, &it.interface, Features::read) {
                    tags::keep(it, &stripper, no_tc(&image))?;
                }
            }
        }
        let at_tc = wanted.iter().find(|it| it.mode == AttachMode::Tc);
        if let Some(Wanted { interface, .. }) = at_tc.filter(|_| image.steers_to_cpus()) {
            return Err(KernelError::CpuAtTc { interface: interface.name.clone() }.into());
        }
        image.tc = wanted.iter().any(|it| match it.mode {
            AttachMode::Native | AttachMode::Generic => false,
            AttachMode::Tc => true,
            AttachMode::Auto => !image.steers_to_cpus() && !kernel::has_native_xdp(it.interface.index),
        });
        let back = if image.config.back.on != 0 { leaving(policy, &interfaces, &wanted) } else { Vec::new() };
        let road = loopback(&interfaces).filter(|_| image.config.back.probes != 0);
        let back = back.into_iter().chain(road).collect();
        Ok(Compiled { image, wanted: Places { steer: wanted, back } })
    }

    fn open(&self, directory: &Path) -> Result<Box<dyn Ground>, Cause> {
        Ok(Box::new(Steering::open(directory)?))
    }

    fn interfaces(&self) -> Result<Vec<Interface>, Cause> {
        Ok(Interfaces::read()?.0)
    }
}

/// Where packets leave: the interfaces that the policy names for that, or those that it steers at.
fn leaving(policy: &Policy, interfaces: &Interfaces, steered: &[Wanted]) -> Vec<Interface> {
    match &policy.egress {
        Some(egress) if !egress.interfaces.is_empty() => {
            // What the host does not have was said when the policy was compiled.
            egress.interfaces.iter().filter_map(|leaving| interfaces.find(&leaving.name)).cloned().collect()
        }
        _ => steered.iter().map(|wanted| wanted.interface.clone()).collect(),
    }
}

/// The loopback interface, by which probes leave where the service's address is this host's own.
fn loopback(interfaces: &Interfaces) -> Option<Interface> {
    interfaces.0.iter().find(|interface| interface.index == LOOPBACK).cloned()
}

/// How the policy's interface mode reads to the kernel.
fn mode(mode: AttachMode) -> WantedMode {
    match mode {
        AttachMode::Auto => WantedMode::Auto,
        AttachMode::Native => WantedMode::Native,
        AttachMode::Generic => WantedMode::Generic,
        AttachMode::Tc => WantedMode::Tc,
    }
}

/// Why `auto` cannot steer at TC, if it cannot.
fn no_tc(image: &Image) -> Option<&'static str> {
    if image.steers_to_cpus() {
        Some(
            "or give shards with a `cpu` target the target `pass`: from TC, where tags can be read, no CPU is reached",
        )
    } else {
        None
    }
}

fn status(attachment: Attachment) -> InterfaceStatus {
    let Attachment { name, index, mode, fallback } = attachment;
    InterfaceStatus { name, index, mode: mode.name().to_owned(), fallback, note: None }
}

impl Counted for kernel::Counted {
    fn all(&self) -> Result<Snapshot, Cause> {
        Ok(Self::all(self)?)
    }

    fn carried(&self) -> Result<Snapshot, Cause> {
        Ok(Self::carried(self)?)
    }
}

impl Speak for kernel::Speaker {
    fn say(&self, words: &BTreeMap<u32, u64>) -> Result<(), Cause> {
        Ok(Self::say(self, words)?)
    }
}

impl Ground for Steering {
    fn pinned(&self) -> Result<Vec<u64>, Cause> {
        Ok(Self::pinned(self)?)
    }

    fn intent(&self) -> Result<Option<u64>, Cause> {
        Ok(Self::intent(self)?)
    }

    fn adopt(&mut self, number: u64, image: &Image) -> Result<bool, Cause> {
        Ok(Self::adopt(self, number, image)?)
    }

    fn ready(&mut self, image: &Image) -> Result<(), Cause> {
        Ok(Self::ready(self, image)?)
    }

    fn load(&mut self, number: u64) -> Result<(), Cause> {
        Ok(Self::load(self, number)?)
    }

    fn prove(&mut self, number: u64, image: &Image, frames: &[Vec<u8>]) -> Result<(), Cause> {
        Ok(Self::prove(self, number, image, frames)?)
    }

    fn commit(&mut self, number: u64, wanted: &Places) -> Result<Vec<InterfaceStatus>, Cause> {
        let steer: Vec<_> = wanted.steer.iter().map(|it| (it.interface.clone(), mode(it.mode))).collect();
        Ok(Self::commit(self, number, &steer, &wanted.back)?.into_iter().map(status).collect())
    }

    fn settle(&mut self, number: u64) -> Result<(), Cause> {
        Ok(Self::settle(self, number)?)
    }

    fn retire(&mut self, number: u64) -> Result<(), Cause> {
        Ok(Self::retire(self, number)?)
    }

    fn detach(&mut self) -> Result<(), Cause> {
        Ok(Self::detach(self)?)
    }

    fn survey(&self) -> Result<Vec<Pinned>, Cause> {
        Ok(Self::survey(self)?)
    }

    fn flow_secret(&self) -> Result<Option<[u64; 2]>, Cause> {
        Ok(Self::flow_secret(self)?)
    }

    fn attached(&self, number: u64) -> Result<Attached, Cause> {
        let programs = self.programs(number)?;
        let of = |links: Vec<kernel::SteeredInterface>| {
            links.iter().filter(|link| programs.contains(&link.program)).map(|link| link.index).collect()
        };
        Ok(Attached { steer: of(self.links()?), back: of(self.backs()?) })
    }

    fn counted(&self) -> Box<dyn Counted> {
        Box::new(Self::counted(self))
    }

    fn speaker(&self) -> Box<dyn Speak> {
        Box::new(Self::speaker(self))
    }

    fn words(&self) -> Result<Words, Cause> {
        Ok(Self::words(self)?)
    }

    fn set_words(&mut self, words: &Words) -> Result<(), Cause> {
        Ok(Self::set_words(self, words)?)
    }

    fn signing(&self, number: u64) -> Result<Option<Signing>, Cause> {
        Ok(Self::signing(self, number)?)
    }

    fn write_signing(&mut self, number: u64, signing: &Signing) -> Result<(), Cause> {
        Ok(Self::write_signing(self, number, signing)?)
    }

    fn program(&self, number: u64) -> Result<ProgramStatus, Cause> {
        Ok(self.generation(number)?.program()?)
    }

    fn maps(&self, number: u64) -> Result<Vec<MapStatus>, Cause> {
        Ok(self.generation(number)?.maps()?)
    }

    fn slots(&self, number: u64) -> Result<Vec<Slot>, Cause> {
        Ok(self.generation(number)?.slots()?)
    }

    fn prepare(&mut self, number: u64) -> Result<(), Cause> {
        Ok(Self::prepare(self, number)?)
    }

    fn foresee(&mut self, number: u64) -> Result<(), Cause> {
        Ok(Self::foresee(self, number)?)
    }

    fn tables(&self, number: u64) -> Result<Image, Cause> {
        let generation = self.generation(number)?;
        Ok(Image {
            words: Self::words(self)?,
            signing: generation.signing()?.unwrap_or_default(),
            now: monotonic_ns(),
            ..generation.tables_in_force()?
        })
    }

    fn set_moves(&mut self, number: u64, moves: Option<Moves>) -> Result<(), Cause> {
        Ok(Self::set_moves(self, number, moves)?)
    }

    fn vary(&mut self, number: u64, tables: &Image) -> Result<(), Cause> {
        Ok(Self::vary(self, number, tables)?)
    }

    fn is_migrating(&self, number: u64) -> Result<bool, Cause> {
        Ok(Self::is_migrating(self, number)?)
    }

    fn moves(&self, number: u64) -> Result<Vec<(u32, u32)>, Cause> {
        Ok(Self::moves(self, number)?)
    }

    fn see_moves(&mut self, number: u64, tick: Tick) -> Result<Seen, Cause> {
        Ok(Self::see_moves(self, number, tick)?)
    }

    fn epoch(&self) -> Result<(u32, u32), Cause> {
        Ok(Self::epoch(self)?)
    }

    fn end_moves(&mut self, number: u64, indices: &[u32]) -> Result<(), Cause> {
        Ok(Self::end_moves(self, number, indices)?)
    }

    fn release_moves(&mut self, number: u64, indices: &[u32]) -> Result<(), Cause> {
        Ok(Self::release_moves(self, number, indices)?)
    }

    fn forget_flows(&mut self) -> Result<(), Cause> {
        Ok(Self::forget_flows(self)?)
    }
}
