//! Which rule of trust decided about a frame's key, and why.

use std::net::IpAddr;

use keysteer_common::carrier::Carrier;
use keysteer_common::config::InterfaceConfig;
use keysteer_common::vocabulary::Class;

use super::Generation;
use super::trace::Trace;
use super::types::{Field, Trust, TrustFinding};
use crate::image::KeyInfo;

/// What holds on the interface that a frame arrives on.
pub(super) struct Rule {
    /// Where the policy says it; nothing where it says nothing of trust.
    place: Option<String>,
    /// Bit `i`: field `i` of the frame's schema is read.
    allowed: u8,
    /// Whether the schema's assertions need proof.
    verify: bool,
    /// Nothing is read of any schema.
    ignores: bool,
}

impl Rule {
    /// The rule for a frame that arrives on an interface with this name and index.
    pub(super) fn of(generation: &Generation<'_>, trace: &Trace, interface: &str, ingress: u32) -> Self {
        let config = &generation.image.config;
        let rules = config.interfaces.get(..config.interfaces_len as usize).unwrap_or_default();
        let verifies = config.schemas.get(trace.schema).is_some_and(|schema| schema.verify != 0);
        let Some((default, named)) = rules.split_first() else {
            return Self { place: None, allowed: u8::MAX, verify: verifies, ignores: false };
        };
        let own = named.iter().rfind(|rule| rule.index == ingress);
        let place = match own {
            Some(_) => format!("spec.trust.interfaces.{interface}"),
            None => "spec.trust.default".to_owned(),
        };
        let InterfaceConfig { allowed, verify, .. } = own.unwrap_or(default);
        Self {
            place: Some(place),
            allowed: allowed.get(trace.schema).copied().unwrap_or_default(),
            verify: verify >> trace.schema & 1 == 1,
            ignores: allowed.iter().all(|allowed| *allowed == 0),
        }
    }

    /// Takes their values from fields that are not read there; gives their names.
    pub(super) fn silence(&self, fields: &mut [Field]) -> Vec<String> {
        let Some(place) = &self.place else { return Vec::new() };
        let silent = fields.iter_mut().zip(0..8).filter(|(_, field)| self.allowed >> field & 1 == 0);
        silent
            .map(|(field, _)| {
                (field.raw, field.value) = (None, None);
                field.absent = Some(format!("{place} does not let it be read here"));
                field.name.clone()
            })
            .collect()
    }

    /// What it made of the frame; nothing where nothing was asked.
    pub(super) fn explain(
        self,
        generation: &Generation<'_>,
        trace: &Trace,
        ignored: Vec<String>,
    ) -> Option<Trust> {
        let id = if trace.class == Class::Assigned { trace.key_id } else { trace.claimed };
        let key = generation.names.key(id);
        let sources = key.and_then(|key| key.sources.as_deref());
        if self.place.is_none() && !self.verify && sources.is_none() {
            return None;
        }
        let mode = match (self.ignores, self.verify) {
            (true, _) => "ignore",
            (false, true) => "verify",
            (false, false) => "trusted",
        };
        Some(Trust {
            mode: mode.to_owned(),
            ignored,
            finding: self.finding(generation, trace, key),
            key: key.map(|key| key.name.clone()),
            sources: sources.into_iter().flatten().map(ToString::to_string).collect(),
            source: source(trace).map(|source| shown(generation, source)),
            rule: self.place,
        })
    }

    fn finding(&self, generation: &Generation<'_>, trace: &Trace, key: Option<&KeyInfo>) -> TrustFinding {
        let sources = key.and_then(|key| key.sources.as_deref());
        let signed = generation.image.config.fields.get(trace.schema);
        let signed = signed.is_some_and(|fields| fields.iter().any(|field| field.signed != 0));
        match (trace.class, sources) {
            (Class::Assigned, Some(_)) => TrustFinding::FromItsSources,
            (Class::Assigned, None) if self.verify => TrustFinding::Signed,
            (Class::Assigned, None) => TrustFinding::NothingAsked,
            (Class::Unauthenticated, Some(sources))
                if !source(trace).is_some_and(|from| sources.iter().any(|prefix| prefix.contains(&from))) =>
            {
                TrustFinding::NotFromItsSources
            }
            (Class::Unauthenticated, _) if signed => TrustFinding::NotSigned,
            (Class::Unauthenticated, _) => TrustFinding::NoProof,
            _ => TrustFinding::NothingAsserted,
        }
    }
}

/// The address that the frame's flow comes from.
fn source(trace: &Trace) -> Option<IpAddr> {
    let quoted = trace.parse.quoted.as_ref().map(|flow| &flow.source);
    quoted.or(trace.parse.ip.as_ref().map(|ip| &ip.source))?.parse().ok()
}

/// The same as it is shown: it may be a value of a field that hides them. As the one shows it that hides the most.
fn shown(generation: &Generation<'_>, source: IpAddr) -> String {
    let fields = generation.names.fields().filter(|field| {
        field.carrier == Carrier::IpSrc
            || field.carrier == if source.is_ipv4() { Carrier::Ipv4Src } else { Carrier::Ipv6Src }
    });
    let field = fields.max_by_key(|field| field.display);
    field.map_or_else(|| source.to_string(), |it| it.shown_text(&generation.veil, || source.to_string()))
}

/// What would give a key that is claimed without right.
pub(super) fn advice(trust: &Trust, interface: &str) -> String {
    let key = trust.key.as_deref().unwrap_or_default();
    let source = trust.source.as_deref().unwrap_or_default();
    let asks = trust.rule.as_deref().unwrap_or("its schema");
    match trust.finding {
        TrustFinding::NotFromItsSources => format!(
            "key {key} may only be used from {}: if {source} is its own, add a prefix that holds it to the key's sources",
            trust.sources.join(", ")
        ),
        TrustFinding::NotSigned => format!(
            "{asks} asks for a signature that is valid for these addresses and now, by a secret that the node has"
        ),
        _ => format!(
            "{asks} asks for proof, and key {key} has none to give: give it sources that hold {source}, or {interface} `mode: trusted`"
        ),
    }
}

/// A finding in words.
pub(super) fn words(trust: &Trust) -> Vec<String> {
    let Trust { rule, mode, ignored, sources, source, finding, .. } = trust;
    let source = source.as_deref().unwrap_or("its source");
    let key = trust.key.as_deref().unwrap_or_default();
    let mut lines = Vec::new();
    if let Some(rule) = rule {
        let silent =
            if ignored.is_empty() { String::new() } else { format!(", {} not read", ignored.join(" ")) };
        lines.push(format!("{rule}: {mode}{silent}"));
    }
    let sources = sources.join(", ");
    lines.push(match finding {
        TrustFinding::NothingAsked => format!("nothing is asked of who says that it is {key}"),
        TrustFinding::FromItsSources => format!("{source} may use {key}: its sources are {sources}"),
        TrustFinding::Signed => format!("signed as {key} must be"),
        TrustFinding::NotFromItsSources => format!("{source} may not use {key}: its sources are {sources}"),
        TrustFinding::NotSigned => "no valid signature".to_owned(),
        TrustFinding::NoProof => format!("proof is asked for, and {key} has no sources"),
        TrustFinding::NothingAsserted => "no registered key is asserted".to_owned(),
    });
    lines
}
