//! Several versions of the schema at once: each is another, together they fit the packet path, and their dates make sense.

use std::collections::BTreeMap;

use keysteer_common::headers::{ALL_LEVELS, SCHEMAS};

use crate::policy::document::RawSchema;
use crate::policy::model::{Field, Schema};
use crate::policy::reader::At;

use super::Checker;

/// A schema of the fields and levels that were found good.
pub(super) fn schema(
    version: u8,
    fields: Vec<Field>,
    levels: Vec<Vec<usize>>,
    raw: &RawSchema<'_>,
) -> Schema {
    Schema {
        version,
        fields,
        levels,
        since: raw.since.as_ref().map(|since| since.value),
        deprecated: raw.deprecated.as_ref().map(|deprecated| deprecated.value),
        dual_accept: raw.dual_accept.as_ref().map(|span| span.value),
        at: raw.version.at,
    }
}

/// Checks the schemas against each other. `found` are those of `raw` that are right by themselves.
pub(super) fn check(checker: &mut Checker<'_>, raw: &At<Vec<RawSchema<'_>>>, found: &[Schema]) {
    let schemas = &raw.value;
    if schemas.len() > SCHEMAS {
        let problem = format!(
            "{} versions are too many: at most {SCHEMAS} can be accepted at once; take out one that nobody sends any more",
            schemas.len()
        );
        checker.error(raw.at, "spec.schemas", problem);
    }
    let mut known: BTreeMap<u32, u32> = BTreeMap::new();
    for (at, schema) in schemas.iter().enumerate() {
        let version = &schema.version;
        if let Some(line) = known.insert(version.value, version.at.line) {
            let problem = format!(
                "version {} is declared in line {line} already: each schema is another version",
                version.value
            );
            checker.error(version.at, format_args!("spec.schemas[{at}].version"), problem);
        }
        dates(checker, schema, at);
    }
    since(checker, schemas);
    let levels: usize = found.iter().map(|schema| schema.levels.len()).sum();
    if levels > ALL_LEVELS {
        let each: Vec<String> =
            found.iter().map(|it| format!("{} of version {}", it.levels.len(), it.version)).collect();
        let problem = format!(
            "{levels} levels ({}) are too many together: at most {ALL_LEVELS} are possible; leave out levels that no key is of",
            each.join(", ")
        );
        checker.error(raw.at, "spec.schemas", problem);
    }
}

fn dates(checker: &mut Checker<'_>, schema: &RawSchema<'_>, at: usize) {
    if let (Some(since), Some(deprecated)) = (&schema.since, &schema.deprecated)
        && deprecated.value <= since.value
    {
        let problem = format!("is not after {}, since when the version is accepted", since.value);
        checker.error(deprecated.at, format_args!("spec.schemas[{at}].deprecated"), problem);
    }
}

/// How long versions were accepted together is only known when all say since when they are.
fn since(checker: &mut Checker<'_>, schemas: &[RawSchema<'_>]) {
    let Some(guarded) = schemas.iter().find(|schema| schema.dual_accept.is_some()) else { return };
    for (at, schema) in schemas.iter().enumerate().filter(|(_, schema)| schema.since.is_none()) {
        let problem = format!(
            "is required but missing: dualAccept of version {} is counted from the day since when two versions are accepted; write since: 2026-01-31",
            guarded.version.value
        );
        checker.error(schema.version.at, format_args!("spec.schemas[{at}].since"), problem);
    }
}
