//! What changes about a policy, but for its keys: compared by what it means, so that comments, the order of lists
//! and other words for the same are no change.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::Side;
use super::types::{Changed, Changes, Difference, FieldChange, LISTED, Named};
use crate::display::Veil;
use crate::policy::versions::span_text;
use crate::policy::{
    Carriers, Check, ClassAction, Cohort, Destination, Egress, Field, Health, InterfaceTrust, Migration,
    Mode, Policy, Pool, Rollout, Schema, Shard, Share, Signing, SigningSecret, StampValue, Target, Tier,
    Trust, TrustMode, TrustRule, Udp, Width, mac_text, service_text,
};

/// What changes from one policy to another; from nothing, everything is new.
pub(super) fn compare(old: Option<Side<'_>>, new: Side<'_>, veil: &Veil) -> Changes {
    // Of one version alone nobody needs to be told which.
    let several = old.into_iter().chain([new]).any(|side| side.policy.schemas.len() > 1);
    let side = |side: Side<'_>| -> Things { Things::of(side, several, veil) };
    let (before, after) = (old.map(side).unwrap_or_default(), side(new));
    Changes {
        settings: fields(&before.settings, &after.settings),
        interfaces: difference(&before.interfaces, &after.interfaces),
        scope: difference(&before.scope, &after.scope),
        prefixes: difference(&before.prefixes, &after.prefixes),
        schema: fields(&before.schema, &after.schema),
        shards: difference(&before.shards, &after.shards),
        pools: difference(&before.pools, &after.pools),
        tiers: difference(&before.tiers, &after.tiers),
    }
}

/// Fields and their values, in the order in which people expect them.
type Fields = Vec<(String, Text)>;

/// A value: compared as it is, and shown as it may be.
#[derive(Clone, Debug)]
struct Text {
    plain: String,
    /// Where that is something else.
    shown: Option<String>,
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.plain == other.plain
    }
}

impl Text {
    fn of(plain: String, shown: String) -> Self {
        Self { shown: Some(shown).filter(|shown| *shown != plain), plain }
    }

    fn shown(&self) -> String {
        self.shown.as_ref().unwrap_or(&self.plain).clone()
    }
}

/// A policy in words.
#[derive(Default)]
struct Things {
    settings: Fields,
    schema: Fields,
    interfaces: BTreeMap<String, Fields>,
    scope: BTreeMap<String, Fields>,
    prefixes: BTreeMap<String, Fields>,
    shards: BTreeMap<String, Fields>,
    pools: BTreeMap<String, Fields>,
    tiers: BTreeMap<String, Fields>,
}

impl Things {
    fn of(side: Side<'_>, several: bool, veil: &Veil) -> Self {
        let Side { policy, names, .. } = side;
        let labels = policy.tables.iter().flat_map(|table| {
            // As the field shows it that hides the most of those behind the table.
            let behind = names.fields().filter(|field| field.table.as_ref() == Some(&table.name));
            let field = behind.max_by_key(|field| field.display);
            table.prefixes.iter().map(move |(prefix, number)| {
                let label = table.label(*number).unwrap_or_default();
                let shown =
                    field.map_or_else(|| label.to_owned(), |it| it.shown_text(veil, || label.to_owned()));
                let text = Text::of(label.to_owned(), shown);
                (format!("{} {prefix}", table.name), vec![("label".to_owned(), text)])
            })
        });
        let interfaces = policy
            .interfaces
            .iter()
            .map(|interface| (interface.name.clone(), vec![field("mode", interface.mode.name())]));
        Self {
            settings: settings(policy),
            schema: schemas(side, several, veil),
            interfaces: interfaces.collect(),
            scope: policy.scope.iter().map(destination).collect(),
            prefixes: labels.collect(),
            shards: policy.shards.iter().map(shard).collect(),
            pools: policy.pools.iter().map(|it| pool(side, it, veil)).collect(),
            tiers: policy.tiers.iter().map(|it| tier(policy, it)).collect(),
        }
    }
}

