//! Typed reading of the YAML tree: each method reports what is wrong, with the place and the dotted
//! path of the field, and gives what is right.

use std::collections::HashMap;
use std::fmt;

use super::diagnostic::{Place, Problem, Report};
use super::yaml::{Node, Value};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: Place,
}

/// A node on the way down, with the path that led to it.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'n, 'p> {
    pub(super) node: &'n Node,
    parent: Option<&'p Cursor<'n, 'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Field(&'p str),
    Index(usize),
}

impl fmt::Display for Cursor<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Field(name) => {
                let dot = self.parent.is_some_and(|parent| !matches!(parent.step, Step::Root));
                write!(f, "{}{name}", if dot { "." } else { "" })
            }
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Where problems go while the document is read.
pub(super) struct Context<'a> {
    pub(super) file: &'a str,
    pub(super) report: Report,
}

impl Context<'_> {
    fn add(&mut self, at: Place, field: impl fmt::Display, problem: impl Into<Problem>) {
        self.report.add(self.file, at, field, problem.into());
    }
}

impl<'n, 'p> Cursor<'n, 'p> {
    /// The document itself.
    pub(super) fn root(node: &'n Node) -> Self {
        Self { node, parent: None, step: Step::Root }
    }

    /// Reports a problem with this node.
    pub(super) fn fail<T>(&self, context: &mut Context<'_>, problem: impl Into<Problem>) -> Option<T> {
        context.add(self.node.at, self, problem);
        None
    }

    fn expected<T>(&self, context: &mut Context<'_>, what: &str) -> Option<T> {
        let problem = match &self.node.value {
            Value::Number(text) if what.starts_with("text") => {
                format!("expected {what}, found the number {text}: write it as \"{text}\"")
            }
            Value::Bool(value) if what.starts_with("text") => {
                format!("expected {what}, found {value}: write it as \"{value}\"")
            }
            value => format!("expected {what}, found {}", value.describe()),
        };
        self.fail(context, problem)
    }

    fn child(&'p self, node: &'n Node, step: Step<'p>) -> Cursor<'n, 'p> {
        Cursor { node, parent: Some(self), step }
    }

    /// A mapping that may have `allowed` fields and no other, each once.
    pub(super) fn fields(&'p self, allowed: &[&str], context: &mut Context<'_>) -> Option<Fields<'n, 'p>> {
        let Value::Map(entries) = &self.node.value else {
            return self.expected(context, "a mapping");
        };
        for (at, (key, node)) in entries.iter().enumerate() {
            let child = self.child(node, Step::Field(&key.text));
            if !allowed.contains(&key.text.as_str()) {
                context.add(key.at, child, Problem::unknown("field", &key.text, allowed.iter().copied()));
            } else if let Some((first, _)) =
                entries.iter().take(at).find(|(earlier, _)| earlier.text == key.text)
            {
                context.add(key.at, child, format!("is given twice, first in line {}", first.at.line));
            }
        }
        Some(Fields { cursor: self, entries })
    }

