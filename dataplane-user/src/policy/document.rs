//! The document's shape: which fields there are and what type each has. Whether names exist and widths
//! fit is for [`super::check`]; here nothing is looked up.

use ipnet::IpNet;
use keysteer_common::tables::Service;

use super::diagnostic::{Problem, quoted};
use super::model::{AttachMode, Interface, Mode, Target, Width};
use super::reader::{At, Context, Cursor};
use super::values;
use super::yaml::{Node, Value};

/// The only `apiVersion`.
const API_VERSION: &str = "keysteer.dev/v1alpha1";
/// The only `kind`.
const KIND: &str = "SteeringPolicy";

/// A document of the right shape.
#[derive(Debug)]
pub(super) struct Document<'n> {
    pub(super) name: String,
    pub(super) environment: String,
    pub(super) mode: Mode,
    pub(super) interfaces: Vec<Interface>,
    pub(super) scope: Vec<RawScope>,
    pub(super) tables: Vec<RawTable<'n>>,
    pub(super) schemas: At<Vec<RawSchema<'n>>>,
    pub(super) shards: Vec<RawShard>,
    pub(super) pools: Vec<RawPool<'n>>,
    pub(super) tiers: Vec<RawTier<'n>>,
    pub(super) keys: Vec<RawKey<'n>>,
    pub(super) keys_from: Option<At<&'n str>>,
    pub(super) classes: [Option<RawClass<'n>>; 3],
}

/// An entry of the scope.
#[derive(Debug)]
pub(super) struct RawScope {
    pub(super) destinations: Option<Vec<At<IpNet>>>,
    pub(super) services: Option<Vec<At<Option<Service>>>>,
}

/// A prefix table.
#[derive(Debug)]
pub(super) struct RawTable<'n> {
    pub(super) name: At<String>,
    pub(super) prefixes: Vec<(At<IpNet>, At<&'n str>)>,
}

/// A schema.
#[derive(Debug)]
pub(super) struct RawSchema<'n> {
    pub(super) version: At<u32>,
    pub(super) fields: At<Vec<RawField<'n>>>,
    pub(super) levels: Option<At<Vec<RawLevel<'n>>>>,
}

/// The names of a level's fields.
pub(super) type RawLevel<'n> = At<Vec<At<&'n str>>>;

/// A field of a schema.
#[derive(Debug)]
pub(super) struct RawField<'n> {
    pub(super) name: At<String>,
    pub(super) from: At<&'n str>,
    pub(super) bits: Option<At<(u32, u32)>>,
    pub(super) table: Option<At<&'n str>>,
}

/// A shard.
#[derive(Debug)]
pub(super) struct RawShard {
    pub(super) name: At<String>,
    pub(super) weight: u32,
    pub(super) target: At<Target>,
}

/// A pool.
#[derive(Debug)]
pub(super) struct RawPool<'n> {
    pub(super) name: At<String>,
    pub(super) shards: Vec<At<&'n str>>,
}

/// A tier.
#[derive(Debug)]
pub(super) struct RawTier<'n> {
    pub(super) name: At<String>,
    pub(super) pool: At<&'n str>,
    pub(super) width: Option<At<Width>>,
    pub(super) owner: Option<At<&'n str>>,
    pub(super) cost_centre: Option<At<&'n str>>,
    pub(super) account: Option<At<&'n str>>,
}

/// A key.
#[derive(Debug)]
pub(super) struct RawKey<'n> {
    pub(super) name: At<&'n str>,
    /// Field name and value.
    pub(super) values: At<Vec<(At<&'n str>, At<&'n str>)>>,
    pub(super) rest: KeyRest<'n>,
}

/// What of a key does not identify it; the same in YAML and in CSV.
#[derive(Debug, Default)]
pub(super) struct KeyRest<'n> {
    pub(super) tier: Option<At<&'n str>>,
    pub(super) pool: Option<At<&'n str>>,
    pub(super) width: Option<At<Width>>,
    pub(super) owner: Option<At<&'n str>>,
    pub(super) cost_centre: Option<At<&'n str>>,
    pub(super) account: Option<At<&'n str>>,
    pub(super) deny: bool,
    pub(super) reason: Option<At<&'n str>>,
}

