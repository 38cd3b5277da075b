//! Moments and spans, as the state's files and the command line write them: RFC 3339 in UTC with milliseconds, and `90s`,
//! `15m`, `1h30m`, `7d`.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Milliseconds of a day.
const DAY: u64 = 86_400_000;
/// The last moment that four digits of a year can say: 9999-12-31T23:59:59.999Z.
const LAST: u64 = 253_402_300_799_999;

/// A moment: milliseconds since 1970-01-01T00:00:00Z, until the end of the year 9999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Now, by the system's clock. A clock before 1970 says 1970.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// So many milliseconds after 1970 began.
    pub fn from_millis(millis: u64) -> Self {
        Self(millis.min(LAST))
    }

    /// Milliseconds since 1970 began.
    pub fn millis(self) -> u64 {
        self.0
    }

    /// The moment `span` later.
    pub fn after(self, span: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The moment `span` earlier, not before 1970.
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long it is from `earlier` to here; nothing if it is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Whether a year has a 29th of February.
fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Days of the months of a year.
fn months(year: u64) -> [u64; 12] {
    [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// Days from 1970 to the beginning of `year`, which is not before.
fn days_before(year: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut day, time) = (self.0 / DAY, self.0 % DAY);
        let mut year = 1970 + day / 366;
        while days_before(year + 1) <= day {
            year += 1;
        }
        day -= days_before(year);
        let mut month = 1;
        for days in months(year) {
            if day < days {
                break;
            }
            day -= days;
            month += 1;
        }
        let (hour, minute) = (time / 3_600_000, time / 60_000 % 60);
        let (second, milli) = (time / 1000 % 60, time % 1000);
        write!(f, "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z", day + 1)
    }
}

/// A text that says no moment or no span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// No moment.
    #[error("`{0}` is no moment: write it like 2026-01-31T12:00:00Z")]
    Moment(String),
    /// No span.
    #[error("`{0}` is no span of time: write it like 90s, 15m, 1h30m or 7d")]
    Span(String),
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// Reads `2026-01-31`, `2026-01-31T12:00:00Z`, with any fraction of a second, and with an offset in place of `Z`.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        moment(text).ok_or_else(|| TimeError::Moment(text.to_owned()))
    }
}

/// The digits at the beginning of `text` as a number, and what follows them.
fn digits(text: &str, many: usize) -> Option<(u64, &str)> {
    let (number, rest) = text.split_at_checked(many)?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some((number.parse().ok()?, rest))
}

fn moment(text: &str) -> Option<Timestamp> {
    let (year, rest) = digits(text, 4)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let months = months(year);
    let before = months.get(..usize::try_from(month).ok()?.checked_sub(1)?)?;
    let valid = year >= 1970 && (1..=*months.get(before.len())?).contains(&day);
    let days = valid.then(|| days_before(year) + before.iter().sum::<u64>() + day - 1)?;
    if rest.is_empty() {
        return Some(Timestamp(days * DAY));
    }
    let (hour, rest) = digits(rest.strip_prefix(['T', 't', ' '])?, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = digits(rest.strip_prefix(':')?, 2)?;
    // A leap second is said as the one before.
    let valid = hour < 24 && minute < 60 && second <= 60;
    let time = valid.then_some((hour * 60 + minute) * 60_000 + second.min(59) * 1000)?;
    let (millis, rest) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            let (fraction, rest) = rest.split_at_checked(end)?;
            let three: String = fraction.chars().chain("00".chars()).take(3).collect();
            (if fraction.is_empty() { None } else { three.parse().ok() }?, rest)
        }
    };
    let at = days * DAY + time + millis;
    if matches!(rest, "Z" | "z") {
        return Some(Timestamp(at));
    }
    let east = rest.starts_with('+');
    let (hour, rest) = digits(rest.strip_prefix(['+', '-'])?, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(':')?, 2)?;
    let offset = (rest.is_empty() && hour < 24 && minute < 60).then_some((hour * 60 + minute) * 60_000)?;
    let at = if east { at.checked_sub(offset)? } else { at + offset };
    (at <= LAST).then_some(Timestamp(at))
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Reads a span of time: whole numbers, each with a unit (`ms`, `s`, `m`, `h`, `d`, `w`), added up.
///
/// # Errors
/// The text says none.
pub fn span(text: &str) -> Result<Duration, TimeError> {
    let read = || {
        let mut rest = text;
        let mut millis: u64 = 0;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            let (number, after) = rest.split_at_checked(end)?;
            let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let (unit, after) = after.split_at_checked(end)?;
            let unit = match unit {
                "ms" => 1,
                "s" => 1000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => DAY,
                "w" => 7 * DAY,
                _ => return None,
            };
            millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
            rest = after;
        }
        (!text.is_empty()).then(|| Duration::from_millis(millis))
    };
    read().ok_or_else(|| TimeError::Span(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_000, "2024-02-29T23:59:59.000Z"),
            (1_000_000_000_000, "2001-09-09T01:46:40.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (LAST, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp(millis).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp(millis)));
        }
        assert_eq!(Timestamp::from_millis(u64::MAX), Timestamp(LAST));
    }

    #[test]
    fn other_ways_to_write_a_moment() {
        let noon = "2026-01-31T12:00:00.000Z".parse::<Timestamp>().unwrap();
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31 12:00:00.0009z",
            "2026-01-31T13:30:00+01:30",
            "2026-01-31T11:00:00-01:00",
        ] {
            assert_eq!(text.parse(), Ok(noon), "{text}");
        }
        assert_eq!("2026-01-31".parse(), Ok(noon.before(Duration::from_secs(43_200))));
        assert_eq!("2016-12-31T23:59:60Z".parse(), "2016-12-31T23:59:59Z".parse::<Timestamp>());
        for text in [
            "",
            "now",
            "2026",
            "2026-1-1",
            "2026-00-01",
            "2026-13-01",
            "2026-02-29",
            "2026-01-00",
            "1969-12-31",
            "2026-01-31T",
            "2026-01-31T12:00",
            "2026-01-31T12:00:00",
            "2026-01-31T24:00:00Z",
            "2026-01-31T12:60:00Z",
            "2026-01-31T12:00:61Z",
            "2026-01-31T12:00:00.Z",
            "2026-01-31T12:00:00.",
            "2026-01-31T12:00:00Z ",
            "2026-01-31T12:00:00+1",
            "2026-01-31T12:00:00+24:00",
            "2026-01-31T12:00:00\u{e9}",
            "+026-01-31",
            "1970-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimeError::Moment(text.to_owned())));
        }
    }

    #[test]
    fn spans() {
        for (text, millis) in
            [("0s", 0), ("5ms", 5), ("90s", 90_000), ("1h30m", 5_400_000), ("7d", 7 * DAY), ("2w", 14 * DAY)]
        {
            assert_eq!(span(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in
            ["", "1", "h", "1 h", "-1h", "1.5h", "1x", "1h30", "99999999999999999999s", "999999999999999w"]
        {
            assert_eq!(span(text), Err(TimeError::Span(text.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(millis in 0..=LAST) {
            let text = Timestamp(millis).to_string();
            prop_assert_eq!(text.len(), 24);
            prop_assert_eq!(text.parse(), Ok(Timestamp(millis)));
        }

        #[test]
        fn later_moments_are_later_texts(one in 0..=LAST, other in 0..=LAST) {
            let texts = [one, other].map(|millis| Timestamp(millis).to_string());
            prop_assert_eq!(one.cmp(&other), texts[0].cmp(&texts[1]));
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = text.parse::<Timestamp>();
            let _ = span(&text);
        }
    }
}
