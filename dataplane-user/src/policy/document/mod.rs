//! The document's shape: which fields there are and what type each has. Whether names exist and widths
//! fit is for [`super::check`]; here nothing is looked up.

mod carriers;
mod egress;
mod health;
mod key;
mod migration;
mod places;
mod rollout;
mod signing;
mod trust;
mod types;
mod versions;

use ipnet::IpNet;

use crate::display::Display;

use super::date::Date;
use super::migration::Migration;
use super::model::{AttachMode, Interface, Mode};
use super::reader::{At, Context, Cursor};
use super::values;
use super::yaml::Node;

pub(super) use carriers::{MAX_DATAGRAMS, SECTIONS};
pub(super) use egress::{RawEgress, RawStamp};
pub(super) use health::{LONGEST, MOST, RawDamping, RawHealth, RawShardHealth};
pub(super) use rollout::{RawAbortIf, RawRollout, RawWho};
pub(super) use signing::{RawSecret, RawSigning};
pub(super) use trust::{RawTrust, RawTrustRule};
use types::RawLevel;
pub(super) use types::{
    Document, KeyRest, RawClass, RawField, RawKey, RawOption, RawPool, RawSchema, RawScope, RawTable, RawTier,
};

/// The only `apiVersion`.
pub(super) const API_VERSION: &str = "keysteer.dev/v1alpha1";
/// The only `kind`.
pub(super) const KIND: &str = "SteeringPolicy";

/// Names of the classes that a policy can decide about, in the order of [`Document::classes`].
pub(super) const CLASSES: [&str; 4] = ["missing", "unregistered", "malformed", "unauthenticated"];

/// Reads the whole document; `None` when something was reported.
pub(super) fn read<'n>(node: &'n Node, context: &mut Context<'_>) -> Option<Document<'n>> {
    let root = Cursor::root(node);
    let fields = root.fields(&["apiVersion", "kind", "metadata", "spec"], context)?;
    for (field, wanted) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        if let Some(cursor) = fields.require(field, context) {
            cursor.choice(field, &[(wanted, ())], context);
        }
    }
    let name = fields.require("metadata", context).and_then(|metadata| {
        metadata.fields(&["name"], context)?.require("name", context)?.parsed(context, values::name)
    });
    let spec = fields.require("spec", context)?;
    let document = spec_of(&spec, name.map_or_else(String::new, |name| name.value), context)?;
    context.report.is_empty().then_some(document)
}

