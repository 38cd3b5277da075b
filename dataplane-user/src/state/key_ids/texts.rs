//! Many texts with a number each, in little memory: the texts are held one after the other in one piece.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Texts and their ids, in order. An entry never goes.
#[derive(Clone, Default)]
pub(super) struct Texts {
    /// All texts, one after the other.
    texts: String,
    /// By entry: where its text ends, and its id.
    entries: Vec<(usize, u32)>,
}

impl Texts {
    /// Texts in one piece, and by entry where it ends and its id. Every end is one of a character.
    pub(super) fn from_parts(texts: String, entries: Vec<(usize, u32)>) -> Self {
        Self { texts, entries }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn reserve(&mut self, more: usize) {
        self.entries.reserve(more);
    }

    pub(super) fn push(&mut self, text: &str, id: u32) {
        self.texts.push_str(text);
        self.entries.push((self.texts.len(), id));
    }

    /// The text of entry `at`.
    pub(super) fn text(&self, at: usize) -> &str {
        let end = |at: usize| self.entries.get(at).map_or(0, |(end, _)| *end);
        self.texts.get(at.checked_sub(1).map_or(0, end)..end(at)).unwrap_or_default()
    }

    /// The id of entry `at`.
    pub(super) fn id(&self, at: usize) -> Option<u32> {
        self.entries.get(at).map(|(_, id)| *id)
    }

    /// The entries from `first` on.
    pub(super) fn iter_from(&self, first: usize) -> impl Iterator<Item = (&str, u32)> {
        let entries = self.entries.iter().enumerate().skip(first);
        entries.map(|(at, (_, id))| (self.text(at), *id))
    }

    /// Puts `others` behind these.
    pub(super) fn append(&mut self, others: &Self) {
        let begin = self.texts.len();
        self.texts.push_str(&others.texts);
        self.entries.extend(others.entries.iter().map(|(end, id)| (begin + end, *id)));
    }

    /// The same entries by ascending id.
    pub(super) fn sorted(self) -> Self {
        if self.entries.is_sorted_by_key(|(_, id)| *id) {
            return self;
        }
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|at| self.id(*at));
        let mut sorted = Self::default();
        for at in order {
            sorted.push(self.text(at), self.id(at).unwrap_or_default());
        }
        sorted
    }

    /// An id that is not above the one before it, or not below `next`.
    pub(super) fn misplaced(&self, next: u32) -> Option<u32> {
        let mut before = 0;
        self.entries.iter().map(|(_, id)| *id).find(|id| {
            let wrong = *id <= before || *id >= next;
            before = *id;
            wrong
        })
    }
}

/// The entries from a number on, as a map of texts to ids.
pub(super) struct From<'t>(pub(super) &'t Texts, pub(super) usize);

impl Serialize for From<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter_from(self.1))
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of identities to ids")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
        /// A text that is borrowed from the file where it can be.
        #[derive(Deserialize)]
        struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

        let mut texts = Texts::default();
        while let Some((Text(text), id)) = map.next_entry()? {
            texts.push(&text, id);
        }
        Ok(texts)
    }
}
