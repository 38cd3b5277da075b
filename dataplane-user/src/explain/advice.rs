//! What would change the outcome: the most likely wish first. Each line names a place in the policy, or in
//! the packet, and can be acted on.

use keysteer_common::config::class_action;
use keysteer_common::migrate::{Move, key_move};
use keysteer_common::tables::Tables as _;
use keysteer_common::vocabulary::{Class, Reason};

use super::trace::Reading;
use super::types::{Explanation, Field, Level, LevelFinding, ScopeFinding, Trust};
use super::{Generation, trust};

/// How many registered keys are named that a packet just misses.
const NEAR: usize = 3;

/// The advice for a packet.
pub(super) fn advice(
    generation: &Generation<'_>,
    explanation: &Explanation,
    readings: &[Reading],
    (class, reason): (Class, Reason),
) -> Vec<String> {
    let mut lines = Vec::new();
    if generation.names.observe && class != Class::Foreign {
        let done = match reason {
            Reason::Steered | Reason::TargetDrop | Reason::NoShard | Reason::NoExit | Reason::TooBig => {
                "go to its shard"
            }
            Reason::ClassPass | Reason::FragmentPass => "pass all the same, because its class does",
            Reason::Denied | Reason::ClassDrop | Reason::FragmentDrop | Reason::OutOfScope => "be dropped",
        };
        lines.push(format!("the policy only observes: with `mode: steer` it would {done}"));
    }
    match class {
        Class::Foreign => lines.push(foreign(explanation)),
        Class::Malformed => {
            let fault = explanation.parse.fault.as_deref().unwrap_or("unknown");
            lines.push(format!(
                "the headers are at fault ({fault}): sent whole and consistent it would be looked up"
            ));
            lines.push(class_action_line(generation, class));
        }
        Class::Unauthenticated => {
            lines.extend(explanation.trust.iter().map(|trust| trust::advice(trust, &explanation.interface)));
            lines.push(class_action_line(generation, class));
        }
        Class::Missing | Class::Unregistered => {
            lines.extend(unassigned(generation, explanation));
            lines.extend(near(generation, explanation, readings));
            lines.push(match reason {
                Reason::FragmentPass | Reason::FragmentDrop => fragment_line(reason),
                _ => class_action_line(generation, class),
            });
        }
        Class::Assigned => lines.extend(assigned(generation, explanation)),
    }
    lines.extend(lost(explanation, reason));
    lines
}

fn foreign(explanation: &Explanation) -> String {
    let parse = &explanation.parse;
    let destination = parse.ip.as_ref().map_or("", |ip| &ip.destination);
    match explanation.scope.finding {
        ScopeFinding::NotIp => {
            let ether_type = parse.ethernet.as_ref().map_or(0, |ethernet| ethernet.ether_type);
            format!("nothing: EtherType 0x{ether_type:04x} is not IP, and only IPv4 and IPv6 are steered")
        }
        ScopeFinding::Unreadable => {
            "a whole IP header of the version that its EtherType says: what cannot be read is never ours"
                .to_owned()
        }
        ScopeFinding::Discovery => {
            "nothing: neighbour and listener discovery is never ours, or the node would lose its link"
                .to_owned()
        }
        ScopeFinding::NoDestination => format!(
            "destination not in scope: add {} to the destinations of an entry of spec.scope",
            quoted(destination)
        ),
        ScopeFinding::NoService | ScopeFinding::Ours => format!(
            "{} is none of the services of {destination} ({}): add it to an entry of spec.scope that covers {destination}",
            service_of(explanation),
            explanation.scope.services.join(", ")
        ),
    }
}

/// What a packet asks for, as the scope would name it.
fn service_of(explanation: &Explanation) -> String {
    let parse = &explanation.parse;
    let (protocol, port) = match (&parse.quoted, &parse.transport) {
        (Some(flow), _) => (flow.protocol.as_str(), flow.destination_port),
        (None, Some(transport)) => (transport.protocol.as_str(), transport.destination_port),
        (None, None) => ("its protocol", None),
    };
    let fragment = parse.ip.as_ref().is_some_and(|ip| ip.fragment);
    match port.filter(|_| !fragment) {
        Some(port) => format!("{protocol}/{port}"),
        None => protocol.to_owned(),
    }
}

/// What a later fragment without the key meets now, and what else it could.
fn fragment_line(reason: Reason) -> String {
    let now = if reason == Reason::FragmentDrop { "drops" } else { "passes" };
    format!(
        "the policy {now} later fragments, which lack the key: `fragments: {{table: 65536}}` would let them follow their first, \
        `{{pool: NAME}}` steer them to a shard"
    )
}

