//! A statement that was to be proved, with the figures, and what contradicts it.

use std::fmt::Display;

/// How many contradictions are printed.
const SHOWN: usize = 10;

/// What was proved, or not.
pub(super) struct Proof {
    statement: String,
    differences: Vec<String>,
}

impl Proof {
    /// A statement, which holds when nothing differs.
    pub(super) fn new(statement: String, differences: Differences) -> Self {
        Self { statement, differences: differences.0 }
    }

    /// Whether it holds.
    pub(super) fn holds(&self) -> bool {
        self.differences.is_empty()
    }

    /// Prints it.
    pub(super) fn print(&self) {
        println!("  {} {}", if self.holds() { '✓' } else { '✗' }, self.statement);
        for difference in self.differences.iter().take(SHOWN) {
            println!("      {difference}");
        }
        if let Some(more) = self.differences.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            println!("      … and {more} more");
        }
    }
}

/// What contradicts a statement.
#[derive(Default)]
pub(super) struct Differences(Vec<String>);

impl Differences {
    /// Notes a contradiction.
    pub(super) fn note(&mut self, difference: String) {
        self.0.push(difference);
    }

    /// Notes when two that should be equal are not.
    pub(super) fn equal<T: Copy + PartialEq + Display>(&mut self, what: impl Display, found: T, wanted: T) {
        if found != wanted {
            self.note(format!("{what}: {found}, but should be {wanted}"));
        }
    }
}
