//! What commands without an agent show of fields whose values the policy hides: a policy with all three displays, and
//! every output searched for the values.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests state what must hold")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Every value that is hidden begins so, and nothing else.
const HIDDEN: &str = "zq-";

/// The top of the worktree.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The tour's policy: tenants hashed, the service that is asked masked, products plain.
fn policy() -> String {
    let text = fs::read_to_string(top().join("docs/tour.yaml")).expect("the policy is there");
    let text = text
        .replace(
            "  prefixTables:\n",
            "  prefixTables:\n    sites: {203.0.113.10: zq-one, \"2001:db8:10::10\": zq-other}\n",
        )
        .replace("ip.src, table: tenants}", "ip.src, table: tenants, display: keyed-hash}")
        .replace(
            "        - {name: product, from: ip.dscp}",
            "        - {name: product, from: ip.dscp, display: plain}\n        - {name: site, from: ip.dst, table: sites, display: masked}",
        )
        .replace("[[tenant, product], [tenant]]", "[[tenant, product, site], [tenant, site]]")
        .replace("product: 34}", "product: 34, site: zq-one}");
    ["acme", "globex", "initech", "umbrella"].iter().fold(text, |text, label| {
        text.replace(&format!(": {label}\n"), &format!(": zq-{label}\n"))
            .replace(&format!("tenant: {label},"), &format!("tenant: zq-{label},"))
            .replace(&format!("{{tenant: {label}}}"), &format!("{{tenant: zq-{label}, site: zq-one}}"))
    })
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a directory"));
        place.write("p.yaml", &policy());
        place
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).expect("a file");
    }

    /// A node's state directory whose secrets are of this byte.
    fn state(&self, byte: u8) -> String {
        let name = format!("state-{byte}");
        let to = self.0.path().join(&name);
        fs::create_dir(&to).expect("a directory");
        fs::write(to.join("secrets"), [byte; 32]).expect("a file");
        name
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keysteer"));
        command.args(arguments).current_dir(self.0.path()).output().expect("the program runs")
    }

    /// What is said on both streams by a command that succeeds.
    fn said(&self, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (text(output.stdout), text(output.stderr))
    }

    /// The same of one that is to hide.
    fn hides(&self, arguments: &[&str]) -> String {
        let (out, err) = self.said(arguments);
        assert!(!out.is_empty() && !format!("{out}{err}").contains(HIDDEN), "{arguments:?}: {out}{err}");
        out
    }

    /// The fields of every packet of the tour's capture, as replay tells them.
    fn fields(&self, more: &[&str]) -> Vec<BTreeMap<String, Value>> {
        let capture = top().join("docs/tour.pcap");
        let capture = capture.to_str().expect("a path of text");
        let replay = ["replay", "--engine", "host", "--policy", "p.yaml", "-o", "jsonl"];
        let (out, _) = self.said(&[&replay[..], more, &[capture]].concat());
        let fields = |line: &str| {
            let mut line: Value = serde_json::from_str(line).expect("an object");
            serde_json::from_value(line["fields"].take()).expect("fields")
        };
        out.lines().map(fields).collect()
    }
}

const PACKET: [&str; 6] = ["--src", "10.1.0.1", "--dst", "203.0.113.10", "--dport", "443"];

#[test]
fn explain() {
    let place = Place::new();
    let near = ["--src", "10.3.0.1", "--dst", "203.0.113.10", "--dport", "443", "--dscp", "46"];
    let lost = ["--src", "10.77.0.1", "--dst", "203.0.113.10", "--dport", "443"];
    for packet in [&PACKET[..], &near, &lost] {
        for output in ["table", "json"] {
            let ask = [&["explain", "--policy", "p.yaml", "-o", output], packet].concat();
            let said = place.hides(&ask);
            assert!(said.contains("****") && said.contains("display secret of this run alone"), "{said}");
            assert!(!said.contains("10.77.0.1 is in no prefix"), "{said}");
            let (plain, _) = place.said(&[&ask[..], &["--reveal"]].concat());
            assert!(
                plain.contains(HIDDEN) && !plain.contains("****") && !plain.contains("secret of this run")
            );
        }
    }
    let said: Value = serde_json::from_str(
        &place.hides(&[&["explain", "--policy", "p.yaml", "-o", "json"], &PACKET[..]].concat()),
    )
    .expect("JSON");
    let hashed = |text: &Value| text.as_str().is_some_and(|text| text.starts_with("h:") && text.len() == 18);
    let field = &said["extract"][0];
    assert!(hashed(&field["raw"]) && hashed(&field["value"]) && field["raw"] != field["value"], "{field}");
    assert_eq!(said["extract"][1]["value"], "0");
    assert_eq!((&said["extract"][2]["raw"], &said["extract"][2]["value"]), (&"****".into(), &"****".into()));
    assert_eq!(said["resolve"][1]["values"]["tenant"], field["value"]);
    assert_eq!(said["key"]["name"], "acme");
}