/// What a class meets now, and what else it could.
fn class_action_line(generation: &Generation<'_>, class: Class) -> String {
    let config = generation.image.config.classes.get(class as usize).copied().unwrap_or_default();
    let name = class.name();
    match config.action {
        class_action::DROP => format!(
            "`classes: {{{name}: drop}}` drops it: `pass` would hand it to the host, `{{pool: NAME}}` to a shard"
        ),
        class_action::STEER => format!(
            "`classes: {{{name}: {{pool: ...}}}}` steers it: `drop` would drop it, `pass` would hand it to the host"
        ),
        _ => format!(
            "`classes: {{{name}: pass}}` passes it: `{{pool: NAME}}` would steer it to a shard, `drop` would drop it"
        ),
    }
}

/// What would make a packet without a registered key have one.
fn unassigned(generation: &Generation<'_>, explanation: &Explanation) -> Vec<String> {
    let levels = explanation.resolve.iter().flatten();
    let fields = explanation.extract.as_deref().unwrap_or_default();
    let mut lines = Vec::new();
    let (tried, incomplete): (Vec<&Level>, Vec<&Level>) =
        levels.partition(|level| level.finding == LevelFinding::NotRegistered);
    // The least specific level makes a key for most packets.
    for level in tried.into_iter().rev() {
        lines.push(format!(
            "registered under {} it would be assigned: add a key with `match: {}`",
            pairs(level),
            yaml(generation, level)
        ));
    }
    // A level that lacks least is nearest; a field is told of once.
    let mut told: Vec<&str> = Vec::new();
    for level in incomplete {
        for name in &level.lacks {
            if let Some(field) = fields.iter().find(|field| field.name == *name)
                && !told.contains(&name.as_str())
            {
                told.push(name);
                let silent = explanation.trust.as_ref().filter(|trust| trust.ignored.contains(name));
                lines.push(silent.map_or_else(|| missing(field), |trust| unread(field, trust)));
            }
        }
    }
    lines
}

/// What would give a field a value.
fn missing(field: &Field) -> String {
    let Field { name, carrier, .. } = field;
    let why = field.absent.as_deref().unwrap_or("it has no value");
    match (&field.raw, &field.table) {
        (Some(raw), Some(table)) => format!(
            "{name} ({carrier}) is missing, because {why}: add a prefix that holds {raw} to spec.prefixTables.{table}"
        ),
        _ => format!("{name} ({carrier}) is missing, because {why}: give it one, or a level without {name}"),
    }
}

/// What would have a field read.
fn unread(field: &Field, trust: &Trust) -> String {
    let Field { name, carrier, .. } = field;
    let rule = trust.rule.as_deref().unwrap_or_default();
    format!("{name} ({carrier}) is not read here, whatever the packet says: {rule} would have to allow it")
}

/// Registered keys that the packet misses by one field.
fn near(generation: &Generation<'_>, explanation: &Explanation, readings: &[Reading]) -> Vec<String> {
    let Some(levels) = &explanation.resolve else { return Vec::new() };
    // Levels are numbered over all versions of the schema.
    let schemas = generation.names.schemas.iter();
    let earlier = schemas.take_while(|it| Some(u32::from(it.version)) != explanation.schema);
    let before: usize = earlier.map(|schema| schema.levels.len()).sum();
    let found = generation.names.keys.iter().filter_map(|key| {
        let level = levels
            .get(key.level.checked_sub(before)?)
            .filter(|level| level.finding == LevelFinding::NotRegistered)?;
        // Compared are values, not what is shown of them.
        let (_, members) = generation.names.level(key.level)?;
        let values = generation.names.values(key).zip(members);
        let mut differing = values.filter_map(|((field, value), at)| {
            let here = readings.get(*at).and_then(|reading| reading.value);
            // Several values of one name are one.
            let same = here == Some(value) || here.is_some_and(|here| field.text(here) == field.text(value));
            (!same).then_some((field, value))
        });
        let ((field, value), None) = (differing.next()?, differing.next()) else { return None };
        // With one field alone every key of the level differs by one: that is no news.
        let here = level.values.get(&field.name).filter(|_| level.fields.len() > 1)?;
        let (name, value) = (&field.name, field.shown(&generation.veil, value));
        Some(format!("with {name}={value} in place of {here} it would be of key {}", key.name))
    });
    found.take(NEAR).collect()
}

