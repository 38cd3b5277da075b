//! A part of a whole, as policies declare it and plans report it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A share of a whole, in millionths: exact, so that what is computed twice is equal. In JSON it is a
/// number from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u32);

/// All of it, in millionths.
const WHOLE: u32 = 1_000_000;

impl Share {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// All of it.
    pub const ALL: Self = Self(WHOLE);

    /// `part` of `whole`, to the nearest millionth: but never nothing or all of it when it is not. Nothing of
    /// nothing is nothing.
    pub fn of(part: f64, whole: f64) -> Self {
        if part <= 0.0 || whole <= 0.0 {
            return Self::NONE;
        }
        if part >= whole {
            return Self::ALL;
        }
        let millionths = (part / whole * f64::from(WHOLE)).round();
        // At most a million, so nothing is cut off.
        Self((millionths as u32).clamp(1, WHOLE - 1))
    }

    /// So many millionths, at most all.
    pub fn from_millionths(millionths: u32) -> Self {
        Self(millionths.min(WHOLE))
    }

    /// Whether `part` of `whole` is as much as this share; exactly, and always of nothing.
    pub fn is_kept_by(self, part: u64, whole: u64) -> bool {
        u128::from(part) * u128::from(WHOLE) >= u128::from(whole) * u128::from(self.0)
    }

    /// Whether `part` of `whole` is more than this share; exactly, and never of nothing but something.
    pub fn is_exceeded_by(self, part: u64, whole: u64) -> bool {
        u128::from(part) * u128::from(WHOLE) > u128::from(whole) * u128::from(self.0)
    }

    /// As a number from 0 to 1.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(WHOLE)
    }

    /// From its text: `40%`, `12.5%`, with at most four decimals.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (whole, decimals) = match text.strip_suffix('%')?.split_once('.') {
            Some((whole, decimals)) => (whole, decimals),
            None => (text.strip_suffix('%')?, "0"),
        };
        let digits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(decimals, 4) || !(digits(whole, 2) || whole == "100") {
            return None;
        }
        let whole: u32 = whole.parse().ok()?;
        let decimals: u32 = format!("{decimals:0<4}").parse().ok()?;
        (whole * 10_000 + decimals <= WHOLE).then_some(Self(whole * 10_000 + decimals))
    }
}

/// The texts that [`Share::parse`] takes, as a regular expression.
pub(super) const PATTERN: &str = r"^(100(\.0{1,4})?|[0-9]{1,2}(\.[0-9]{1,4})?)%$";

/// As a policy writes it: `40%`, `12.5%`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:04}", self.0 % 10_000);
        let decimals = decimals.trim_end_matches('0');
        let dot = if decimals.is_empty() { "" } else { "." };
        write!(f, "{}{dot}{decimals}%", self.0 / 10_000)
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let share = f64::deserialize(deserializer)?;
        if (0.0..=1.0).contains(&share) {
            Ok(Self((share * f64::from(WHOLE)).round() as u32))
        } else {
            Err(serde::de::Error::custom("a share is a number from 0 to 1"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_read_as_they_are_written() {
        for text in ["0%", "40%", "12.5%", "0.0001%", "99.9999%", "100%"] {
            assert_eq!(Share::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Share::parse("100.00%"), Some(Share::ALL));
        for wrong in
            ["", "%", "40", "101%", "100.1%", "007%", "1.%", ".5%", "1.23456%", "-1%", "4 %", "+4%", "1e1%"]
        {
            assert_eq!(Share::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_share_is_exact_where_it_matters() {
        assert_eq!(Share::of(1.0, 3.0).to_string(), "33.3333%");
        assert_eq!(Share::of(0.0, 0.0), Share::NONE);
        assert_eq!(Share::of(1.0, 1e12).to_string(), "0.0001%");
        assert_eq!(Share::of(1e12 - 1.0, 1e12).to_string(), "99.9999%");
        assert_eq!(Share::of(2.0, 1.0), Share::ALL);
    }

    #[test]
    fn json_gives_back_every_share() {
        for millionths in (0..=WHOLE).step_by(37).chain([WHOLE]) {
            let share = Share::from_millionths(millionths);
            let text = serde_json::to_string(&share).unwrap();
            assert_eq!(serde_json::from_str::<Share>(&text).unwrap(), share, "{text}");
        }
        assert!(serde_json::from_str::<Share>("1.1").is_err());
    }
}
