//! What is pinned, read as it is and by nobody's records: for an agent whose records were lost.

use super::home::Home;
use super::{KernelError, Steering};
use crate::image::Image;

/// A pinned generation.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// Its number.
    pub number: u64,
    /// Whether an interface is steered by it.
    pub attached: bool,
    /// Its tables, without names; `config.shards` says how many of the shards count.
    pub tables: Image,
}

impl Steering {
    /// Every pinned generation; nothing is taken over or changed. Those that steer come first, then the newest.
    ///
    /// # Errors
    /// A pin is missing, or not what it should be.
    pub fn survey(&self) -> Result<Vec<Pinned>, KernelError> {
        let mut steering = Vec::new();
        for link in self.links.values() {
            let facts = link.facts().map_err(|error| KernelError::other("read a link", error))?;
            steering.extend((facts.interface != 0).then_some(facts.program));
        }
        let mut found = Vec::new();
        for number in self.pins.generations()? {
            let (home, shape) = Home::adopt(&self.pins.generation(number))?;
            let attached = home.ids(&shape)?.iter().any(|program| steering.contains(program));
            found.push(Pinned { number, attached, tables: home.tables(shape.config)? });
        }
        found.sort_by_key(|pinned| std::cmp::Reverse((pinned.attached, pinned.number)));
        Ok(found)
    }

    /// The secret of the flow hash, which all generations of a node have in common; `None` where none is pinned.
    ///
    /// # Errors
    /// A pin is missing, or not what it should be.
    pub fn flow_secret(&self) -> Result<Option<[u64; 2]>, KernelError> {
        let Some(newest) = self.pins.generations()?.pop() else { return Ok(None) };
        Ok(Some(Home::adopt(&self.pins.generation(newest))?.1.config.flow_secret))
    }
}