fn assigned(generation: &Generation<'_>, explanation: &Explanation) -> Vec<String> {
    let mut lines = Vec::new();
    let key = explanation.key.as_ref().map_or("", |key| &key.name);
    if let Some(reason) = explanation.enforce.as_ref().and_then(|enforce| enforce.denied.as_deref()) {
        let by_operator = explanation.enforce.as_ref().is_some_and(|enforce| enforce.word.is_some());
        lines.push(if by_operator {
            format!("{reason}: `keysteer key clear {key}` takes that back")
        } else {
            format!("key {key} is denied: {reason}; take `deny: true` from it and it is steered")
        });
    }
    let moving = explanation.key.as_ref().map(|key| generation.image.moving(key_move(key.id)));
    if moving.is_some_and(Move::is_held) {
        lines.push(format!(
            "key {key} moves with a later step of the change that is made: until then all its flows are where they were; \
             `keysteer rollout show` says how far that is"
        ));
    } else if moving.is_some_and(|moving| moving.unit() != 0) {
        lines.push(format!(
            "key {key} is moving: flows that were there before stay where they are, those that opened since are with their new shard, and \
             which these are is not looked up here; `keysteer status` says how long it may take"
        ));
    }
    if let Some(disabled) = explanation.select.as_ref().and_then(|select| select.instead_of.as_ref()) {
        lines.push(format!(
            "shard {disabled} takes no packets: an operator disabled it (`keysteer shard enable {disabled}` has it go there \
             again), or it does not answer (`keysteer shard list` says which)"
        ));
    }
    for level in explanation.resolve.iter().flatten() {
        match level.finding {
            LevelFinding::NotRegistered => lines.push(format!(
                "a key with `match: {}` would come before {key}: it is more specific",
                yaml(generation, level)
            )),
            LevelFinding::Incomplete => lines.push(format!(
                "with a value for {} the level [{}] would be tried before",
                level.lacks.join(" and "),
                level.fields.join(" ")
            )),
            LevelFinding::Taken | LevelFinding::Claimed | LevelFinding::Decided => break,
        }
    }
    let Some(select) = &explanation.select else { return lines };
    let shard = select.shard.as_deref().unwrap_or_default();
    let others: Vec<&str> =
        select.shards.iter().map(String::as_str).filter(|other| *other != shard).collect();
    let members = generation.names.shards.iter().filter(|shard| shard.pools.contains(&select.pool)).count();
    lines.push(match (select.width.as_str(), others.as_slice()) {
        _ if members < 2 => {
            format!("another pool, or another shard in pool {}: it has {shard} alone", select.pool)
        }
        ("1", _) => format!(
            "a width above 1, or another pool: with width 1 all flows of {key} go to {shard} of pool {}",
            select.pool
        ),
        _ => format!(
            "another flow (addresses, protocol, ports) of {key} may go to {}: the flow hash picks",
            others.join(", ")
        ),
    });
    lines
}

/// What a shard that was chosen lacks.
fn lost(explanation: &Explanation, reason: Reason) -> Option<String> {
    let select = explanation.select.as_ref()?;
    let (pool, shard) = (&select.pool, select.shard.as_deref().unwrap_or_default());
    let target = explanation.forward.target.as_deref().unwrap_or_default();
    match reason {
        Reason::TargetDrop => Some(format!("the target of shard {shard} is `drop`: give it another")),
        Reason::NoShard => Some(format!("the slot names no shard: give pool {pool} one")),
        Reason::NoExit => Some(format!(
            "the exit of shard {shard} has gone ({target}): bring it back and restart the agent, or take {shard} out of pool {pool}"
        )),
        Reason::TooBig => Some(format!(
            "the interface of shard {shard} took no frame so long when the policy was applied ({target}): give it the MTU of the interface that the packet came by"
        )),
        _ => None,
    }
}

/// `tenant=acme, product=34`, in the order of the level.
fn pairs(level: &Level) -> String {
    let pair = |field: &String| Some(format!("{field}={}", level.values.get(field)?));
    level.fields.iter().filter_map(pair).collect::<Vec<_>>().join(", ")
}

/// `{tenant: acme, product: 34}`, to be pasted into a policy; `...` for values that are hidden.
fn yaml(generation: &Generation<'_>, level: &Level) -> String {
    let hidden = |field: &String| {
        let info = generation.names.field(field);
        !generation.veil.is_lifted() && info.is_some_and(|info| info.display.hides())
    };
    let pair = |field: &String| {
        let value = level.values.get(field)?;
        let text = if hidden(field) { "...".to_owned() } else { quoted(value) };
        Some(format!("{field}: {text}"))
    };
    format!("{{{}}}", level.fields.iter().filter_map(pair).collect::<Vec<_>>().join(", "))
}

/// A scalar as YAML takes it for what it is.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let other = ["true", "false", "null", "yes", "no", "on", "off"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word));
    let begins = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    if begins && text.chars().all(plain) && !other {
        text.to_owned()
    } else {
        // JSON's strings are YAML's.
        serde_json::Value::from(text).to_string()
    }
}