fn spec_of<'n>(spec: &Cursor<'n, '_>, name: String, context: &mut Context<'_>) -> Option<Document<'n>> {
    let allowed = [
        "environment",
        "mode",
        "interfaces",
        "scope",
        "prefixTables",
        "schemas",
        "carriers",
        "fragments",
        "shards",
        "pools",
        "tiers",
        "keys",
        "keysFrom",
        "trust",
        "classes",
        "blastRadius",
        "residency",
        "signing",
        "egress",
        "migration",
        "rollout",
        "health",
    ];
    let fields = spec.fields(&allowed, context)?;
    let environment = fields.require("environment", context).and_then(|at| at.parsed(context, values::name));
    let mode = match fields.get("mode") {
        Some(at) => at.choice("mode", &[("steer", Mode::Steer), ("observe", Mode::Observe)], context),
        None => Some(Mode::Steer),
    };
    let interfaces = fields.require("interfaces", context).and_then(|at| filled(&at, context, interface));
    let scope = fields.require("scope", context).and_then(|at| filled(&at, context, scope));
    let tables = match fields.get("prefixTables") {
        Some(at) => tables(&at, context),
        None => Some(Vec::new()),
    };
    let schemas = fields
        .require("schemas", context)
        .and_then(|at| Some(At { value: filled(&at, context, schema)?, at: at.node.at }));
    let carriers = fields.get("carriers").and_then(|at| carriers::carriers(&at, context));
    let fragments = fields.get("fragments").and_then(|at| carriers::fragments(&at, context));
    let shards = optional_list(fields.get("shards"), context, places::shard);
    let pools = optional_list(fields.get("pools"), context, places::pool);
    let tiers = optional_list(fields.get("tiers"), context, places::tier);
    let keys = optional_list(fields.get("keys"), context, key::key);
    let keys_from = fields.get("keysFrom").map(|at| at.text(context));
    let trust = fields.get("trust").and_then(|at| trust::trust(&at, context));
    let classes = match fields.get("classes") {
        Some(at) => places::classes(&at, context),
        None => Some([const { None }; CLASSES.len()]),
    };
    let blast_radius = fields.get("blastRadius").and_then(|at| places::blast_radius(&at, context));
    let residency = fields.get("residency").and_then(|at| places::residency(&at, context));
    let signing = fields.get("signing").and_then(|at| signing::signing(&at, context));
    let egress = fields.get("egress").and_then(|at| egress::egress(&at, context));
    let migration = match fields.get("migration") {
        Some(at) => migration::migration(&at, context),
        None => Some(Some(Migration::default())),
    };
    let rollout = fields.get("rollout").and_then(|at| rollout::rollout(&at, context));
    let health = fields.get("health").and_then(|at| health::health(&at, context));
    Some(Document {
        name,
        environment: environment?.value,
        mode: mode?,
        interfaces: interfaces?,
        scope: scope?,
        tables: tables?,
        schemas: schemas?,
        carriers: carriers.unwrap_or_default(),
        fragments,
        shards: shards?,
        pools: pools?,
        tiers: tiers?,
        keys: keys?,
        keys_from: keys_from.flatten(),
        trust,
        classes: classes?,
        blast_radius: blast_radius.unwrap_or_default(),
        residency,
        signing,
        egress,
        migration: migration?,
        rollout,
        health,
    })
}

/// Reads every item of a list, so that every problem is seen, and gives them when all are right.
fn each<'n, T>(
    items: &[Cursor<'n, '_>],
    context: &mut Context<'_>,
    read: impl Fn(&Cursor<'n, '_>, &mut Context<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let mut found = Vec::with_capacity(items.len());
    for item in items {
        found.extend(read(item, context));
    }
    (found.len() == items.len()).then_some(found)
}

fn filled<'n, T>(
    at: &Cursor<'n, '_>,
    context: &mut Context<'_>,
    read: impl Fn(&Cursor<'n, '_>, &mut Context<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    each(&at.filled_list(context)?, context, read)
}

fn optional_list<'n, T>(
    at: Option<Cursor<'n, '_>>,
    context: &mut Context<'_>,
    read: impl Fn(&Cursor<'n, '_>, &mut Context<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    match at {
        Some(at) => each(&at.list(context)?, context, read),
        None => Some(Vec::new()),
    }
}

