//! What captured traffic carries, for whoever has to choose a schema.
//!
//! ```text
//!  census     each packet's carriers, read as the decision reads them
//!  values     distinct values and how often each was seen (sketch: about how many, where they are too many)
//!  services   which packets ask and which answer, and what is asked
//!  report     the findings, as `-o json` has them
//!  tunnels    whether a tunnel's identifier tells traffic apart
//!  propose    findings -> scope, fields and keys
//!  starter    these -> a policy to begin with
//! ```
//! Memory is bounded, however long a capture is.

mod census;
mod propose;
mod report;
mod services;
mod sketch;
mod starter;
mod tunnels;
mod values;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use keysteer_common::account::Counter;
use keysteer_common::carrier::Carrier;
use keysteer_common::headers::{Headers, found};
use keysteer_common::inside::{Inside, within};
use keysteer_common::slice::Frame;

pub use report::{Carried, Proposal, Report, ServiceAsked, TopValue};
pub use values::EXACT;

use crate::capture::Packet;
use census::{Census, mapped};
use services::{Directions, Service, Services};

/// The shortest frame with an Ethernet header.
const HEADER: usize = 14;

/// What was found so far.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    captures: Vec<String>,
    all: Counter,
    /// Packets with an IP header that can be read.
    ip: u64,
    /// Of these, whose headers contradict themselves or are cut off.
    malformed: u64,
    /// Packets that the capture has not kept whole.
    cut: u64,
    /// What all packets carry.
    carried: Census,
    /// Packets to services: the only ones that a key is ever looked up for.
    plain: Side,
    /// Those behind a label stack or a service header, which only a policy sees that reads those.
    behind: Side,
    directions: Directions,
}

/// Packets to services.
#[derive(Clone, Debug, Default)]
struct Side {
    /// What they carry.
    asked: Census,
    services: Services,
}

impl Inspection {
    /// Begins another capture.
    pub fn begin(&mut self, capture: &str) {
        self.captures.push(capture.to_owned());
    }

    /// Adds a packet.
    pub fn packet(&mut self, packet: &mut Packet<'_>) {
        let bytes = packet.frame.len() as u64;
        self.all.packets += 1;
        self.all.bytes += bytes;
        self.cut += u64::from(packet.missing > 0);
        if packet.frame.len() < HEADER {
            return;
        }
        // Only next hops are told apart by where a packet arrives.
        let (headers, inside) = census::facts(&Frame::new(packet.frame, 0));
        let options = census::options_of(packet.frame, &headers, &inside);
        let frame = Frame::new(packet.frame, 0);
        self.carried.add(&frame, &options, &headers, &inside);
        let Some((from, to)) = carried_addresses(&frame, &headers) else {
            return;
        };
        self.ip += 1;
        if headers.is_broken() {
            self.malformed += 1;
            return;
        }
        let Some(service) = self.service(from, to, &headers) else {
            return;
        };
        // In a tunnel, a service header is behind the IP header.
        let behind = inside.has(within::MPLS) || inside.has(within::NSH) && inside.nsh < headers.l3;
        let side = if behind { &mut self.behind } else { &mut self.plain };
        side.services.add(service, bytes, headers.has(found::OPENS));
        side.asked.add(&frame, &options, &headers, &inside);
    }

    /// The service that a packet asks. Fragments do not say which; and what goes to many at once, or to neighbours,
    /// is nobody's to steer.
    fn service(&mut self, from: IpAddr, to: IpAddr, headers: &Headers) -> Option<Service> {
        if headers.has(found::DISCOVERY) || headers.has(found::FRAGMENT) || !is_host(to) || !is_host(from) {
            return None;
        }
        let ports = headers.has(found::PORTS);
        let port = |port| if ports { port } else { 0 };
        let from = (mapped(from), port(headers.source_port));
        let at = (mapped(to), port(headers.destination_port));
        let asks = self.directions.asks(from, at, headers.protocol, headers.has(found::OPENS));
        asks.then_some(Service { at, protocol: headers.protocol })
    }
}

/// The addresses of a packet's flow.
fn carried_addresses(frame: &Frame<'_>, headers: &Headers) -> Option<(IpAddr, IpAddr)> {
    let address = |carrier| census::read(frame, headers, &Inside::NONE, carrier).map(census::address);
    Some((address(Carrier::IpSrc)?, address(Carrier::IpDst)?))
}

impl Inspection {
    /// The packets that a policy is proposed for: those behind labels or service headers, where nearly all are and one of
    /// these carriers makes a policy see them.
    fn side(&self) -> &Side {
        let behind = self.behind.services.packets() as f64;
        let most = behind >= propose::NEARLY_ALL * (behind + self.plain.services.packets() as f64);
        if behind > 0.0 && most && tunnels::reads(&self.behind.asked).is_some() {
            &self.behind
        } else {
            &self.plain
        }
    }
}

/// Whether an address can be one host's, reached through routers.
fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => {
            !(it.is_multicast() || it.is_broadcast() || it.is_unspecified() || it.is_link_local())
        }
        IpAddr::V6(it) => !(it.is_multicast() || it.is_unspecified() || it.is_unicast_link_local()),
    }
}