#[test]
fn replay() {
    let place = Place::new();
    let (hidden, plain) = (place.fields(&[]), place.fields(&["--reveal"]));
    assert!(hidden.len() == plain.len() && hidden.len() > 20);
    let mut pairs = BTreeSet::new();
    for (hidden, plain) in hidden.iter().zip(&plain) {
        assert!(hidden.keys().eq(plain.keys()));
        assert_eq!(hidden.get("product"), plain.get("product"));
        if let Some(site) = hidden.get("site") {
            assert_eq!(site, "****");
        }
        if let (Some(hash), Some(value)) = (hidden.get("tenant"), plain.get("tenant")) {
            pairs.insert((hash.as_str().expect("a hash").to_owned(), value.to_string()));
        }
    }
    let one = |pick: fn(&(String, String)) -> &str| pairs.iter().map(pick).collect::<BTreeSet<_>>().len();
    let (hashes, values) = (one(|(hash, _)| hash), one(|(_, value)| value));
    assert!(values > 3 && hashes == values && pairs.len() == values, "equal values, equal hashes: {pairs:?}");
    assert!(pairs.iter().all(|(hash, _)| hash.starts_with("h:") && hash.len() == 18), "{pairs:?}");

    // Each run has a secret of its own; a node keeps its.
    assert_ne!(place.fields(&[]), hidden);
    let states = [7, 8].map(|byte| place.state(byte));
    let [one, other] = states.each_ref().map(|state| place.fields(&["--state-dir", state]));
    assert_ne!(one, other);
    assert_eq!(place.fields(&["--state-dir", &states[0]]), one);

    // What explain says of a frame at the node is what replay says of it.
    let capture = top().join("docs/tour.pcap");
    let explain = ["explain", "--policy", "p.yaml", "--state-dir", &states[0], "-o", "json", "--packet", "3"];
    let said = place.hides(&[&explain[..], &["--capture", capture.to_str().expect("text")]].concat());
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["extract"][0]["raw"], one[2]["tenant"]);
}

