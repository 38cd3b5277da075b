//! Whether a document of the right shape makes sense: every name it uses is declared, once; what it
//! declares fits together. All problems are listed. Every check is linear in the document's size.

mod alias;
mod carriers;
mod duplicates;
mod egress;
mod field_value;
mod health;
mod keys;
mod keys_file;
mod normalise;
mod pin;
mod residency;
mod rollout;
mod schema;
mod scope;
mod shards;
mod signing;
mod spelling;
mod tables;
mod trust;
mod versions;

use std::collections::HashMap;
use std::fmt;

use super::ReadKeys;
use super::diagnostic::{Place, PolicyError, Problem, Report};
use super::document::Document;
use super::lint;
use super::model::{BlastRadius, Field, Interface, Policy};
use super::reader::At;
use super::share::Share;

pub(super) use signing::SECRETS;

/// What the checks share: the document's name, and where problems and warnings go.
pub(super) struct Checker<'d> {
    file: &'d str,
    errors: Report,
    warnings: Report,
    /// How many texts look personal or secret.
    findings: u64,
}

impl Checker<'_> {
    /// Something that must be put right.
    fn error(&mut self, at: Place, field: impl fmt::Display, problem: impl Into<Problem>) {
        self.errors.add(self.file, at, field, problem.into());
    }

    /// Something that looks like a slip.
    fn warn(&mut self, at: Place, field: impl fmt::Display, problem: impl Into<Problem>) {
        self.warnings.add(self.file, at, field, problem.into());
    }

    /// A text of `file` that is shown and looks personal or secret.
    fn finding(&mut self, file: &str, at: Place, field: String, problem: String) {
        self.findings += 1;
        self.warnings.add(file, at, field, problem.into());
    }

    /// The index of each name; a name that is declared twice is an error.
    fn unique<'n>(&mut self, list: &str, names: impl Iterator<Item = (&'n str, Place)>) -> Names<'n> {
        let mut found = Names::default();
        for (index, (name, at)) in names.enumerate() {
            match found.by_name.get(name) {
                Some(first) => {
                    let (first, line) = (*first, found.line(*first));
                    self.error(
                        at,
                        format_args!("spec.{list}[{index}].name"),
                        format!(
                            "the name \"{name}\" is already taken by spec.{list}[{first}] in line {line}"
                        ),
                    );
                }
                None => {
                    found.by_name.insert(name, index);
                }
            }
            found.list.push((name, at));
        }
        found
    }

    /// The index of a name; an unknown one is an error.
    fn resolve(
        &mut self,
        names: &Names<'_>,
        what: &str,
        name: &At<&str>,
        field: impl fmt::Display,
    ) -> Option<usize> {
        let found = names.by_name.get(name.value).copied();
        if found.is_none() {
            self.error(name.at, field, names.unknown(what, name.value));
        }
        found
    }
}

/// Declared names.
#[derive(Debug, Default)]
struct Names<'n> {
    by_name: HashMap<&'n str, usize>,
    list: Vec<(&'n str, Place)>,
}

impl Names<'_> {
    fn line(&self, index: usize) -> u32 {
        self.list.get(index).map_or(0, |(_, at)| at.line)
    }

    fn unknown(&self, what: &str, name: &str) -> Problem {
        Problem::unknown(what, name, self.list.iter().map(|(name, _)| *name))
    }
}

