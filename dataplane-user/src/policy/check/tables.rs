//! Prefix tables: labels get numbers, prefixes are declared once.

use std::collections::HashMap;

use crate::display::Display;
use crate::policy::document::{RawSchema, RawTable};
use crate::policy::model::PrefixTable;

use super::Checker;

/// How the fields that use each prefix table show its labels: the least and the most that any of them hides.
#[derive(Debug, Default)]
pub(super) struct Displays<'d>(HashMap<&'d str, (Display, Display)>);

impl<'d> Displays<'d> {
    pub(super) fn of(schemas: &[RawSchema<'d>]) -> Self {
        let mut found = HashMap::new();
        for field in schemas.iter().flat_map(|schema| &schema.fields.value) {
            let Some(table) = &field.table else { continue };
            let (least, most) = found.entry(table.value).or_insert((field.display, field.display));
            (*least, *most) = ((*least).min(field.display), (*most).max(field.display));
        }
        Self(found)
    }

    /// Whether a table's labels are shown nowhere.
    pub(super) fn hidden(&self, table: &str) -> bool {
        self.0.get(table).is_some_and(|(least, _)| least.hides())
    }

    /// Whether messages may quote a table's labels.
    fn quotes(&self, table: &str) -> bool {
        self.0.get(table).is_none_or(|(_, most)| !most.hides())
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
