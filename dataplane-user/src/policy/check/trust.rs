//! Trust: the interfaces, schemas and carriers that it names are there, and what it says leaves keys that can be used.

use keysteer_common::carrier::Carrier;
use keysteer_common::config::INTERFACES;

use crate::policy::diagnostic::{Place, Problem, quoted};
use crate::policy::document::{Document, RawTrustRule};
use crate::policy::model::{Key, Schema};
use crate::policy::trust::{InterfaceTrust, Trust, TrustMode, TrustRule};

use super::Checker;

/// How many interfaces can be named: one place is that of the others.
const NAMED: usize = INTERFACES - 1;

pub(super) fn check(
    checker: &mut Checker<'_>,
    document: &Document<'_>,
    schemas: &[Schema],
    keys: &[Key],
) -> Option<Trust> {
    let raw = document.trust.as_ref()?;
    if let Some((name, _)) = raw.interfaces.get(NAMED) {
        let problem =
            format!("{} interfaces are too many: at most {NAMED} can be named", raw.interfaces.len());
        checker.error(name.at, "spec.trust.interfaces", problem);
    }
    let mut interfaces = Vec::with_capacity(raw.interfaces.len());
    for (name, raw) in &raw.interfaces {
        let path = format!("spec.trust.interfaces.{}", name.value);
        let attached = document.interfaces.iter().map(|interface| interface.name.as_str());
        if !attached.clone().any(|attached| attached == name.value) {
            checker.error(
                name.at,
                &path,
                Problem::unknown("interface of spec.interfaces", name.value, attached),
            );
        }
        let rule = rule(checker, raw, &path, schemas);
        interfaces.push(InterfaceTrust { name: name.value.to_owned(), rule, at: name.at });
    }
    let default = TrustRule { mode: raw.default.as_ref().map(|mode| mode.value), ..TrustRule::default() };
    let trust = Trust { default, interfaces };
    if checker.errors.is_empty() {
        unproven(checker, document, &trust, schemas, keys);
    }
    Some(trust)
}

fn rule(checker: &mut Checker<'_>, raw: &RawTrustRule<'_>, path: &str, schemas: &[Schema]) -> TrustRule {
    let mode = raw.mode.as_ref().map(|mode| mode.value);
    if mode == Some(TrustMode::Ignore) && (raw.schemas.is_some() || raw.carriers.is_some()) {
        let problem =
            "mode: ignore reads nothing there: leave schemas and carriers out, or give another mode";
        checker.error(raw.at, path, problem);
    }
    let versions = raw.schemas.as_ref().map(|list| {
        let mut versions = Vec::with_capacity(list.len());
        for (nth, version) in list.iter().enumerate() {
            match schemas.iter().find(|schema| u32::from(schema.version) == version.value) {
                Some(schema) => versions.push(schema.version),
                None => {
                    let known: Vec<String> =
                        schemas.iter().map(|schema| schema.version.to_string()).collect();
                    let known = known.join(" and ");
                    let problem = format!("no schema has version {}: there is {known}", version.value);
                    checker.error(version.at, format_args!("{path}.schemas[{nth}]"), problem);
                }
            }
        }
        versions
    });
    let carriers = raw.carriers.as_ref().map(|list| {
        let mut carriers = Vec::with_capacity(list.len());
        for (nth, name) in list.iter().enumerate() {
            let path = format!("{path}.carriers[{nth}]");
            let Some(carrier) = Carrier::ALL.iter().find(|carrier| carrier.name() == name.value) else {
                let known = Carrier::ALL.iter().map(|carrier| carrier.name());
                checker.error(name.at, path, Problem::unknown("carrier", name.value, known));
                continue;
            };
            let fields = schemas.iter().flat_map(|schema| &schema.fields);
            if fields.clone().all(|field| field.carrier != *carrier) {
                let mut used: Vec<&str> = fields.map(|field| field.carrier.name()).collect();
                used.sort_unstable();
                used.dedup();
                let problem =
                    format!("no field is read from {}: they are from {}", name.value, quoted(&used));
                checker.warn(name.at, path, problem);
            }
            carriers.push(*carrier);
        }
        carriers
    });
    let rule = TrustRule { mode, schemas: versions, carriers };
    let readable = |schema: &Schema| {
        let allowed = rule.allowed(schema);
        schema.levels.iter().any(|level| level.iter().all(|field| allowed >> field & 1 == 1))
    };
    if mode != Some(TrustMode::Ignore) && checker.errors.is_empty() && !schemas.iter().any(readable) {
        let problem = "leaves no level with all of its fields, so that no packet that comes in there has a key: \
                       name more carriers, or write mode: ignore";
        checker.warn(raw.at, path, problem);
    }
    rule
}

/// Warns of interfaces that ask for proof that many keys cannot have: no signature, and no sources.
fn unproven(
    checker: &mut Checker<'_>,
    document: &Document<'_>,
    trust: &Trust,
    schemas: &[Schema],
    keys: &[Key],
) {
    let raw = document.trust.as_ref();
    let open = keys.iter().filter(|key| key.sources.is_none() && key.denied.is_none());
    let Some(first) = open.clone().next() else { return };
    let (count, all) = (open.count(), keys.len());
    let asks = |rule: &TrustRule| {
        let mut unsigned = schemas.iter().filter(|schema| !schema.is_signed() && rule.allowed(schema) != 0);
        unsigned.any(|schema| rule.verifies(schema))
    };
    let mut warn = |at: Place, path: String| {
        let problem = format!(
            "{count} of {all} keys, such as \"{}\", have no sources and no signature: what asserts them there is always unauthenticated; give them sources",
            first.name
        );
        checker.warn(at, path, problem);
    };
    let by_default = document
        .interfaces
        .iter()
        .any(|interface| trust.interfaces.iter().all(|named| named.name != interface.name));
    if let Some(default) = raw.and_then(|raw| raw.default.as_ref())
        && by_default
        && asks(&trust.default)
    {
        warn(default.at, "spec.trust.default".to_owned());
    }
    for named in trust.interfaces.iter().filter(|named| asks(&named.rule)) {
        warn(named.at, format!("spec.trust.interfaces.{}", named.name));
    }
}
