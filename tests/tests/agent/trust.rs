//! Claims without right, counted in pinned maps: they outlive the agent, and a set of counters that became too small.

use std::fmt::Write as _;

use keysteer::control::types::Claim;
use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::{THREE_SHARDS, policy};
use keysteer_tests::site::{Site, UP0, v4, v6};
use nix::sys::signal::Signal;

use crate::changes::apply;

/// `globex` may be used from addresses that nobody here has, and from `more`; there are `keys` others.
fn only_from(more: &str, keys: u32) -> String {
    let sources = format!("match: {{tenant: t2}}, sources: [192.0.2.0/24{more}]");
    let mut tail = THREE_SHARDS.replace("match: {tenant: t2}", &sources);
    let mut others = String::from("  keys:\n");
    for number in 0..keys {
        let _ = writeln!(
            others,
            "    - {{name: k{number}, match: {{tenant: t1, port: {}}}, pool: all}}",
            10_000 + number
        );
    }
    tail = tail.replace("  keys:\n", &others);
    policy("", "{name: up0}", &tail).replace(
        "fields: [{name: tenant, from: ip.src, table: tenants}]",
        "fields: [{name: tenant, from: ip.src, table: tenants}, {name: port, from: l4.dst_port}]\n      levels: [[tenant, port], [tenant]]",
    )
}

/// Asks once without an answer.
fn spoof(site: &Site, family: impl Fn(u8, u8) -> std::net::IpAddr) {
    assert_eq!(site.try_who(family(2, 1)), None);
}

/// The only claim there is.
fn claim(agent: &Agent) -> Claim {
    let said = agent.read(&["key", "claims", "globex", "-o", "json"]).data();
    let [claim] = <[Claim; 1]>::try_from(serde_json::from_str::<Vec<Claim>>(&said).unwrap()).unwrap();
    assert_eq!((claim.key.as_deref(), claim.interface.as_deref()), (Some("globex"), Some(UP0)));
    let key = agent.key("globex");
    assert_eq!((key.packets, key.flows, key.claims.as_slice()), (0, 0, [claim.clone()].as_slice()));
    let status = agent.status();
    let outcome = status.outcomes.iter().find(|outcome| outcome.class == "unauthenticated").unwrap();
    assert_eq!((outcome.packets, outcome.bytes), (claim.packets, claim.bytes));
    assert!(status.balanced);
    claim
}

#[test]
fn claims_outlive_the_agent_and_its_counters() {
    let site = Site::new(1500);
    let place = Place::new(&only_from("", 0));
    let mut agent = place.start_as(place.lasting(&site.node));
    spoof(&site, v4);
    let first = claim(&agent);
    assert!(first.packets > 0);
    let labels = [("key", "globex"), ("interface", UP0), ("scope", "key")];
    assert_eq!(agent.metrics(&site.node).get("keysteer_claims_packets_total", &labels), first.packets as f64);
    let program = agent.status().program.id;
    agent.signal(Signal::SIGKILL);
    agent.wait();
    spoof(&site, v6);

    let agent = place.start_as(place.lasting(&site.node));
    assert_eq!(agent.status().program.id, program, "another program");
    let second = claim(&agent);
    assert!(second.packets > first.packets, "what came while no agent was there");
    let labels = [("key", "globex"), ("interface", UP0), ("scope", "key")];
    assert_eq!(
        agent.metrics(&site.node).get("keysteer_claims_packets_total", &labels),
        second.packets as f64
    );

    // More keys than the set of counters has room for: the next set goes on.
    apply(&agent, &place, &only_from("", 1_100));
    assert_eq!(claim(&agent), second);
    spoof(&site, v4);
    let third = claim(&agent);
    assert!(third.packets > second.packets);
    let table = agent.read(&["key", "claims"]).data();
    assert!(table.contains("globex") && table.contains(&third.packets.to_string()), "{table}");

    // By right it is steered, and what was claimed stays what it was.
    apply(&agent, &place, &only_from(", 10.2.0.0/16", 1_100));
    assert!(site.who(v4(2, 1)) != "node");
    let key = agent.key("globex");
    assert!(key.packets > 0 && key.claims == [third]);
    assert_eq!(key.sources, ["10.2.0.0/16", "192.0.2.0/24"]);
}
