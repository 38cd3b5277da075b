//! What operators said of shards' shares, in place of the policy's weights: `keysteer shard drain` and so on. Part of a generation: the next one
//! inherits them, a rollback goes back to those of before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Policy;
use crate::suggest::nearest;

/// By shard name, the weight; 0: it has no share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shares(pub BTreeMap<String, u32>);

/// What cannot be done to shares.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// There is no such shard.
    #[error("there is no shard {name}{}", near.as_ref().map_or_else(|| "; `keysteer shard list` shows all".to_owned(), |near| format!("; did you mean {near}?")))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest that there is.
        near: Option<String>,
    },
    /// A pool would have no shard left.
    #[error("pool {pool} would have no shard left: undrain another of its shards first, or give it more")]
    Empty {
        /// The pool.
        pool: String,
    },
}

impl Shares {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The shards without a share.
    pub fn drained(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, weight)| **weight == 0).map(|(name, _)| name.as_str())
    }

    /// Says something of shards: another weight, or with `None` that the policy's counts again.
    pub fn change(&mut self, changes: &BTreeMap<String, Option<u32>>) {
        for (name, weight) in changes {
            match weight {
                Some(weight) => drop(self.0.insert(name.clone(), *weight)),
                None => drop(self.0.remove(name)),
            }
        }
    }

    /// Checks that a policy has these shards.
    ///
    /// # Errors
    /// It has not; the nearest is named.
    pub fn check<'n>(names: impl IntoIterator<Item = &'n String>, policy: &Policy) -> Result<(), ShareError> {
        for name in names {
            if policy.shards.iter().all(|shard| shard.name != *name) {
                let near = nearest(name, policy.shards.iter().map(|shard| shard.name.as_str()));
                return Err(ShareError::Unknown { name: name.clone(), near: near.map(str::to_owned) });
            }
        }
        Ok(())
    }

    /// Gives the shards of a policy these shares. What is said of shards that it does not have is forgotten.
    ///
    /// # Errors
    /// A pool would have no shard left.
    pub fn apply(&mut self, policy: &mut Policy) -> Result<(), ShareError> {
        self.0.retain(|name, _| policy.shards.iter().any(|shard| shard.name == *name));
        if self.0.is_empty() {
            return Ok(());
        }
        let weight: Vec<Option<u32>> =
            policy.shards.iter().map(|shard| self.0.get(&shard.name).copied()).collect();
        let drained = |at: &usize| weight.get(*at).copied().flatten() == Some(0);
        for (shard, weight) in policy.shards.iter_mut().zip(&weight) {
            if let Some(weight) = weight.filter(|weight| *weight > 0) {
                shard.weight = weight;
            }
        }
        for pool in &mut policy.pools {
            pool.shards.retain(|at| !drained(at));
            if pool.shards.is_empty() {
                return Err(ShareError::Empty { pool: pool.name.clone() });
            }
        }
        // A key that is pinned to drained shards alone stays where the policy says.
        for key in &mut policy.keys {
            let Some(set) = key.shards.as_ref().filter(|set| set.iter().any(drained)) else { continue };
            let rest: Vec<usize> = set.iter().copied().filter(|at| !drained(at)).collect();
            if !rest.is_empty() {
                key.width = super::Width::Shards(u16::try_from(rest.len()).unwrap_or(u16::MAX));
                key.shards = Some(rest.into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: p}
spec:
  environment: test
  interfaces: [{name: eth0}]
  scope: [{destinations: [203.0.113.10/32]}]
  schemas: [{version: 1, fields: [{name: tenant, from: ip.dscp}]}]
  shards: [{name: a, target: pass}, {name: b, weight: 2, target: pass}, {name: c, target: pass}]
  pools: [{name: all, shards: [a, b, c]}, {name: own, shards: [c]}]
  keys: [{name: one, match: {tenant: 1}, pool: all}]
"#;

    fn policy() -> Policy {
        super::super::parse(POLICY, "p", None).unwrap()
    }

    #[test]
    fn what_is_drained_has_no_share_and_other_weights_count() {
        let mut policy = policy();
        let mut shares = Shares::default();
        let change = [("a".to_owned(), Some(0)), ("b".to_owned(), Some(5)), ("gone".to_owned(), Some(0))];
        shares.change(&change.into());
        shares.apply(&mut policy).unwrap();
        assert_eq!((policy.pools[0].shards.as_slice(), policy.shards[1].weight), ([1, 2].as_slice(), 5));
        assert_eq!(shares.drained().collect::<Vec<_>>(), ["a"]);
        shares.change(&[("a".to_owned(), None), ("b".to_owned(), None)].into());
        assert!(shares.is_empty());
    }

    #[test]
    fn a_pool_keeps_a_shard_and_names_are_checked() {
        let mut shares = Shares([("c".to_owned(), 0)].into());
        let error = shares.apply(&mut policy()).unwrap_err().to_string();
        assert!(error.starts_with("pool own would have no shard left"), "{error}");
        let error = Shares::check([&"bb".to_owned()], &policy()).unwrap_err().to_string();
        assert_eq!(error, "there is no shard bb; did you mean b?");
        assert_eq!(Shares::check([&"a".to_owned()], &policy()), Ok(()));
    }
}
