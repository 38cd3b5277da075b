//! Frames in hexadecimal digits, as people and other tools write them.

use std::fmt;

use super::LONGEST;

/// Bytes as hexadecimal digits, without spaces.
pub fn hex(bytes: &[u8]) -> impl fmt::Display {
    struct Hex<'b>(&'b [u8]);
    impl fmt::Display for Hex<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        }
    }
    Hex(bytes)
}

/// A frame in hexadecimal digits that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// Something that is no digit, nor between two bytes.
    #[error("'{}' at character {at} is no hexadecimal digit: give bytes as two digits each, such as 0200c0ff", .found.escape_default())]
    NotADigit {
        /// What is there.
        found: char,
        /// Where, from 1.
        at: usize,
    },
    /// Half a byte.
    #[error("the last byte has one digit only: give two for each")]
    Half,
    /// No bytes at all.
    #[error("there are no bytes: give a frame from the Ethernet header on")]
    Empty,
    /// More than a frame can have.
    #[error("{0} bytes are more than a frame can have ({LONGEST})")]
    TooLong(usize),
}

/// The bytes of a frame in hexadecimal digits. Blanks, line ends and colons between bytes are allowed, so
/// that the output of other tools can be pasted.
///
/// # Errors
/// It is no frame in hexadecimal digits.
pub fn unhex(text: &str) -> Result<Vec<u8>, HexError> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut half = None;
    for (at, c) in (1..).zip(text.chars()) {
        match (c.to_digit(16), half.take()) {
            (Some(digit), None) => half = Some(digit),
            (Some(digit), Some(first)) => bytes.push((first << 4 | digit) as u8),
            (None, None) if c.is_ascii_whitespace() || c == ':' => {}
            (None, _) => return Err(HexError::NotADigit { found: c, at }),
        }
    }
    match bytes.len() {
        _ if half.is_some() => Err(HexError::Half),
        0 => Err(HexError::Empty),
        length if length > LONGEST => Err(HexError::TooLong(length)),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_other_tools_write_them() {
        assert_eq!(unhex("02:00 00\n c0FF"), Ok(vec![2, 0, 0, 0xc0, 0xff]));
        assert_eq!(unhex("020"), Err(HexError::Half));
        assert_eq!(unhex(" "), Err(HexError::Empty));
        assert_eq!(unhex("0x02"), Err(HexError::NotADigit { found: 'x', at: 2 }));
        assert_eq!(unhex("0 2"), Err(HexError::NotADigit { found: ' ', at: 2 }));
        assert_eq!(unhex(&"00".repeat(LONGEST + 1)), Err(HexError::TooLong(LONGEST + 1)));
        assert_eq!(hex(&unhex("0200c0ff").unwrap()).to_string(), "0200c0ff");
    }
}
