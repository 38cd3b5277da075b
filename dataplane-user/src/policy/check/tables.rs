//! Prefix tables: labels get numbers, prefixes are declared once.

use std::collections::HashMap;

use crate::policy::document::RawTable;
use crate::policy::model::PrefixTable;

use super::Checker;

pub(super) fn check(checker: &mut Checker<'_>, raw: &[RawTable<'_>]) -> Vec<PrefixTable> {
    raw.iter().map(|table| table_of(checker, table)).collect()
}

fn table_of(checker: &mut Checker<'_>, raw: &RawTable<'_>) -> PrefixTable {
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
            checker.error(
                net.at,
                format_args!("spec.prefixTables.{name}.{}", net.value),
                format!(
                    "the prefix is listed twice: in line {line} it is \"{first}\", here \"{}\"",
                    label.value
                ),
            );
        }
        prefixes.extend(numbers.get(label.value).map(|number| (net.value, *number)));
    }
    table.prefixes = prefixes;
    table
}
