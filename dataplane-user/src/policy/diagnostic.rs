//! What is wrong with a policy, and where: file, line, column and field, and what was probably meant.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A line and a column of a file, both from 1; line 0 where the place is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// The file, as it was named to us.
    pub file: String,
    /// Line, from 1; 0 where it is not known.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// The field as a dotted path such as `spec.keys[2].pool`, or a CSV column; empty for the file.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean \"{suggestion}\"?"),
            None => Ok(()),
        }
    }
}

/// A policy that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
    /// The document is wrong; every problem of the phase that failed, by line.
    #[error("{}", lines(.0))]
    Invalid(Vec<Diagnostic>),
}

impl PolicyError {
    /// The problems of the document; none when a file could not be read.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Self::Io { .. } => &[],
            Self::Invalid(diagnostics) => diagnostics,
        }
    }
}

/// One problem per line.
pub(crate) fn lines(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n")
}

/// Problems beyond this many are counted, not listed: a wrong column in a file of a million keys
/// should not fill a terminal.
const LISTED: usize = 200;

/// Problems as they are found.
#[derive(Debug, Default)]
pub(super) struct Report {
    list: Vec<Diagnostic>,
    omitted: usize,
}

impl Report {
    /// Adds a problem.
    pub(super) fn add(&mut self, file: &str, at: Place, field: impl fmt::Display, problem: Problem) {
        if self.list.len() >= LISTED {
            self.omitted += 1;
            return;
        }
        self.list.push(Diagnostic {
            file: file.to_owned(),
            line: at.line,
            column: at.column,
            field: field.to_string(),
            message: problem.message,
            suggestion: problem.suggestion,
        });
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, by file and line; a last one says how many more there are.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        self.list.sort();
        if let Some(file) = self.list.last().map(|last| last.file.clone())
            && self.omitted > 0
        {
            self.list.push(Diagnostic {
                file,
                line: 0,
                column: 0,
                field: String::new(),
                message: format!("{} more problems are not listed", self.omitted),
                suggestion: None,
            });
        }
        self.list
    }
}

/// What is wrong, before it is known where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
}

impl Problem {
    /// A problem with a replacement to offer.
    pub(super) fn with_suggestion(message: impl Into<String>, suggestion: impl Into<String>) -> Self {
        Self { message: message.into(), suggestion: Some(suggestion.into()) }
    }

    /// `what` has no member called `given`: offers the nearest of `allowed`, or lists them when none is near.
    pub(super) fn unknown<'n>(
        what: &str,
        given: &str,
        allowed: impl IntoIterator<Item = &'n str> + Clone,
    ) -> Self {
        let message = format!("unknown {what} \"{given}\"");
        if let Some(near) = crate::suggest::nearest(given, allowed.clone()) {
            return Self::with_suggestion(message, near);
        }
        let mut names: Vec<&str> = Vec::new();
        for name in allowed.into_iter().take(4 * NAMED) {
            if names.len() <= NAMED && !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            return format!("{message}: none is declared").into();
        }
        let more = if names.len() > NAMED { ", ..." } else { "" };
        names.truncate(NAMED);
        format!("{message}: expected {}{more}", quoted(&names)).into()
    }
}

/// How many alternatives a message lists.
const NAMED: usize = 24;

impl From<String> for Problem {
    fn from(message: String) -> Self {
        Self { message, suggestion: None }
    }
}

impl From<&str> for Problem {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

/// `"a", "b" or "c"`.
pub(super) fn quoted(names: &[&str]) -> String {
    let mut quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    match quoted.pop() {
        None => String::new(),
        Some(last) if quoted.is_empty() => last,
        Some(last) => format!("{} or {last}", quoted.join(", ")),
    }
}
