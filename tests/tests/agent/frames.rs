//! Frames that are not one small packet: jumbo frames, fragments, errors about a flow.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use keysteer::world::{Capture, Captured, Direction, Transport};
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::{THREE_SHARDS, policy, usual};
use keysteer_tests::site::{PATIENCE, PORT, SERVICE, Site, icmp, link_addresses};

use super::{addresses, answers, shards};

/// What the hosts of a site receive.
fn captures(site: &Site) -> Vec<Capture> {
    site.shards.iter().map(|host| Capture::start(&host.namespace, Direction::Incoming).unwrap()).collect()
}

/// The captured frames, by host.
fn finish(captures: Vec<Capture>) -> Vec<Vec<Captured>> {
    // What is on its way arrives, and captures run behind by a moment.
    std::thread::sleep(Duration::from_millis(300));
    captures.into_iter().map(|capture| capture.finish().unwrap()).collect()
}

#[test]
fn jumbo_frames_are_steered_whole() {
    jumbo("native");
}

#[test]
fn jumbo_frames_are_steered_whole_in_generic_mode() {
    jumbo("generic");
}

#[test]
fn jumbo_frames_are_steered_whole_at_tc() {
    jumbo("tc");
}

fn jumbo(mode: &str) {
    let site = Site::new(9000);
    let place = Place::new(&policy("", &format!("{{name: up0, mode: {mode}}}"), THREE_SHARDS));
    let agent = place.start(&site.node);
    assert_eq!(agent.status().interfaces[0].mode, mode);
    let captures = captures(&site);
    let payload = 8_000;
    let mut used = BTreeSet::new();
    for source in addresses(1) {
        let exchange = site.ask(Transport::Udp, source, payload, PATIENCE).unwrap();
        used.insert(exchange.answer.unwrap_or_else(|| panic!("{mode}: {source} got no answer")));
    }
    assert_eq!(used, shards(&agent, "acme"));
    let arrived = finish(captures);
    let long = arrived.iter().flatten().filter(|captured| captured.frame.len() > payload).count();
    assert_eq!(long, addresses(1).count(), "{mode}: every datagram in one frame");
    // Bytes of all of a frame's buffers are counted.
    let key = agent.key("acme");
    let half = key.packets / 2 * payload as u64;
    assert_eq!(key.bytes, 2 * half + key.packets / 2 * (14 + 20 + 8 + 14 + 40 + 8), "{mode}");
    // TCP too, whose segments are as long as the MTU lets them be.
    assert_eq!(answers(&site, 1, 30_000), used);
    assert!(agent.status().balanced);
}

#[test]
fn the_fragments_of_a_datagram_meet_on_one_shard() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let agent = place.start(&site.node);
    let captures = captures(&site);
    let mut used = BTreeSet::new();
    for source in addresses(1) {
        // An answer means that one host had all three fragments.
        let exchange = site.ask(Transport::Udp, source, 4_000, PATIENCE).unwrap();
        used.insert(exchange.answer.unwrap_or_else(|| panic!("{source} got no answer")));
    }
    assert_eq!(used, shards(&agent, "acme"), "the key is spread over two");
    assert_eq!(agent.key("acme").packets, 3 * addresses(1).count() as u64);
    // And no other host had any of them.
    let sources = |frames: &Vec<Captured>| -> BTreeSet<_> {
        frames.iter().filter(|it| it.frame.len() > 1000).map(|it| source(&it.frame)).collect()
    };
    let sources: Vec<_> = finish(captures).iter().map(sources).collect();
    assert_eq!(sources.iter().map(BTreeSet::len).sum::<usize>(), addresses(1).count(), "{sources:?}");
    assert!(sources[0].is_disjoint(&sources[1]) && sources[2].is_disjoint(&(&sources[0] | &sources[1])));
}

/// The source address of an IP packet.
fn source(frame: &[u8]) -> Vec<u8> {
    if frame[12..14] == [0x08, 0x00] { frame[26..30].to_vec() } else { frame[22..38].to_vec() }
}

#[test]
fn an_error_reaches_the_shard_of_the_flow_it_quotes() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let agent = place.start(&site.node);
    let mut flows: Vec<(SocketAddr, String)> = Vec::new();
    for address in addresses(1) {
        let exchange = site.ask(Transport::Udp, address, 32, PATIENCE).unwrap();
        flows.push((exchange.source, exchange.answer.unwrap()));
    }
    assert_eq!(flows.iter().map(|(_, shard)| shard.clone()).collect::<BTreeSet<_>>(), shards(&agent, "acme"));
    let before = agent.key("acme").packets;
    let captures = captures(&site);
    for (client, _) in &flows {
        let family = usize::from(client.is_ipv6());
        // A router on the way back, whose own address is in no tenant's prefix.
        let router = link_addresses(0, 2)[family];
        let message = icmp::too_big(SocketAddr::new(SERVICE[family], PORT), *client);
        icmp::send(&site.client, router, SERVICE[family], message);
    }
    let arrived = finish(captures);
    for (client, shard) in &flows {
        let reached: Vec<_> = site
            .shards
            .iter()
            .zip(&arrived)
            .filter(|(_, frames)| frames.iter().any(|it| quotes(&it.frame, *client)))
            .map(|(host, _)| host.name)
            .collect();
        assert_eq!(reached, [shard.as_str()], "the error about {client}");
    }
    assert_eq!(agent.key("acme").packets, before + flows.len() as u64, "errors are counted to the key");
}

/// Whether a frame is an ICMP error about a datagram to `client`.
fn quotes(frame: &[u8], client: SocketAddr) -> bool {
    let (protocol, icmp, kind, port) = match client {
        SocketAddr::V4(_) => (23, 34, 3, 34 + 8 + 20 + 2),
        SocketAddr::V6(_) => (20, 54, 2, 54 + 8 + 40 + 2),
    };
    let expected = if client.is_ipv4() { ([0x08, 0x00], 1) } else { ([0x86, 0xdd], 58) };
    frame.get(12..14) == Some(&expected.0)
        && frame.get(protocol) == Some(&expected.1)
        && frame.get(icmp) == Some(&kind)
        && frame.get(port..port + 2) == Some(&client.port().to_be_bytes())
        && match client.ip() {
            std::net::IpAddr::V4(ip) => frame.get(34 + 8 + 16..34 + 8 + 20) == Some(&ip.octets()),
            std::net::IpAddr::V6(ip) => frame.get(54 + 8 + 24..54 + 8 + 40) == Some(&ip.octets()),
        }
}
