//! The shape of what versions and the normalisation of values say.

use std::time::Duration;

use crate::display::Display;
use crate::policy::diagnostic::{Diagnostic, Place, Problem, Report};
use crate::policy::reader::{At, Context, Cursor};
use crate::policy::values;
use crate::policy::yaml::Value;
use crate::state::time;

use super::types::RawNamed;

/// A span of time that is not nothing.
pub(super) fn duration(text: &str) -> Result<Duration, Problem> {
    match time::span(text) {
        Ok(span) if !span.is_zero() => Ok(span),
        Ok(_) => Err("is no time at all: leave it out".into()),
        Err(_) => Err(format!("\"{text}\" is no span of time: expected one such as 30d or 12h").into()),
    }
}

/// A whole number of up to 128 bits.
pub(super) fn number(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<At<u128>> {
    let text = at.scalar(context)?;
    match values::number(text.value) {
        Ok(value) => Some(At { value, at: text.at }),
        Err(problem) => at.fail(context, problem),
    }
}

/// Names, each of a number or of a list of numbers. What is wrong with those of a field that hides its values is said without
/// them.
pub(super) fn named<'n>(
    at: &Cursor<'n, '_>,
    display: Display,
    context: &mut Context<'_>,
) -> Option<Vec<RawNamed<'n>>> {
    if !display.hides() {
        return plainly_named(at, context);
    }
    let mut quiet = Context { file: context.file, report: Report::default() };
    let found = plainly_named(at, &mut quiet);
    for Diagnostic { line, column, .. } in quiet.report.finish() {
        let how = display.name();
        let problem = format!(
            "expected names, each once, that begin with no digit, and a number or numbers of each (display is {how}: they are not shown)"
        );
        context.report.add(context.file, Place { line, column }, at, problem.into());
    }
    found
}

fn plainly_named<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<Vec<RawNamed<'n>>> {
    let entries = at.entries(context)?;
    if entries.is_empty() {
        return at.fail(context, "must not be empty: leave it out where values have no names");
    }
    let mut found = Vec::with_capacity(entries.len());
    for (name, cursor) in entries {
        let problem = match values::free_text(name.value) {
            Err(problem) => Some(problem),
            Ok(name) if name.starts_with(|first: char| first.is_ascii_digit()) => {
                Some("begins with a digit: a name must not be taken for a number".into())
            }
            Ok(_) => None,
        };
        if let Some(problem) = problem {
            context.report.add(context.file, name.at, cursor, problem);
            continue;
        }
        let numbers = match &cursor.node.value {
            Value::List(_) => super::filled(&cursor, context, number),
            _ => number(&cursor, context).map(|number| vec![number]),
        };
        found.extend(numbers.map(|numbers| (name, numbers)));
    }
    Some(found)
}
