//! Days, as the policy writes them: `2026-12-31`. A day begins at midnight, UTC.

use std::fmt;
use std::str::FromStr;

use super::diagnostic::Problem;
use crate::state::Timestamp;
use crate::state::time::TimeError;

/// A day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(Timestamp);

impl FromStr for Date {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let day = text.parse().ok().filter(|_| text.len() == "2026-12-31".len());
        day.map(Self).ok_or_else(|| TimeError::Moment(text.to_owned()))
    }
}

impl Date {
    /// Reads `2026-12-31`.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let none = |_| format!("\"{text}\" is no date: expected one such as 2026-12-31").into();
        text.parse().map_err(none)
    }

    /// When it begins.
    pub fn begin(self) -> Timestamp {
        self.0
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_string().split('T').next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_reads_as_it_is_written() {
        let date = Date::parse("2028-02-29").unwrap();
        assert_eq!(date.to_string(), "2028-02-29");
        assert_eq!(date.begin().millis(), 1_835_395_200_000);
        for wrong in ["", "2026-02-29", "2026-1-1", "2026-01-01T00:00:00Z", "31.12.2026", "tomorrow"] {
            assert!(Date::parse(wrong).is_err(), "{wrong}");
        }
    }
}
