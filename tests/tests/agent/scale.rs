//! A hundred thousand keys, and names that nobody would choose.

use std::fmt::Write;
use std::fs;
use std::time::{Duration, Instant};

use keysteer_tests::frames::Packet;
use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::{THREE_SHARDS, policy};
use keysteer_tests::site::{PATIENCE, PORT, SERVICE, Site, v4};

const KEYS: usize = 100_000;
/// Memory of the agent's own, without its code, that the product's budget of 64 MiB leaves.
const BUDGET_KIB: u64 = 52 * 1024;

/// A key for port 7000 of tenant 1 and for 99,999 other places.
fn many_keys() -> String {
    let mut csv = "name,match.tenant,match.port,pool,width,owner\n".to_owned();
    for number in 0..KEYS {
        let (tenant, port) = (number % 5 + 1, usize::from(PORT) + number / 5);
        let width = number % 3 + 1;
        writeln!(csv, "tenant-{number:06},t{tenant},{port},all,{width},team-{}@example", number % 50)
            .unwrap();
    }
    csv
}

/// Memory in use, by a name of proc_pid_status(5), in KiB.
fn memory(agent: &Agent, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_hundred_thousand_keys_fit_the_budget() {
    let site = Site::new(1500);
    let tail = THREE_SHARDS.split("  keys:").next().unwrap().to_owned() + "  keysFrom: keys.csv\n";
    let text = policy("", "{name: up0}", &tail).replace(
        "fields: [{name: tenant, from: ip.src, table: tenants}]",
        "fields: [{name: tenant, from: ip.src, table: tenants}, {name: port, from: l4.dst_port}]",
    );
    let place = Place::new(&text);
    fs::write(place.file("keys.csv"), many_keys()).unwrap();
    let begun = Instant::now();
    let agent = place.start(&site.node);
    assert!(begun.elapsed() < Duration::from_secs(15), "started in {:?}", begun.elapsed());
    assert_eq!(agent.status().policy.keys, KEYS);

    site.who(v4(1, 1));
    let begun = Instant::now();
    let metrics = agent.metrics(&site.node);
    assert!(begun.elapsed() < Duration::from_secs(2), "scraped in {:?}", begun.elapsed());
    assert_eq!(metrics.sum("keysteer_key_packets_total"), 1.0);
    let keys = agent.keys();
    assert_eq!((keys.len(), keys.iter().map(|key| key.packets).sum::<u64>()), (KEYS, 1));
    let one = keys.iter().find(|key| key.packets == 1).unwrap();
    assert_eq!((one.name.as_str(), one.values["port"].as_str()), ("tenant-000000", "7000"));

    // A key is explained, and what is nobody's is compared with all of them, without delay.
    let begun = Instant::now();
    let explain = |tenant| {
        agent.explain(&Packet { ports: (40_000, PORT), ..Packet::new(v4(tenant, 1), SERVICE[0]) }.bytes())
    };
    assert_eq!(explain(1).key.unwrap().name, "tenant-000000");
    let said = explain(6);
    let near = said.would_change.iter().filter(|line| line.contains("in place of")).count();
    assert_eq!((said.class.as_str(), near), ("unregistered", 3), "{said:?}");
    assert!(begun.elapsed() < Duration::from_secs(1), "explained in {:?}", begun.elapsed());

    // Neither the start nor a reading of everything leaves its working memory behind.
    let (own, all) = (memory(&agent, "RssAnon"), memory(&agent, "VmRSS"));
    assert!(own < BUDGET_KIB, "{own} KiB of its own, {all} KiB in all");
}

#[test]
fn any_name_reaches_every_reading_whole() {
    let site = Site::new(1500);
    let long = "n".repeat(256);
    let names =
        ["Grüße, \u{4e16}\u{754c} \u{1f980}", r#"a "quoted" \\ {b="c"}"#, "a/b?c=d&e#f %41 ..", &long];
    let keys: String = (1..).zip(names).fold(String::new(), |keys, (tenant, name)| {
        let name = serde_json::to_string(name).unwrap();
        keys + &format!("    - {{name: {name}, match: {{tenant: t{tenant}}}, pool: all}}\n")
    });
    let tail = THREE_SHARDS.split("  keys:").next().unwrap().to_owned() + "  keys:\n" + &keys;
    let place = Place::new(&policy("", "{name: up0}", &tail));
    let agent = place.start(&site.node);
    for (tenant, name) in (1..).zip(names) {
        site.ask(keysteer::world::Transport::Udp, v4(tenant, 1), 32, PATIENCE).unwrap().answer.unwrap();
        let key = agent.read(&["key", "get", name, "-o", "json"]).data();
        let key: keysteer::control::types::Key = serde_json::from_str(&key).unwrap();
        assert_eq!((key.name.as_str(), key.packets), (name, 1));
        assert!(agent.read(&["key", "list"]).data().contains(name));
        let metrics = agent.metrics(&site.node);
        assert_eq!(metrics.get("keysteer_key_packets_total", &[("key", name), ("scope", "key")]), 1.0);
    }
}
