//! The policies that packets are generated for, compiled.

use std::fmt::Write as _;

use keysteer::image::{Image, Words};
use keysteer::kernel::interfaces::Interfaces;
use keysteer::migration::{Settings, begin};
use keysteer::policy::{Policy, Target};
use keysteer_common::headers::NO_SHARD;
use keysteer_common::migrate::Move;
use keysteer_common::overlay::{key_word, shard_word};

use super::signed;
use crate::lab::{Lab, compile};

/// Policies as files. Together they use every carrier, level, target, width and class action.
const POLICIES: [(&str, &str); 25] = [
    ("tenants", include_str!("policies/tenants.yaml")),
    ("composite", include_str!("policies/composite.yaml")),
    ("hardware", include_str!("policies/hardware.yaml")),
    ("source", include_str!("policies/source.yaml")),
    ("transport", include_str!("policies/transport.yaml")),
    ("observe", include_str!("policies/observe.yaml")),
    ("services", include_str!("policies/services.yaml")),
    ("vlans", include_str!("policies/vlans.yaml")),
    ("labels", include_str!("policies/labels.yaml")),
    ("context", include_str!("policies/context.yaml")),
    ("vxlan", include_str!("policies/vxlan.yaml")),
    ("geneve", include_str!("policies/geneve.yaml")),
    ("gre", include_str!("policies/gre.yaml")),
    ("mobile", include_str!("policies/mobile.yaml")),
    ("inside6", include_str!("policies/inside6.yaml")),
    ("clients", include_str!("policies/clients.yaml")),
    ("segments", include_str!("policies/segments.yaml")),
    ("signed", include_str!("policies/signed.yaml")),
    ("sources", include_str!("policies/sources.yaml")),
    ("trust", include_str!("policies/trust.yaml")),
    ("versions", include_str!("policies/versions.yaml")),
    ("option", include_str!("policies/option.yaml")),
    ("back", include_str!("policies/back.yaml")),
    ("translated", include_str!("policies/translated.yaml")),
    (GAPS, include_str!("policies/gaps.yaml")),
];

/// Policies that operators have words to say on, and what these subjects are called.
const SPOKEN_OF: [(&str, &str); 3] = [
    ("composite", "composite, with words"),
    ("transport", "transport, with words"),
    (CROWDED, "crowd, with words"),
];
/// Policies whose keys move, and what these subjects are called.
const MOVING: [(&str, &str); 4] = [
    ("composite", "composite, moving"),
    ("transport", "transport, moving"),
    ("back", "back, moving"),
    (CROWDED, "crowd, moving"),
];
/// Room for so many flows that open while keys move: so few that there is none left soon, or enough.
const FEW_PINS: u32 = 2;
const MANY_PINS: u32 = 4_096;
/// The policy of many keys.
const CROWDED: &str = "crowd";
/// The policy whose image is damaged after it is compiled.
const GAPS: &str = "gaps";
/// The interface of a lab that is deleted once everything is loaded.
pub(super) const DOOMED: &str = "veth-c";
/// Keys of the crowded policy: enough for long probes.
const CROWD: u32 = 6_000;

/// A policy and its image.
#[derive(Debug)]
pub struct Subject {
    /// What it is called in reports.
    pub name: &'static str,
    /// What packets are generated from.
    pub policy: Policy,
    /// What both homes decide over.
    pub image: Image,
    /// The same without operators' words, where there are any.
    pub deaf: Option<Image>,
    /// The same with nothing that moves, where something does.
    pub still: Option<Image>,
}

impl Subject {
    /// The shards that lose their exit during a run.
    pub fn doomed(&self) -> impl Iterator<Item = u16> {
        let exits = self.policy.shards.iter().zip(0_u16..);
        exits.filter_map(|(shard, index)| match &shard.target {
            Target::Interface { interface, .. } | Target::NextHop { interface, .. } => {
                (interface == DOOMED).then_some(index)
            }
            _ => None,
        })
    }
}

/// Compiles every policy for a lab. Labs are all alike, so the subjects of one fit the others.
///
/// # Errors
/// In words; a defect of a policy here.
pub fn subjects(lab: &Lab) -> Result<Vec<Subject>, String> {
    subjects_on(lab.interfaces())
}

/// Compiles every policy for a host with these interfaces.
///
/// # Errors
/// In words; a defect of a policy here.
pub fn subjects_on(interfaces: &Interfaces) -> Result<Vec<Subject>, String> {
    let crowd = crowd();
    let texts: Vec<_> = POLICIES.into_iter().chain([(CROWDED, crowd.as_str())]).collect();
    let spoken = SPOKEN_OF.into_iter().filter_map(|(of, name)| {
        let (_, text) = texts.iter().find(|(policy, _)| *policy == of)?;
        Some((name, *text, Besides::Words))
    });
    let moving = MOVING.into_iter().filter_map(|(of, name)| {
        let (_, text) = texts.iter().find(|(policy, _)| *policy == of)?;
        Some((name, *text, Besides::Moves))
    });
    texts
        .iter()
        .map(|(name, text)| (*name, *text, Besides::Nothing))
        .chain(spoken)
        .chain(moving)
        .map(|(name, text, besides)| {
            let (policy, mut image) = compile(interfaces, text, name)?;
            if name == GAPS {
                damage(&mut image);
            }
            if policy.schemas.iter().any(|schema| schema.is_signed()) {
                image.signing = signed::signing();
            }
            let deaf = (besides == Besides::Words).then(|| image.clone());
            let still = (besides == Besides::Moves).then(|| image.clone());
            match besides {
                Besides::Nothing => {}
                Besides::Words => image.heed(say(&image)),
                Besides::Moves => {
                    let few = ["composite, moving", "transport, moving"].contains(&name);
                    set_moving(&mut image, if few { FEW_PINS } else { MANY_PINS });
                }
            }
            Ok(Subject { name, policy, image, deaf, still })
        })
        .collect()
}