fn interface(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<Interface> {
    let fields = at.fields(&["name", "mode"], context)?;
    let name = fields.require("name", context).and_then(|at| at.parsed(context, values::interface));
    let modes = [
        ("auto", AttachMode::Auto),
        ("native", AttachMode::Native),
        ("generic", AttachMode::Generic),
        ("tc", AttachMode::Tc),
    ];
    let mode = match fields.get("mode") {
        Some(at) => at.choice("mode", &modes, context),
        None => Some(AttachMode::Auto),
    };
    let name = name?;
    Some(Interface { name: name.value, mode: mode?, at: name.at })
}

fn scope(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<RawScope> {
    let fields = at.fields(&["destinations", "services"], context)?;
    if fields.get("destinations").is_none() && fields.get("services").is_none() {
        return at.fail(context, "says nothing: give destinations, services or both");
    }
    let destinations = fields
        .get("destinations")
        .map(|at| filled(&at, context, |item, context| item.parsed(context, values::prefix)));
    let services = fields
        .get("services")
        .map(|at| filled(&at, context, |item, context| item.parsed(context, values::service)));
    // A list that is there and wrong must not read as one that is absent.
    let destinations = match destinations {
        Some(list) => Some(list?),
        None => None,
    };
    let services = match services {
        Some(list) => Some(list?),
        None => None,
    };
    Some(RawScope { destinations, services })
}

fn tables<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<Vec<RawTable<'n>>> {
    let mut tables = Vec::new();
    let entries = at.entries(context)?;
    for (name, cursor) in &entries {
        let table_name = match values::name(name.value) {
            Ok(value) => Some(At { value, at: name.at }),
            Err(problem) => cursor.fail(context, problem),
        };
        let prefixes = prefixes(cursor, context);
        if let (Some(name), Some(prefixes)) = (table_name, prefixes) {
            tables.push(RawTable { name, prefixes });
        }
    }
    Some(tables)
}

fn prefixes<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<Vec<(At<IpNet>, At<&'n str>)>> {
    let entries = at.entries(context)?;
    if entries.is_empty() {
        return at.fail(context, "must not be empty");
    }
    let mut prefixes = Vec::with_capacity(entries.len());
    for (written, cursor) in &entries {
        let net = match values::prefix(written.value) {
            Ok(value) => Some(At { value, at: written.at }),
            Err(problem) => {
                context.report.add(context.file, written.at, cursor, problem);
                None
            }
        };
        let label = key::label(cursor, context);
        if let (Some(net), Some(label)) = (net, label) {
            prefixes.push((net, label));
        }
    }
    Some(prefixes)
}

fn schema<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<RawSchema<'n>> {
    let fields = at.fields(&["version", "fields", "levels", "since", "deprecated", "dualAccept"], context)?;
    let version = fields.require("version", context).and_then(|at| at.number(1, 255, context));
    let list = fields
        .require("fields", context)
        .and_then(|at| Some(At { value: filled(&at, context, field)?, at: at.node.at }));
    let levels = match fields.get("levels") {
        Some(at) => Some(At { value: filled(&at, context, level)?, at: at.node.at }),
        None => None,
    };
    let [since, deprecated] =
        ["since", "deprecated"].map(|name| fields.get(name).and_then(|at| at.parsed(context, Date::parse)));
    let dual_accept = fields.get("dualAccept").and_then(|at| at.parsed(context, versions::duration));
    Some(RawSchema { version: version?, fields: list?, levels, since, deprecated, dual_accept })
}

fn level<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<RawLevel<'n>> {
    let names = filled(at, context, |item, context| item.text(context))?;
    Some(At { value: names, at: at.node.at })
}

fn field<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<RawField<'n>> {
    let allowed =
        ["name", "from", "option", "rotation", "signed", "bits", "table", "mask", "values", "display"];
    let fields = at.fields(&allowed, context)?;
    let name = fields.require("name", context).and_then(|at| at.parsed(context, values::name));
    let from = fields.require("from", context).and_then(|at| at.text(context));
    let bits = match fields.get("bits") {
        Some(at) => Some(bits(&at, context)?),
        None => None,
    };
    let table = match fields.get("table") {
        Some(at) => Some(at.text(context)?),
        None => None,
    };
    let display = match fields.get("display") {
        Some(at) => at.choice("display", &Display::NAMED, context)?,
        None => Display::Plain,
    };
    let mask = fields.get("mask").and_then(|at| versions::number(&at, context));
    let values =
        fields.get("values").and_then(|at| versions::named(&at, display, context)).unwrap_or_default();
    let option = fields.get("option").and_then(|at| carriers::option(&at, context));
    let rotation = fields.get("rotation").and_then(|at| at.number(0, 6, context));
    let signed = fields.get("signed").and_then(|at| at.boolean(context));
    Some(RawField { name: name?, from: from?, bits, option, rotation, signed, table, mask, values, display })
}

fn bits(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<At<(u32, u32)>> {
    let fields = at.fields(&["offset", "length"], context)?;
    let offset = fields.require("offset", context).and_then(|at| at.number(0, 991, context));
    let length = fields.require("length", context).and_then(|at| at.number(1, 128, context));
    Some(At { value: (offset?.value, length?.value), at: at.node.at })
}
