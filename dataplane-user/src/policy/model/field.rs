//! A field of the schema: where it is read, its place in the key, and its values' text.

use std::fmt::Write as _;
use std::net::Ipv6Addr;

use keysteer_common::carrier::Carrier;

use super::PrefixTable;
use crate::display::{Display, MASK};
use crate::policy::digits::Digits;
use crate::policy::value_map::ValueMap;

/// A field of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Where it is read.
    pub carrier: Carrier,
    /// Which one, of a carrier that there are several of: see [`keysteer_common::config::FieldConfig::which`].
    pub which: u32,
    /// Whether the carrier is a signed block, whose key is the value.
    pub signed: bool,
    /// First bit of the carrier that it takes, counted from the most significant.
    pub offset: u16,
    /// How many bits of the key it takes: those of the carrier, or 32 behind a prefix table.
    pub bits: u8,
    /// Left shift that puts it at its place in the key; the last field's is 0.
    pub place: u8,
    /// Index of the prefix table that it is looked up in.
    pub table: Option<usize>,
    /// Which of its bits count; the others are read as 0.
    pub mask: u128,
    /// Names of its values.
    pub values: ValueMap,
    /// How its values are shown.
    pub display: Display,
}

impl Field {
    /// The largest value that its bits can hold.
    pub fn largest(&self) -> u128 {
        match u32::from(self.bits) {
            0 => 0,
            bits => u128::MAX >> (128 - bits.min(128)),
        }
    }

    /// Its value in a canonical key.
    pub fn value(&self, key: u128) -> u128 {
        key.checked_shr(u32::from(self.place)).unwrap_or(0) & self.largest()
    }

    /// A value at its place in a canonical key.
    pub fn placed(&self, value: u128) -> u128 {
        (value & self.largest()).checked_shl(u32::from(self.place)).unwrap_or(0)
    }

    /// Whether it takes its carrier whole.
    pub fn is_whole(&self) -> bool {
        self.table.is_none() && u16::from(self.bits) == self.carrier.bits()
    }

    /// A value, or what was given as one, as messages about the policy quote it: not where values are hidden. The place in the
    /// file says which it is.
    pub fn quoted(&self, text: &str) -> String {
        if self.display.hides() { MASK.to_owned() } else { format!("\"{text}\"") }
    }

    /// A value in its canonical text, as it is kept and compared, not as it is shown: a label behind a table, else its name, else an address where the field is a
    /// whole address, else a decimal number.
    pub fn text(&self, tables: &[PrefixTable], value: u128) -> String {
        let mut text = String::new();
        self.write_text(tables, value, &mut text);
        text
    }

    /// Appends [`Field::text`].
    pub fn write_text(&self, tables: &[PrefixTable], value: u128, text: &mut String) {
        if let Some(table) = self.table.and_then(|table| tables.get(table)) {
            text.push_str(
                u32::try_from(value).ok().and_then(|number| table.label(number)).unwrap_or_default(),
            );
            return;
        }
        if let Some(name) = self.values.name(value) {
            text.push_str(name);
            return;
        }
        // Writing to a string cannot fail.
        let _ = match self.carrier {
            carrier if carrier.family() == Some(true) && self.is_whole() => {
                let mut digits = Digits::default();
                for (nth, byte) in value.to_le_bytes().into_iter().take(4).enumerate() {
                    if nth > 0 {
                        digits.byte(b'.');
                    }
                    digits.number(byte.into());
                }
                digits.append_to(text);
                Ok(())
            }
            carrier if carrier.family() == Some(false) && self.is_whole() => {
                write!(text, "{}", Ipv6Addr::from_bits(value))
            }
            carrier if carrier.is_mac() && self.is_whole() => {
                let [.., a, b, c, d, e, f] = value.to_be_bytes();
                write!(text, "{}", mac_text([a, b, c, d, e, f]))
            }
            _ => match u64::try_from(value) {
                Ok(value) => {
                    let mut digits = Digits::default();
                    digits.number(value);
                    digits.append_to(text);
                    Ok(())
                }
                Err(_) => write!(text, "{value}"),
            },
        };
    }
}

/// A MAC address as the policy writes it.
pub fn mac_text(mac: [u8; 6]) -> String {
    let [a, b, c, d, e, f] = mac;
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}
