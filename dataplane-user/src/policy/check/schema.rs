//! The schemas: fields fit their carriers and 128 bits, levels go from the most specific to the least.

use keysteer_common::carrier::Carrier;
use keysteer_common::headers::{FIELDS, LEVELS};

use crate::display::Display;
use crate::policy::diagnostic::Problem;
use crate::policy::document::{RawField, RawSchema, RawTable};
use crate::policy::model::{Field, PrefixTable, Schema};
use crate::policy::reader::At;
use crate::policy::value_map::ValueMap;

use super::tables::Displays;
use super::{Checker, Names, carriers, normalise, versions};

/// The bits of the key that a field behind a prefix table takes.
const LABEL_BITS: u8 = 32;
/// The bits of a key.
const KEY_BITS: u32 = 128;

pub(super) fn check(
    checker: &mut Checker<'_>,
    schemas: &At<Vec<RawSchema<'_>>>,
    raw_tables: &[RawTable<'_>],
    tables: &[PrefixTable],
    displays: &Displays<'_>,
) -> Option<Vec<Schema>> {
    let mut used = vec![false; tables.len()];
    let mut found = Vec::with_capacity(schemas.value.len());
    for (at, raw) in schemas.value.iter().enumerate() {
        let place = format!("spec.schemas[{at}]");
        let Some(fields) = fields(checker, raw, &place, (raw_tables, tables), displays) else { continue };
        for table in fields.iter().filter_map(|field| field.table) {
            used.get_mut(table).into_iter().for_each(|used| *used = true);
        }
        let Some(levels) = levels(checker, raw, &place, &fields) else { continue };
        let Ok(version) = u8::try_from(raw.version.value) else { continue };
        found.push(versions::schema(version, fields, levels, raw));
    }
    let whole = found.len() == schemas.value.len();
    for (table, _) in raw_tables.iter().zip(&used).filter(|(_, used)| whole && !**used) {
        checker.warn(
            table.name.at,
            format_args!("spec.prefixTables.{}", table.name.value),
            "no field uses the table",
        );
    }
    versions::check(checker, schemas, &found);
    whole.then_some(found)
}

fn fields(
    checker: &mut Checker<'_>,
    schema: &RawSchema<'_>,
    place: &str,
    (raw_tables, tables): (&[RawTable<'_>], &[PrefixTable]),
    displays: &Displays<'_>,
) -> Option<Vec<Field>> {
    let raw = &schema.fields;
    checker.unique(
        &format!("{}.fields", place.trim_start_matches("spec.")),
        raw.value.iter().map(|field| (field.name.value.as_str(), field.name.at)),
    );
    if raw.value.len() > FIELDS {
        checker.error(
            raw.at,
            format_args!("{place}.fields"),
            format!("{} fields are too many: at most {FIELDS} are possible", raw.value.len()),
        );
    }
    let mut table_names = Names::default();
    for (index, table) in raw_tables.iter().enumerate() {
        table_names.by_name.insert(&table.name.value, index);
        table_names.list.push((&table.name.value, table.name.at));
    }
    let mut fields = Vec::new();
    for (index, field) in raw.value.iter().enumerate() {
        let place = format!("{place}.fields[{index}]");
        let display = displays.field(&field.name.value);
        let found = field_of(checker, field, &place, (&table_names, tables), display);
        fields.extend(found.and_then(|it| normalise::field(checker, field, &place, it)));
    }
    if fields.len() != raw.value.len() {
        return None;
    }
    let bits: u32 = fields.iter().map(|field| u32::from(field.bits)).sum();
    if bits > KEY_BITS {
        checker.error(
            raw.at,
            format_args!("{place}.fields"),
            format!(
                "the fields take {bits} bits together, at most {KEY_BITS} are possible: take a range with bits, or a prefix table ({LABEL_BITS} bits)"
            ),
        );
        return None;
    }
    let mut place = 0;
    for field in fields.iter_mut().rev() {
        field.place = place;
        place += field.bits;
    }
    (fields.len() <= FIELDS).then_some(fields)
}

fn field_of(
    checker: &mut Checker<'_>,
    raw: &RawField<'_>,
    place: &str,
    (table_names, tables): (&Names<'_>, &[PrefixTable]),
    display: Display,
) -> Option<Field> {
    let path = |field: &str| format!("{place}.{field}");
    let Some(carrier) = Carrier::ALL.iter().copied().find(|carrier| carrier.name() == raw.from.value) else {
        let known = Carrier::ALL.iter().map(|carrier| carrier.name());
        checker.error(raw.from.at, path("from"), Problem::unknown("carrier", raw.from.value, known));
        return None;
    };
    let (which, signed) = carriers::which(checker, raw, carrier, &path)?;
    let Some(name) = &raw.table else {
        if carrier.needs_table() {
            checker.error(
                raw.from.at,
                path("from"),
                format!(
                    "{} is an address of either family and needs a prefix table: add table, or take {} or {}",
                    carrier.name(),
                    carrier.name().replace("ip.", "ipv4."),
                    carrier.name().replace("ip.", "ipv6.")
                ),
            );
            return None;
        }
        let (offset, bits) = carriers::range(checker, raw, carrier, signed, &path)?;
        return Some(Field {
            name: raw.name.value.clone(),
            carrier,
            which,
            signed,
            offset,
            bits,
            place: 0,
            table: None,
            mask: u128::MAX,
            values: ValueMap::default(),
            display,
        });
    };
    if !carrier.is_address() {
        checker.error(
            name.at,
            path("table"),
            format!("{} is not an address: it takes no prefix table", carrier.name()),
        );
        return None;
    }
    if let Some(range) = &raw.bits {
        checker.error(range.at, path("bits"), "a field behind a prefix table takes the whole address");
        return None;
    }
    let at = checker.resolve(table_names, "prefix table", name, path("table"))?;
    one_family(checker, carrier, tables.get(at), name, &path("table"));
    Some(Field {
        name: raw.name.value.clone(),
        carrier,
        which: 0,
        signed: false,
        offset: 0,
        bits: LABEL_BITS,
        place: 0,
        table: Some(at),
        mask: u128::MAX,
        values: ValueMap::default(),
        display,
    })
}

/// Warns when a table has no prefix of the only family that the carrier has.
fn one_family(
    checker: &mut Checker<'_>,
    carrier: Carrier,
    table: Option<&PrefixTable>,
    name: &At<&str>,
    field: &str,
) {
    let has = |v4: bool| {
        table.is_some_and(|table| table.prefixes.iter().any(|(net, _)| net.addr().is_ipv4() == v4))
    };
    let Some(v4) = carrier.family().filter(|v4| !has(*v4)) else { return };
    let family = if v4 { "IPv4" } else { "IPv6" };
    checker.warn(
        name.at,
        field,
        format!("the table has no {family} prefix, so the field will never have a value: {}", carrier.name()),
    );
}

fn levels(
    checker: &mut Checker<'_>,
    schema: &RawSchema<'_>,
    place: &str,
    fields: &[Field],
) -> Option<Vec<Vec<usize>>> {
    let Some(raw) = &schema.levels else {
        return Some(vec![(0..fields.len()).collect()]);
    };
    let mut names = Names::default();
    for (index, field) in fields.iter().enumerate() {
        names.by_name.insert(&field.name, index);
        names.list.push((&field.name, schema.fields.at));
    }
    if raw.value.len() > LEVELS {
        checker.error(
            raw.at,
            format_args!("{place}.levels"),
            format!("{} levels are too many: at most {LEVELS} are possible", raw.value.len()),
        );
        return None;
    }
    let mut levels: Vec<Vec<usize>> = Vec::new();
    let mut sound = true;
    for (index, level) in raw.value.iter().enumerate() {
        let mut members = Vec::new();
        for (nth, name) in level.value.iter().enumerate() {
            let path = format!("{place}.levels[{index}][{nth}]");
            match checker.resolve(&names, "field", name, &path) {
                Some(field) if members.contains(&field) => {
                    checker.error(name.at, path, format!("the level lists \"{}\" twice", name.value));
                    sound = false;
                }
                Some(field) => members.push(field),
                None => sound = false,
            }
        }
        members.sort_unstable();
        let shadow = levels.iter().position(|earlier| earlier.iter().all(|field| members.contains(field)));
        if let Some(earlier) = shadow.filter(|_| sound) {
            let same = levels.get(earlier).is_some_and(|earlier| earlier.len() == members.len());
            let problem = if same {
                format!("the same as level {earlier}")
            } else {
                format!(
                    "never decides where level {earlier}, which has some of its fields, does: list the most specific level first"
                )
            };
            checker.error(level.at, format_args!("{place}.levels[{index}]"), problem);
            sound = false;
        }
        levels.push(members);
    }
    for (index, field) in schema.fields.value.iter().enumerate() {
        if sound && !levels.iter().any(|level| level.contains(&index)) {
            checker.warn(
                field.name.at,
                format_args!("{place}.fields[{index}]"),
                "no level has the field, so it decides nothing",
            );
        }
    }
    sound.then_some(levels)
}
