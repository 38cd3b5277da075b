//! A trace to an explanation: numbers to names, stage by stage. A stage that the frame did not reach is left
//! out.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use keysteer_common::carrier::Carrier;
use keysteer_common::forward::Action;
use keysteer_common::overlay::{DEAD, key_word};
use keysteer_common::tables::Service;
use keysteer_common::tables::Tables;
use keysteer_common::vocabulary::{Class, Reason, Verdict};

use super::trace::{Link, Reading, Trace};
use super::types::{
    Enforce, Field, Forward, Key, Level, LevelFinding, Scope, ScopeFinding, Select, Transport,
};
use super::{Generation, inside};
use crate::compile;
use crate::image::{FieldInfo, KeyInfo};
use crate::policy::{mac_text, service_text};

/// Whether it is ours.
pub(super) fn scope(generation: &Generation<'_>, trace: &Trace) -> Scope {
    let services = services(generation, trace.set);
    let finding = match trace.link {
        Link::Other => ScopeFinding::NotIp,
        Link::Unreadable => ScopeFinding::Unreadable,
        Link::Ip(_) if trace.set == 0 => ScopeFinding::NoDestination,
        Link::Ip(_) if trace.discovery => ScopeFinding::Discovery,
        Link::Ip(_) if !trace.in_service => ScopeFinding::NoService,
        Link::Ip(_) => ScopeFinding::Ours,
    };
    let service = services.iter().find(|service| finding == ScopeFinding::Ours && is_for(trace, service));
    let has_port = trace.wanted.is_some_and(|(_, port)| port.is_some());
    Scope {
        finding,
        service: service.map(service_text),
        by_protocol: service.is_some_and(|service| !service.any_port() && !has_port),
        services: services.iter().map(service_text).collect(),
    }
}

/// The services of a set.
fn services<'g>(generation: &Generation<'g>, set: u32) -> &'g [Service] {
    let set = usize::try_from(set).ok().and_then(|set| generation.image.services.get(set));
    set.and_then(|set| set.services.get(..set.len as usize)).unwrap_or_default()
}

/// Whether the frame is for a service: by its port, or without one by its protocol alone.
fn is_for(trace: &Trace, service: &Service) -> bool {
    let (low, high) = service.ports();
    match trace.wanted {
        None => true,
        Some((protocol, port)) => {
            service.protocol() == protocol && port.is_none_or(|port| (low..=high).contains(&port))
        }
    }
}

/// The fields of version `at` of the schema.
pub(super) fn extract(generation: &Generation<'_>, trace: &Trace, at: usize) -> Vec<Field> {
    let schema = generation.names.schemas.get(at).into_iter().flat_map(|schema| &schema.fields);
    let infos = schema.zip(trace.readings.get(at).into_iter().flatten());
    infos
        .map(|(info, reading)| Field {
            name: info.name.clone(),
            carrier: info.source.clone(),
            bits: info.range,
            raw: reading.raw.map(|raw| raw_text(generation, info, reading, raw)),
            table: info.table.clone(),
            value: reading.value.map(|value| info.shown(&generation.veil, value)),
            absent: absent(generation, info, trace, reading),
        })
        .collect()
}

/// What the frame has at a field's carrier, as it is shown. Only of an address is the family not said by the carrier.
fn raw_text(generation: &Generation<'_>, info: &FieldInfo, reading: &Reading, raw: u128) -> String {
    info.shown_text(&generation.veil, || {
        match (info.carrier.is_address() && info.table.is_some(), reading.v4) {
            (true, true) => Ipv4Addr::from_bits(raw as u32).to_string(),
            (true, false) => Ipv6Addr::from_bits(raw).to_string(),
            (false, _) => info.text(raw),
        }
    })
}

