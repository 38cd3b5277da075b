//! The value of a field from the text that a key has for it.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::policy::diagnostic::Problem;
use crate::policy::model::{Field, PrefixTable};
use crate::policy::values;

use super::normalise::unreadable;
use super::spelling::unknown_name;

/// What is wrong with a label that a table does not have.
pub(super) fn unknown_label(field: &Field, table: &PrefixTable, text: &str) -> Problem {
    if field.display.hides() {
        let how = field.display.name();
        return format!("is no label of prefix table {} (display is {how}: neither is shown)", table.name)
            .into();
    }
    let what = format!("label of prefix table {}:", table.name);
    Problem::unknown(&what, text, table.labels.iter().map(String::as_str))
}

/// The value of a field that is behind no table, from its text.
pub(super) fn plain_value(field: &Field, text: &str) -> Result<u128, Problem> {
    let found = read_value(field, text);
    if !field.display.hides() {
        return found;
    }
    found.map_err(|_| {
        let (carrier, bits, how) = (field.carrier.name(), field.bits, field.display.name());
        let names = if field.values.is_empty() { "" } else { ", or no name of one" };
        format!("is no value of {bits} bits of {carrier}{names} (display is {how}: it is not shown)").into()
    })
}

fn read_value(field: &Field, text: &str) -> Result<u128, Problem> {
    let address = |what: &str| Problem::from(format!("\"{text}\" is not an {what} address"));
    let value = match field.carrier {
        carrier if carrier.is_mac() && field.is_whole() && text.contains(':') => {
            let [a, b, c, d, e, f] = values::mac(text)?;
            u128::from(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
        }
        carrier if carrier.family() == Some(true) && field.is_whole() && text.contains(['.', ':']) => {
            u128::from(text.parse::<Ipv4Addr>().map_err(|_| address("IPv4"))?.to_bits())
        }
        carrier if carrier.family() == Some(false) && field.is_whole() && text.contains(['.', ':']) => {
            text.parse::<Ipv6Addr>().map_err(|_| address("IPv6"))?.to_bits()
        }
        _ if field.values.is_empty() => values::number(text)?,
        _ => values::number(text).map_err(|_| unknown_name(field, &field.values, text))?,
    };
    if let Some(problem) = unreadable(field, value) {
        return Err(problem.into());
    }
    match field.values.name(value) {
        Some(name) => Err(Problem::with_suggestion(format!("{text} has a name"), name)),
        None => Ok(value),
    }
}
