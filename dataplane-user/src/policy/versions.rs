//! Several versions of the schema: whose a level is, which version is overdue, and which would go too early.
//!
//! A version with `dualAccept` stays until it was accepted together with one that goes on being accepted for so long. The
//! two are together from the later of their `since` on: that of the newer version, whichever of the two goes.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::model::{Policy, Schema};
use crate::state::Timestamp;

/// A level of one of several schemas.
#[derive(Clone, Copy, Debug)]
pub struct Level<'p> {
    /// Index of its schema.
    pub at: usize,
    /// Its schema.
    pub schema: &'p Schema,
    /// Its fields, as indices of that schema's.
    pub members: &'p [usize],
}

impl Policy {
    /// Levels are numbered over all schemas.
    pub fn level(&self, number: impl Into<usize>) -> Option<Level<'_>> {
        let all = self.schemas.iter().enumerate();
        let mut levels = all.flat_map(|(at, schema)| schema.levels.iter().map(move |it| (at, schema, it)));
        let (at, schema, members) = levels.nth(number.into())?;
        Some(Level { at, schema, members })
    }

    /// The schema with this version.
    pub fn version(&self, version: u8) -> Option<&Schema> {
        self.schemas.iter().find(|schema| schema.version == version)
    }
}

/// What is wrong with a version that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Early {
    /// Which.
    pub version: u8,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub next: String,
}

/// The versions of `old` that `new` drops earlier than they promise.
pub fn too_early(old: &Policy, new: &Policy, now: Timestamp) -> Vec<Early> {
    let goes = |schema: &&Schema| new.version(schema.version).is_none();
    old.schemas.iter().filter(goes).filter_map(|schema| early(schema, old, new, now)).collect()
}

fn early(goes: &Schema, old: &Policy, new: &Policy, now: Timestamp) -> Option<Early> {
    let (version, span) = (goes.version, goes.dual_accept?);
    // Since when each version that stays is accepted together with this one.
    let stays = old.schemas.iter().filter(|it| new.version(it.version).is_some());
    let together = stays.filter_map(|it| Some((it.since?.max(goes.since?), it.version)));
    let Some((since, other)) = together.min() else {
        return Some(Early {
            version,
            message: format!(
                "version {version} of the schema would go with no version of before staying: senders would have no time at which both the old and the new one are accepted (its dualAccept is {})",
                span_text(span)
            ),
            next: format!(
                "declare the new version beside version {version} first, and drop that one afterwards"
            ),
        });
    };
    let until = since.begin().after(span);
    (now < until).then(|| Early {
        version,
        message: format!(
            "version {version} of the schema would go too early: it is accepted together with version {other} since {since}, and its dualAccept of {} ends at {until}",
            span_text(span)
        ),
        next: format!("keep version {version} until then"),
    })
}

/// Whether a version may go without a word: it was announced, or promised and kept.
pub fn may_go(goes: &Schema, old: &Policy, new: &Policy, now: Timestamp) -> bool {
    let announced = goes.deprecated.is_some_and(|day| day.begin() <= now);
    announced || goes.dual_accept.is_some() && early(goes, old, new, now).is_none()
}

/// A span of time as the policy writes it.
pub fn span_text(span: Duration) -> String {
    let seconds = span.as_secs();
    let parts =
        [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let text: String =
        parts.iter().filter(|(many, _)| *many > 0).map(|(many, unit)| format!("{many}{unit}")).collect();
    if text.is_empty() { format!("{}ms", span.as_millis()) } else { text }
}

/// Warnings of the versions that should have gone.
pub fn overdue(policy: &Policy, now: Timestamp) -> Vec<Diagnostic> {
    let schemas = policy.schemas.iter().enumerate();
    let past = schemas.filter_map(|(at, schema)| Some((at, schema, schema.deprecated?)));
    past.filter(|(.., day)| day.begin() <= now)
        .map(|(at, schema, day)| Diagnostic {
            file: policy.file.clone(),
            line: schema.at.line,
            column: schema.at.column,
            field: format!("spec.schemas[{at}].deprecated"),
            message: format!(
                "version {} is deprecated since {day} and still accepted: take it out once nobody sends it (keysteer_schema_packets_total)",
                schema.version
            ),
            suggestion: None,
        })
        .collect()
}
