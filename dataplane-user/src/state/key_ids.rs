//! Which dense id each key was given. An id belongs to a key's identity (environment, level and field
//! values, not its name) and is never given to another, so that counters can be billed for ever.
//!
//! There can be a million. Their texts are held one after the other in one piece, and the index holds
//! only their numbers, which takes less time and memory than a map of strings.

use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::StateError;

/// File name inside the state directory.
const FILE: &str = "key-ids.json";

/// Key identities and their ids.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyIds {
    /// The next id to give; ids begin at 1.
    next: u32,
    /// Identity to id.
    ids: Ids,
}

impl Default for KeyIds {
    fn default() -> Self {
        Self { next: 1, ids: Ids::default() }
    }
}

impl KeyIds {
    /// The id of `identity`: the one it has always had, or the next free one.
    pub fn id(&mut self, identity: &str) -> u32 {
        let id = self.ids.get_or_insert(identity, self.next);
        if id == self.next {
            self.next += 1;
        }
        id
    }

    /// Makes room for so many identities in all.
    pub fn expect(&mut self, identities: usize) {
        self.ids.reserve(identities.saturating_sub(self.ids.entries.len()));
    }

    /// Whether `identity` has an id already.
    pub fn contains(&self, identity: &str) -> bool {
        self.ids.get(identity).is_some()
    }

    /// Every identity with its id, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.ids.iter()
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
        let mut given: Vec<u32> = ids.iter().map(|(_, id)| id).collect();
        given.sort_unstable();
        let repeated = given.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        match repeated.or(given.into_iter().find(|id| !(1..ids.next).contains(id))) {
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
            let mut file = BufWriter::new(File::create(&temporary)?);
            serde_json::to_writer_pretty(&mut file, self)?;
            file.flush()?;
            file.get_ref().sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(directory)?.sync_all()
        };
        write().map_err(|cause| StateError::Io { operation: "write", path: path.clone(), cause })
    }
}

impl fmt::Debug for KeyIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyIds").field("next", &self.next).field("ids", &self.ids).finish()
    }
}

impl Eq for KeyIds {}

/// The same ids of the same identities, whatever the order in which they were given.
impl PartialEq for KeyIds {
    fn eq(&self, other: &Self) -> bool {
        self.next == other.next
            && self.ids.entries.len() == other.ids.entries.len()
            && self.iter().all(|(identity, id)| other.ids.get(identity) == Some(id))
    }
}

/// A map of texts to ids. An entry never goes.
#[derive(Clone, Default)]
struct Ids {
    /// All texts, one after the other.
    texts: String,
    /// By entry: where its text ends, and its id.
    entries: Vec<(usize, u32)>,
    /// Numbers of entries, by the hash of their text.
    index: HashTable<u32>,
    hasher: RandomState,
}

/// The text of entry `at`.
fn text<'t>(texts: &'t str, entries: &[(usize, u32)], at: u32) -> &'t str {
    let at = at as usize;
    let end = |at: usize| entries.get(at).map_or(0, |(end, _)| *end);
    texts.get(at.checked_sub(1).map_or(0, end)..end(at)).unwrap_or_default()
}

impl Ids {
    /// The id of `identity`, which becomes `new` where it has none.
    fn get_or_insert(&mut self, identity: &str, new: u32) -> u32 {
        let Self { texts, entries, index, hasher } = self;
        let hash = hasher.hash_one(identity);
        let same = |at: &u32| text(texts, entries, *at) == identity;
        let entry = index.entry(hash, same, |at| hasher.hash_one(text(texts, entries, *at)));
        match entry {
            Entry::Occupied(found) => entries.get(*found.get() as usize).map_or(new, |(_, id)| *id),
            Entry::Vacant(vacant) => {
                // Ids are numbers of 32 bits, and each entry has its own.
                vacant.insert(u32::try_from(entries.len()).unwrap_or(u32::MAX));
                texts.push_str(identity);
                entries.push((texts.len(), new));
                new
            }
        }
    }

    /// Makes the index anew, at once; or says what is there twice.
    fn make_index(&mut self) -> Result<(), String> {
        let Self { texts, entries, index, hasher } = self;
        index.clear();
        let hash = |at: &u32| hasher.hash_one(text(texts, entries, *at));
        index.reserve(entries.len(), hash);
        for (at, _) in (0..).zip(&*entries) {
            let identity = text(texts, entries, at);
            let same = |other: &u32| text(texts, entries, *other) == identity;
            match index.entry(hash(&at), same, hash) {
                Entry::Occupied(_) => return Err(identity.to_owned()),
                Entry::Vacant(vacant) => vacant.insert(at),
            };
        }
        Ok(())
    }

