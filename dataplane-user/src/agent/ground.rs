//! What the steward needs of the kernel: [`crate::kernel::Steering`] in production, a fake in tests of the order of
//! things.

use std::collections::BTreeMap;
use std::path::Path;

use keysteer_common::shim::Signing;
use keysteer_common::tables::Slot;

use super::meter::Cause;
use crate::compile::Device;
use crate::control::types::{InterfaceStatus, MapStatus, ProgramStatus};
use crate::counters::Snapshot;
use crate::image::{Image, Moves, Words};
use crate::kernel::interfaces::Interface;
use crate::kernel::{Pinned, Seen, Tick};
use crate::placement::Placement;
use crate::policy::{AttachMode, Policy};
use crate::state::{Ids, Secrets};

/// An interface that a policy wants steered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The interface.
    pub interface: Interface,
    /// How.
    pub mode: AttachMode,
    /// For which other interfaces that the policy names, and how those lead here.
    pub note: Option<String>,
    /// Why not natively, where that is known before it is tried.
    pub fallback: Option<String>,
}

impl From<Device> for Wanted {
    fn from(Device { interface, mode, note }: Device) -> Self {
        Self { interface, mode, note, fallback: None }
    }
}

impl Wanted {
    /// Whether `other` asks for the same on the same device.
    pub fn is(&self, other: &Self) -> bool {
        self.mode == other.mode && self.interface.is(&other.interface)
    }
}

/// Where a generation is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Where packets are steered.
    pub steer: Vec<Wanted>,
    /// Where what leaves is seen.
    pub back: Vec<Interface>,
}

/// Indices of the interfaces where a generation is attached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// Where packets are steered.
    pub steer: Vec<u32>,
    /// Where what leaves is seen.
    pub back: Vec<u32>,
}

/// A compiled policy and where it is wanted.
pub struct Compiled {
    /// The tables.
    pub image: Image,
    /// The policy's interfaces on this host.
    pub wanted: Places,
}

/// The host: what a policy is compiled for, and the ground that it steers on.
pub trait Platform: Send + Sync {
    /// The tables of a policy on this host, where keys' flows go by `placement`, which is of this policy.
    ///
    /// # Errors
    /// The host lacks something that the policy names.
    fn compile(
        &self,
        policy: &Policy,
        secrets: &Secrets,
        ids: &mut Ids,
        placement: &Placement,
    ) -> Result<Compiled, Cause>;

    /// Opens what is pinned in `directory`.
    ///
    /// # Errors
    /// It cannot be used.
    fn open(&self, directory: &Path) -> Result<Box<dyn Ground>, Cause>;

    /// Something that changes whenever an interface comes, goes, or becomes another.
    ///
    /// # Errors
    /// The kernel does not list them.
    fn interfaces(&self) -> Result<Vec<Interface>, Cause>;
}

/// A node's counters, to be read while the ground is free for changes: of many keys that takes long.
pub trait Counted {
    /// Every counter.
    ///
    /// # Errors
    /// The kernel does not hand them out.
    fn all(&self) -> Result<Snapshot, Cause>;

    /// Without keys' events.
    ///
    /// # Errors
    /// The kernel does not hand them out.
    fn carried(&self) -> Result<Snapshot, Cause>;
}

/// Says words of shards at once, while the ground may be busy with a change.
pub trait Speak: Send + Sync {
    /// Sets the words of some shards, by index; others stay.
    ///
    /// # Errors
    /// The kernel does not let them be written.
    fn say(&self, words: &BTreeMap<u32, u64>) -> Result<(), Cause>;
}

/// A node's generations, links and counters in the kernel. See [`crate::kernel::Steering`] for what each does.
#[expect(missing_docs, reason = "the methods of Steering, which has them")]
pub trait Ground: Send {
    fn pinned(&self) -> Result<Vec<u64>, Cause>;
    fn intent(&self) -> Result<Option<u64>, Cause>;
    fn adopt(&mut self, number: u64, image: &Image) -> Result<bool, Cause>;
    fn ready(&mut self, image: &Image) -> Result<(), Cause>;
    fn load(&mut self, number: u64) -> Result<(), Cause>;
    fn prove(&mut self, number: u64, image: &Image, frames: &[Vec<u8>]) -> Result<(), Cause>;
    fn commit(&mut self, number: u64, wanted: &Places) -> Result<Vec<InterfaceStatus>, Cause>;
    fn settle(&mut self, number: u64) -> Result<(), Cause>;
    fn retire(&mut self, number: u64) -> Result<(), Cause>;
    fn detach(&mut self) -> Result<(), Cause>;
    fn survey(&self) -> Result<Vec<Pinned>, Cause>;
    fn flow_secret(&self) -> Result<Option<[u64; 2]>, Cause>;
    /// Where generation `number` is attached.
    fn attached(&self, number: u64) -> Result<Attached, Cause>;
    fn counted(&self) -> Box<dyn Counted>;
    fn words(&self) -> Result<Words, Cause>;
    fn speaker(&self) -> Box<dyn Speak>;
    fn set_words(&mut self, words: &Words) -> Result<(), Cause>;
    fn signing(&self, number: u64) -> Result<Option<Signing>, Cause>;
    fn write_signing(&mut self, number: u64, signing: &Signing) -> Result<(), Cause>;
    fn program(&self, number: u64) -> Result<ProgramStatus, Cause>;
    fn maps(&self, number: u64) -> Result<Vec<MapStatus>, Cause>;
    /// The slots of generation `number`'s pools, perhaps with more behind them.
    fn slots(&self, number: u64) -> Result<Vec<Slot>, Cause>;
    fn prepare(&mut self, number: u64) -> Result<(), Cause>;
    fn foresee(&mut self, number: u64) -> Result<(), Cause>;
    /// Tables and words.
    fn tables(&self, number: u64) -> Result<Image, Cause>;
    fn set_moves(&mut self, number: u64, moves: Option<Moves>) -> Result<(), Cause>;
    fn vary(&mut self, number: u64, tables: &Image) -> Result<(), Cause>;
    fn is_migrating(&self, number: u64) -> Result<bool, Cause>;
    fn moves(&self, number: u64) -> Result<Vec<(u32, u32)>, Cause>;
    fn see_moves(&mut self, number: u64, tick: Tick) -> Result<Seen, Cause>;
    fn epoch(&self) -> Result<(u32, u32), Cause>;
    fn end_moves(&mut self, number: u64, indices: &[u32]) -> Result<(), Cause>;
    fn release_moves(&mut self, number: u64, indices: &[u32]) -> Result<(), Cause>;
    fn forget_flows(&mut self) -> Result<(), Cause>;
}