/// Checks a document and resolves its names.
///
/// # Errors
/// Everything that is wrong.
pub(super) fn check(
    document: &Document<'_>,
    file: &str,
    read_keys: ReadKeys<'_>,
) -> Result<Policy, PolicyError> {
    let mut checker = Checker { file, errors: Report::default(), warnings: Report::default(), findings: 0 };

    interfaces(&mut checker, &document.interfaces);
    let scope = scope::check(&mut checker, &document.scope);
    let displays = tables::Displays::of(&document.schemas.value);
    let tables = tables::check(&mut checker, &document.tables, &displays);
    let schemas = schema::check(&mut checker, &document.schemas, &document.tables, &tables, &displays);
    let fields = schemas.iter().flatten().flat_map(|schema| &schema.fields);
    let fields: Vec<Field> = fields.cloned().collect();
    let carriers = carriers::carriers(&mut checker, document, &fields);
    carriers::fragments(&mut checker, document, &fields);
    let mut places = shards::check(&mut checker, document);
    let residency = schemas.as_ref().map_or_else(Default::default, |schemas| {
        residency::check(&mut checker, document, schemas, &tables, &mut places.pools)
    });
    let blast_radius = blast_radius(&mut checker, document);
    let signing = signing::check(&mut checker, document);
    let keys = schemas.as_ref().map(|schemas| {
        let mut keys = keys::Keys::new(&tables, schemas, &places, &residency);
        keys.of_document(&mut checker, &document.keys);
        if let Some(from) = &document.keys_from {
            keys_file::read(&mut checker, &mut keys, from, read_keys);
        }
        keys.finish(&mut checker, document.keys_from.as_ref().map(|from| from.value))
    });
    let keys = keys.unwrap_or_default();
    let trust = schemas.as_ref().and_then(|schemas| trust::check(&mut checker, document, schemas, &keys));
    let mut egress =
        schemas.as_ref().and_then(|schemas| egress::check(&mut checker, document, schemas, &keys));
    egress::translation(&mut checker, document, &scope, &places.shards);
    let health = health::check(&mut checker, document, &scope, &places.shards);
    health::road(&mut checker, document, health.as_ref(), &places.shards, &mut egress);
    let rollout = rollout::check(&mut checker, document, &places.tiers, &keys);
    shards::unused(&mut checker, document, &places, &keys);
    for (at, field, problem) in lint::labels(&document.tables, |table| !displays.hidden(table)) {
        checker.finding(file, at, field, problem);
    }
    if checker.errors.is_empty() && keys.is_empty() {
        let at = document.schemas.at;
        checker.warn(at, "spec.keys", "no key is declared: every packet will be missing or unregistered");
    }

    let (Some(schemas), true) = (schemas, checker.errors.is_empty()) else {
        return Err(PolicyError::Invalid(checker.errors.finish()));
    };
    let shards::Places { shards, pools, tiers, classes, .. } = places;
    let mut policy = Policy {
        file: file.to_owned(),
        name: document.name.clone(),
        environment: document.environment.clone(),
        mode: document.mode,
        interfaces: document.interfaces.clone(),
        scope,
        tables,
        schemas,
        carriers,
        shards,
        pools,
        tiers,
        keys,
        trust,
        classes,
        datagrams: document.fragments.as_ref().and_then(|fragments| fragments.value.table),
        blast_radius,
        residency: residency.field,
        signing,
        egress,
        migration: document.migration,
        rollout,
        health,
        warnings: Vec::new(),
        findings: checker.findings,
    };
    residency::guards(&mut checker, document, &policy);
    policy.warnings = checker.warnings.finish();
    Ok(policy)
}

/// The budget; one of nothing could never be kept.
fn blast_radius(checker: &mut Checker<'_>, document: &Document<'_>) -> BlastRadius {
    let raw = &document.blast_radius;
    for (name, share) in [("keys", &raw.keys), ("traffic", &raw.traffic)] {
        if let Some(share) = share.as_ref().filter(|share| share.value == Share::NONE) {
            let field = format_args!("spec.blastRadius.{name}");
            checker.error(share.at, field, "0% leaves no shard that anything may hang on: expected more");
        }
    }
    let value = |share: &Option<At<Share>>| share.as_ref().map(|share| share.value);
    BlastRadius { keys: value(&raw.keys), traffic: value(&raw.traffic) }
}

fn interfaces(checker: &mut Checker<'_>, interfaces: &[Interface]) {
    checker.unique("interfaces", interfaces.iter().map(|interface| (interface.name.as_str(), interface.at)));
}
