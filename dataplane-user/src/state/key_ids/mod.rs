//! Which dense id each key was given. An id belongs to a key's identity (environment, level and field
//! values, not its name) and is never given to another, so that counters can be billed for ever.
//!
//! There can be a million. Their texts are held one after the other in one piece, and the index holds
//! only their numbers, which takes less time and memory than a map of strings.

mod segment;
mod store;
mod texts;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::StateError;
use texts::Texts;

/// Key identities and their ids.
#[derive(Clone)]
pub struct KeyIds {
    /// The next id to give; ids begin at 1.
    next: u32,
    /// Identities and ids, by ascending id.
    texts: Texts,
    /// Numbers of entries, by the hash of their text.
    index: HashTable<u32>,
    hasher: RandomState,
    /// What of this is on disk.
    kept: Option<store::Kept>,
}

impl Default for KeyIds {
    fn default() -> Self {
        let (texts, index) = (Texts::default(), HashTable::new());
        Self { next: 1, texts, index, hasher: RandomState::new(), kept: None }
    }
}

impl KeyIds {
    /// The id of `identity`: the one it has always had, or the next free one.
    pub fn id(&mut self, identity: &str) -> u32 {
        let Self { next, texts, index, hasher, .. } = self;
        let hash = hasher.hash_one(identity);
        let same = |at: &u32| texts.text(*at as usize) == identity;
        match index.entry(hash, same, |at| hasher.hash_one(texts.text(*at as usize))) {
            Entry::Occupied(found) => texts.id(*found.get() as usize).unwrap_or_default(),
            Entry::Vacant(vacant) => {
                // Ids are numbers of 32 bits, and each entry has its own.
                vacant.insert(u32::try_from(texts.len()).unwrap_or(u32::MAX));
                let id = *next;
                texts.push(identity, id);
                *next += 1;
                id
            }
        }
    }

    /// Makes room for so many identities in all.
    pub fn expect(&mut self, identities: usize) {
        let Self { texts, index, hasher, .. } = self;
        let more = identities.saturating_sub(texts.len());
        texts.reserve(more);
        index.reserve(more, |at| hasher.hash_one(texts.text(*at as usize)));
    }

    /// The id of `identity`, if it has one already.
    pub fn get(&self, identity: &str) -> Option<u32> {
        let same = |at: &u32| self.texts.text(*at as usize) == identity;
        let at = self.index.find(self.hasher.hash_one(identity), same)?;
        self.texts.id(*at as usize)
    }

    /// Whether `identity` has an id already.
    pub fn contains(&self, identity: &str) -> bool {
        self.get(identity).is_some()
    }

    /// How many ids were given: every id is at most that.
    pub fn given(&self) -> u32 {
        self.next - 1
    }

