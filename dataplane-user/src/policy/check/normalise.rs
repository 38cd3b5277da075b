//! What a field makes of what it reads: the bits that count, and the names of its values.

use std::collections::BTreeMap;

use crate::policy::document::RawField;
use crate::policy::model::Field;
use crate::policy::value_map::{MAPPED, ValueMap};

use super::Checker;

/// The field with its mask and its names; `None` where they are wrong.
pub(super) fn field(
    checker: &mut Checker<'_>,
    raw: &RawField<'_>,
    place: &str,
    field: Field,
) -> Option<Field> {
    let at = raw.mask.as_ref().map(|mask| mask.at);
    let at = at.map(|at| (at, "mask")).or(raw.values.first().map(|(name, _)| (name.at, "values")));
    if let Some((at, what)) = at
        && field.table.is_some()
    {
        let problem = "goes with a number alone: this field is the label that its prefix table has";
        checker.error(at, format_args!("{place}.{what}"), problem);
        return None;
    }
    let field = masked(checker, raw, place, field)?;
    named(checker, raw, place, field)
}

fn masked(checker: &mut Checker<'_>, raw: &RawField<'_>, place: &str, mut field: Field) -> Option<Field> {
    let Some(mask) = &raw.mask else { return Some(field) };
    let (largest, bits) = (field.largest(), field.bits);
    let problem = match mask.value {
        0 => "leaves nothing of the field: give it a bit at least".to_owned(),
        mask if mask > largest => {
            format!("0x{mask:x} has bits beyond the {bits} of the field: at most 0x{largest:x} is possible")
        }
        mask => {
            field.mask = mask;
            return Some(field);
        }
    };
    checker.error(mask.at, format_args!("{place}.mask"), problem);
    None
}

fn named(checker: &mut Checker<'_>, raw: &RawField<'_>, place: &str, mut field: Field) -> Option<Field> {
    let mut names: Vec<(String, Vec<u128>)> = Vec::with_capacity(raw.values.len());
    let mut taken: BTreeMap<u128, &str> = BTreeMap::new();
    let mut sound = true;
    for (name, values) in &raw.values {
        for value in values {
            let problem = match taken.insert(value.value, name.value) {
                Some(other) => Some(format!("{} is called \"{other}\" already", value.value)),
                None => unreadable(&field, value.value),
            };
            let Some(problem) = problem else { continue };
            sound = false;
            if field.display.hides() {
                let how = field.display.name();
                let problem = format!(
                    "a value has two names, or no packet has it there (display is {how}: it is not shown)"
                );
                checker.error(value.at, format_args!("{place}.values"), problem);
            } else {
                checker.error(value.at, format_args!("{place}.values.{}", name.value), problem);
            }
        }
        names.push((name.value.to_owned(), values.iter().map(|value| value.value).collect()));
    }
    if let Some((name, _)) = raw.values.first()
        && taken.len() > MAPPED
    {
        let problem = format!(
            "{} values have names: at most {MAPPED} can, and a prefix table has no such bound",
            taken.len()
        );
        checker.error(name.at, format_args!("{place}.values"), problem);
        sound = false;
    }
    field.values = ValueMap::new(names);
    sound.then_some(field)
}

/// Why a field never has this value, if so.
pub(super) fn unreadable(field: &Field, value: u128) -> Option<String> {
    if value > field.largest() {
        return Some(format!(
            "{value} does not fit the {} bits of the field: at most {} does",
            field.bits,
            field.largest()
        ));
    }
    (value & !field.mask != 0).then(|| {
        let mask = field.mask;
        format!(
            "no packet has {value} there: of what is read the mask 0x{mask:x} leaves 0x{:x}",
            value & mask
        )
    })
}
