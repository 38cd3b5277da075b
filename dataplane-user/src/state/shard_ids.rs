//! Which index each shard's name was given. Counters and the overlay are kept by it over generations, so that an index is
//! never given to another name while the state lives.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StateError;
use super::file::Kind;
use crate::fault::{self, Step};

/// File name inside the state directory.
pub(super) const FILE: &str = "shard-ids";

const KIND: Kind = Kind {
    name: "shard-ids",
    version: 1,
    consequence: "shards get new indices, so earlier counters of shards can no longer be attributed",
};

/// How many indices there are: 65,535 is none.
const MOST: u16 = u16::MAX;

/// Names of shards and their indices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardIds {
    names: BTreeMap<String, u16>,
    /// The next index to give.
    next: u16,
    /// Where this is saved as it is.
    saved: Saved,
}

/// The directory whose file has these names already. It makes no difference to what they are.
#[derive(Clone, Debug, Default)]
struct Saved(Option<PathBuf>);

impl PartialEq for Saved {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Saved {}

/// The file's body.
#[derive(Serialize, Deserialize)]
struct Body<N> {
    next: u16,
    names: N,
}

impl ShardIds {
    /// The index of the shard `name`: the one it has always had, or the next free one, from 0. `None` when all 65,535 were
    /// given.
    pub fn index(&mut self, name: &str) -> Option<u16> {
        if let Some(index) = self.names.get(name) {
            return Some(*index);
        }
        let index = Some(self.next).filter(|next| *next < MOST)?;
        self.names.insert(name.to_owned(), index);
        self.next = index + 1;
        self.saved = Saved::default();
        Some(index)
    }

    /// Indices that were found elsewhere, each of one name. The next to be given is above all of them, and not below
    /// `given`.
    pub fn found(indices: BTreeMap<u16, String>, given: u16) -> Self {
        let next = indices.keys().next_back().map_or(0, |most| most.saturating_add(1)).max(given);
        let mut names = BTreeMap::new();
        for (index, name) in indices {
            names.entry(name).or_insert(index);
        }
        Self { names, next, saved: Saved::default() }
    }

    /// The index of the shard `name`, if it has one already.
    pub fn get(&self, name: &str) -> Option<u16> {
        self.names.get(name).copied()
    }

    /// Every name with its index, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u16)> {
        self.names.iter().map(|(name, index)| (name.as_str(), *index))
    }

    /// How many indices were given: every index is below.
    pub fn given(&self) -> u16 {
        self.next
    }

    /// The file in `directory` does not hold what it should.
    pub(super) fn damaged(directory: &Path, what: String) -> StateError {
        KIND.damaged(&directory.join(FILE), what)
    }

    /// The indices kept in a state directory; none yet on first use.
    ///
    /// # Errors
    /// The file cannot be read, or contradicts itself.
    pub fn open(directory: &Path) -> Result<Self, StateError> {
        let path = directory.join(FILE);
        let Some(body) = KIND.read_json::<Body<BTreeMap<String, u16>>>(&path)? else {
            return Ok(Self::default());
        };
        let Body { next, names } = body;
        let mut owners = vec![false; usize::from(next)];
        for (name, index) in &names {
            match owners.get_mut(usize::from(*index)) {
                Some(given) if !*given => *given = true,
                _ => {
                    let what = format!("index {index} of shard {name:?} is given twice or out of range");
                    return Err(KIND.damaged(&path, what));
                }
            }
        }
        Ok(Self { names, next, saved: Saved(Some(directory.to_owned())) })
    }

    /// Writes the indices to a state directory, if there are new ones. A crash leaves the old file or the new one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&mut self, directory: &Path) -> Result<(), StateError> {
        if self.saved.0.as_deref() == Some(directory) {
            return Ok(());
        }
        fault::point(Step::BeforeIdsSaved);
        KIND.write_json(&directory.join(FILE), &Body { next: self.next, names: &self.names })?;
        fault::point(Step::AfterIdsSaved);
        self.saved = Saved(Some(directory.to_owned()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_name_keeps_its_index_over_openings() {
        let directory = tempfile::tempdir().unwrap();
        let mut ids = ShardIds::open(directory.path()).unwrap();
        assert_eq!(["b", "a", "", "b"].map(|name| ids.index(name)), [Some(0), Some(1), Some(2), Some(0)]);
        ids.save(directory.path()).unwrap();
        let mut again = ShardIds::open(directory.path()).unwrap();
        assert_eq!(again, ids);
        assert_eq!((again.get("a"), again.get("c"), again.given()), (Some(1), None, 3));
        assert_eq!((again.index("c"), again.index("a")), (Some(3), Some(1)));
        again.save(directory.path()).unwrap();
        assert_eq!(ShardIds::open(directory.path()).unwrap().get("c"), Some(3));
        let other = tempfile::tempdir().unwrap();
        again.save(other.path()).unwrap();
        assert_eq!(ShardIds::open(other.path()).unwrap(), again);
    }

    #[test]
    fn nothing_new_writes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut ids = ShardIds::default();
        ids.index("a");
        ids.save(directory.path()).unwrap();
        fs::remove_file(directory.path().join(FILE)).unwrap();
        ids.index("a");
        ids.save(directory.path()).unwrap();
        assert!(!directory.path().join(FILE).exists());
    }

    #[test]
    fn all_indices_can_be_given_and_no_more() {
        let mut ids = ShardIds::default();
        for number in 0..MOST {
            assert_eq!(ids.index(&number.to_string()), Some(number));
        }
        assert_eq!((ids.index("one more"), ids.index("7")), (None, Some(7)));
        let directory = tempfile::tempdir().unwrap();
        ids.save(directory.path()).unwrap();
        assert_eq!(ShardIds::open(directory.path()).unwrap().index("one more"), None);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (body, what) in [
            (r#"{"next":2,"names":{"a":1,"b":1}}"#, r#"index 1 of shard "b" is given twice"#),
            (r#"{"next":2,"names":{"a":2}}"#, "out of range"),
            (r#"{"next":2}"#, "missing field `names`"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(FILE);
            KIND.write(&path, body.as_bytes()).unwrap();
            let error = ShardIds::open(directory.path()).unwrap_err().to_string();
            assert!(error.contains(what) && error.contains(FILE), "{body}: {error}");
        }
    }
}
