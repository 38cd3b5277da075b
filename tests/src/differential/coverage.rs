//! What a run has met, and the least that it must have met: a comparison proves nothing about what never
//! happened.

use std::collections::BTreeMap;
use std::fmt;

use keysteer_common::carrier::Carrier;
use keysteer_common::headers::{Decision, LEVELS, NO_SHARD, found};
use keysteer_common::inside::within;
use keysteer_common::tables::target;
use keysteer_common::vocabulary::{Class, Fault, Reason, Verdict};

use super::subjects::Subject;
use crate::leaving;
use crate::pair::{Left, Outcome};

/// How often each thing was met, by kind and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<(&'static str, String), u64>);

/// One in so many packets must meet each thing.
const ONE_IN: u64 = 3_000;
/// So many of the generated packets must be assigned, in per cent.
const ASSIGNED_PERCENT: u64 = 30;

const TARGETS: [(u32, &str); 5] = [
    (target::DROP, "drop"),
    (target::PASS, "pass"),
    (target::CPU, "cpu"),
    (target::INTERFACE, "interface"),
    (target::NEXT_HOP, "next_hop"),
];
const FACTS: [(u16, &str); 11] = [
    (found::IPV4, "ipv4"),
    (found::IPV6, "ipv6"),
    (found::VLAN, "vlan"),
    (found::VLAN_INNER, "vlan_inner"),
    (found::PROTOCOL, "protocol"),
    (found::PORTS, "ports"),
    (found::FRAGMENT, "fragment"),
    (found::OPENS, "opens"),
    (found::QUOTED, "quoted"),
    (found::DISCOVERY, "discovery"),
    (found::LATER, "later"),
];
/// What the deep program finds.
const WITHIN: [(u32, &str); 14] = [
    (within::MPLS, "mpls"),
    (within::VXLAN, "vxlan"),
    (within::VXLAN_POLICY, "vxlan_policy"),
    (within::GENEVE, "geneve"),
    (within::GRE_KEY, "gre_key"),
    (within::GTPU, "gtpu"),
    (within::NSH, "nsh"),
    (within::NSH_CONTEXT, "nsh_context"),
    (within::QUIC, "quic"),
    (within::ETHERNET, "ethernet"),
    (within::IPV4, "ipv4"),
    (within::IPV6, "ipv6"),
    (within::PROTOCOL, "protocol"),
    (within::PORTS, "ports"),
];
/// What operators' words make of a packet: it is denied; it is steered though its policy denies it; another shard takes
/// it; none does.
const WORDS: [&str; 4] = ["denied", "allowed", "around", "nowhere"];
/// What becomes of what leaves: whose it is, and what is done to it.
const LEFT: [&str; 3] = ["assigned", "foreign", "stamped"];
/// What becomes of flows while keys move: they stay where they were, open where they will be, find no room; or are elsewhere than their key
/// is or was.
const MOVING: [&str; 4] = ["stays", "opens", "full", "proved"];
/// What is translated: packets, and ICMP errors that quote others, to a pod and from it.
const TRANSLATED: [&str; 4] = ["in", "error in", "out", "error out"];
const WIDTHS: [&str; 3] = ["one", "several", "all"];
/// A frame in several buffers.
const JUMBO: usize = 4_096;

impl Coverage {
    /// Notes what became of a frame.
    pub(super) fn note(&mut self, subject: &Subject, frame: &[u8], outcome: &Outcome) {
        if subject.image.config.back.nat != 0
            && let Some((before, after)) = Outside::of(frame).zip(Outside::of(&outcome.frame))
            && before.destination != after.destination
        {
            self.add("translated", if before.quotes { "error in" } else { "in" });
        }
        let decision = &outcome.work.record.decision;
        let headers = &outcome.work.headers;
        let class = Class::from_number(decision.class);
        self.add("class", class.map_or("?", Class::name));
        self.add("reason", Reason::from_number(decision.reason).map_or("?", Reason::name));
        self.add("verdict", Verdict::from_number(decision.verdict).map_or("?", Verdict::name));
        for (_, name) in FACTS.iter().filter(|(bit, _)| headers.has(*bit)) {
            self.add("fact", name);
        }
        for (_, name) in WITHIN.iter().filter(|(bit, _)| outcome.work.inside.has(*bit)) {
            self.add("within", name);
        }
        if outcome.frame.len() > JUMBO {
            self.add("fact", "jumbo");
        }
        if class == Some(Class::Malformed) {
            self.add("fault", Fault::from_number(headers.fault).map_or("?", Fault::name));
        }
        if decision.shard != NO_SHARD
            && let Some(shard) = subject.image.shards.get(usize::from(decision.shard))
            && let Some((_, name)) = TARGETS.iter().find(|(number, _)| *number == shard.target)
        {
            self.add("target", name);
        }
        if class != Some(Class::Assigned) {
            return;
        }
        self.add("level", &decision.level.to_string());
        if headers.has(found::LATER) && decision.tried == 0 {
            self.add("fact", "follows");
            return;
        }
        self.add("schema", &decision.schema.to_string());
        for (field, bit) in subject.policy.schemas[usize::from(decision.schema)].fields.iter().zip(0..) {
            if decision.present & 1 << bit != 0 {
                self.add("carrier", field.carrier.name());
            }
        }
        if let (Some(key), true) = (subject.image.names.key(decision.key_id), decision.shard != NO_SHARD) {
            self.add(
                "width",
                WIDTHS[match key.width {
                    1 => 0,
                    0 => 2,
                    _ => 1,
                }],
            );
        }
    }

