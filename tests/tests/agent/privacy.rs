//! What an agent shows of fields whose values the policy hides: a policy with all three displays, every output searched
//! for the values.

use std::fs;

use keysteer::control::client::Client;
use keysteer::control::types::Key;
use keysteer::explain::types::Explanation;
use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::usual;
use keysteer_tests::site::{PORT, SERVICE, Site, TENANTS, v4};
use nix::sys::signal::Signal;

use super::changes::{apply, until};

/// Every value that is hidden has this in it, and nothing else has.
const HIDDEN: &str = "zq-";

/// The usual policy, its tenants hashed, the service masked (it is also the region), the port plain.
fn policy() -> String {
    let text = (1..=TENANTS).fold(usual(), |text, tenant| {
        text.replace(&format!(": t{tenant}"), &format!(": zq-tenant-{tenant}"))
    });
    text.replace(
        "  prefixTables:\n",
        "  prefixTables:\n    sites: {203.0.113.10: zq-site, \"2001:db8:10::10\": zq-site}\n",
    )
    .replace(
        "[{name: tenant, from: ip.src, table: tenants}]",
        "[{name: tenant, from: ip.src, table: tenants, display: keyed-hash}, {name: site, from: ip.dst, table: sites, display: masked}, {name: port, from: l4.dst_port, display: plain}]",
    )
    .replace("shards: [a, b, c]}]", "shards: [a, b, c], region: zq-site}]\n  residency: {field: site}")
    .replace("match: {tenant: zq-tenant-1", "match: {site: zq-site, port: 7000, tenant: zq-tenant-1")
    .replace("match: {tenant: zq-tenant-2", "match: {site: zq-site, port: 7000, tenant: zq-tenant-2")
    .replace("match: {tenant: zq-tenant-3", "match: {site: zq-site, port: 7000, tenant: zq-tenant-3")
}

/// All that can be had of an agent by reading, by what was asked.
fn reads(agent: &Agent, site: &Site, place: &Place, new: &str) -> Vec<(String, String)> {
    let packet =
        ["--src", &v4(1, 1).to_string(), "--dst", &SERVICE[0].to_string(), "--dport", &PORT.to_string()];
    let explain = |output| [&["explain", "-o", output], &packet[..]].concat();
    let mut all = Vec::new();
    for read in [
        vec!["status"],
        vec!["status", "-o", "json"],
        vec!["key", "list"],
        vec!["key", "list", "-o", "json"],
        vec!["key", "get", "acme"],
        vec!["key", "get", "acme", "-o", "json"],
        vec!["shard", "list", "-o", "json"],
        vec!["generations", "-o", "json"],
        vec!["plan", new],
        vec!["plan", new, "-o", "json"],
        explain("table"),
        explain("json"),
    ] {
        all.push((read.join(" "), agent.read(&read).data()));
    }
    for read in [&["audit", "-o", "json"][..], &["audit"]] {
        all.push((read.join(" "), agent.read_state(read, place).data()));
    }
    all.push(("metrics".to_owned(), format!("{:?}", agent.metrics(&site.node))));
    all
}

