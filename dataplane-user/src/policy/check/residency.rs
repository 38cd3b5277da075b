//! Residency: a key that has a region goes to a pool of that region, and to no other.

use crate::policy::diagnostic::Problem;
use crate::policy::document::Document;
use crate::policy::model::{Field, Policy, Pool, PrefixTable, Schema};
use crate::policy::reader::At;

use super::spelling::canonical;
use super::{Checker, Names};

/// What keys are checked against. Regions are compared by their canonical texts, which all schemas have in common.
#[derive(Debug, Default)]
pub(super) struct Residency {
    /// The name of the field that is the region.
    pub(super) field: Option<String>,
    /// That field in each schema that has it.
    fields: Vec<Field>,
    tables: Vec<PrefixTable>,
    /// By pool: whether its region is wrong, which was said.
    wrong: Vec<bool>,
}

impl Residency {
    /// A region in canonical text: any text, where no field is the region.
    pub(super) fn canonical(&self, text: &At<&str>) -> Result<String, Problem> {
        let mut first = None;
        for field in &self.fields {
            match canonical(field, &self.tables, text) {
                Ok(region) => return Ok(region),
                Err(problem) => first = first.or(Some(problem)),
            }
        }
        first.map_or_else(|| Ok(text.value.to_owned()), Err)
    }

    /// A region as messages about the policy quote it: see [`Field::quoted`].
    pub(super) fn quoted(&self, region: &str) -> String {
        self.fields.first().map_or_else(|| format!("\"{region}\""), |field| field.quoted(region))
    }
}

/// Resolves the field that is the region, and brings the regions of pools into the form of its values.
pub(super) fn check(
    checker: &mut Checker<'_>,
    document: &Document<'_>,
    schemas: &[Schema],
    tables: &[PrefixTable],
    pools: &mut [Pool],
) -> Residency {
    let field = document.residency.as_ref().and_then(|name| {
        let mut names = Names::default();
        for field in schemas.iter().flat_map(|schema| &schema.fields) {
            let index = names.list.len();
            names.by_name.entry(&field.name).or_insert_with(|| {
                names.list.push((&field.name, name.at));
                index
            });
        }
        checker.resolve(&names, "field", name, "spec.residency.field").map(|_| name.value.to_owned())
    });
    let is = |other: &&Field| field.as_ref() == Some(&other.name);
    let fields: Vec<Field> = schemas.iter().flat_map(|schema| &schema.fields).filter(is).cloned().collect();
    let used = fields.iter().any(|field| field.table.is_some());
    let tables = if used { tables.to_vec() } else { Vec::new() };
    let mut residency = Residency { field, fields, tables, wrong: vec![false; pools.len()] };
    for (index, (pool, raw)) in pools.iter_mut().zip(&document.pools).enumerate() {
        let Some(text) = &raw.region else { continue };
        match residency.canonical(text) {
            Ok(region) => pool.region = Some(region.into()),
            Err(problem) => {
                checker.error(text.at, format_args!("spec.pools[{index}].region"), problem);
                residency.wrong.get_mut(index).into_iter().for_each(|wrong| *wrong = true);
            }
        }
    }
    if let (Some(name), Some(_)) = (&document.residency, &residency.field)
        && document.pools.iter().all(|pool| pool.region.is_none())
    {
        checker.warn(
            name.at,
            "spec.residency",
            "no pool has a region, so no key that has one can go anywhere",
        );
    }
    residency
}

/// What is wrong with a key of region `key` in a pool, if anything.
pub(super) fn misplaced(residency: &Residency, pool: (usize, &Pool), key: &str) -> Option<Problem> {
    let (index, pool) = pool;
    let quoted = |region: &str| residency.quoted(region);
    match &pool.region {
        // The pool's region is wrong, and that is reported.
        _ if residency.wrong.get(index).copied().unwrap_or(false) => None,
        Some(region) if **region == *key => None,
        Some(other) => Some(
            format!(
                "the key's region is {}, that of pool \"{}\" is {}: it may not leave its region",
                quoted(key),
                pool.name,
                quoted(other)
            )
            .into(),
        ),
        None => Some(
            format!(
                "the key's region is {}, and pool \"{}\" has none: give the pool a region, or the key another pool",
                quoted(key),
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