fn field<T: ToString + ?Sized>(name: &str, value: &T) -> (String, Text) {
    (name.to_owned(), Text { plain: value.to_string(), shown: None })
}

fn settings(policy: &Policy) -> Fields {
    let mode = match policy.mode {
        Mode::Steer => "steer",
        Mode::Observe => "observe",
    };
    let mut found = vec![
        field("metadata.name", &policy.name),
        field("environment", &policy.environment),
        field("mode", mode),
    ];
    for (path, action) in policy.classes.all().into_iter().take(4) {
        found.push(field(path, &action_text(policy, action)));
    }
    found.extend(fragments(policy));
    found.extend(carriers(policy));
    let budget =
        |name: &str, share: Option<Share>| share.map(|share| field(&format!("blastRadius.{name}"), &share));
    found.extend(budget("keys", policy.blast_radius.keys));
    found.extend(budget("traffic", policy.blast_radius.traffic));
    found.extend(policy.trust.iter().flat_map(trusted));
    found.extend(policy.residency.as_ref().map(|region| field("residency.field", region)));
    found.extend(policy.signing.iter().flat_map(signing));
    found.extend(policy.egress.iter().flat_map(|egress| leaving(policy, egress)));
    if policy.migration != Some(Migration::default()) {
        found.push(field("migration", &migration(policy.migration)));
    }
    found.extend(policy.rollout.iter().flat_map(rollout));
    found.extend(policy.health.iter().flat_map(|health| asking(policy, health)));
    // Not of the schema: how a value is shown changes no key.
    let hiding = policy.schemas.iter().flat_map(|schema| &schema.fields).filter(|it| it.display.hides());
    // Every version of the schema shows a field alike.
    let hiding: BTreeMap<&str, &Field> = hiding.map(|it| (it.name.as_str(), it)).collect();
    found.extend(hiding.values().map(|it| field(&format!("display of {}", it.name), it.display.name())));
    found
}

/// What is done on the way back.
fn leaving(policy: &Policy, egress: &Egress) -> Fields {
    let names: Vec<&str> = egress.interfaces.iter().map(|leaving| leaving.name.as_str()).collect();
    let names = if names.is_empty() { "those of the policy".to_owned() } else { names.join(" ") };
    let mut found = vec![
        field("egress.interfaces", &names),
        field("egress.count", &egress.count),
        field("egress.probes", &egress.probes),
    ];
    let key = |index: usize| policy.keys.get(index).map_or("", |key| key.name.as_str());
    let sender = |(net, index): &(IpNet, usize)| field(&format!("egress.senders.{net}"), key(*index));
    found.extend(egress.senders.iter().map(sender));
    for stamp in &egress.stamps {
        let value = match &stamp.value {
            StampValue::Field(at) => {
                let fields = policy.schemas.first().map(|schema| schema.fields.as_slice());
                fields.and_then(|fields| fields.get(*at)).map_or_else(String::new, |field| field.name.clone())
            }
            StampValue::Keys(numbers) => {
                let mut texts: Vec<String> =
                    numbers.iter().map(|(index, number)| format!("{} {number}", key(*index))).collect();
                texts.sort_unstable();
                texts.join(", ")
            }
        };
        found.push(field(&format!("egress.stamp.{}", stamp.carrier.name()), &value));
    }
    found
}

/// How flows are treated while their keys move.
fn migration(migration: Option<Migration>) -> String {
    let Some(Migration { idle, deadline, pins }) = migration else { return "none".to_owned() };
    format!("idle {}, deadline {}, {pins} pins", span_text(idle), span_text(deadline))
}

