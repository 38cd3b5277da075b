//! State that was lost or damaged while generations are pinned, rebuilt from these: the node goes on without losing a packet
//! or a count, and no id is given twice.
//!
//! ```text
//!  look     every part of the state is read; what is lost is noted        nothing is changed
//!  source   the policy behind what is pinned: its bundle, or the offered policy
//!  tables   key ids and shard indices, by that policy, from the pinned tables
//!  ids      registries, in which no id is given twice
//!  repair   damaged parts are set aside, and made anew; the records come last
//! ```
//! The kernel has numbers, not names: names come from a policy, which must read keys as the pinned generation does. Without
//! one, nothing is touched. A repair that is cut off is begun again by the next agent: until the records know what is
//! pinned, everything is held against the pins.

mod ids;
mod look;
mod repair;
mod source;
mod tables;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::ground::{Ground, Platform};
use super::meter::Cause;
use super::steward::ChangeError;
use crate::policy::Bundle;
use crate::state::{Audit, Generations, Ids, Overlay, Part, Secrets};

/// The parts of a state directory, all usable.
pub struct Held {
    /// Seeds of hashes.
    pub secrets: Secrets,
    /// Ids of keys and indices of shards.
    pub ids: Ids,
    /// The generations.
    pub generations: Generations,
    /// What operators said.
    pub overlay: Overlay,
    /// The audit log.
    pub audit: Audit,
    /// How to go on.
    pub way: Way,
    /// What was rebuilt.
    pub told: Vec<Told>,
}

/// How to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// As the records say; with the bundle of the generation that is to be taken over, if it was read already.
    Recover(Option<(u64, Bundle)>),
    /// By this policy, as a new generation: no record is of what is pinned.
    Anew(Bundle),
}

/// A part that was rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which.
    pub part: Part,
    /// What was wrong with it.
    pub what: String,
    /// Where what was there is kept.
    pub kept: Vec<PathBuf>,
    /// What is there now, and what could not be had.
    pub now: String,
}

impl Told {
    /// All of it, in one line.
    pub fn line(&self) -> String {
        let Self { part, what, kept, now } = self;
        let kept: Vec<String> = kept.iter().map(|path| path.display().to_string()).collect();
        let kept = if kept.is_empty() { String::new() } else { format!(" (kept: {})", kept.join(", ")) };
        format!("{}: {what}{kept}; {now}", part.name())
    }
}

/// Opens a state directory; what is lost of it is rebuilt from what is pinned, if anything is.
///
/// # Errors
/// A part is damaged and nothing is pinned, or no policy is there to read the pins by; then nothing was changed. Or a file
/// cannot be read or written.
pub fn open(
    directory: &Path,
    ground: &dyn Ground,
    platform: &dyn Platform,
    offered: Option<&Bundle>,
    trouble: Option<&str>,
) -> Result<Held, ChangeError> {
    let pinned = ground.pinned().map_err(ChangeError::Kernel)?;
    if pinned.is_empty() {
        return plain(directory);
    }
    let looked = look::look(directory, ground, &pinned)?;
    repair::Repair { directory, ground, platform, offered, trouble, pinned: &pinned }.all(looked)
}

/// Opens a state directory that nothing is pinned beside.
fn plain(directory: &Path) -> Result<Held, ChangeError> {
    let held = Held {
        secrets: Secrets::open(directory)?,
        ids: Ids::open(directory)?,
        generations: Generations::open(directory)?,
        overlay: Overlay::open(directory)?,
        audit: Audit::open(directory)?,
        way: Way::Recover(None),
        told: Vec::new(),
    };
    held.generations.check_registries(&held.ids.keys, &held.ids.shards)?;
    Ok(held)
}

fn kernel(cause: Cause) -> ChangeError {
    ChangeError::Kernel(cause)
}
