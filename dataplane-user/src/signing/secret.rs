//! A secret that keys are signed with, as files hold it: 32 hexadecimal digits, and the end of the line.

use std::fmt;

use keysteer_common::shim::secret_words;

/// Digits in a file.
const DIGITS: usize = 32;

/// A secret. It is shown nowhere.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretKey([u64; 2]);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// What is wrong with a file's text. It does not quote any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretTextError {
    /// Not 32 hexadecimal digits.
    #[error(
        "it does not hold a secret: expected 32 hexadecimal digits and the end of the line, as `openssl rand -hex 16` makes them"
    )]
    Form,
    /// Nothing but zeros.
    #[error("it holds only zeros, which anybody could guess: make a secret with `openssl rand -hex 16`")]
    Zeros,
}

impl SecretKey {
    /// The secret that a file holds.
    ///
    /// # Errors
    /// It holds something else.
    pub fn parse(text: &[u8]) -> Result<Self, SecretTextError> {
        let digits = text.strip_suffix(b"\n").unwrap_or(text);
        let digits = digits.strip_suffix(b"\r").unwrap_or(digits);
        let digits: &[u8; DIGITS] = digits.try_into().map_err(|_| SecretTextError::Form)?;
        let mut bytes = [0; DIGITS / 2];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            for digit in pair {
                let value = char::from(*digit).to_digit(16).ok_or(SecretTextError::Form)?;
                *byte = *byte << 4 | value as u8;
            }
        }
        if bytes == [0; DIGITS / 2] { Err(SecretTextError::Zeros) } else { Ok(Self(secret_words(bytes))) }
    }

    /// The two words that the packet path verifies with.
    pub fn words(self) -> [u64; 2] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_32_digits_in_a_line() {
        let secret = SecretKey::parse(b"000102030405060708090a0b0c0d0e0F\n").unwrap();
        assert_eq!(secret.words(), [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);
        for ending in ["", "\r\n"] {
            let text = format!("000102030405060708090a0b0c0d0e0f{ending}");
            assert_eq!(SecretKey::parse(text.as_bytes()), Ok(secret));
        }
        for wrong in [
            "",
            "0",
            "000102030405060708090a0b0c0d0e0",
            "000102030405060708090a0b0c0d0e0f0",
            "000102030405060708090a0b0c0d0e0g",
            " 00102030405060708090a0b0c0d0e0f",
            "+00102030405060708090a0b0c0d0e0f",
            "000102030405060708090a0b0c0d0e0f\n\n",
            "0x000102030405060708090a0b0c0d0e0f",
        ] {
            assert_eq!(SecretKey::parse(wrong.as_bytes()), Err(SecretTextError::Form), "{wrong}");
        }
        assert_eq!(SecretKey::parse(&[b'0'; 32]), Err(SecretTextError::Zeros));
    }

    #[test]
    fn it_is_not_shown() {
        let secret = SecretKey::parse(&[b'7'; 32]).unwrap();
        assert_eq!(format!("{secret:?}"), "SecretKey(..)");
    }
}