/// How changes move keys step by step.
fn rollout(rollout: &Rollout) -> Fields {
    let steps = rollout.steps.iter().enumerate().map(|(index, step)| {
        let text = format!("{}, for {}", step.cohort.text(), span_text(step.lasts));
        field(&format!("rollout.steps.{}", index + 1), &text)
    });
    let cohorts = rollout.steps.iter().filter_map(|step| match &step.cohort {
        Cohort::Named { name, keys } => {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            Some(field(&format!("rollout.cohorts.{name}"), &keys.join(" ")))
        }
        Cohort::Percent(_) | Cohort::Tier { .. } => None,
    });
    let shares = rollout.shares().into_iter();
    let shares = shares.filter_map(|(name, share)| Some(field(&format!("rollout.abortIf.{name}"), &share?)));
    let down = rollout.abort_if.shards_down;
    let mut found: Fields = steps
        .chain(cohorts)
        .chain(shares)
        .chain(down.map(|down| field("rollout.abortIf.shardsDown", &down)))
        .chain([field("rollout.least", &rollout.least)])
        .collect();
    found.dedup();
    found
}

/// How each shard is asked whether it lives, and how much of each pool must be left.
fn asking(policy: &Policy, health: &Health) -> Fields {
    let asked = policy.shards.iter().zip(&health.shards).map(|(shard, check)| {
        let text = check.as_ref().map_or_else(|| "off".to_owned(), Check::text);
        field(&format!("health of shard {}", shard.name), &text)
    });
    let floors = policy.pools.iter().zip(&health.floors);
    let mut found: Fields = asked
        .chain(floors.map(|(pool, floor)| field(&format!("health.floor of pool {}", pool.name), floor)))
        .collect();
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found
}

/// How signed keys are verified.
fn signing(signing: &Signing) -> Fields {
    let secret = |secret: &SigningSecret| {
        field(&format!("signing.secrets.{}", secret.id), &secret.file.display().to_string())
    };
    let mut found: Fields = signing.secrets.iter().map(secret).collect();
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    if let Some((v4, v6)) = signing.source {
        found.push(field("signing.bind.source", &format!("IPv4 /{v4}, IPv6 /{v6}")));
    }
    if signing.destination {
        found.push(field("signing.bind.destination", &true));
    }
    found
}

/// What is said of later fragments, if anything.
fn fragments(policy: &Policy) -> Option<(String, Text)> {
    let otherwise = action_text(policy, policy.classes.fragments);
    match policy.datagrams {
        Some(datagrams) => Some(field("fragments", &format!("table {datagrams}, otherwise {otherwise}"))),
        None if policy.classes.fragments == policy.classes.missing => None,
        None => Some(field("fragments", &otherwise)),
    }
}

/// Ports and lengths that are not what everybody has.
fn carriers(policy: &Policy) -> impl Iterator<Item = (String, Text)> {
    let values = |Carriers { ports, quic_length }: Carriers| {
        [
            ("vxlan.port", u32::from(ports.vxlan)),
            ("geneve.port", ports.geneve.into()),
            ("gtpu.port", ports.gtpu.into()),
            ("quic.port", ports.quic.into()),
            ("quic.shortHeaderLength", quic_length.into()),
            ("shim.port", ports.shim.into()),
        ]
    };
    let both = values(policy.carriers).into_iter().zip(values(Carriers::default()));
    both.filter(|(is, default)| is != default)
        .map(|((name, value), _)| field(&format!("carriers.{name}"), &value))
}

/// What a class meets, in words.
pub(super) fn action_text(policy: &Policy, action: ClassAction) -> String {
    match action {
        ClassAction::Pass => "pass".to_owned(),
        ClassAction::Drop => "drop".to_owned(),
        ClassAction::Pool(pool) => format!("pool {}", pool_name(policy, pool)),
    }
}

/// Who may assert keys, by interface.
fn trusted(trust: &Trust) -> Fields {
    let rule =
        |named: &InterfaceTrust| field(&format!("trust.interfaces.{}", named.name), &trust_text(&named.rule));
    let mut found: Fields = trust.interfaces.iter().map(rule).collect();
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found.insert(0, field("trust.default", &trust_text(&trust.default)));
    found
}

