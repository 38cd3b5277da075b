//! What the agent says of traffic: the local API, the command line and /metrics agree with what was
//! sent and with each other.

use keysteer::control::types::{Count, Key, Shard, Status};
use keysteer::world::Transport;
use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::metrics::Metrics;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::usual;
use keysteer_tests::site::{ADDRESSES, PATIENCE, SILENCE, Site, v4};

/// Of a question: the payload, and Ethernet, IPv4 and UDP headers around it.
const PAYLOAD: usize = 100;
const FRAME: u64 = PAYLOAD as u64 + 14 + 20 + 8;

/// Datagrams of three tenants from IPv4 addresses, as many as they have addresses; those of the denied
/// and of the unregistered one get no answer.
fn talk(site: &Site) {
    for (tenant, answered) in [(1, true), (2, true), (3, false), (5, false)] {
        for number in 1..=ADDRESSES {
            let patience = if answered { PATIENCE } else { SILENCE };
            let exchange = site.ask(Transport::Udp, v4(tenant, number), PAYLOAD, patience).unwrap();
            assert_eq!(exchange.answer.is_some(), answered, "tenant {tenant}, address {number}");
        }
    }
}

#[test]
fn every_reading_agrees_with_what_was_sent() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let agent = place.start(&site.node);
    talk(&site);

    let sent = Count { packets: ADDRESSES.into(), bytes: u64::from(ADDRESSES) * FRAME };
    let (status, keys, shards) = (agent.status(), agent.keys(), agent.shards());
    assert!(status.balanced, "{status:?}");
    let count = |key: &Key| Count { packets: key.packets, bytes: key.bytes };
    assert_eq!(keys.iter().map(count).collect::<Vec<_>>(), [sent; 3], "{keys:?}");
    assert_eq!(keys.iter().map(|key| key.drops.len()).collect::<Vec<_>>(), [0, 0, 1]);
    assert_eq!(keys[2].drops["denied"], sent);
    assert_eq!(keys[2].denied.as_deref(), Some("unpaid"));
    assert_eq!(shards.iter().map(|shard| shard.packets).sum::<u64>(), 2 * sent.packets);
    assert_eq!(shards.iter().map(|shard| shard.bytes).sum::<u64>(), 2 * sent.bytes);
    let outcome = |class: &str| status.outcomes.iter().filter(|it| it.class == class).collect::<Vec<_>>();
    let [unregistered] = outcome("unregistered")[..] else { panic!("{status:?}") };
    assert_eq!((unregistered.reason.as_str(), unregistered.packets), ("class_drop", sent.packets));
    assert!(outcome("missing").is_empty() && outcome("malformed").is_empty(), "{status:?}");

    the_command_line_says_the_same(&agent, &status, &keys, &shards);
    metrics_say_the_same(&agent.metrics(&site.node), &status, &keys, &shards);
}

