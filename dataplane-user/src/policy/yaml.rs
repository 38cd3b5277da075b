//! The YAML document as a tree in which every node knows its place. Reading types from the tree, not
//! from the parser, lets every problem of a document be listed, not only the first.

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, MergeKeyPolicy, Options, Spanned};

use super::diagnostic::{Diagnostic, Place, PolicyError};

/// A node and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) value: Value,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// `null`, `~` or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as written: the reader decides what it may mean.
    Number(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in order, duplicates included.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) at: Place,
    pub(super) text: String,
}

impl Value {
    /// What the node is, for messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool(value) => format!("{value}"),
            Self::Number(text) => format!("the number {text}"),
            Self::Text(text) => format!("the text \"{text}\""),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// Reads one YAML document.
///
/// # Errors
/// The text is not one well-formed YAML document: one problem, the first.
pub(super) fn read(text: &str, file: &str) -> Result<Node, PolicyError> {
    let tree: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options(text.len()))
        .map_err(|error| PolicyError::Invalid(vec![syntax(&error, file)]))?;
    Ok(tree.into_node(text))
}

/// The parser guards against documents that grow when they are expanded. Size alone is no such sign
/// (a policy may declare many keys), so the limits on it follow the text; those on aliases and depth stay.
fn options(bytes: usize) -> Options {
    let limit = bytes.saturating_mul(2).saturating_add(1000);
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: limit,
            max_nodes: limit,
            max_total_scalar_bytes: limit,
        },
        // Reported by the reader, with the field they are in.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        // `yes`, `on` and `no` are text, as YAML 1.2 has it.
        strict_booleans: true,
        // Left to the reader, which refuses them where a number is expected.
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    }
}

/// The parser's error as a problem of ours.
fn syntax(error: &serde_saphyr::Error, file: &str) -> Diagnostic {
    let error = error.without_snippet();
    let at = error.location().map(place).unwrap_or_default();
    let mut message = error.to_string();
    // The parser appends the place, which we print in front.
    if let Some(cut) = message.rfind(&format!(" at line {}", at.line)) {
        message.truncate(cut);
    }
    if let Some(rest) = message.strip_prefix("error: ") {
        message = rest.to_owned();
    }
    Diagnostic {
        file: file.to_owned(),
        line: at.line,
        column: at.column,
        field: String::new(),
        message: format!("not a YAML document: {message}"),
        suggestion: None,
    }
}

fn place(location: Location) -> Place {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Place { line: number(location.line()), column: number(location.column()) }
}

/// The tree as the parser gives it. Numbers are still numbers: their text is in the source.
#[derive(Debug)]
enum Raw {
    Null,
    Bool(bool),
    Number,
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

/// Turns the parser's tree into ours.
trait IntoNode {
    fn into_node(self, source: &str) -> Node;
}

impl IntoNode for Spanned<Raw> {
    fn into_node(self, source: &str) -> Node {
        let value = match self.value {
            Raw::Null => Value::Null,
            Raw::Bool(value) => Value::Bool(value),
            Raw::Number => Value::Number(written(source, self.defined)),
            Raw::Text(text) => Value::Text(text),
            Raw::List(items) => Value::List(items.into_iter().map(|item| item.into_node(source)).collect()),
            Raw::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| {
                        (Key { at: place(key.referenced), text: key.value }, value.into_node(source))
                    })
                    .collect(),
            ),
        };
        Node { at: place(self.referenced), value }
    }
}

/// A scalar as it is written in the source.
fn written(source: &str, location: Location) -> String {
    let span = location.span();
    let slice = || {
        let from = usize::try_from(span.byte_offset()?).ok()?;
        let length = usize::try_from(span.byte_len()?).ok()?;
        source.get(from..from.checked_add(length)?)
    };
    slice().unwrap_or_default().trim().to_owned()
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a mapping, a list, text, a number or a boolean")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = access.next_entry::<Spanned<String>, Spanned<Raw>>()? {
            if entries.len() >= MAX_ENTRIES {
                return Err(A::Error::custom("a mapping has too many entries"));
            }
            entries.push((key, value));
        }
        Ok(Raw::Map(entries))
    }
}

/// More entries than any table can have steps for.
const MAX_ENTRIES: usize = 1 << 24;
