//! The findings, as `-o json` has them. Every field is part of the contract: add, never change.

use keysteer_common::carrier::Carrier;
use serde::Serialize;

use super::services::{Asked, Service};
use super::values::Values;
use super::{Inspection, census, propose, starter};

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
    /// How many bits it has.
    pub bits: u16,
    /// Packets that carry it.
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
        let asking = self.services.packets();
        let plan = propose::plan(&self.asked, &self.carried, &self.services);
        let services = self.services.busiest();
        Report {
            captures: self.captures.clone(),
            packets: self.all.packets,
            bytes: self.all.bytes,
            ip: self.ip,
            malformed: self.malformed,
            cut_short: self.cut,
            asking,
            carriers: self.carried.all().map(|(carrier, values)| self.carried(carrier, values)).collect(),
            services: services
                .iter()
                .take(SERVICES)
                .map(|(service, asked)| named(*service, *asked))
                .collect(),
            proposal: Proposal { because: plan.because(), policy: starter::policy(&plan, self.all.packets) },
        }
    }

    fn carried(&self, carrier: Carrier, values: &Values) -> Carried {
        let seen = values.seen();
        let top = values.top(TOP).into_iter().map(|(value, packets)| TopValue {
            value: census::text(carrier, value),
            packets,
            share: part(packets, seen),
        });
        let entropy = values.entropy();
        Carried {
            carrier: carrier.name(),
            bits: carrier.bits(),
            packets: seen,
            lacking: part(self.all.packets - seen, self.all.packets),
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
