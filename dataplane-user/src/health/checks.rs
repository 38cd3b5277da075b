//! Who is asked what: a policy's `health`, by the numbers that the kernel has.

use keysteer_common::back::PROBE_MARK;

use crate::policy::{Check, Policy, Share, Target};

/// Who is asked, and of which pools they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// Those that are asked, by ascending index.
    pub shards: Vec<Asked>,
    /// All pools.
    pub pools: Vec<Pool>,
}

/// A shard that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its index.
    pub index: u16,
    /// Its name.
    pub name: String,
    /// How it is asked.
    pub check: Check,
    /// The mark that has a question sent to it, where its road is not this host's own stack.
    pub mark: Option<u32>,
}

/// A pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Indices and weights of its shards, also of those that are not asked.
    pub members: Vec<(u16, u32)>,
    /// How much of its weight must be left.
    pub floor: Share,
}

impl Checks {
    /// Those of a policy whose shards have `indices`; none where it asks none.
    pub fn of(policy: &Policy, indices: &[u16]) -> Option<Self> {
        let health = policy.health.as_ref()?;
        let asked = policy.shards.iter().zip(&health.shards).zip(indices);
        let asked = asked.filter_map(|((shard, check), index)| {
            let own = matches!(shard.target, Target::Pass | Target::Cpu(_));
            Some(Asked {
                index: *index,
                name: shard.name.clone(),
                check: check.clone()?,
                mark: (!own).then_some(PROBE_MARK << 16 | u32::from(*index)),
            })
        });
        let mut shards: Vec<Asked> = asked.collect();
        shards.sort_by_key(|asked| asked.index);
        let pools = policy.pools.iter().zip(&health.floors).map(|(pool, floor)| {
            let members = pool
                .shards
                .iter()
                .filter_map(|at| Some((*indices.get(*at)?, policy.shards.get(*at)?.weight)));
            Pool { name: pool.name.clone(), members: members.collect(), floor: *floor }
        });
        let pools = pools.collect();
        (!shards.is_empty()).then_some(Self { shards, pools })
    }

    /// A shard that is asked, by its index.
    pub fn shard(&self, index: u16) -> Option<&Asked> {
        let at = self.shards.binary_search_by_key(&index, |asked| asked.index).ok()?;
        self.shards.get(at)
    }
}
