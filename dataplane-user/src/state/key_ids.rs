//! Which dense id each key was given. An id belongs to a key's identity (environment, level and field
//! values, not its name) and is never given to another, so that counters can be billed for ever.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::StateError;

/// File name inside the state directory.
const FILE: &str = "key-ids.json";

/// Key identities and their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KeyIds {
    /// The next id to give; ids begin at 1.
    next: u32,
    /// Identity to id.
    ids: BTreeMap<String, u32>,
}

impl Default for KeyIds {
    fn default() -> Self {
        Self { next: 1, ids: BTreeMap::new() }
    }
}

impl KeyIds {
    /// The id of `identity`: the one it has always had, or the next free one.
    pub fn id(&mut self, identity: &str) -> u32 {
        if let Some(id) = self.ids.get(identity) {
            return *id;
        }
        let id = self.next;
        self.next += 1;
        self.ids.insert(identity.to_owned(), id);
        id
    }

    /// Whether `identity` has an id already.
    pub fn contains(&self, identity: &str) -> bool {
        self.ids.contains_key(identity)
    }

    /// Every identity with its id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.ids.iter().map(|(identity, id)| (identity.as_str(), *id))
    }

    /// The ids kept in a state directory; none yet on first use.
    ///
    /// # Errors
    /// The file cannot be read, or contradicts itself.
    pub fn open(directory: &Path) -> Result<Self, StateError> {
        let path = directory.join(FILE);
        let damaged = |what| StateError::Damaged {
            path: path.clone(),
            what,
            consequence: "keys get new ids, so earlier counters can no longer be attributed",
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(cause) => return Err(StateError::Io { operation: "read", path, cause }),
        };
        let ids: Self = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        let mut seen = std::collections::BTreeSet::new();
        match ids.ids.values().find(|id| **id == 0 || **id >= ids.next || !seen.insert(**id)) {
            Some(id) => Err(damaged(format!("id {id} is given twice or out of range"))),
            None => Ok(ids),
        }
    }

    /// Writes the ids to a state directory, so that a crash leaves the old file or the new one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, directory: &Path) -> Result<(), StateError> {
        let path = directory.join(FILE);
        let temporary = directory.join(format!("{FILE}.new"));
        let write = || -> io::Result<()> {
            let mut file = File::create(&temporary)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(directory)?.sync_all()
        };
        write().map_err(|cause| StateError::Io { operation: "write", path: path.clone(), cause })
    }
}
