//! Facts to the canonical key: each field is taken from its carrier, cut to its bits, translated by
//! its prefix table if it has one, and put at its place in 128 bits. Fields are laid out in schema
//! order, so that equal values give equal keys on every node (requirement `prop.deterministic`).

use crate::access::Packet;
use crate::carrier;
use crate::config::FieldConfig;
use crate::headers::{FIELDS, Headers, found};
use crate::hint::rare;
use crate::prefix;
use crate::seeded::bug;
use crate::tables::Tables;

/// A canonical key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Present fields at their places, most significant half first.
    pub key: [u64; 2],
    /// Bit `i` is set when field `i` has a value.
    pub present: u8,
}

/// The key of a packet with these headers; notes the fields' values as extracted in `fields`, if asked.
#[inline(always)]
pub fn extract<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    headers: &Headers,
    fields: Option<&mut [[u64; 2]; FIELDS]>,
) -> Key {
    extract_some(packet, tables, headers, u8::MAX, fields)
}

/// [`extract`] of the fields whose bits are set in `some`, a constant of the program.
#[inline(always)]
pub fn extract_some<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    headers: &Headers,
    some: u8,
    mut fields: Option<&mut [[u64; 2]; FIELDS]>,
) -> Key {
    let mut sum = Key { key: [0, 0], present: 0 };
    // Written out, not a loop: each field's branches are constant for the verifier.
    if some & 1 != 0 {
        field::<0, P, T>(packet, tables, headers, &mut fields, &mut sum);
    }
    if some & 2 != 0 {
        field::<1, P, T>(packet, tables, headers, &mut fields, &mut sum);
    }
    if some & 4 != 0 {
        field::<2, P, T>(packet, tables, headers, &mut fields, &mut sum);
    }
    if some & 8 != 0 {
        field::<3, P, T>(packet, tables, headers, &mut fields, &mut sum);
    }
    sum
}

#[inline(always)]
fn field<const I: usize, P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    headers: &Headers,
    fields: &mut Option<&mut [[u64; 2]; FIELDS]>,
    sum: &mut Key,
) {
    let field = &tables.config().fields[0][I];
    if field.carrier == 0 {
        return;
    }
    if I > 0 {
        rare();
    }
    let Some(whole) = carrier::read(packet, headers, field.carrier) else {
        return;
    };
    place::<I, T>(tables, headers.has(found::IPV4), field, whole, fields, sum);
}

/// Cuts the value of field `I` out of its carrier's, translates it, and puts it at its place in the key.
#[inline(always)]
pub(crate) fn place<const I: usize, T: Tables>(
    tables: &T,
    v4: bool,
    field: &FieldConfig,
    whole: [u64; 2],
    fields: &mut Option<&mut [[u64; 2]; FIELDS]>,
    sum: &mut Key,
) {
    let mut note = |value| {
        if let Some(fields) = fields {
            fields[I] = value;
        }
    };
    if field.narrow != 0 {
        let value = (whole[1] >> (field.shift & 63)) & field.mask[1];
        note([0, value]);
        // Constant for the verifier, like every branch on the field's configuration.
        if field.place < 64 {
            sum.key[1] |= value << field.place;
        } else {
            sum.key[0] |= value << (field.place & 63);
        }
        sum.present |= 1 << I;
        return;
    }
    rare();
    let raw = cut(whole, field);
    note(raw);
    let value = if field.through_table != 0 {
        let number = if v4 {
            prefix::find4(tables, &field.prefixes, raw[1] as u32)
        } else {
            prefix::find6(tables, &field.prefixes, raw)
        };
        if number == 0 {
            return;
        }
        [0, number as u64]
    } else {
        raw
    };
    let placed = shift_left(value, field.place);
    sum.key[0] |= placed[0];
    sum.key[1] |= placed[1];
    sum.present |= 1 << I;
}

/// The wanted bits of a carrier's value, right-aligned.
#[inline(always)]
fn cut(value: [u64; 2], field: &FieldConfig) -> [u64; 2] {
    let [high, low] = value;
    let by = field.shift as u32;
    let [high, low] = if by == 0 {
        [high, low]
    } else if by < 64 {
        // Two shifts in place of one by 64 - by keep the amount in range for any `by`.
        [high >> by, (low >> by) | bug!(Extract, (high << 1) << (63 - by), 0)]
    } else {
        [0, high >> (by & 63)]
    };
    [high & field.mask[0], low & field.mask[1]]
}

/// A 128-bit left shift by 0 to 127.
#[inline(always)]
fn shift_left(value: [u64; 2], by: u8) -> [u64; 2] {
    let [high, low] = value;
    let by = by as u32;
    if by == 0 {
        [high, low]
    } else if by < 64 {
        [(high << by) | ((low >> 1) >> (63 - by)), low << by]
    } else {
        [low << (by & 63), 0]
    }
}