#[test]
fn plan() {
    let place = Place::new();
    let next = policy()
        .replace("10.4.0.0/16: zq-umbrella", "10.4.0.0/16: zq-initech")
        .replace(
            "{name: globex, match: {tenant: zq-globex",
            "{name: new, match: {tenant: zq-initech, product: 7",
        )
        .replace("203.0.113.10: zq-one", "203.0.113.10: zq-one, 203.0.113.11: zq-new")
        .replace("display: plain", "display: masked");
    place.write("next.yaml", &next);
    for output in ["table", "json"] {
        let ask = ["plan", "next.yaml", "--against", "p.yaml", "-o", output];
        let said = place.hides(&ask);
        for part in ["10.4.0.0/16", "display of product", "masked", "site=****", "tenant=h:"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let (plain, _) = place.said(&[&ask[..], &["--reveal"]].concat());
        for part in ["zq-umbrella", "zq-initech", "zq-new", "tenant=zq-globex"] {
            assert!(plain.contains(part), "{part}: {plain}");
        }
    }
    // A change of what is hidden is a change, and how values are shown concerns no guard.
    let show = policy().replace("display: masked", "display: plain");
    place.write("show.yaml", &show);
    let said = place.hides(&["plan", "p.yaml", "--against", "show.yaml"]);
    assert!(said.contains("display of site"), "{said}");
    let output = place.run(&["plan", "show.yaml", "--against", "p.yaml", "--exit-code"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}

#[test]
fn validate() {
    let place = Place::new();
    place.hides(&["validate", "p.yaml"]);
    for (from, to, said) in [
        ("match: {tenant: zq-acme,", "match: {tenant: zq-acne,", "is no label of prefix table tenants"),
        ("site: zq-one}, deny", "site: zq-on}, deny", "is no label of prefix table sites"),
        ("10.2.0.0/16: zq-globex", "10.2.0.0/16: zq-globex\n      10.2.0.0/16: zq-acme", "is given twice"),
        ("10.2.0.0/16: zq-globex", "10.2.0.0/16: 491555123", "found a number: write it in quotes"),
        ("10.2.0.0/16: zq-globex", "10.2.0.0/16: \" zq-globex\"", "begins or ends with a blank"),
    ] {
        assert!(policy().contains(from), "{from}");
        place.write("wrong.yaml", &policy().replacen(from, to, 1));
        let output = place.run(&["validate", "wrong.yaml"]);
        let text = format!("{output:?}");
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(said) && !text.contains(HIDDEN) && !text.contains("491555123"), "{text}");
    }
}

/// Networks of a tunnel masked, what is inside hashed, senders masked; a key of network `vni` that nobody may use from where
/// the captures' packets come from.
fn tunnels(vni: &str) -> String {
    format!(
        "apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {{name: tunnels}}
spec:
  environment: prod
  interfaces: [{{name: eth0}}]
  scope: [{{services: [any]}}]
  schemas:
    - version: 1
      fields:
        - {{name: network, from: vxlan.vni, display: masked}}
        - {{name: machine, from: inner.ethernet.dst, display: keyed-hash}}
        - {{name: sender, from: ipv4.src, display: masked}}
      levels: [[network, machine], [network, sender], [network]]
  shards: [{{name: a, target: pass}}]
  pools: [{{name: all, shards: [a]}}]
  trust: {{default: verify}}
  keys:
    - {{name: claimed, match: {{network: {vni}}}, sources: [10.255.255.0/24], pool: all}}
    - {{name: other, match: {{network: {vni}, machine: \"02:00:00:00:0a:0b\"}}, pool: all}}
"
    )
}

/// The parts of an explanation that do not repeat the packet.
fn beyond_the_packet(said: &str) -> Value {
    let mut said: Value = serde_json::from_str(said).expect("JSON");
    let all = said.as_object_mut().expect("an object");
    assert!(all.remove("frame").is_some() && all.remove("parse").is_some());
    said
}

#[test]
fn carriers_inside_of_tunnels() {
    let place = Place::new();
    let capture = top().join("tests/captures/carriers-tunnel.pcap");
    let capture = capture.to_str().expect("a path of text");
    place.write("t.yaml", &tunnels("16777215"));
    let replay = ["replay", "--engine", "host", "--policy", "t.yaml", "-o", "jsonl", capture];
    let lines = |more: &[&str]| -> Vec<Value> {
        let (out, _) = place.said(&[&replay[..], more].concat());
        out.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
    };
    let plain = lines(&["--reveal"]);
    let networks: Vec<(usize, String)> = plain
        .iter()
        .enumerate()
        .filter_map(|(at, line)| Some((at, line["fields"]["network"].as_u64()?.to_string())))
        .filter(|(_, vni)| vni.len() > 5)
        .collect();
    assert!(networks.len() > 3, "{networks:?}");
    for (hidden, plain) in lines(&[]).iter().zip(&plain) {
        let (hidden, plain) = (&hidden["fields"], &plain["fields"]);
        for (name, masked) in [("network", true), ("machine", false), ("sender", true)] {
            let text = hidden[name].as_str();
            assert_eq!(text.is_some(), !plain[name].is_null(), "{name}: {hidden} {plain}");
            assert!(text.is_none_or(|text| if masked { text == "****" } else { text.starts_with("h:") }));
        }
    }

    let mut claimed = 0;
    for (at, vni) in &networks {
        place.write("t.yaml", &tunnels(vni));
        let number = (at + 1).to_string();
        let packet = ["--capture", capture, "--packet", &number];
        let ask =
            |more: &[&str]| place.said(&[&["explain", "--policy", "t.yaml"], &packet[..], more].concat()).0;
        let (json, table) = (ask(&["-o", "json"]), ask(&["-o", "table"]));
        let (hidden, plain) =
            (beyond_the_packet(&json), beyond_the_packet(&ask(&["-o", "json", "--reveal"])));
        let (_, drawn) = table.split_once(" scope ").expect("the stage after the packet");
        let fields = plain["extract"].as_array().expect("fields");
        assert_eq!(fields[0]["value"].as_str(), Some(vni.as_str()));
        for value in fields.iter().filter_map(|field| field["value"].as_str()) {
            for said in [&hidden.to_string(), drawn] {
                assert!(!said.contains(value), "{value} is told: {said}");
            }
        }
        if fields[2]["value"].is_string() && plain["class"] == "unauthenticated" {
            claimed += 1;
            assert_eq!(plain["trust"]["source"], fields[2]["value"]);
            assert_eq!(
                (&hidden["trust"]["source"], &hidden["trust"]["key"]),
                (&"****".into(), &"claimed".into())
            );
        }
    }
    assert!(claimed > 0, "no packet claims the key");

    let (_, vni) = &networks[0];
    place.write("t.yaml", &tunnels(vni));
    place.write("next.yaml", &tunnels("16777213").replace("10.255.255.0/24", "10.255.254.0/24"));
    for output in ["table", "json"] {
        let ask = ["plan", "next.yaml", "--against", "t.yaml", "-o", output];
        let (said, plain) = (place.said(&ask).0, place.said(&[&ask[..], &["--reveal"]].concat()).0);
        assert!(plain.contains(vni) && plain.contains("16777213"), "{plain}");
        assert!(said.contains("****") && !said.contains(vni) && !said.contains("16777213"), "{said}");
    }
    place.write("wrong.yaml", &tunnels("16777217"));
    let refused = format!("{:?}", place.run(&["validate", "wrong.yaml"]));
    assert!(refused.contains("is no value of 24 bits of vxlan.vni (display is masked"), "{refused}");
    assert!(!refused.contains("16777217"), "{refused}");
}

/// Tenants by their addresses, as the first version of the schema has them, or by their VLANs, whose values the second one
/// calls by names: each field with a `display`, if any.
fn versions(first: &str, second: &str) -> String {
    format!(
        "apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {{name: versions}}
spec:
  environment: prod
  interfaces: [{{name: eth0}}]
  scope: [{{services: [any]}}]
  prefixTables:
    tenants: {{10.1.0.0/16: zq-acme, 10.2.0.0/16: zq-globex, 10.3.0.0/16: zq-initech}}
  schemas:
    - version: 2
      fields: [{{name: tenant, from: ip.src, table: tenants{first}}}]
    - version: 1
      fields:
        - {{name: tenant, from: vlan.id, values: {{zq-acme: 3101, zq-globex: [3102, 3103]}}{second}}}
        - {{name: product, from: ip.dscp}}
      levels: [[tenant, product], [tenant]]
  shards: [{{name: a, target: pass}}]
  pools: [{{name: all, shards: [a]}}]
  keys:
    - {{name: acme, match: {{tenant: zq-acme}}, pool: all}}
    - {{name: globex, match: {{tenant: zq-globex}}, pool: all}}
    - {{name: initech, match: {{tenant: zq-initech}}, pool: all}}
    - {{name: globex-voice, match: {{tenant: zq-globex, product: 46}}, pool: all}}
    - {{name: old, match: {{tenant: 3110}}, aliasOf: acme}}
"
    )
}

/// What only one version of the schema masks is masked by all: its values are the same in each.
#[test]
fn versions_of_the_schema() {
    let place = Place::new();
    let masked = versions("", ", display: masked");
    place.write("v.yaml", &masked);
    place.hides(&["validate", "v.yaml"]);
    for (source, vlan, dscp, key) in [
        ("10.1.0.1", "3102", "0", Some("acme")),
        ("10.77.0.1", "3103", "0", Some("globex")),
        ("10.77.0.1", "3103", "46", Some("globex-voice")),
        ("10.77.0.1", "3110", "0", Some("old")),
        ("10.77.0.1", "3111", "0", None),
    ] {
        let packet =
            ["--src", source, "--dst", "203.0.113.10", "--dport", "443", "--vlan", vlan, "--dscp", dscp];
        let ask = [&["explain", "--policy", "v.yaml"], &packet[..], &["-o"]].concat();
        let table = place.hides(&[&ask[..], &["table"]].concat());
        let (_, drawn) = table.split_once(" scope ").expect("the stage after the packet");
        let json = place.hides(&[&ask[..], &["json"]].concat());
        let hidden = beyond_the_packet(&json);
        let (plain, _) = place.said(&[&ask[..], &["json", "--reveal"]].concat());
        assert!(plain.contains(vlan) && !plain.contains("****"), "{plain}");
        for said in [&hidden.to_string(), drawn] {
            assert!(said.contains("****") && !said.contains(source) && !said.contains(vlan), "{said}");
        }
        assert_eq!(hidden["key"]["name"].as_str(), key, "{json}");
        let by_version = [&hidden["extract"], &hidden["others"][0]["extract"]];
        for fields in by_version.into_iter().flat_map(|fields| fields.as_array().expect("fields")) {
            assert!(fields["name"] == "product" || fields["raw"] == "****", "{fields}");
        }
    }

    // Also what a version calls its values, and that it comes or goes.
    let other =
        masked.replace("zq-acme: 3101", "zq-acme: [3101, 3104]").replace("10.3.0.0/16", "10.4.0.0/16");
    let (begin, rest) = masked.split_once("    - version: 1\n").expect("the second version");
    let (_, end) = rest.split_once("  shards:").expect("what comes then");
    let end =
        end.replace("match: {tenant: zq-globex, product: 46}", "match: {tenant: zq-globex}, deny: true");
    let end: String = end
        .lines()
        .filter(|line| !line.contains("name: old") && !line.contains("-voice"))
        .fold(String::new(), |text, line| text + line + "\n");
    let alone = format!("{begin}  shards:{end}").replace("table: tenants", "table: tenants, display: masked");
    for next in [other, alone] {
        place.write("next.yaml", &next);
        for (old, new) in [("v.yaml", "next.yaml"), ("next.yaml", "v.yaml")] {
            for output in ["table", "json"] {
                let ask = ["plan", new, "--against", old, "--allow", "schema", "-o", output];
                let said = place.hides(&ask);
                assert!(said.contains("****") && !said.contains("310"), "{said}");
                let (plain, _) = place.said(&[&ask[..], &["--reveal"]].concat());
                assert!(plain.contains(HIDDEN) && plain.contains("3102 3103"), "{plain}");
            }
        }
    }

    for (from, to, said) in [
        ("zq-globex: [3102, 3103]", "zq-globex: [3102, 3101]", "a value has two names"),
        ("zq-globex: [3102, 3103]", "zq-globex: [3102, 9999]", "no packet has it there"),
        ("zq-globex: [3102, 3103]", "zq-globex: zq-acme", "begin with no digit, and a number"),
        ("zq-acme: 3101, zq-globex", "zq-acme: 3101, zq-acme", "names, each once"),
        ("zq-globex: [3102, 3103]", "31x2: 3102", "begin with no digit"),
        ("tenant: zq-globex, product", "tenant: zq-glob, product", ", or no name of one"),
        ("tenant: zq-initech", "tenant: zq-initec", "(display is masked"),
        ("tenant: 3110", "tenant: 3101", ", or no name of one"),
        ("tenant: 3110", "tenant: 99999", ", or no name of one"),
    ] {
        assert!(masked.contains(from), "{from}");
        place.write("wrong.yaml", &masked.replacen(from, to, 1));
        let output = place.run(&["validate", "wrong.yaml"]);
        let text = format!("{output:?}");
        assert_eq!(output.status.code(), Some(1), "{text}");
        let hidden = [HIDDEN, "310", "31x2", "9999"].iter().all(|value| !text.contains(value));
        assert!(text.contains(said) && hidden, "{text}");
    }

    // A tenant is the same whichever version says so.
    place.write("v.yaml", &versions(", display: keyed-hash", ""));
    let packet = ["--src", "10.2.0.1", "--dst", "203.0.113.10", "--dport", "443", "--vlan", "3103"];
    let said = place.hides(&[&["explain", "--policy", "v.yaml", "-o", "json"], &packet[..]].concat());
    let said: Value = serde_json::from_str(&said).expect("JSON");
    let [one, other] = [&said["extract"][0]["value"], &said["others"][0]["extract"][0]["value"]];
    assert!(one.as_str().is_some_and(|text| text.starts_with("h:")) && one == other, "{one} {other}");
}
