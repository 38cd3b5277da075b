//! What captured traffic carries, for whoever has to choose a schema.
//!
//! ```text
//!  census     each packet's carriers, read as the decision reads them
//!  values     distinct values and how often each was seen (sketch: about how many, where they are too many)
//!  services   which packets ask and which answer, and what is asked
//!  report     the findings, as `-o json` has them
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
mod values;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use keysteer_common::account::Counter;
use keysteer_common::decide::headers_of;
use keysteer_common::headers::{Headers, found};
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
    /// What packets to services carry: the only ones that a key is ever looked up for.
    asked: Census,
    directions: Directions,
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
        let frame = Frame::new(packet.frame, 0);
        let headers = headers_of(&frame);
        self.carried.add(&frame, &headers);
        let Some((from, to)) = self.carried_addresses(&frame, &headers) else {
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
        self.services.add(service, bytes, headers.has(found::OPENS));
        self.asked.add(&frame, &headers);
    }

    /// The addresses of a packet's flow.
    fn carried_addresses(&self, frame: &Frame<'_>, headers: &Headers) -> Option<(IpAddr, IpAddr)> {
        use keysteer_common::carrier::Carrier;
        let address = |carrier| census::read(frame, headers, carrier).map(census::address);
        Some((address(Carrier::IpSrc)?, address(Carrier::IpDst)?))
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

/// Whether an address can be one host's, reached through routers.
fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => {
            !(it.is_multicast() || it.is_broadcast() || it.is_unspecified() || it.is_link_local())
        }
        IpAddr::V6(it) => !(it.is_multicast() || it.is_unspecified() || it.is_unicast_link_local()),
    }
}
