//! The audit log: which keys came under the policy and which left it, by tracing events of target
//! `audit`. Every event names the key and its id.
//!
//! Ids are kept for ever, so they do not tell which keys were in force last time. That is kept beside
//! them: `keys-in-force.json`, a list of ids. It is written anew whenever keys come or go.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use super::node::Node;
use crate::image::Names;
use crate::state::{KeyIds, StateError};

/// File name inside the state directory.
const FILE: &str = "keys-in-force.json";

/// Above so many keys in one start they are summarised.
const NAMED: usize = 100;

/// The difference between two policies' keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Ids that came.
    pub registered: Vec<u32>,
    /// Ids that left.
    pub retired: Vec<u32>,
}

/// The ids that were in force when an agent last started on this state; none on first use.
///
/// # Errors
/// The file cannot be read or is damaged.
pub fn in_force(directory: &Path) -> Result<BTreeSet<u32>, StateError> {
    let path = directory.join(FILE);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| StateError::Damaged {
            path,
            what: error.to_string(),
            consequence: "the audit log reports every key as registered anew",
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(cause) => Err(StateError::Io { operation: "read", path, cause }),
    }
}

/// Keeps the ids that are in force now, for the next start.
///
/// # Errors
/// The file cannot be written.
pub fn save(directory: &Path, names: &Names) -> Result<(), StateError> {
    let path = directory.join(FILE);
    let temporary = directory.join(format!("{FILE}.new"));
    let ids: Vec<u32> = names.keys.iter().map(|key| key.id).collect();
    let write = || -> io::Result<()> {
        fs::write(&temporary, serde_json::to_vec(&ids)?)?;
        fs::rename(&temporary, &path)
    };
    write().map_err(|cause| StateError::Io { operation: "write", path: path.clone(), cause })
}

/// What changed from `before` to the keys of `names`.
pub fn changes(before: &BTreeSet<u32>, names: &Names) -> Changes {
    let now: BTreeSet<u32> = names.keys.iter().map(|key| key.id).collect();
    Changes {
        registered: now.difference(before).copied().collect(),
        retired: before.difference(&now).copied().collect(),
    }
}

/// What changed from the keys of one policy to those of another, both by ascending id.
pub fn between(before: &Names, names: &Names) -> Changes {
    let mut changes = Changes::default();
    let mut old = before.keys.iter().map(|key| key.id).peekable();
    for id in names.keys.iter().map(|key| key.id) {
        changes.retired.extend(std::iter::from_fn(|| old.next_if(|old| *old < id)));
        if old.next_if_eq(&id).is_none() {
            changes.registered.push(id);
        }
    }
    changes.retired.extend(old);
    changes
}

/// Logs that a policy came into force, and the changes it brought.
pub fn report(node: &Node, changes: &Changes, ids: &KeyIds) {
    let names = &node.names;
    tracing::info!(
        target: "audit",
        event = "policy_loaded",
        policy = names.policy,
        environment = names.environment,
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
        for key in changes.registered.iter().filter_map(|id| names.key(*id)) {
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
    } else if !changes.retired.is_empty() {
        // The policy no longer knows its name: its identity says what it was.
        for (identity, id) in ids.iter().filter(|(_, id)| changes.retired.contains(id)) {
            tracing::info!(
                target: "audit", event = "key_retired", identity, key_id = id, "a key was retired"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::fake;

    #[test]
    fn what_came_and_what_left() {
        let directory = tempfile::tempdir().unwrap();
        let before = in_force(directory.path()).unwrap();
        let names = fake::image(&["acme", "globex"]).names;
        assert_eq!(changes(&before, &names), Changes { registered: vec![1, 2], retired: vec![] });
        save(directory.path(), &names).unwrap();

        let before = in_force(directory.path()).unwrap();
        assert_eq!(changes(&before, &names), Changes::default());
        let old = names.clone();
        let mut names = names;
        names.keys.remove(0);
        assert_eq!(changes(&before, &names), Changes { registered: vec![], retired: vec![1] });
        assert_eq!(between(&old, &names), changes(&before, &names));
        assert_eq!(between(&names, &old), Changes { registered: vec![1], retired: vec![] });
        assert_eq!(between(&old, &old), Changes::default());
        assert_eq!(between(&old, &Names::default()), Changes { registered: vec![], retired: vec![1, 2] });
    }

    #[test]
    fn damage_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "[1,").unwrap();
        let error = in_force(directory.path()).unwrap_err().to_string();
        assert!(error.contains(FILE), "{error}");
    }
}