/// What there is besides a policy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Besides {
    Nothing,
    Words,
    Moves,
}

/// Has keys move: half of the slots come from the next shard, some of what moves from one further on, before that was over. One shard is
/// down, and one recovers.
fn set_moving(image: &mut Image, pins: u32) {
    let shards = u16::try_from(image.config.shards).unwrap_or(1);
    let turned = |image: &Image, by: u16, every: usize| {
        let mut old = image.clone();
        let direct = old.keys.iter_mut().filter(|entry| entry.meta.is_direct()).map(|entry| &mut entry.place);
        let slots = direct.chain(old.slots.iter_mut()).enumerate().filter(|(at, _)| at % every == 0);
        slots.filter(|(_, slot)| **slot < shards).for_each(|(_, slot)| *slot = (*slot + by) % shards);
        old
    };
    let settings = Settings { pins, holds: &|first| first % 2 == 0, exists: &|_| true };
    let mut before = turned(image, 1, 2);
    let moves = begin(&turned(image, 2, 7), &mut before, &settings);
    before.migrate(moves);
    let mut moves = begin(&before, image, &settings);
    // Of a change that is made in steps, some are yet to come.
    let words = moves.iter_mut().flat_map(|moves| moves.words.iter_mut()).enumerate();
    for (_, word) in words.filter(|(at, word)| at % 5 == 3 && **word != 0) {
        *word = Move(*word).held(true).0;
    }
    image.migrate(moves);
    let word = |shard: u16, word| (u32::from(shard), word);
    let recovers = shard_word::RECOVERING | 100 << shard_word::SHARE;
    let shards = [word(0, recovers), word(shards.saturating_sub(1), shard_word::DOWN)];
    image.heed(Words { shards: shards.into(), ..Words::default() });
}

/// Some of the keys denied, some allowed, a few both; and a shard disabled.
fn say(image: &Image) -> Words {
    let word = |id: u32| match id % 16 {
        1 | 5 | 9 => key_word::DENY,
        2 | 6 | 10 => key_word::ALLOW,
        11 => key_word::DENY | key_word::ALLOW,
        _ => 0,
    };
    let keys = image.names.keys.iter().map(|key| (key.id, word(key.id)));
    let second = image.names.policy_shards().nth(1).map(|(index, _)| (index.into(), shard_word::DISABLED));
    Words { keys: keys.filter(|(_, word)| *word != 0).collect(), shards: second.into_iter().collect() }
}

/// Gives an image what no policy says and a decision must survive: slots that name no shard, or one that
/// is not there.
fn damage(image: &mut Image) {
    let direct = image.keys.iter_mut().filter(|entry| entry.meta.is_direct()).map(|entry| &mut entry.place);
    // Of the keys every third, of the slots one in sixteen.
    for (slots, every) in [(direct.collect::<Vec<_>>(), 3), (image.slots.iter_mut().collect(), 16)] {
        for (at, slot) in slots.into_iter().enumerate() {
            if at % every == 1 {
                *slot = if at % (2 * every) == 1 { NO_SHARD } else { 60_000 };
            }
        }
    }
}

/// A policy of many keys, in two levels.
fn crowd() -> String {
    let mut text = String::from(
        r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {name: crowd}
spec:
  environment: test
  interfaces: [{name: eth0}]
  scope:
    - {destinations: [203.0.113.0/24, "2001:db8:60::/48"], services: [udp/4000-4999]}
  schemas:
    - version: 1
      fields:
        - {name: tenant, from: ipv6.dst, bits: {offset: 48, length: 32}}
        - {name: region, from: vlan.id}
      levels: [[tenant, region], [tenant]]
  shards:
    - {name: a, target: {interface: {name: veth-a, mac: "02:00:00:00:00:0a"}}}
    - {name: b, target: {interface: {name: veth-b, mac: "02:00:00:00:00:0b"}}}
    - {name: c, target: {nextHop: {interface: eth0, mac: "02:00:00:00:00:0c"}}}
  pools:
    - {name: general, shards: [a, b, c]}
  classes: {missing: drop, unregistered: {pool: general}, malformed: drop}
  keys:
"#,
    );
    for key in 0..CROWD {
        // Two in three at the first level; neighbours in value, as registries number their tenants.
        let region = if key % 3 == 0 { String::new() } else { format!(", region: {}", key % 4096) };
        let tenant = key / 2;
        let width = 1 + key % 2;
        let deny = if key % 500 == 7 { ", deny: true" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "    - {{name: k{key}, match: {{tenant: {tenant}{region}}}, pool: general, width: {width}{deny}}}"
        );
    }
    text
}