    /// A mapping whose keys are names or values: every entry, each once.
    pub(super) fn entries(&'p self, context: &mut Context<'_>) -> Option<Vec<(At<&'n str>, Cursor<'n, 'p>)>> {
        let Value::Map(entries) = &self.node.value else {
            return self.expected(context, "a mapping");
        };
        let mut seen: HashMap<&str, u32> = HashMap::with_capacity(entries.len());
        let mut found = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            let child = self.child(node, Step::Field(&key.text));
            match seen.get(key.text.as_str()) {
                Some(line) => {
                    context.add(key.at, child, format!("is given twice, first in line {line}"));
                }
                None => {
                    seen.insert(&key.text, key.at.line);
                    found.push((At { value: key.text.as_str(), at: key.at }, child));
                }
            }
        }
        Some(found)
    }

    /// A list.
    pub(super) fn list(&'p self, context: &mut Context<'_>) -> Option<Vec<Cursor<'n, 'p>>> {
        let Value::List(items) = &self.node.value else {
            return self.expected(context, "a list");
        };
        Some(items.iter().enumerate().map(|(at, node)| self.child(node, Step::Index(at))).collect())
    }

    /// A list with at least one item.
    pub(super) fn filled_list(&'p self, context: &mut Context<'_>) -> Option<Vec<Cursor<'n, 'p>>> {
        let list = self.list(context)?;
        if list.is_empty() { self.fail(context, "must not be empty") } else { Some(list) }
    }

    /// Text.
    pub(super) fn text(&self, context: &mut Context<'_>) -> Option<At<&'n str>> {
        match &self.node.value {
            Value::Text(text) => Some(At { value: text, at: self.node.at }),
            _ => self.expected(context, "text"),
        }
    }

    /// Whether it is a number.
    pub(super) fn is_number(&self) -> bool {
        matches!(self.node.value, Value::Number(_))
    }

    /// Text or a number, as written.
    pub(super) fn scalar(&self, context: &mut Context<'_>) -> Option<At<&'n str>> {
        match &self.node.value {
            Value::Text(text) | Value::Number(text) => Some(At { value: text, at: self.node.at }),
            _ => self.expected(context, "text or a number"),
        }
    }

    /// Text that `parse` understands.
    pub(super) fn parsed<T, P: Into<Problem>>(
        &self,
        context: &mut Context<'_>,
        parse: impl FnOnce(&str) -> Result<T, P>,
    ) -> Option<At<T>> {
        let text = self.text(context)?;
        match parse(text.value) {
            Ok(value) => Some(At { value, at: text.at }),
            Err(problem) => self.fail(context, problem),
        }
    }

    /// A whole number between `low` and `high`.
    pub(super) fn number(&self, low: u32, high: u32, context: &mut Context<'_>) -> Option<At<u32>> {
        let what = || format!("a whole number from {low} to {high}");
        let Value::Number(text) = &self.node.value else {
            return self.expected(context, &what());
        };
        match super::values::number(text).ok().and_then(|number| u32::try_from(number).ok()) {
            Some(number) if (low..=high).contains(&number) => Some(At { value: number, at: self.node.at }),
            _ => self.expected(context, &what()),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, context: &mut Context<'_>) -> Option<At<bool>> {
        match &self.node.value {
            Value::Bool(value) => Some(At { value: *value, at: self.node.at }),
            _ => self.expected(context, "true or false"),
        }
    }

    /// One word of a few.
    pub(super) fn choice<T: Copy>(
        &self,
        what: &str,
        choices: &[(&str, T)],
        context: &mut Context<'_>,
    ) -> Option<T> {
        let text = self.text(context)?;
        match choices.iter().find(|(name, _)| *name == text.value) {
            Some((_, value)) => Some(*value),
            None => {
                self.fail(context, Problem::unknown(what, text.value, choices.iter().map(|(name, _)| *name)))
            }
        }
    }
}

/// The fields of a mapping.
#[derive(Clone, Copy)]
pub(super) struct Fields<'n, 'p> {
    cursor: &'p Cursor<'n, 'p>,
    entries: &'n [(super::yaml::Key, Node)],
}

impl<'n, 'p> Fields<'n, 'p> {
    /// A field that may be left out.
    pub(super) fn get(&self, name: &'static str) -> Option<Cursor<'n, 'p>> {
        let (_, node) = self.entries.iter().find(|(key, _)| key.text == name)?;
        Some(self.cursor.child(node, Step::Field(name)))
    }

    /// A field that must be there.
    pub(super) fn require(&self, name: &'static str, context: &mut Context<'_>) -> Option<Cursor<'n, 'p>> {
        let found = self.get(name);
        if found.is_none() {
            let child = self.cursor.child(self.cursor.node, Step::Field(name));
            context.add(self.cursor.node.at, child, "is required but missing");
        }
        found
    }

    /// The only field of a mapping with exactly one.
    pub(super) fn only(&self) -> Option<Cursor<'n, 'p>> {
        match self.entries {
            [(key, node)] => Some(self.cursor.child(node, Step::Field(&key.text))),
            _ => None,
        }
    }

    /// The name of the only field.
    pub(super) fn only_name(&self) -> Option<&'n str> {
        match self.entries {
            [(key, _)] => Some(&key.text),
            _ => None,
        }
    }
}