fn the_command_line_says_the_same(agent: &Agent, status: &Status, keys: &[Key], shards: &[Shard]) {
    let read = |arguments: &[&str]| agent.read(arguments).data();
    // Neighbours are asked at any moment, so foreign frames may have come meanwhile.
    let said: Status = serde_json::from_str(&read(&["status", "-o", "json"])).unwrap();
    assert_eq!((said.pid, &said.policy, &said.program), (agent.pid(), &status.policy, &status.program));
    let table = read(&["status"]);
    for part in ["test (", "environment test", "3 keys, 3 shards", "up0", "native", "class_drop"] {
        assert!(table.contains(part), "{part} is not in:\n{table}");
    }

    assert_eq!(serde_json::from_str::<Vec<Key>>(&read(&["key", "list", "-o", "json"])).unwrap(), keys);
    let lines = read(&["key", "list", "-o", "jsonl"]);
    let lines: Vec<Key> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, keys);
    let one = read(&["key", "get", "globex", "-o", "json"]);
    assert_eq!(serde_json::from_str::<Key>(&one).unwrap(), keys[1]);
    let [packets, bytes] = [keys[0].packets, keys[0].bytes].map(|count| count.to_string());
    let row = ["acme", "1", "all", "2", "team-acme", &packets, &bytes, "0", "0", "steered"];
    let table = read(&["key", "list"]);
    assert!(table.lines().any(|line| line.split_whitespace().eq(row)), "{table}");
    let table = read(&["key", "get", "initech"]);
    assert!(table.lines().any(|line| line.split_whitespace().eq(["denied", "unpaid"])), "{table}");

    let said: Vec<Shard> = serde_json::from_str(&read(&["shard", "list", "-o", "json"])).unwrap();
    let counted = |shard: &Shard| (shard.name.clone(), shard.packets, shard.bytes, shard.dropped);
    assert!(said.iter().map(counted).eq(shards.iter().map(counted)), "{said:?}");
    let table = read(&["shard", "list"]);
    for shard in shards {
        let (packets, bytes) = (shard.packets.to_string(), shard.bytes.to_string());
        let row = table.lines().find(|line| line.split_whitespace().next() == Some(&shard.name));
        let cells: Vec<_> = row.unwrap_or_else(|| panic!("{table}")).split_whitespace().collect();
        assert!(cells.windows(2).any(|pair| pair == [&packets, &bytes]), "{table}");
    }
}

fn metrics_say_the_same(metrics: &Metrics, status: &Status, keys: &[Key], shards: &[Shard]) {
    let equal = |name: &str, labels: &[(&str, &str)], count: u64| {
        assert_eq!(metrics.get(name, labels), count as f64, "{name} {labels:?}");
    };
    for key in keys {
        let labels = [("key", key.name.as_str()), ("scope", "key")];
        equal("keysteer_key_packets_total", &labels, key.packets);
        equal("keysteer_key_bytes_total", &labels, key.bytes);
        equal("keysteer_key_flows_total", &labels, key.flows);
    }
    let denied = [("key", "initech"), ("scope", "key"), ("reason", "denied")];
    equal("keysteer_key_dropped_packets_total", &denied, keys[2].packets);
    for shard in shards {
        let labels = [("shard", shard.name.as_str())];
        equal("keysteer_shard_packets_total", &labels, shard.packets);
        equal("keysteer_shard_bytes_total", &labels, shard.bytes);
        equal("keysteer_shard_dropped_packets_total", &labels, shard.dropped);
    }
    for outcome in status.outcomes.iter().filter(|outcome| outcome.class != "foreign") {
        let labels = [("class", outcome.class.as_str()), ("reason", outcome.reason.as_str())];
        equal("keysteer_outcome_packets_total", &labels, outcome.packets);
        equal("keysteer_outcome_bytes_total", &labels, outcome.bytes);
    }
    equal("keysteer_keys_registered", &[], 3);
    equal("keysteer_interface_info", &[("interface", "up0"), ("mode", "native")], 1);
    // The balance that docs/metrics.md promises, at rest.
    for unit in ["packets", "bytes"] {
        let received = metrics.get(&format!("keysteer_received_{unit}_total"), &[]);
        assert_eq!(metrics.sum(&format!("keysteer_verdict_{unit}_total")), received);
        let name = format!("keysteer_outcome_{unit}_total");
        assert_eq!(metrics.sum(&name), received);
        let others = metrics.all(&name).filter(|(labels, _)| labels["class"] != "assigned");
        let others: f64 = others.map(|(_, value)| value).sum();
        assert_eq!(metrics.sum(&format!("keysteer_key_{unit}_total")) + others, received);
    }
}

#[test]
fn tcp_flows_are_counted_once_each() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let agent = place.start(&site.node);
    for number in 1..=ADDRESSES {
        site.ask(Transport::Tcp, v4(2, number), 20_000, PATIENCE).unwrap().answer.unwrap();
    }
    let key = agent.key("globex");
    assert_eq!(key.flows, u64::from(ADDRESSES));
    assert!(key.packets > 10 * key.flows, "{key:?}");
    assert!(key.bytes > 20_000 * key.flows, "{key:?}");
}
