//! The policies by which what is pinned can be read.

use super::kernel;
use super::tables;
use crate::agent::ground::Platform;
use crate::agent::steward::ChangeError;
use crate::image::Image;
use crate::kernel::Pinned;
use crate::placement::Placement;
use crate::policy::{Bundle, Policy};
use crate::state::{Ids, Secrets};

/// A policy, compiled with ids of its own: only what does not hang on ids is of use.
pub(super) struct Source {
    pub(super) policy: Policy,
    pub(super) image: Image,
}

impl Source {
    /// Parses and compiles a bundle.
    pub(super) fn of(
        bundle: &Bundle,
        platform: &dyn Platform,
        secrets: &Secrets,
    ) -> Result<Self, ChangeError> {
        let policy = bundle.parse().map_err(|error| ChangeError::Invalid(error.to_string()))?;
        // Ids and names do not hang on where keys go.
        let placement = Placement::next(None, &policy);
        let image =
            platform.compile(&policy, secrets, &mut Ids::default(), &placement).map_err(kernel)?.image;
        Ok(Self { policy, image })
    }
}

/// What the pinned tables say of keys and shards, by name.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Identities and ids of keys; those of the generation that steers come first.
    pub(super) keys: Vec<(String, u32)>,
    /// Names and indices of shards, in the same order.
    pub(super) shards: Vec<(String, u16)>,
    /// How many keys the policy has that the pins were read by first.
    pub(super) of: usize,
    /// How many of these have an id.
    pub(super) found: usize,
}

/// Reads `pinned` by `sources`, the best first of each generation. `None` where the first generation cannot be read by any:
/// they take other bits of packets for a key.
pub(super) fn read(pinned: &[Pinned], sources: &[Vec<&Source>]) -> Option<Names> {
    let mut names = Names::default();
    for (at, (pinned, sources)) in pinned.iter().zip(sources).enumerate() {
        let mut can_be_read = false;
        for source in sources {
            let Some(keys) = tables::keys(&source.policy, &source.image, &pinned.tables) else { continue };
            if at == 0 && !can_be_read {
                names.of = source.policy.keys.len();
                names.found = keys.len();
            }
            can_be_read = true;
            names.keys.extend(keys);
            names.shards.extend(tables::shards(&source.image, &pinned.tables));
        }
        if at == 0 && !can_be_read {
            return None;
        }
    }
    Some(names)
}