/// What a class meets.
#[derive(Debug)]
pub(super) enum RawClass<'n> {
    Pass,
    Drop,
    Pool(At<&'n str>),
}

/// Names of the classes that a policy can decide about, in the order of [`Document::classes`].
pub(super) const CLASSES: [&str; 3] = ["missing", "unregistered", "malformed"];

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
        "shards",
        "pools",
        "tiers",
        "keys",
        "keysFrom",
        "classes",
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
    let shards = optional_list(fields.get("shards"), context, shard);
    let pools = optional_list(fields.get("pools"), context, pool);
    let tiers = optional_list(fields.get("tiers"), context, tier);
    let keys = optional_list(fields.get("keys"), context, super::document_key::key);
    let keys_from = fields.get("keysFrom").map(|at| at.text(context));
    let classes = match fields.get("classes") {
        Some(at) => classes(&at, context),
        None => Some([None, None, None]),
    };
    Some(Document {
        name,
        environment: environment?.value,
        mode: mode?,
        interfaces: interfaces?,
        scope: scope?,
        tables: tables?,
        schemas: schemas?,
        shards: shards?,
        pools: pools?,
        tiers: tiers?,
        keys: keys?,
        keys_from: keys_from.flatten(),
        classes: classes?,
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
    let modes =
        [("auto", AttachMode::Auto), ("native", AttachMode::Native), ("generic", AttachMode::Generic)];
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
        let label = super::document_key::free_text(cursor, context);
        if let (Some(net), Some(label)) = (net, label) {
            prefixes.push((net, label));
        }
    }
    Some(prefixes)
}

fn schema<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<RawSchema<'n>> {
    let fields = at.fields(&["version", "fields", "levels"], context)?;
    let version = fields.require("version", context).and_then(|at| at.number(1, 255, context));
    let list = fields
        .require("fields", context)
        .and_then(|at| Some(At { value: filled(&at, context, field)?, at: at.node.at }));
    let levels = match fields.get("levels") {
        Some(at) => Some(At { value: filled(&at, context, level)?, at: at.node.at }),
        None => None,
    };
    Some(RawSchema { version: version?, fields: list?, levels })
}

fn level<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<RawLevel<'n>> {
    let names = filled(at, context, |item, context| item.text(context))?;
    Some(At { value: names, at: at.node.at })
}

fn field<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<RawField<'n>> {
    let fields = at.fields(&["name", "from", "bits", "table"], context)?;
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
    Some(RawField { name: name?, from: from?, bits, table })
}