    /// Every identity with its id, by ascending id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.texts.iter_from(0)
    }

    /// How many identities have an id.
    fn len(&self) -> usize {
        self.texts.len()
    }

    /// The ids kept in a state directory; none yet on first use. Nothing is written.
    ///
    /// # Errors
    /// A file cannot be read, or contradicts itself.
    pub fn open(directory: &Path) -> Result<Self, StateError> {
        store::open(directory)
    }

    /// Takes what a state directory has of ids out of the way; says where it is now.
    ///
    /// # Errors
    /// It cannot be moved.
    pub(super) fn set_aside(directory: &Path, suffix: &str) -> Result<Vec<PathBuf>, StateError> {
        store::set_aside(directory, suffix)
    }

    /// Writes what is new to a state directory. A crash leaves the ids that were kept before, or these.
    ///
    /// # Errors
    /// A file cannot be written; the ids that were kept before are there, or these.
    pub fn save(&mut self, directory: &Path) -> Result<(), StateError> {
        store::save(self, directory)
    }

    /// The file in `directory` does not hold what it should.
    pub(super) fn damaged(directory: &Path, what: String) -> StateError {
        store::damaged(directory, what)
    }

    /// Ids that were found elsewhere, each of one identity. The next to be given is above all of them, and above `given`.
    pub fn found(identities: BTreeMap<u32, String>, given: u32) -> Self {
        let mut ids = Self::default();
        ids.expect(identities.len());
        for (id, identity) in identities {
            if id >= ids.next && !ids.contains(&identity) {
                ids.next = id;
                ids.id(&identity);
            }
        }
        ids.next = ids.next.max(given.saturating_add(1));
        ids
    }

    /// Ids that were given before, by ascending id; or what contradicts itself.
    fn from_texts(next: u32, texts: Texts) -> Result<Self, String> {
        if next == 0 {
            return Err("the next id is 0".to_owned());
        }
        if let Some(id) = texts.misplaced(next) {
            return Err(format!("id {id} is given twice or out of range"));
        }
        let (mut index, hasher) = (HashTable::new(), RandomState::new());
        let hash = |at: &u32| hasher.hash_one(texts.text(*at as usize));
        index.reserve(texts.len(), hash);
        for (at, (identity, _)) in (0..).zip(texts.iter_from(0)) {
            let same = |other: &u32| texts.text(*other as usize) == identity;
            match index.entry(hasher.hash_one(identity), same, hash) {
                Entry::Occupied(_) => return Err(format!("{identity:?} is there twice")),
                Entry::Vacant(vacant) => vacant.insert(at),
            };
        }
        Ok(Self { next, texts, index, hasher, kept: None })
    }
}

impl fmt::Debug for KeyIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Eq for KeyIds {}

/// The same ids of the same identities, wherever they are kept.
impl PartialEq for KeyIds {
    fn eq(&self, other: &Self) -> bool {
        self.next == other.next && self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_keeps_its_id_over_openings() {
        let directory = tempfile::tempdir().unwrap();
        let mut ids = KeyIds::open(directory.path()).unwrap();
        let given = ["b", "a", "", "b", "\"quoted\"\n\u{1f980}", "a"].map(|identity| ids.id(identity));
        assert_eq!(given, [1, 2, 3, 1, 4, 2]);
        ids.save(directory.path()).unwrap();
        let mut again = KeyIds::open(directory.path()).unwrap();
        assert_eq!(again, ids);
        assert_eq!(again.iter().collect::<BTreeMap<_, _>>().len(), 4);
        assert_eq!((again.id("c"), again.id("a"), again.id("\"quoted\"\n\u{1f980}")), (5, 2, 4));
        assert_ne!(again, ids);
        assert!(again.contains("c") && !ids.contains("c") && !again.contains("d"));
        assert_eq!((again.given(), again.get("c"), ids.get("c")), (5, Some(5), None));
    }

    #[test]
    fn found_ids_have_gaps_and_are_kept_like_others() {
        let found = [(7, "b"), (3, "a"), (9, "a")].map(|(id, text)| (id, text.to_owned()));
        let mut ids = KeyIds::found(found.into(), 20);
        assert_eq!((ids.get("a"), ids.get("b"), ids.given()), (Some(3), Some(7), 20));
        assert_eq!((ids.id("c"), ids.id("a")), (21, 3));
        let directory = tempfile::tempdir().unwrap();
        ids.save(directory.path()).unwrap();
        assert_eq!(KeyIds::open(directory.path()).unwrap(), ids);
        assert_eq!(KeyIds::found(BTreeMap::new(), 0), KeyIds::default());
    }

    #[test]
    fn many_ids_are_dense_and_distinct() {
        let mut ids = KeyIds::default();
        ids.expect(5000);
        for number in 0..10_000_u32 {
            assert_eq!(ids.id(&format!("prod;tenant={number}")), number + 1);
        }
        for number in (0..10_000_u32).rev() {
            assert_eq!(ids.id(&format!("prod;tenant={number}")), number + 1);
        }
        assert!(ids.clone() == ids);
    }
}
