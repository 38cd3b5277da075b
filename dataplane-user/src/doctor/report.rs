//! What was looked at, and what was found.

use serde::Serialize;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// It works, or may; something is to be known.
    Warning,
    /// It does not work so.
    Failed,
    /// It could not be looked at.
    Unknown,
}

impl State {
    /// The name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Which check: stable, for programs.
    pub id: &'static str,
    /// What was looked at.
    pub place: String,
    /// How it ended.
    pub state: State,
    /// What was found, and what that means.
    pub finding: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Checks, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) checks: Vec<Check>,
}

impl Report {
    pub(super) fn ok(&mut self, id: &'static str, place: &str, finding: impl Into<String>) {
        self.add(id, place, State::Ok, finding.into(), None);
    }

    pub(super) fn warn(
        &mut self,
        id: &'static str,
        place: &str,
        finding: impl Into<String>,
        next: impl Into<String>,
    ) {
        self.add(id, place, State::Warning, finding.into(), Some(next.into()));
    }

    pub(super) fn fail(
        &mut self,
        id: &'static str,
        place: &str,
        finding: impl Into<String>,
        next: impl Into<String>,
    ) {
        self.add(id, place, State::Failed, finding.into(), Some(next.into()));
    }

    pub(super) fn unknown(&mut self, id: &'static str, place: &str, why: impl Into<String>) {
        self.add(id, place, State::Unknown, why.into(), None);
    }

    fn add(&mut self, id: &'static str, place: &str, state: State, finding: String, next: Option<String>) {
        self.checks.push(Check { id, place: place.to_owned(), state, finding, next });
    }
}
