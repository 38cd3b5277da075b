//! What is exported of the versions of the schema.

use std::collections::BTreeMap;
use std::fmt;

use keysteer_common::account::Counter;

use super::families::{Families, In};
use crate::counters::Snapshot;
use crate::image::Names;

/// Writes the families.
pub(super) fn encode(families: &mut Families<'_>, names: &Names, snapshot: &Snapshot) -> fmt::Result {
    let mut counted: BTreeMap<u8, Counter> = snapshot.versions.clone();
    if names.schemas.len() > 1 {
        // At 0 too, so that a version's first increment is seen.
        for schema in &names.schemas {
            counted.entry(schema.version).or_default();
        }
    }
    let counted: Vec<(String, Counter)> =
        counted.into_iter().map(|(version, counter)| (version.to_string(), counter)).collect();
    let rows = || counted.iter().map(|(version, counter)| ([("version", version.as_str())], counter));
    families.counters(
        (
            "schema",
            In::Packets,
            "Frames of registered keys, by the version of the schema that they were read by",
        ),
        rows().map(|(labels, counter)| (labels, counter.packets)),
    )?;
    families.counters(
        (
            "schema",
            In::Bytes,
            "Bytes of registered keys, by the version of the schema that they were read by",
        ),
        rows().map(|(labels, counter)| (labels, counter.bytes)),
    )?;
    let deprecated: Vec<(String, u64)> = names
        .schemas
        .iter()
        .filter_map(|schema| Some((schema.version.to_string(), schema.deprecated?.begin().millis() / 1000)))
        .collect();
    families.gauges(
        (
            "schema_deprecated_timestamp",
            In::Seconds,
            "From when on nobody should send a version of the schema that is accepted, since 1970",
        ),
        deprecated.iter().map(|(version, at)| ([("version", version.as_str())], *at)),
    )
}