/// Why a field has no value.
fn absent(generation: &Generation<'_>, info: &FieldInfo, trace: &Trace, reading: &Reading) -> Option<String> {
    if reading.value.is_some() {
        return None;
    }
    if let (None, Some(why)) =
        (reading.raw, inside::absent(info, trace.later, &trace.inside, &generation.image.config))
    {
        return Some(why);
    }
    let family = trace.parse.ip.as_ref().map_or(0, |ip| ip.version);
    Some(match (info.carrier, reading.raw, &info.table) {
        (_, Some(raw), Some(table)) => {
            format!("{} is in no prefix of table {table}", raw_text(generation, info, reading, raw))
        }
        (Carrier::VlanId | Carrier::VlanPcp, ..) => "the frame has no VLAN tag".to_owned(),
        (Carrier::VlanInnerId, ..) => "the frame has no second VLAN tag".to_owned(),
        (
            Carrier::Ipv4Src
            | Carrier::Ipv4Dst
            | Carrier::Ipv6Src
            | Carrier::Ipv6Dst
            | Carrier::Ipv6FlowLabel,
            ..,
        ) => format!("the packet is IPv{family}"),
        (Carrier::L4SrcPort | Carrier::L4DstPort, ..)
            if trace.parse.ip.as_ref().is_some_and(|ip| ip.fragment) =>
        {
            "a fragment has no ports".to_owned()
        }
        (Carrier::L4SrcPort | Carrier::L4DstPort, ..) => {
            let protocol = trace.parse.transport.as_ref().map_or("unknown", |it: &Transport| &it.protocol);
            format!("protocol {protocol} has no ports")
        }
        _ => "the packet does not say".to_owned(),
    })
}

/// The levels of version `at` of the schema, whose fields are these.
pub(super) fn resolve(generation: &Generation<'_>, trace: &Trace, at: usize, fields: &[Field]) -> Vec<Level> {
    let schemas = &generation.names.schemas;
    let before: usize = schemas.iter().take(at).map(|schema| schema.levels.len()).sum();
    let levels = schemas.get(at).into_iter().flat_map(|schema| &schema.levels);
    // Levels are numbered over all versions: those of a later one than decided were not tried.
    let taken = trace.level;
    let levels = levels.zip(before..);
    // Of a key that several versions have, the level of the version that it was claimed by.
    let end = before + schemas.get(trace.schema).map_or(0, |schema| schema.levels.len());
    let claimed = generation.names.key(trace.claimed).and_then(|key| {
        let mut levels = std::iter::once(key.level).chain(key.also.iter().map(|it| it.level.into()));
        levels.find(|level| trace.schema == at && (before..end).contains(level))
    });
    levels
        .map(|(members, number)| {
            let members: Vec<&Field> = members.iter().filter_map(|at| fields.get(*at)).collect();
            let lacking = members.iter().filter(|field| field.value.is_none());
            let lacks: Vec<String> = lacking.map(|field| field.name.clone()).collect();
            let values: BTreeMap<String, String> =
                members.iter().filter_map(|field| Some((field.name.clone(), field.value.clone()?))).collect();
            let finding = match taken {
                Some(taken) if taken == number => LevelFinding::Taken,
                None if claimed == Some(number) => LevelFinding::Claimed,
                taken if taken.or(claimed).is_some_and(|taken| taken < number) => LevelFinding::Decided,
                _ if !lacks.is_empty() => LevelFinding::Incomplete,
                _ => LevelFinding::NotRegistered,
            };
            Level { fields: members.iter().map(|field| field.name.clone()).collect(), finding, lacks, values }
        })
        .collect()
}

/// The key that was found.
pub(super) fn key(generation: &Generation<'_>, info: &KeyInfo) -> Key {
    let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
    Key {
        id: info.id,
        name: info.name.clone(),
        alias_of: info.alias_of.and_then(|of| generation.names.key(of)).map(|key| key.name.clone()),
        tier: text(&info.tier),
        owner: text(&info.owner),
        cost_centre: text(&info.cost_centre),
        account: text(&info.account),
    }
}

