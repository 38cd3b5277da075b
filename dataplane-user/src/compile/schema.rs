//! The schema to the constants that parsing, extraction and resolution run on.

use keysteer_common::carrier::Carrier;
use keysteer_common::config::{FieldConfig, LevelConfig, PrefixTable, SchemaConfig, reads};
use keysteer_common::headers::FIELDS;

use crate::policy::{Field, Schema};

/// A 128-bit number as `common` holds it: most significant half first.
pub(super) fn halves(value: u128) -> [u64; 2] {
    [(value >> 64) as u64, value as u64]
}

/// The fields, in schema order.
pub(super) fn fields(schema: &Schema, tables: &[PrefixTable]) -> [FieldConfig; FIELDS] {
    let mut configs = [FieldConfig::default(); FIELDS];
    for (config, field) in configs.iter_mut().zip(&schema.fields) {
        let common = FieldConfig {
            carrier: field.carrier as u8,
            place: field.place,
            which: field.which,
            signed: field.signed.into(),
            ..FieldConfig::default()
        };
        *config = match field.table.and_then(|table| tables.get(table)) {
            // The whole address is looked up; its number takes the field's place.
            Some(table) => FieldConfig { prefixes: *table, mask: [u64::MAX; 2], through_table: 1, ..common },
            None => {
                let read = Read::of(field);
                FieldConfig {
                    mask: halves(field.largest() & field.mask),
                    shift: read.shift,
                    narrow: u8::from(read.bits <= 64 && is_in_one_half(field)),
                    from: read.from,
                    length: read.length,
                    ..common
                }
            }
        };
    }
    configs
}

/// How a field's bits are had from its carrier.
struct Read {
    /// First byte, of a carrier whose bytes are read as far as they are asked for; else 0.
    from: u8,
    /// How many bytes, of such a carrier; else 0.
    length: u8,
    /// How many bits are read.
    bits: u16,
    /// Right shift that leaves the field's.
    shift: u8,
}

impl Read {
    fn of(field: &Field) -> Self {
        let end = field.offset + u16::from(field.bits);
        if !field.carrier.is_variable() || field.signed {
            let bits = if field.signed { Carrier::ShimKey.bits() } else { field.carrier.bits() };
            return Self { from: 0, length: 0, bits, shift: bits.saturating_sub(end) as u8 };
        }
        let (from, past) = (field.offset / 8, end.div_ceil(8));
        let bits = (past - from) * 8;
        Self { from: from as u8, length: (past - from) as u8, bits, shift: (past * 8 - end) as u8 }
    }
}

/// Whether the fields take more than the lower half of the key.
pub(super) fn is_wide(schema: &Schema) -> bool {
    schema.fields.iter().map(|field| u32::from(field.bits)).sum::<u32>() > 64
}

/// Whether the field's place is in one half of the key: with a carrier of at most 64 bits, see [`FieldConfig::narrow`].
fn is_in_one_half(field: &Field) -> bool {
    let place = u32::from(field.place);
    place >= 64 || place + u32::from(field.bits) <= 64
}

/// The bits of the key that belong to a level.
pub(super) fn mask(schema: &Schema, level: &[usize]) -> u128 {
    let fields = level.iter().filter_map(|at| schema.fields.get(*at));
    fields.fold(0, |mask, field: &Field| mask | field.placed(field.largest()))
}

/// The levels of a schema, without their multipliers.
pub(super) fn levels(schema: &Schema) -> impl Iterator<Item = LevelConfig> {
    schema.levels.iter().map(|level| LevelConfig {
        mask: halves(mask(schema, level)),
        fields: level.iter().filter(|field| **field < FIELDS).fold(0, |bits, field| bits | 1 << field),
        ..LevelConfig::default()
    })
}

/// A schema whose levels begin at `first_level`.
pub(super) fn schema(schema: &Schema, first_level: usize) -> SchemaConfig {
    SchemaConfig {
        first_level: first_level as u8,
        levels: schema.levels.len() as u8,
        fields: schema.fields.len() as u8,
        version: schema.version,
        verify: schema.is_signed().into(),
        ..SchemaConfig::default()
    }
}

/// What must be parsed beyond the outer headers for the fields of a schema.
pub(super) fn reads(schema: &Schema) -> u32 {
    schema.fields.iter().fold(0, |bits, field| {
        bits | match field.carrier {
            Carrier::MplsLabel => reads::MPLS,
            Carrier::VxlanVni | Carrier::VxlanPolicy => reads::VXLAN,
            Carrier::GeneveVni | Carrier::GeneveOption => reads::GENEVE,
            Carrier::GreKey => reads::GRE,
            Carrier::GtpuTeid => reads::GTPU,
            Carrier::NshSpi | Carrier::NshContext => reads::NSH,
            Carrier::QuicDcid => reads::QUIC,
            carrier if carrier.is_inner() => reads::INNER,
            _ => 0,
        }
    })
}
