//! The real agent on real traffic, in network namespaces.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests state what must hold")]

mod changes;
mod crashes;
mod explain;
mod followed;
mod frames;
mod growth;
mod interfaces;
mod lifecycle;
mod log;
mod modes;
mod pins;
mod privacy;
mod races;
mod reads;
mod rebuild;
mod scale;
mod secrets;
mod targets;
mod tc;
mod trust;

use std::collections::BTreeSet;
use std::net::IpAddr;

use keysteer::world::Transport;
use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::{ADDRESSES, PATIENCE, Site, v4, v6};

/// All addresses of a tenant.
fn addresses(tenant: u8) -> impl Iterator<Item = IpAddr> {
    (1..=ADDRESSES).flat_map(move |number| [v4(tenant, number), v6(tenant, number)])
}

/// Asks from every address of a tenant, by TCP and UDP, with questions of `size` bytes; gives who
/// answered.
fn answers(site: &Site, tenant: u8, size: usize) -> BTreeSet<String> {
    addresses(tenant)
        .flat_map(|source| [Transport::Tcp, Transport::Udp].map(|transport| (source, transport)))
        .map(|(source, transport)| {
            let exchange = site.ask(transport, source, size, PATIENCE).unwrap();
            exchange.answer.unwrap_or_else(|| panic!("{source} got no answer by {}", transport.name()))
        })
        .collect()
}

/// The shards that a key may use.
fn shards(agent: &Agent, key: &str) -> BTreeSet<String> {
    agent.key(key).shards.into_iter().collect()
}