    fn reserve(&mut self, more: usize) {
        let Self { texts, entries, index, hasher } = self;
        entries.reserve(more);
        index.reserve(more, |at| hasher.hash_one(text(texts, entries, *at)));
    }

    fn get(&self, identity: &str) -> Option<u32> {
        let same = |at: &u32| text(&self.texts, &self.entries, *at) == identity;
        let at = self.index.find(self.hasher.hash_one(identity), same)?;
        self.entries.get(*at as usize).map(|(_, id)| *id)
    }

    fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        (0..).zip(&self.entries).map(|(at, (_, id))| (text(&self.texts, &self.entries, at), *id))
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Ids {
    /// By id, so that equal ids make equal files, and that what is asked for together when a policy is
    /// compiled is together.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sorted: Vec<(&str, u32)> = self.iter().collect();
        sorted.sort_unstable_by_key(|(_, id)| *id);
        serializer.collect_map(sorted)
    }
}

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(IdsVisitor)
    }
}

struct IdsVisitor;

impl<'de> Visitor<'de> for IdsVisitor {
    type Value = Ids;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of identities to ids")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ids, A::Error> {
        /// A text that is borrowed from the file where it can be.
        #[derive(Deserialize)]
        struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

        let mut ids = Ids::default();
        while let Some((Text(identity), id)) = map.next_entry()? {
            ids.texts.push_str(&identity);
            ids.entries.push((ids.texts.len(), id));
        }
        match ids.make_index() {
            Ok(()) => Ok(ids),
            Err(identity) => Err(de::Error::custom(format_args!("{identity:?} is there twice"))),
        }
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
        assert_eq!(again.iter().collect::<std::collections::BTreeMap<_, _>>().len(), 4);
        assert_eq!((again.id("c"), again.id("a"), again.id("\"quoted\"\n\u{1f980}")), (5, 2, 4));
        assert_ne!(again, ids);
        assert!(again.contains("c") && !ids.contains("c") && !again.contains("d"));
    }

    #[test]
    fn many_ids_are_dense_and_distinct() {
        let mut ids = KeyIds::default();
        for number in 0..10_000_u32 {
            assert_eq!(ids.id(&format!("prod;tenant={number}")), number + 1);
        }
        for number in (0..10_000_u32).rev() {
            assert_eq!(ids.id(&format!("prod;tenant={number}")), number + 1);
        }
        assert!(ids.clone() == ids);
    }

    /// The file is the state of nodes in use: it must be read for ever, in whatever order.
    #[test]
    fn the_file_is_the_one_that_was_published() {
        let directory = tempfile::tempdir().unwrap();
        let mut ids = KeyIds::default();
        for identity in ["prod;tenant=b", "prod;tenant=a"] {
            ids.id(identity);
        }
        ids.save(directory.path()).unwrap();
        let text =
            "{\n  \"next\": 3,\n  \"ids\": {\n    \"prod;tenant=b\": 1,\n    \"prod;tenant=a\": 2\n  }\n}";
        assert_eq!(fs::read_to_string(directory.path().join(FILE)).unwrap(), text);
        assert_eq!(KeyIds::open(directory.path()).unwrap(), ids);
        let by_identity = r#"{"next": 3, "ids": {"prod;tenant=a": 2, "prod;tenant=b": 1}}"#;
        fs::write(directory.path().join(FILE), by_identity).unwrap();
        assert_eq!(KeyIds::open(directory.path()).unwrap(), ids);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (text, what) in [
            (r#"{"next": 3, "ids": {"a": 1, "b": 1}}"#, "id 1 is given twice"),
            (r#"{"next": 3, "ids": {"a": 1, "a": 2}}"#, r#""a" is there twice"#),
            (r#"{"next": 3, "ids": {"a": 3}}"#, "out of range"),
            (r#"{"next": 3, "ids": {"a": 0}}"#, "out of range"),
            (r#"{"next": 3, "ids": {"a": 1}, "more": 1}"#, "unknown field"),
            (r#"{"next": 3, "ids": ["a"]}"#, "a map of identities to ids"),
            (r#"{"next": 3"#, "EOF"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join(FILE), text).unwrap();
            let error = KeyIds::open(directory.path()).unwrap_err().to_string();
            assert!(error.contains(what) && error.contains(FILE), "{text}: {error}");
        }
    }
}
