//! Residency: a key that has a region goes to a pool of that region, and to no other.

use std::sync::Arc;

use crate::policy::diagnostic::Problem;
use crate::policy::document::Document;
use crate::policy::model::{Field, Policy, Pool, PrefixTable, Schema};

use super::keys::{plain_value, unknown_label};
use super::{Checker, Names};

/// A region, in the form in which two are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Region {
    /// The value of the field that is the region.
    Value(u128),
    /// Any text, where no field is.
    Text(Arc<str>),
}

/// What keys are checked against.
#[derive(Debug, Default)]
pub(super) struct Residency {
    /// The field that is the region.
    pub(super) field: Option<usize>,
    /// By pool: its region.
    pub(super) pools: Vec<Option<Region>>,
}

/// Resolves the field that is the region, and brings the regions of pools into the form of its values.
pub(super) fn check(
    checker: &mut Checker<'_>,
    document: &Document<'_>,
    schema: &Schema,
    tables: &[PrefixTable],
    pools: &mut [Pool],
) -> Residency {
    let field = document.residency.as_ref().and_then(|name| {
        let mut names = Names::default();
        for (index, field) in schema.fields.iter().enumerate() {
            names.by_name.insert(&field.name, index);
            names.list.push((&field.name, name.at));
        }
        checker.resolve(&names, "field", name, "spec.residency.field")
    });
    let named = field.and_then(|at| schema.fields.get(at));
    let mut regions = Vec::with_capacity(pools.len());
    for (index, (pool, raw)) in pools.iter_mut().zip(&document.pools).enumerate() {
        regions.push(raw.region.as_ref().and_then(|text| match named {
            None => Some(Region::Text(text.value.into())),
            Some(field) => match value(field, tables, text.value) {
                Ok(value) => {
                    pool.region = Some(field.text(tables, value).into());
                    Some(Region::Value(value))
                }
                Err(problem) => {
                    checker.error(text.at, format_args!("spec.pools[{index}].region"), problem);
                    None
                }
            },
        }));
    }
    if let (Some(name), Some(_)) = (&document.residency, field)
        && document.pools.iter().all(|pool| pool.region.is_none())
    {
        checker.warn(
            name.at,
            "spec.residency",
            "no pool has a region, so no key that has one can go anywhere",
        );
    }
    Residency { field, pools: regions }
}

fn value(field: &Field, tables: &[PrefixTable], text: &str) -> Result<u128, Problem> {
    match field.table.and_then(|at| tables.get(at)) {
        Some(table) => table.number(text).map(u128::from).ok_or_else(|| unknown_label(field, table, text)),
        None => plain_value(field, text),
    }
}

/// What is wrong with a key of region `key` in a pool, if anything. `text` is the key's region as people know it, and
/// `field` the one that it is a value of.
pub(super) fn misplaced(
    residency: &Residency,
    field: Option<&Field>,
    pool: (usize, &Pool),
    key: &Region,
    text: &str,
) -> Option<Problem> {
    let (index, pool) = pool;
    let quoted = |text: &str| field.map_or_else(|| format!("\"{text}\""), |field| field.quoted(text));
    match (residency.pools.get(index), &pool.region) {
        (Some(Some(region)), _) if region == key => None,
        (Some(Some(_)), Some(other)) => Some(
            format!(
                "the key's region is {}, that of pool \"{}\" is {}: it may not leave its region",
                quoted(text),
                pool.name,
                quoted(other)
            )
            .into(),
        ),
        // The pool's region is wrong, and that is reported.
        (_, Some(_)) => None,
        (_, None) => Some(
            format!(
                "the key's region is {}, and pool \"{}\" has none: give the pool a region, or the key another pool",
                quoted(text),
                pool.name
            )
            .into(),
        ),
    }
}

/// Warns of what guards nothing.
pub(super) fn guards(checker: &mut Checker<'_>, document: &Document<'_>, policy: &Policy) {
    let vip = policy.keys.iter().find(|key| key.vip);
    let mut ranks = policy.tiers.iter().map(|tier| tier.rank);
    let first = ranks.next().unwrap_or(0);
    if let Some(key) = vip.filter(|_| ranks.all(|rank| rank == first)) {
        let problem = format!(
            "\"{}\" is a VIP, and no tier has a lower rank than another: give tiers a rank",
            key.name
        );
        let at = document.tiers.first().map_or(document.schemas.at, |tier| tier.name.at);
        checker.warn(at, "spec.tiers", problem);
    }
    let used: std::collections::BTreeSet<usize> =
        policy.pools.iter().flat_map(|pool| pool.shards.iter().copied()).collect();
    for (name, budget) in [("keys", &document.blast_radius.keys), ("traffic", &document.blast_radius.traffic)]
    {
        let Some(budget) = budget else { continue };
        let shards = used.len();
        if shards > 0 && budget.value.as_f64() * (shards as f64) < 0.999_99 {
            let problem = format!(
                "{} is less than each of {shards} shards has when all have the same: at least one will have more",
                budget.value
            );
            checker.warn(budget.at, format_args!("spec.blastRadius.{name}"), problem);
        }
    }
}