#[test]
fn no_output_tells_hidden_values_and_equal_ones_look_equal() {
    let site = Site::new(1500);
    let place = Place::new(&policy());
    let mut command = place.command(&site.node);
    command.arg("-vv");
    let mut agent = place.start_as(command);
    site.who(v4(1, 1));
    site.who(v4(2, 1));

    until("keys are seen", || agent.log().contains("key_first_seen"));

    // Another policy: a key that goes, labels and a region that change.
    let next = policy()
        .replace("    - {name: globex,", "    - {name: other, match: {site: zq-site, port: 7001, tenant: zq-tenant-2}, pool: all}\n    - {name: globey,")
        .replace("port: 7000, tenant: zq-tenant-2", "port: 7002, tenant: zq-tenant-2")
        .replace("10.4.0.0/16: zq-tenant-4", "10.4.0.0/16: zq-tenant-5")
        .replace(": zq-site", ": zq-site-new");
    let file = place.file("next.yaml");
    fs::write(&file, &next).unwrap();
    let new = file.to_str().unwrap();
    let mut all = reads(&agent, &site, &place, new);

    // A word on a key that then goes is told by the key's identity.
    agent.read(&["key", "deny", "globex", "--reason", "abuse"]).done();
    apply(&agent, &place, &next);
    all.extend(reads(&agent, &site, &place, new));
    let status = agent.status();
    let told = &status.words[0].name;
    assert!(told.starts_with("test;port=7000;site=****;tenant=h:"), "{told}");

    // What is refused, and what is wrong with the file that is followed.
    let wrong = next.replacen("tenant: zq-tenant-1", "tenant: zq-tenant-one", 1);
    fs::write(place.file("wrong.yaml"), &wrong).unwrap();
    let refused = agent.read(&["apply", place.file("wrong.yaml").to_str().unwrap()]);
    all.push(("apply".to_owned(), format!("{refused:?}")));
    fs::write(place.policy(), &wrong).unwrap();
    until("the followed file is read", || agent.status().policy.trouble.is_some());
    all.extend(reads(&agent, &site, &place, new));

    // Whoever may change the node may see.
    let client = Client::new(&place.socket());
    let hidden: Key = client.get("/v1/keys/acme").unwrap();
    let shown: Key = client.get("/v1/keys/acme?reveal=true").unwrap();
    assert_eq!((hidden.values["site"].as_str(), hidden.values["port"].as_str()), ("****", "7000"));
    let plain: Vec<_> = shown.values.values().map(String::as_str).collect();
    assert_eq!(plain, ["7000", "zq-site-new", "zq-tenant-1"]);
    for read in [&["key", "get", "acme", "--reveal"][..], &["key", "list", "--reveal", "-o", "json"]] {
        assert!(agent.read(read).data().contains("zq-tenant-1"), "{read:?}");
    }
    assert!(
        agent
            .read(&["plan", place.file("next.yaml").to_str().unwrap(), "--reveal"])
            .data()
            .contains("nothing")
    );

    // The same value has the same hash in every output, and after a restart.
    let hash = hidden.values["tenant"].clone();
    let explained = all.iter().find(|(name, _)| name.starts_with("explain -o json")).unwrap();
    let explained: Explanation = serde_json::from_str(&explained.1).unwrap();
    let fields = explained.extract.unwrap();
    assert_eq!(fields[0].value.as_ref(), Some(&hash));
    agent.signal(Signal::SIGTERM);
    assert!(agent.wait().success());
    let log = agent.log();
    assert!(log.contains("key_first_seen") && log.contains("key_retired") && log.contains("TRACE"), "{log}");
    assert!(log.contains(&format!("tenant={hash}")), "{hash}: {log}");
    fs::write(place.policy(), policy()).unwrap();
    let mut again = place.start(&site.node);
    assert_eq!(again.key("acme").values["tenant"], hash);

    all.push(("log".to_owned(), log));
    all.push(("log of the restart".to_owned(), again.log()));
    for (name, text) in &all {
        assert!(!text.is_empty() && !text.contains(HIDDEN), "{name} tells a value:\n{text}");
    }
    // A node of its own has other hashes.
    let elsewhere = Place::new(&policy());
    again.signal(Signal::SIGTERM);
    assert!(again.wait().success());
    let other = elsewhere.start(&site.node);
    let value = other.key("acme").values["tenant"].clone();
    assert!(value.starts_with("h:") && value != hash, "{value}");
}

#[test]
fn texts_that_look_personal_are_counted_when_they_come_into_force() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let agent = place.start(&site.node);
    let found = || agent.metrics(&site.node).get("keysteer_privacy_findings_total", &[]);
    assert_eq!(found(), 0.0);
    let personal = usual().replacen("{name: acme,", "{name: acme, account: ann@example.com,", 1);
    assert_ne!(personal, usual());
    apply(&agent, &place, &personal);
    assert_eq!(found(), 1.0);
}
