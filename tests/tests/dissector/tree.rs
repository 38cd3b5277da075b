//! A JSON document whose objects keep their order and every entry of one name: how the dissector writes packets,
//! with one entry for each layer.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value of such a document.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    /// What is no object or list, as text.
    Text(String),
    /// An object's entries; a list's, without names.
    Branch(Vec<(String, Tree)>),
}

impl Tree {
    /// The entries; of text there are none.
    pub(crate) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Text(_) => &[],
            Self::Branch(entries) => entries,
        }
    }

    /// The first entry of this name.
    pub(crate) fn entry(&self, name: &str) -> Option<&Self> {
        self.entries().iter().find(|(at, _)| at == name).map(|(_, tree)| tree)
    }

    /// The text of the first entry of this name, however deep.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.entries().iter().find_map(|(at, tree)| match tree {
            Self::Text(text) if at == name => Some(text.as_str()),
            tree => tree.text(name),
        })
    }

    /// The number that is written there.
    pub(crate) fn number(&self, name: &str) -> Option<u128> {
        number(self.text(name)?)
    }

    /// Whether an entry, however deep, is of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries().iter().any(|(at, tree)| at == name || tree.has(name))
    }

    /// All branches of this name, however deep.
    pub(crate) fn all<'t>(&'t self, name: &str, found: &mut Vec<&'t Self>) {
        for (at, tree) in self.entries() {
            if at == name {
                found.push(tree);
            }
            tree.all(name, found);
        }
    }
}

/// A number in decimal or hexadecimal digits.
pub(crate) fn number(text: &str) -> Option<u128> {
    match text.strip_prefix("0x") {
        Some(digits) => u128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Bytes written as two digits each, with colons between.
pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Ordered)
    }
}

struct Ordered;

impl<'de> Visitor<'de> for Ordered {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Text(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Text(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
        Ok(Tree::Text(number.to_string()))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Tree, E> {
        Ok(Tree::Text(u8::from(truth).to_string()))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Text(String::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Tree::Branch(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element()? {
            entries.push((String::new(), entry));
        }
        Ok(Tree::Branch(entries))
    }
}
