//! What is said of changes in the log, by tracing events of target `audit`: which keys came under the policy and which left
//! it, and every entry of the audit log with its number and hash, so that whoever collects the log has the chain, too.

use std::cmp::Ordering;

use super::node::Node;
use crate::compile::{of_compiled, shown};
use crate::image::{KeyInfo, Names};
use crate::state::audit::Entry;

/// Above so many keys in one change they are summarised.
const NAMED: usize = 100;

/// The difference between two policies' keys.
#[derive(Clone, Debug, Default)]
pub struct Changes<'n> {
    /// Keys that came.
    pub registered: Vec<&'n KeyInfo>,
    /// Keys that left.
    pub retired: Vec<&'n KeyInfo>,
}

/// What changed from the keys of `before` to those of `after`. Both are in the order of their ids, so one pass is enough.
pub fn changes<'n>(before: &'n Names, after: &'n Names) -> Changes<'n> {
    let mut changes = Changes::default();
    let (mut old, mut new) = (before.keys.iter().peekable(), after.keys.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some(one), Some(other)) => one.id.cmp(&other.id),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return changes,
        };
        if order != Ordering::Greater {
            let key = old.next();
            changes.retired.extend(key.filter(|_| order == Ordering::Less));
        }
        if order != Ordering::Less {
            let key = new.next();
            changes.registered.extend(key.filter(|_| order == Ordering::Greater));
        }
    }
}

/// Logs that a policy came into force, and the changes it brought from `before`.
pub fn report(before: &Names, node: &Node, changes: &Changes<'_>) {
    let names = &node.names;
    tracing::info!(
        target: "audit",
        event = "policy_loaded",
        policy = names.policy,
        environment = names.environment,
        generation = node.generation,
        file = node.file,
        mode = node.mode(),
        schema = node.schema,
        keys = names.keys.len(),
        shards = names.policy_shards().count(),
        registered = changes.registered.len(),
        retired = changes.retired.len(),
        "a policy came into force"
    );
    if changes.registered.len() > NAMED {
        let keys = changes.registered.len();
        tracing::info!(target: "audit", event = "keys_registered", keys, "keys were registered");
    } else {
        for key in &changes.registered {
            let owner = key.owner.as_deref().unwrap_or_default();
            tracing::info!(
                target: "audit", event = "key_registered", key = key.name, key_id = key.id, owner,
                "a key was registered"
            );
        }
    }
    if changes.retired.len() > NAMED {
        let keys = changes.retired.len();
        tracing::info!(target: "audit", event = "keys_retired", keys, "keys were retired");
    } else {
        for key in &changes.retired {
            let identity = shown(before, &of_compiled(before, key));
            tracing::info!(
                target: "audit", event = "key_retired", key = key.name, identity, key_id = key.id,
                "a key was retired"
            );
        }
    }
}

/// Logs an entry of the audit log.
pub fn journalled(entry: &Entry) {
    let Entry { seq, event, hash, .. } = entry;
    let subject = event.subject.as_ref().map(ToString::to_string);
    tracing::info!(
        target: "audit",
        event = "change",
        seq,
        action = event.action,
        subject,
        result = event.result.name(),
        by = %event.who,
        from = event.from,
        to = event.to,
        hash,
        "a change was journalled"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::fake;

    fn ids(keys: &[&KeyInfo]) -> Vec<u32> {
        keys.iter().map(|key| key.id).collect()
    }

    #[test]
    fn what_came_and_what_left() {
        let names = |keep: &[u32]| {
            let mut names = fake::image(&["a", "b", "c", "d", "e"]).names;
            names.keys.retain(|key| keep.contains(&key.id));
            names
        };
        for (before, after, registered, retired) in [
            (&[][..], &[1, 2][..], &[1, 2][..], &[][..]),
            (&[1, 2], &[1, 2], &[], &[]),
            (&[1, 2, 4], &[2, 3, 5], &[3, 5], &[1, 4]),
            (&[3], &[1, 2, 3, 4], &[1, 2, 4], &[]),
            (&[1, 5], &[], &[], &[1, 5]),
        ] {
            let (before, after) = (names(before), names(after));
            let changes = changes(&before, &after);
            assert_eq!(
                (ids(&changes.registered), ids(&changes.retired)),
                (registered.to_vec(), retired.to_vec())
            );
        }
    }
}