fn bits(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<At<(u32, u32)>> {
    let fields = at.fields(&["offset", "length"], context)?;
    let offset = fields.require("offset", context).and_then(|at| at.number(0, 127, context));
    let length = fields.require("length", context).and_then(|at| at.number(1, 128, context));
    Some(At { value: (offset?.value, length?.value), at: at.node.at })
}

fn shard(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<RawShard> {
    let fields = at.fields(&["name", "weight", "target"], context)?;
    let name = fields.require("name", context).and_then(|at| at.parsed(context, values::name));
    let weight = match fields.get("weight") {
        Some(at) => at.number(1, 65_535, context).map(|at| at.value),
        None => Some(1),
    };
    let target = fields.require("target", context).and_then(|at| target(&at, context));
    Some(RawShard { name: name?, weight: weight?, target: target? })
}

/// The forms a target can have.
const TARGETS: [&str; 5] = ["pass", "drop", "cpu", "interface", "nextHop"];

fn target(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<At<Target>> {
    if let Value::Text(text) = &at.node.value {
        let value = match text.as_str() {
            "pass" => Target::Pass,
            "drop" => Target::Drop,
            "cpu" => return at.fail(context, "\"cpu\" needs a number: write {cpu: 0}"),
            "interface" => {
                return at
                    .fail(context, "\"interface\" needs more: write {interface: {name: ..., mac: ...}}");
            }
            "nextHop" => {
                return at
                    .fail(context, "\"nextHop\" needs more: write {nextHop: {interface: ..., mac: ...}}");
            }
            other => return at.fail(context, Problem::unknown("target", other, TARGETS)),
        };
        return Some(At { value, at: at.node.at });
    }
    let fields = at.fields(&["cpu", "interface", "nextHop"], context)?;
    let Some(only) = fields.only() else {
        return at
            .fail(context, format!("expected exactly one of {}", quoted(&["cpu", "interface", "nextHop"])));
    };
    match fields.only_name() {
        Some("cpu") => {
            let cpu = only.number(0, 4095, context)?;
            Some(At { value: Target::Cpu(cpu.value), at: cpu.at })
        }
        Some("interface") => {
            let (interface, mac) = exit(&only, "name", context)?;
            Some(At { value: Target::Interface { interface: interface.value, mac }, at: interface.at })
        }
        Some("nextHop") => {
            let (interface, mac) = exit(&only, "interface", context)?;
            Some(At { value: Target::NextHop { interface: interface.value, mac }, at: interface.at })
        }
        _ => None,
    }
}

/// An interface, called `name` here, and a MAC address behind it.
fn exit(at: &Cursor<'_, '_>, name: &'static str, context: &mut Context<'_>) -> Option<(At<String>, [u8; 6])> {
    let fields = at.fields(&[name, "mac"], context)?;
    let interface = fields.require(name, context).and_then(|at| at.parsed(context, values::interface));
    let mac = fields.require("mac", context).and_then(|at| at.parsed(context, values::station));
    Some((interface?, mac?.value))
}

fn pool<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<RawPool<'n>> {
    let fields = at.fields(&["name", "shards"], context)?;
    let name = fields.require("name", context).and_then(|at| at.parsed(context, values::name));
    let shards = fields
        .require("shards", context)
        .and_then(|at| filled(&at, context, |item, context| item.text(context)));
    Some(RawPool { name: name?, shards: shards? })
}

fn tier<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<RawTier<'n>> {
    let fields = at.fields(&["name", "pool", "width", "owner", "costCentre", "account"], context)?;
    let name = fields.require("name", context).and_then(|at| at.parsed(context, values::name));
    let pool = fields.require("pool", context).and_then(|at| at.text(context));
    let width = fields.get("width").and_then(|at| super::document_key::width(&at, context));
    let [owner, cost_centre, account] = ["owner", "costCentre", "account"]
        .map(|name| fields.get(name).and_then(|at| super::document_key::free_text(&at, context)));
    Some(RawTier { name: name?, pool: pool?, width, owner, cost_centre, account })
}

fn classes<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<[Option<RawClass<'n>>; 3]> {
    if let Value::Map(entries) = &at.node.value
        && let Some((key, _)) = entries.iter().find(|(key, _)| key.text == "unauthenticated")
    {
        context.report.add(
            context.file,
            key.at,
            format!("{at}.unauthenticated"),
            "is not available in this version: no packet is of this class until keys can be signed".into(),
        );
        return None;
    }
    let fields = at.fields(&CLASSES, context)?;
    Some(CLASSES.map(|name| fields.get(name).and_then(|at| class(&at, context))))
}

fn class<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<RawClass<'n>> {
    match &at.node.value {
        Value::Text(text) => match text.as_str() {
            "pass" => Some(RawClass::Pass),
            "drop" => Some(RawClass::Drop),
            other => {
                let problem = Problem::unknown("action", other, ["pass", "drop"]);
                if problem.suggestion.is_some() {
                    return at.fail(context, problem);
                }
                at.fail(
                    context,
                    format!("unknown action \"{other}\": expected \"pass\", \"drop\" or {{pool: name}}"),
                )
            }
        },
        _ => {
            let pool = at.fields(&["pool"], context)?.require("pool", context)?.text(context)?;
            Some(RawClass::Pool(pool))
        }
    }
}
