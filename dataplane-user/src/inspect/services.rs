//! Who is asked: which packets go to a service and which come back, and which services there are. A capture says
//! neither, so it is a guess, as good as a person's:
//!
//! 1. a TCP segment that opens a connection asks;
//! 2. the packets of a flow all ask, or all answer, as its first one does;
//! 3. a flow's first packet, where it opens nothing, asks if its destination port is the smaller one, or if ports say
//!    nothing.

use std::collections::HashMap;

use keysteer_common::account::Counter;

/// Flows whose direction is remembered.
const FLOWS: usize = 65_536;
/// Services that are counted.
const SERVICES: usize = 4096;

/// An address of either family as a number, and a port; 0 where there is none.
pub(super) type Endpoint = (u128, u16);

/// The direction of flows.
#[derive(Clone, Debug, Default)]
pub(super) struct Directions {
    /// By both endpoints, the smaller first, and protocol: whether the smaller one asks.
    flows: HashMap<(Endpoint, Endpoint, u8), bool>,
}

impl Directions {
    /// Whether a packet asks.
    pub(super) fn asks(&mut self, from: Endpoint, to: Endpoint, protocol: u8, opens: bool) -> bool {
        let swapped = from > to;
        let flow = if swapped { (to, from, protocol) } else { (from, to, protocol) };
        if let Some(smaller) = self.flows.get_mut(&flow) {
            if opens {
                *smaller = !swapped;
            }
            return *smaller != swapped;
        }
        let asks = opens || to.1 <= from.1;
        if self.flows.len() < FLOWS {
            self.flows.insert(flow, asks != swapped);
        }
        asks
    }
}

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Service {
    /// Its address and port.
    pub(super) at: Endpoint,
    /// Its protocol.
    pub(super) protocol: u8,
}

/// What a service was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) count: Counter,
    /// TCP connections opened to it.
    pub(super) flows: u64,
}

/// The services that were asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Services {
    services: HashMap<Service, Asked>,
    /// Packets to services that there was no room for.
    more: u64,
}

impl Services {
    /// Adds a packet to a service.
    pub(super) fn add(&mut self, service: Service, bytes: u64, opens: bool) {
        if self.services.len() >= SERVICES && !self.services.contains_key(&service) {
            self.more += 1;
            return;
        }
        let asked = self.services.entry(service).or_default();
        asked.count.packets += 1;
        asked.count.bytes += bytes;
        asked.flows += u64::from(opens);
    }

    /// Packets to any service.
    pub(super) fn packets(&self) -> u64 {
        self.more + self.services.values().map(|asked| asked.count.packets).sum::<u64>()
    }

    /// The services, those with the most packets first.
    pub(super) fn busiest(&self) -> Vec<(Service, Asked)> {
        let mut all: Vec<_> = self.services.iter().map(|(service, asked)| (*service, *asked)).collect();
        all.sort_unstable_by_key(|(service, asked)| (std::cmp::Reverse(asked.count.packets), *service));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Endpoint = (10, 40_000);
    const SERVER: Endpoint = (20, 443);

    #[test]
    fn the_first_packet_of_a_flow_says_who_asks() {
        let mut directions = Directions::default();
        // Answers first, as in a capture that begins in the middle: the ports say it.
        assert!(!directions.asks(SERVER, CLIENT, 6, false));
        assert!(directions.asks(CLIENT, SERVER, 6, false));
        // A connection to a port above the client's own.
        let (client, server) = ((10, 1_000), (20, 8_443));
        assert!(directions.asks(client, server, 6, true));
        assert!(!directions.asks(server, client, 6, false));
        // The same ports: who speaks first, as in NTP between servers and in what has no ports.
        for port in [123, 0] {
            assert!(directions.asks((30, port), (5, port), 17, false));
            assert!(!directions.asks((5, port), (30, port), 17, false));
        }
    }

    #[test]
    fn what_is_opened_late_corrects_a_guess() {
        let mut directions = Directions::default();
        let (client, server) = ((10, 1_000), (20, 8_443));
        assert!(directions.asks(server, client, 6, false), "a wrong guess");
        assert!(directions.asks(client, server, 6, true));
        assert!(!directions.asks(server, client, 6, false));
    }

    #[test]
    fn memory_is_bounded() {
        let (mut directions, mut services) = (Directions::default(), Services::default());
        for n in 0..70_000 {
            directions.asks((n, 40_000), SERVER, 6, false);
            services.add(Service { at: (n, 1), protocol: 6 }, 60, true);
        }
        assert_eq!((directions.flows.len(), services.services.len()), (FLOWS, SERVICES));
        assert_eq!(services.packets(), 70_000);
        assert!(directions.asks((u128::MAX, 40_000), SERVER, 6, false));
    }
}
