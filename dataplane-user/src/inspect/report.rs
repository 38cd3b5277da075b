//! The findings, as `-o json` has them. Every field is part of the contract: add, never change.

use keysteer_common::carrier::Carrier;
use serde::Serialize;

use super::census::{Opt, data_text};
use super::services::{Asked, Service};
use super::values::Values;
use super::{Inspection, Side, census, propose, starter};

/// How many of a carrier's values are named.
const TOP: usize = 5;
/// How many services are named.
const SERVICES: usize = 20;

/// Everything that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The captures, by name.
    pub captures: Vec<String>,
    /// Packets.
    pub packets: u64,
    /// Bytes, as captured.
    pub bytes: u64,
    /// Packets with an IP header that can be read.
    pub ip: u64,
    /// Of these, whose headers contradict themselves or are cut off.
    pub malformed: u64,
    /// Packets that the capture has not kept whole.
    pub cut_short: u64,
    /// Packets to services, as far as can be told.
    pub asking: u64,
    /// Every carrier.
    pub carriers: Vec<Carried>,
    /// The busiest services.
    pub services: Vec<ServiceAsked>,
    /// How a policy could begin.
    pub proposal: Proposal,
}

/// A carrier in the traffic.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Carried {
    /// Its name in policies.
    pub carrier: &'static str,
    /// Which one, of an option: the values are those of its first bytes, at most 8. Without it, the values of a row of options are
    /// which there are; of `quic.dcid` they are the first 4 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub option: Option<String>,
    /// How many bits it has.
    pub bits: u16,
    /// Packets that carry it; of all options together, once for each option.
    pub packets: u64,
    /// Part of all packets that lack it, 0 to 1.
    pub lacking: f64,
    /// Distinct values.
    pub values: u64,
    /// Whether `values` is an estimate, to about 1 %, and counts in `top` are the least they can be: there were too
    /// many values to count each.
    pub estimated: bool,
    /// The most common values, most common first.
    pub top: Vec<TopValue>,
    /// The entropy of its values, in bits; none where they are estimated.
    pub entropy_bits: Option<f64>,
    /// How many equally common values would be as varied: 2 to the power of the entropy.
    pub effective_values: Option<f64>,
}

/// A common value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TopValue {
    /// As policies write it.
    pub value: String,
    /// Packets with it.
    pub packets: u64,
    /// Their part of the packets that carry the carrier, 0 to 1.
    pub share: f64,
}

/// A service and what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceAsked {
    /// Its address.
    pub address: String,
    /// As a policy's scope has it: `tcp/443`; a protocol that a scope cannot name by its number.
    pub service: String,
    /// Packets to it.
    pub packets: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// TCP connections opened to it.
    pub flows: u64,
}

/// How a policy could begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// What was chosen, and why, one sentence each.
    pub because: Vec<String>,
    /// The policy, as YAML.
    pub policy: String,
}

impl Inspection {
    /// What was found so far.
    pub fn report(&self) -> Report {
        let Side { asked, services } = self.side();
        let asking = services.packets();
        let plan = propose::plan(asked, &self.carried, services);
        let services = services.busiest();
        Report {
            captures: self.captures.clone(),
            packets: self.all.packets,
            bytes: self.all.bytes,
            ip: self.ip,
            malformed: self.malformed,
            cut_short: self.cut,
            asking,
            carriers: self.carriers(),
            services: services
                .iter()
                .take(SERVICES)
                .map(|(service, asked)| named(*service, *asked))
                .collect(),
            proposal: Proposal { because: plan.because(), policy: starter::policy(&plan, self.all.packets) },
        }
    }

    /// Every carrier; behind those of options each option.
    fn carriers(&self) -> Vec<Carried> {
        let mut all = Vec::new();
        for (carrier, values) in self.carried.all() {
            all.push(self.carried(carrier, values, None));
            let options = self.carried.options().filter(|((of, ..), _)| *of == carrier);
            all.extend(options.map(|(option, values)| self.carried(carrier, values, Some(option))));
        }
        all
    }

    fn carried(&self, carrier: Carrier, values: &Values, option: Option<Opt>) -> Carried {
        let seen = values.seen();
        let top = values.top(TOP).into_iter().map(|(value, packets)| TopValue {
            value: option.map_or_else(|| census::text(carrier, value), |option| data_text(option, value)),
            packets,
            share: part(packets, seen),
        });
        let entropy = values.entropy();
        Carried {
            carrier: carrier.name(),
            option: option.map(|(_, which, _)| census::text(carrier, which.into())),
            bits: option.map_or(carrier.bits(), |(_, _, bytes)| u16::from(bytes) * 8),
            packets: seen,
            // A packet may have several options.
            lacking: part(self.all.packets.saturating_sub(seen), self.all.packets),
            values: values.distinct(),
            estimated: !values.is_exact(),
            top: top.collect(),
            entropy_bits: entropy.map(|bits| rounded(bits, 2)),
            effective_values: entropy.map(|bits| rounded(bits.exp2(), 1)),
        }
    }
}

fn named(service: Service, asked: Asked) -> ServiceAsked {
    ServiceAsked {
        address: census::address(service.at.0).to_string(),
        service: propose::service_text(service).unwrap_or_else(|| format!("protocol {}", service.protocol)),
        packets: asked.count.packets,
        bytes: asked.count.bytes,
        flows: asked.flows,
    }
}

/// A part of a whole, to four places; 0 of nothing.
fn part(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { rounded(part as f64 / whole as f64, 4) }
}

fn rounded(value: f64, places: i32) -> f64 {
    let scale = 10_f64.powi(places);
    (value * scale).round() / scale
}
