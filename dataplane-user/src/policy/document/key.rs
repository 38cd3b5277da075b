//! The shape of a key in the document, and of the values that keys and tiers share.

use ipnet::IpNet;

use crate::policy::model::Width;
use crate::policy::reader::{At, Context, Cursor};
use crate::policy::values;

use super::filled;
use super::types::{KeyRest, RawKey};

/// The fields of a key.
const FIELDS: [&str; 16] = [
    "name",
    "match",
    "tier",
    "pool",
    "width",
    "owner",
    "costCentre",
    "account",
    "deny",
    "reason",
    "region",
    "vip",
    "schema",
    "aliasOf",
    "sources",
    "shards",
];

pub(super) fn key<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<RawKey<'n>> {
    let fields = at.fields(&FIELDS, context)?;
    let name = fields.require("name", context).and_then(|at| free_text(&at, context));
    let values = fields.require("match", context).and_then(|at| values_of(&at, context));
    let rest = KeyRest {
        tier: fields.get("tier").and_then(|at| at.text(context)),
        pool: fields.get("pool").and_then(|at| at.text(context)),
        width: fields.get("width").and_then(|at| width(&at, context)),
        owner: fields.get("owner").and_then(|at| free_text(&at, context)),
        cost_centre: fields.get("costCentre").and_then(|at| free_text(&at, context)),
        account: fields.get("account").and_then(|at| free_text(&at, context)),
        deny: fields.get("deny").and_then(|at| at.boolean(context)).is_some_and(|deny| deny.value),
        reason: fields.get("reason").and_then(|at| free_text(&at, context)),
        region: fields.get("region").and_then(|at| region(&at, context)),
        vip: fields.get("vip").and_then(|at| at.boolean(context)).map(|vip| vip.value),
        schema: fields.get("schema").and_then(|at| at.number(1, 255, context)),
        alias_of: fields.get("aliasOf").and_then(|at| free_text(&at, context)),
        sources: fields.get("sources").and_then(|at| sources(&at, context)),
        shards: fields.get("shards").and_then(|at| shards(&at, context)),
    };
    Some(RawKey { name: name?, values: values?, rest })
}

type Values<'n> = At<Vec<(At<&'n str>, At<&'n str>)>>;

fn values_of<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<Values<'n>> {
    let entries = at.entries(context)?;
    if entries.is_empty() {
        return at.fail(context, "must not be empty: give the fields of one level");
    }
    let mut values = Vec::with_capacity(entries.len());
    for (field, cursor) in &entries {
        if let Some(value) = cursor.scalar(context) {
            values.push((At { value: field.value, at: field.at }, value));
        }
    }
    Some(At { value: values, at: at.node.at })
}

/// A label. Whether it may be shown is not known yet, so messages do not repeat it.
pub(super) fn label<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<At<&'n str>> {
    if at.is_number() {
        return at.fail(context, "expected text, found a number: write it in quotes");
    }
    free_text(at, context)
}

/// Free text of one line.
pub(super) fn free_text<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<At<&'n str>> {
    let text = at.text(context)?;
    match values::free_text(text.value) {
        Ok(_) => Some(text),
        Err(problem) => at.fail(context, problem),
    }
}

/// A region: free text, or a number where it is the value of a field.
pub(super) fn region<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<At<&'n str>> {
    let text = at.scalar(context)?;
    match values::free_text(text.value) {
        Ok(_) => Some(text),
        Err(problem) => at.fail(context, problem),
    }
}

/// Source prefixes.
fn sources(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<At<Vec<IpNet>>> {
    let prefixes = filled(at, context, |item, context| item.parsed(context, values::prefix))?;
    Some(At { value: prefixes.into_iter().map(|prefix| prefix.value).collect(), at: at.node.at })
}

/// Names of shards.
fn shards<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<At<Vec<At<&'n str>>>> {
    let names = filled(at, context, |item, context| item.text(context))?;
    Some(At { value: names, at: at.node.at })
}

/// A width: a number, or `all`.
pub(super) fn width(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<At<Width>> {
    let text = at.scalar(context)?;
    match values::width(text.value) {
        Ok(value) => Some(At { value, at: text.at }),
        Err(problem) => at.fail(context, problem),
    }
}