fn trust_text(rule: &TrustRule) -> String {
    let mut text = rule.mode.map_or("by schema", TrustMode::name).to_owned();
    let sorted = |mut words: Vec<String>| {
        words.sort_unstable();
        words.dedup();
        words.join(" ")
    };
    if let Some(versions) = &rule.schemas {
        let versions = versions.iter().map(ToString::to_string).collect();
        text.push_str(&format!(", schemas {}", sorted(versions)));
    }
    if let Some(carriers) = &rule.carriers {
        let carriers = carriers.iter().map(|carrier| carrier.name().to_owned()).collect();
        text.push_str(&format!(", carriers {}", sorted(carriers)));
    }
    text
}

/// The name of a pool.
pub(super) fn pool_name(policy: &Policy, pool: usize) -> &str {
    policy.pools.get(pool).map_or("", |pool| &pool.name)
}

/// The versions of the schema; of `several` each line says which it is of.
fn schemas(side: Side<'_>, several: bool, veil: &Veil) -> Fields {
    let policy = side.policy;
    let versions: Vec<String> = policy.schemas.iter().map(|schema| schema.version.to_string()).collect();
    let mut found = vec![field(if several { "versions" } else { "version" }, &versions.join(" "))];
    for it in &policy.schemas {
        let of = if several { format!("version {} ", it.version) } else { String::new() };
        found.extend(schema(side, it, veil).into_iter().map(|(name, value)| (format!("{of}{name}"), value)));
    }
    found
}

fn schema(side: Side<'_>, schema: &Schema, veil: &Veil) -> Fields {
    let Side { policy, names, .. } = side;
    let mut found = Vec::new();
    // By name: the order of fields changes no key.
    let named: BTreeMap<&str, &Field> =
        schema.fields.iter().map(|field| (field.name.as_str(), field)).collect();
    for (name, it) in named {
        found.push(field(&format!("field {name}"), &carrier(policy, it)));
        let values = it.values.iter().map(|(value, numbers)| {
            let numbers: Vec<String> = numbers.iter().map(u128::to_string).collect();
            format!("{value} {}", numbers.join(" "))
        });
        let values = values.collect::<Vec<_>>().join(", ");
        if !values.is_empty() {
            // Names of values are values.
            let shown = names.field(name).map(|info| info.shown_text(veil, || values.clone()));
            let shown = shown.unwrap_or_else(|| values.clone());
            found.push((format!("field {name} values"), Text::of(values, shown)));
        }
    }
    let levels: Vec<String> = levels(schema).map(|level| format!("[{}]", level.join(" "))).collect();
    found.push(field("levels", &levels.join(" ")));
    let dates = [("since", schema.since), ("deprecated", schema.deprecated)];
    found.extend(dates.into_iter().filter_map(|(name, date)| Some(field(name, &date?))));
    found.extend(schema.dual_accept.map(|span| field("dualAccept", &span_text(span))));
    found
}

/// Where a field is read, in words that differ when what it reads does.
pub(super) fn carrier(policy: &Policy, field: &Field) -> String {
    let mut text = field.source();
    if let Some(table) = field.table.and_then(|at| policy.tables.get(at)) {
        text.push_str(&format!(" by table {}", table.name));
    } else if let Some((first, bits)) = field.range() {
        text.push_str(&format!(" bits {first} to {}", first + bits - 1));
    }
    if field.mask & field.largest() != field.largest() {
        text.push_str(&format!(" mask 0x{:x}", field.mask));
    }
    text
}

/// Levels, the names of each one's fields sorted.
pub(super) fn levels(schema: &Schema) -> impl Iterator<Item = Vec<&str>> {
    schema.levels.iter().map(|level| {
        let mut names: Vec<&str> =
            level.iter().filter_map(|at| schema.fields.get(*at)).map(|field| field.name.as_str()).collect();
        names.sort_unstable();
        names
    })
}

