//! The real agent on real traffic, in network namespaces.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests state what must hold")]

mod changes;
mod classic;
mod crashes;
mod egress;
mod explain;
mod followed;
mod frames;
mod growth;
mod health;
mod interfaces;
mod lifecycle;
mod log;
mod mixed;
mod modes;
mod moving;
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
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Asks for `acme`, one question after the other, while `story` is told; every question must be answered. Gives how many.
fn all_answered_during(site: &Site, story: impl FnOnce()) -> u64 {
    /// Stops the asking also where the story fails.
    struct Stop<'s>(&'s AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut asked = 0;
            while !stop.load(Ordering::Relaxed) {
                let source = v4(1, 1 + (asked % u64::from(ADDRESSES)) as u8);
                let exchange = site.ask(Transport::Udp, source, 32, PATIENCE).unwrap();
                let answer = exchange.answer.unwrap_or_else(|| panic!("question {asked} got no answer"));
                assert_ne!(answer, "node", "question {asked} was not steered");
                asked += 1;
            }
            asked
        });
        {
            let _stop = Stop(&stop);
            story();
        }
        asking.join().unwrap()
    })
}