    /// Notes what words made of a frame that would have been decided as `deaf` without them.
    pub(super) fn note_words(&mut self, deaf: &Decision, decision: &Decision) {
        let [before, after] = [deaf, decision].map(|it| Reason::from_number(it.reason));
        let steered = |it: &Decision| it.shard != NO_SHARD;
        let denied = Some(Reason::Denied);
        let none = Some(Reason::NoShard);
        let word = match (before == denied, after == denied) {
            (false, true) => "denied",
            (true, false) => "allowed",
            _ if after == none && before != none => "nowhere",
            _ if steered(deaf) && steered(decision) && deaf.shard != decision.shard => "around",
            _ => return,
        };
        self.add("word", word);
    }

    /// Notes what became of a frame of a key that moves, which will go elsewhere once that is over (`still`); and what was `counted` so far:
    /// flows that opened, that found no room, and that were proved.
    pub(super) fn note_moving(&mut self, still: &Decision, decision: &Decision, counted: [u64; 3]) {
        if still.shard != NO_SHARD && decision.shard != NO_SHARD && still.shard != decision.shard {
            self.add("moving", "stays");
        }
        for (name, counted) in ["opens", "full", "proved"].into_iter().zip(counted) {
            let met = self.0.entry(("moving", name.to_owned())).or_default();
            *met = (*met).max(counted);
        }
    }

    /// Notes what became of a frame that left.
    pub(super) fn note_left(&mut self, left: &Left) {
        if let Some(class) = left.class {
            self.add("left", class.name());
        }
        if left.before == left.after {
            return;
        }
        if let Some((before, after)) = Outside::of(&left.before).zip(Outside::of(&left.after)) {
            if before.word != after.word {
                self.add("left", "stamped");
            }
            if before.source != after.source {
                self.add("translated", if before.quotes { "error out" } else { "out" });
            }
        }
    }

    fn add(&mut self, kind: &'static str, name: &str) {
        if let Some(count) = self.0.get_mut(&(kind, name.to_owned())) {
            *count += 1;
        } else {
            self.0.insert((kind, name.to_owned()), 1);
        }
    }

    /// How often something was met.
    pub fn of(&self, kind: &'static str, name: &str) -> u64 {
        self.0.get(&(kind, name.to_owned())).copied().unwrap_or(0)
    }

    /// What was met too rarely in a run of `packets`, of which so many are `captured`; in words.
    pub fn gaps(&self, packets: u64, captured: u64) -> Vec<String> {
        let least = packets / ONE_IN;
        let required = Class::ALL
            .iter()
            .map(|class| ("class", class.name().to_owned()))
            .chain(Reason::ALL.iter().map(|reason| ("reason", reason.name().to_owned())))
            .chain(Verdict::ALL.iter().map(|verdict| ("verdict", verdict.name().to_owned())))
            .chain(Fault::ALL.iter().skip(1).map(|fault| ("fault", fault.name().to_owned())))
            .chain(Carrier::ALL.iter().map(|carrier| ("carrier", carrier.name().to_owned())))
            .chain((0..LEVELS).map(|level| ("level", level.to_string())))
            .chain(TARGETS.map(|(_, name)| ("target", name.to_owned())))
            .chain(WIDTHS.map(|name| ("width", name.to_owned())))
            .chain(WORDS.map(|name| ("word", name.to_owned())))
            .chain(MOVING.map(|name| ("moving", name.to_owned())))
            .chain(LEFT.map(|name| ("left", name.to_owned())))
            .chain(TRANSLATED.map(|name| ("translated", name.to_owned())))
            .chain(FACTS.map(|(_, name)| ("fact", name.to_owned())))
            .chain(WITHIN.map(|(_, name)| ("within", name.to_owned())))
            .chain((0..2).map(|schema| ("schema", schema.to_string())))
            .chain(["jumbo", "follows"].map(|name| ("fact", name.to_owned())));
        let mut gaps: Vec<String> = required
            // Keys move under four of the policies, and of these each counts by itself.
            .map(|(kind, name)| (kind, name, if kind == "moving" { least / 4 } else { least }))
            .filter(|(kind, name, least)| self.of(kind, name) < *least)
            .map(|(kind, name, least)| format!("{kind} {name}: {} of at least {least}", self.of(kind, &name)))
            .collect();
        let assigned = self.of("class", Class::Assigned.name());
        let generated = packets.saturating_sub(captured);
        if assigned * 100 < generated * ASSIGNED_PERCENT {
            gaps.push(format!(
                "assigned: {assigned}, less than {ASSIGNED_PERCENT} % of {generated} generated"
            ));
        }
        gaps
    }
}

/// What may be changed of a frame's IP header, and whether it is an error that quotes another packet.
struct Outside<'f> {
    /// Its first word, with the code point and the flow label.
    word: &'f [u8],
    source: &'f [u8],
    destination: &'f [u8],
    quotes: bool,
}

impl<'f> Outside<'f> {
    fn of(frame: &'f [u8]) -> Option<Self> {
        let headers = leaving::headers(frame);
        let ip = frame.get(usize::from(headers.l3)..)?;
        let (at, length) = match headers.found & (found::IPV4 | found::IPV6) {
            found::IPV4 => (12, 4),
            found::IPV6 => (8, 16),
            _ => return None,
        };
        let (source, destination) = ip.get(at..at + 2 * length)?.split_at(length);
        Some(Self { word: ip.get(..4)?, source, destination, quotes: headers.has(found::QUOTED) })
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = "";
        for ((kind, name), count) in &self.0 {
            if *kind != last {
                write!(f, "{}{kind}:", if last.is_empty() { "" } else { "\n" })?;
                last = kind;
            }
            write!(f, " {name} {count}")?;
        }
        Ok(())
    }
}