fn destination(destination: &Destination) -> (String, Fields) {
    let services: Vec<String> = destination.services.iter().map(service_text).collect();
    let services = if services.is_empty() { "everything".to_owned() } else { services.join(" ") };
    (destination.prefix.to_string(), vec![field("services", &services)])
}

fn shard(shard: &Shard) -> (String, Fields) {
    let target = match &shard.target {
        Target::Pass => "pass".to_owned(),
        Target::Drop => "drop".to_owned(),
        Target::Cpu(cpu) => format!("cpu {cpu}"),
        Target::Interface { interface, mac, nat } => {
            let nat = nat.map(|nat| format!(" translated to {}", nat.text())).unwrap_or_default();
            format!("interface {interface} {}{nat}", mac_text(*mac))
        }
        Target::NextHop { interface, mac } => format!("next hop {} by {interface}", mac_text(*mac)),
    };
    let mut found = vec![field("weight", &shard.weight), field("target", &target)];
    found.extend(shard.zone.as_ref().map(|zone| field("zone", zone)));
    (shard.name.clone(), found)
}

fn pool(side: Side<'_>, pool: &Pool, veil: &Veil) -> (String, Fields) {
    let Side { policy, names, .. } = side;
    let mut shards: Vec<&str> =
        pool.shards.iter().filter_map(|at| policy.shards.get(*at)).map(|shard| shard.name.as_str()).collect();
    shards.sort_unstable();
    let mut found = vec![field("shards", &shards.join(" "))];
    found.extend(
        pool.region.as_ref().map(|region| {
            ("region".to_owned(), Text::of(region.to_string(), names.shown_region(veil, region)))
        }),
    );
    if pool.udp != Udp::default() {
        found.push(field("udp", pool.udp.name()));
    }
    (pool.name.clone(), found)
}

/// A width as the policy writes it.
pub(super) fn width_text(width: Width) -> String {
    match width {
        Width::Shards(width) => width.to_string(),
        Width::All => "all".to_owned(),
    }
}

fn tier(policy: &Policy, tier: &Tier) -> (String, Fields) {
    let mut found =
        vec![field("pool", pool_name(policy, tier.pool)), field("width", &width_text(tier.width))];
    let named = [("owner", &tier.owner), ("costCentre", &tier.cost_centre), ("account", &tier.account)];
    found.extend(named.into_iter().filter_map(|(name, value)| Some(field(name, value.as_ref()?))));
    found.push(field("rank", &tier.rank));
    found.push(field("vip", &tier.vip));
    (tier.name.clone(), found)
}

/// Fields that differ, in the order after; those that go at the end.
fn fields(before: &Fields, after: &Fields) -> Vec<FieldChange> {
    let value =
        |of: &Fields, name: &str| of.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let mut found = Vec::new();
    for (name, value_after) in after {
        let value_before = value(before, name);
        if value_before.as_ref() != Some(value_after) {
            found.push(FieldChange {
                field: name.clone(),
                before: value_before.as_ref().map(Text::shown),
                after: Some(value_after.shown()),
            });
        }
    }
    for (name, value_before) in before {
        if value(after, name).is_none() {
            found.push(FieldChange { field: name.clone(), before: Some(value_before.shown()), after: None });
        }
    }
    found
}

fn difference(before: &BTreeMap<String, Fields>, after: &BTreeMap<String, Fields>) -> Difference {
    let mut found = Difference::default();
    for (name, is) in after {
        match before.get(name) {
            None => found.added.add(LISTED, || named(name, is)),
            Some(was) if was != is => {
                found.changed.add(LISTED, || Changed { name: name.clone(), fields: fields(was, is) });
            }
            Some(_) => {}
        }
    }
    for (name, was) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        found.removed.add(LISTED, || named(name, was));
    }
    found
}

fn named(name: &str, fields: &Fields) -> Named {
    let words: Vec<String> = fields.iter().map(|(name, value)| format!("{name} {}", value.shown())).collect();
    Named { name: name.to_owned(), what: words.join(", ") }
}
