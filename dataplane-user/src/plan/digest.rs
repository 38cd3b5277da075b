//! What identifies a change: where it starts, where it leads, and what it was found to do. Live traffic differs from
//! reading to reading, so shares of it are left out, and lists that are ordered by it; how long they are is in.

use sha2::{Digest, Sha256};

use super::types::{Keys, List, Moves, Plan};
use crate::policy::bundle::hexadecimal;

impl Plan {
    /// SHA-256 in hexadecimal digits, over everything but live traffic and what hangs on it. Two plans of the same
    /// change, made at different times from the same generation, have the same.
    pub fn digest(&self) -> String {
        // Fields are written in the order of their declaration, so equal plans make equal texts. What is made of
        // numbers, texts and lists can be written.
        let text = serde_json::to_vec(&self.settled()).unwrap_or_default();
        hexadecimal(&Sha256::new().chain_update("keysteer plan 1\n").chain_update(text).finalize())
    }

    /// The plan without live traffic and what hangs on it.
    fn settled(&self) -> Self {
        let mut plan = self.clone_without_keys();
        plan.traffic = None;
        plan.refusals.clear();
        plan.notes.clear();
        let Keys { added, removed, changed, denied, allowed, fields, .. } = &mut plan.keys;
        let totals = [added, removed, changed, denied, allowed].into_iter().chain(fields.values_mut());
        totals.for_each(|totals| totals.traffic = None);
        plan.moves.keys.traffic = None;
        plan.moves.traffic = None;
        plan.classes.iter_mut().for_each(|class| class.traffic = None);
        for radius in plan.shards.iter_mut().flat_map(|shard| [&mut shard.before, &mut shard.after]).flatten()
        {
            (radius.traffic, radius.measured) = (None, None);
        }
        plan
    }

    /// A copy whose lists of keys are empty, though still as long.
    fn clone_without_keys(&self) -> Self {
        fn empty<T>(list: &List<T>) -> List<T> {
            List { total: list.total, items: Vec::new() }
        }
        let keys = &self.keys;
        Self {
            version: self.version,
            base: self.base.clone(),
            from: self.from.clone(),
            policy: self.policy.clone(),
            bundle: self.bundle.clone(),
            allow: self.allow.clone(),
            traffic: self.traffic,
            changes: self.changes.clone(),
            keys: Keys {
                before: keys.before,
                after: keys.after,
                added: keys.added,
                removed: keys.removed,
                changed: keys.changed,
                denied: keys.denied,
                allowed: keys.allowed,
                fields: keys.fields.clone(),
                added_list: empty(&keys.added_list),
                removed_list: empty(&keys.removed_list),
                changed_list: empty(&keys.changed_list),
            },
            moves: Moves {
                keys: self.moves.keys,
                of: self.moves.of,
                traffic: self.moves.traffic,
                list: empty(&self.moves.list),
            },
            classes: self.classes.clone(),
            shards: self.shards.clone(),
            overlap: self.overlap.clone(),
            refusals: Vec::new(),
            words: Vec::new(),
            notes: Vec::new(),
        }
    }
}