/// What a key's policy and the operators forbid.
pub(super) fn enforce(generation: &Generation<'_>, info: &KeyInfo) -> Enforce {
    let by_policy = || info.denied.as_deref().map(str::to_owned);
    let word = generation.image.words.keys.get(&info.id).copied().unwrap_or_default();
    if word & key_word::DENY != 0 {
        let denied = Some("an operator denied it".to_owned());
        Enforce { word: Some("deny".to_owned()), denied }
    } else if word & key_word::ALLOW != 0 {
        Enforce { word: Some("allow".to_owned()), denied: None }
    } else {
        Enforce { word: None, denied: by_policy() }
    }
}

/// The shard that takes no packets and that another one took the place of.
fn instead_of(generation: &Generation<'_>, trace: &Trace, key: Option<&KeyInfo>) -> Option<String> {
    let names = generation.names;
    let name = match trace.slot {
        Some(slot) => names.shard(generation.image.slot(slot)?)?,
        None => key?.shards.first()?,
    };
    let disabled = |index| generation.image.shard_word(u32::from(index)) & DEAD != 0;
    let (index, shard) = names.policy_shards().find(|(_, shard)| shard.name == name)?;
    disabled(index).then(|| shard.name.clone())
}

/// How a shard was picked; `None` where none was looked for.
pub(super) fn select(generation: &Generation<'_>, trace: &Trace, key: Option<&KeyInfo>) -> Option<Select> {
    if matches!(trace.reason, Reason::OutOfScope | Reason::ClassPass | Reason::ClassDrop | Reason::Denied) {
        return None;
    }
    let names = generation.names;
    let table = trace.slot.and_then(|slot| {
        let after = names.tables.partition_point(|table| table.first <= slot);
        Some((slot, names.tables.get(after.checked_sub(1)?)?))
    });
    // A class has no pool but that of the table that its slot is in.
    let pool = match key {
        Some(key) => key.pool.to_string(),
        None => table.map_or_else(String::new, |(_, table)| table.pool.clone()),
    };
    let shards = match key {
        Some(key) => key.shards.iter().map(ToString::to_string).collect(),
        None => {
            let members = names.shards.iter().filter(|shard| shard.pools.contains(&pool));
            members.map(|shard| shard.name.clone()).collect()
        }
    };
    let width = key.map_or(0, |key| key.width);
    let read = table.map(|(slot, table)| (slot - table.first) / u32::from(table.width.max(1)));
    // A key of width 1 has the shard of its slot in its entry: the compiler read the slot.
    let compiled = || {
        let key = key.filter(|key| key.width == 1 && !key.pinned)?;
        Some(u32::from(compile::slot_of(names, key)))
    };
    Some(Select {
        pool,
        width: if width == 0 { "all".to_owned() } else { width.to_string() },
        shards,
        slot: read.or_else(compiled),
        instead_of: instead_of(generation, trace, key),
        flow: (width != 1).then(|| format!("0x{:08x}", trace.flow)),
        shard: trace.shard.and_then(|shard| names.shard(shard)).map(str::to_owned),
    })
}

/// What happens to it.
pub(super) fn forward(generation: &Generation<'_>, trace: &Trace) -> Forward {
    let shard = trace.shard.filter(|_| trace.class != Class::Foreign);
    let info = shard.and_then(|shard| generation.names.shards.get(usize::from(shard)));
    let rewrites = matches!(trace.verdict, Verdict::Interface | Verdict::NextHop);
    let destination = trace.after.first_chunk::<6>().filter(|_| rewrites);
    Forward {
        target: info.map(|shard| shard.target.clone()),
        action: match trace.action {
            Action::Pass => "XDP_PASS",
            Action::Drop => "XDP_DROP",
            Action::Transmit => "XDP_TX",
            Action::Redirect => "XDP_REDIRECT",
        }
        .to_owned(),
        sent_to: destination.map(|mac| mac_text(*mac)),
        verdict: trace.verdict.name().to_owned(),
        reason: trace.reason.name().to_owned(),
    }
}
