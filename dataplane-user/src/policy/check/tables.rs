//! Prefix tables: labels get numbers, prefixes are declared once.

use std::collections::HashMap;

use crate::display::Display;
use crate::policy::document::{RawSchema, RawTable};
use crate::policy::model::PrefixTable;

use super::Checker;

/// How values are shown: a field of several versions of the schema as the one says that hides the most, for it has the same
/// values in all.
#[derive(Debug, Default)]
pub(super) struct Displays<'d> {
    fields: HashMap<&'d str, Display>,
    /// By prefix table: the least and the most that any of the fields that use it hides.
    tables: HashMap<&'d str, (Display, Display)>,
}

impl<'d> Displays<'d> {
    pub(super) fn of(schemas: &'d [RawSchema<'d>]) -> Self {
        let all = || schemas.iter().flat_map(|schema| &schema.fields.value);
        let mut fields = HashMap::new();
        for field in all() {
            let display = fields.entry(field.name.value.as_str()).or_insert(field.display);
            *display = (*display).max(field.display);
        }
        let mut found = Self { fields, tables: HashMap::new() };
        for field in all() {
            let Some(table) = &field.table else { continue };
            let display = found.field(&field.name.value);
            let (least, most) = found.tables.entry(table.value).or_insert((display, display));
            (*least, *most) = ((*least).min(display), (*most).max(display));
        }
        found
    }

    /// How values of the field of a name are shown.
    pub(super) fn field(&self, name: &str) -> Display {
        self.fields.get(name).copied().unwrap_or_default()
    }

    /// Whether a table's labels are shown nowhere.
    pub(super) fn hidden(&self, table: &str) -> bool {
        self.tables.get(table).is_some_and(|(least, _)| least.hides())
    }

    /// Whether messages may quote a table's labels.
    fn quotes(&self, table: &str) -> bool {
        self.tables.get(table).is_none_or(|(_, most)| !most.hides())
    }
}

pub(super) fn check(
    checker: &mut Checker<'_>,
    raw: &[RawTable<'_>],
    displays: &Displays<'_>,
) -> Vec<PrefixTable> {
    raw.iter().map(|table| table_of(checker, table, displays.quotes(&table.name.value))).collect()
}

fn table_of(checker: &mut Checker<'_>, raw: &RawTable<'_>, quotes: bool) -> PrefixTable {
    let name = &raw.name.value;
    // Sorted, so that the order of the document changes nothing.
    let mut labels: Vec<String> = raw.prefixes.iter().map(|(_, label)| label.value.to_owned()).collect();
    labels.sort();
    labels.dedup();
    let mut table =
        PrefixTable { name: name.clone(), labels, prefixes: Vec::with_capacity(raw.prefixes.len()) };
    let numbers: HashMap<&str, u32> =
        table.labels.iter().zip(1..).map(|(label, number)| (label.as_str(), number)).collect();
    let mut seen = HashMap::with_capacity(raw.prefixes.len());
    let mut prefixes = Vec::with_capacity(raw.prefixes.len());
    for (net, label) in &raw.prefixes {
        if let Some((line, first)) = seen.insert(net.value, (net.at.line, label.value)) {
            let problem = match quotes {
                true => format!(
                    "the prefix is listed twice: in line {line} it is \"{first}\", here \"{}\"",
                    label.value
                ),
                false => format!("the prefix is listed twice, first in line {line}"),
            };
            checker.error(net.at, format_args!("spec.prefixTables.{name}.{}", net.value), problem);
        }
        prefixes.extend(numbers.get(label.value).map(|number| (net.value, *number)));
    }
    table.prefixes = prefixes;
    table
}
