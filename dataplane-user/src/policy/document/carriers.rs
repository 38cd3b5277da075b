//! The shape of what carriers need: which option a field is, where tunnels are found, what later fragments meet.

use crate::policy::reader::{At, Context, Cursor};
use crate::policy::yaml::Value;

use super::places::class;
use super::types::{RawCarriers, RawFragments, RawOption};

/// The sections of `spec.carriers`, as the fields of schemas have them: all are UDP ports.
pub(in crate::policy) const SECTIONS: [&str; 5] = ["vxlan", "geneve", "gtpu", "quic", "shim"];

/// The most datagrams that can be remembered.
pub(in crate::policy) const MAX_DATAGRAMS: u32 = 1 << 20;

/// Which option a field is.
pub(super) fn option(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<At<RawOption>> {
    let fields = at.fields(&["class", "type", "kind", "experiment"], context)?;
    let [class, kind] = ["class", "kind"].map(|name| fields.get(name));
    let [other, experiment] = ["type", "experiment"].map(|name| fields.get(name));
    let geneve = class.is_some() || other.is_some();
    if geneve == (kind.is_some() || experiment.is_some()) {
        return at.fail(
            context,
            "expected {class, type} for an option of Geneve, or {kind} or {kind, experiment} for one of TCP",
        );
    }
    let value = if geneve {
        let class = fields.require("class", context).and_then(|at| at.number(0, 65_535, context));
        let other = fields.require("type", context).and_then(|at| at.number(0, 255, context));
        RawOption::Geneve(class?.value, other?.value)
    } else {
        let kind = fields.require("kind", context).and_then(|at| at.number(2, 254, context));
        let experiment = match experiment {
            Some(at) => Some(at.number(0, 65_535, context)?.value),
            None => None,
        };
        RawOption::Tcp(kind?.value, experiment)
    };
    Some(At { value, at: at.node.at })
}

/// Where tunnels and connection ids are found.
pub(super) fn carriers(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<RawCarriers> {
    let fields = at.fields(&SECTIONS, context)?;
    let mut found = RawCarriers::default();
    for name in SECTIONS {
        let Some(section) = fields.get(name) else { continue };
        let quic = name == "quic";
        let allowed: &[&str] = if quic { &["port", "shortHeaderLength"] } else { &["port"] };
        let Some(values) = section.fields(allowed, context) else { continue };
        found.sections.push(At { value: name, at: section.node.at });
        let length = if quic { values.get("shortHeaderLength") } else { None };
        // QUIC's length can be said alone.
        let port = if length.is_some() { values.get("port") } else { values.require("port", context) };
        found.ports.extend(port.and_then(|at| Some((name, at.number(1, 65_535, context)?))));
        found.quic_length = length.and_then(|at| at.number(0, 20, context)).or(found.quic_length);
    }
    Some(found)
}

/// What later fragments meet.
pub(super) fn fragments<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<At<RawFragments<'n>>> {
    let here = |value| Some(At { value, at: at.node.at });
    if !matches!(at.node.value, Value::Map(_)) {
        return here(RawFragments { table: None, otherwise: Some(class(at, context)?) });
    }
    let fields = at.fields(&["table", "otherwise", "pool"], context)?;
    match (fields.get("table"), fields.get("otherwise"), fields.get("pool")) {
        (Some(table), otherwise, None) => {
            let table = table.number(1, MAX_DATAGRAMS, context);
            let otherwise = match otherwise {
                Some(at) => Some(class(&at, context)?),
                None => None,
            };
            here(RawFragments { table: Some(table?.value), otherwise })
        }
        (None, None, Some(pool)) => {
            let pool = pool.text(context)?;
            here(RawFragments { table: None, otherwise: Some(super::RawClass::Pool(pool)) })
        }
        _ => at.fail(context, "expected {table: N}, {table: N, otherwise: ...} or {pool: name}"),
    }
}
