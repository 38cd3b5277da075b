//! The schema to the constants that extraction and resolution run on.

use keysteer_common::config::{FieldConfig, LevelConfig, PrefixTable};
use keysteer_common::headers::{FIELDS, LEVELS};

use crate::policy::{Field, Schema};

/// A 128-bit number as `common` holds it: most significant half first.
pub(super) fn halves(value: u128) -> [u64; 2] {
    [(value >> 64) as u64, value as u64]
}

/// The fields, in schema order.
pub(super) fn fields(schema: &Schema, tables: &[PrefixTable]) -> [FieldConfig; FIELDS] {
    let mut configs = [FieldConfig::default(); FIELDS];
    for (config, field) in configs.iter_mut().zip(&schema.fields) {
        *config = match field.table.and_then(|table| tables.get(table)) {
            // The whole address is looked up; its number takes the field's place.
            Some(table) => FieldConfig {
                prefixes: *table,
                mask: [u64::MAX; 2],
                through_table: 1,
                carrier: field.carrier as u8,
                place: field.place,
                ..FieldConfig::default()
            },
            None => FieldConfig {
                mask: halves(field.largest()),
                carrier: field.carrier as u8,
                shift: field.carrier.bits().saturating_sub(field.offset).saturating_sub(field.bits),
                place: field.place,
                narrow: u8::from(is_narrow(field)),
                ..FieldConfig::default()
            },
        };
    }
    configs
}

/// Whether a field can be cut and placed with 64-bit words: see [`FieldConfig::narrow`].
fn is_narrow(field: &Field) -> bool {
    let place = u32::from(field.place);
    field.carrier.bits() <= 64 && (place >= 64 || place + u32::from(field.bits) <= 64)
}

/// The bits of the key that belong to a level.
pub(super) fn mask(schema: &Schema, level: &[usize]) -> u128 {
    let fields = level.iter().filter_map(|at| schema.fields.get(*at));
    fields.fold(0, |mask, field: &Field| mask | field.placed(field.largest()))
}

/// The levels, each with its multipliers.
pub(super) fn levels(schema: &Schema, multipliers: &[[u64; 2]; LEVELS]) -> [LevelConfig; LEVELS] {
    let mut configs = [LevelConfig::default(); LEVELS];
    for ((config, level), multipliers) in configs.iter_mut().zip(&schema.levels).zip(multipliers) {
        *config = LevelConfig {
            mask: halves(mask(schema, level)),
            multipliers: *multipliers,
            fields: level.iter().filter(|field| **field < FIELDS).fold(0, |bits, field| bits | 1 << field),
            ..LevelConfig::default()
        };
    }
    configs
}
