//! The published schema against the reader: the same fields everywhere, never stricter, and no more lenient
//! about shape.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::super::json_schema::json_schema;
use super::super::{document, reader, yaml};
use super::*;

fn validator() -> Validator {
    jsonschema::draft7::new(&json_schema()).unwrap()
}

/// A document with everything that there is.
fn full() -> Value {
    json!({
        "apiVersion": "keysteer.dev/v1alpha1",
        "kind": "SteeringPolicy",
        "metadata": {"name": "edge"},
        "spec": {
            "environment": "prod",
            "mode": "steer",
            "interfaces": [{"name": "eth0", "mode": "auto"}],
            "scope": [{"destinations": ["203.0.113.10/32", "2001:db8::/32"], "services": ["tcp/443", "udp/1-2", "icmp"]}],
            "prefixTables": {"tenants": {"10.1.0.0/16": "acme", "10.2.0.0/16": "globex", "10.3.0.0/16": "acme-old"}},
            "schemas": [{
                "version": 1,
                "fields": [
                    {"name": "tenant", "from": "ip.src", "table": "tenants"},
                    {
                        "name": "product", "from": "ip.dscp", "bits": {"offset": 0, "length": 6}, "mask": 62,
                        "values": {"bulk": [2, "0x4"], "best": 8},
                    },
                    {
                        "name": "customer", "from": "tcp.option", "option": {"kind": 253, "experiment": 7}, "signed": false,
                        "bits": {"offset": 8, "length": 16},
                    },
                    {"name": "flow", "from": "quic.dcid", "rotation": 2, "bits": {"offset": 8, "length": 16}},
                ],
                "levels": [["tenant", "product"], ["tenant"]],
                "since": "2026-01-31", "deprecated": "2099-12-31", "dualAccept": "30d",
            }],
            "shards": [
                {
                    "name": "a", "weight": 2, "target": "pass",
                    "health": {
                        "probe": {"http": {"port": 80, "path": "/healthz", "host": "shop.example", "status": [200, 204]}},
                        "address": "203.0.113.11", "interval": "2s", "timeout": "1s", "rise": 1, "fall": 2, "jitter": "20%",
                        "slowStart": "30s", "damping": "off",
                    },
                    "zone": "east",
                },
                {"name": "b", "target": {"cpu": 1}, "health": {"probe": {"icmp": {}}, "damping": {"flaps": 3}}, "zone": "east"},
                {"name": "c", "target": {"interface": {"name": "veth-c", "mac": "02:00:00:00:00:0c"}}, "zone": "west"},
                {"name": "d", "target": {"nextHop": {"interface": "eth0", "mac": "02:00:00:00:00:0d"}}, "zone": "west"},
            ],
            "pools": [{"name": "general", "shards": ["a", "b", "c", "d"], "region": "34", "udp": "hold", "health": {"floor": "40%"}}],
            "tiers": [{
                "name": "gold", "pool": "general", "width": 2, "owner": "team", "costCentre": "cc-1", "account": "acct-1",
                "rank": 2, "vip": true,
            }],
            "keys": [
                {
                    "name": "acme", "match": {"tenant": "acme"}, "tier": "gold", "pool": "general", "width": 2, "shards": ["a", "b"],
                    "owner": "team-acme", "costCentre": "cc-2", "account": "acct-2", "region": 34, "vip": false, "schema": 1,
                    "sources": ["10.1.0.0/16", "2001:db8::1"],
                },
                {"name": "acme-old", "match": {"tenant": "acme-old"}, "aliasOf": "acme"},
                {"name": "video", "match": {"tenant": "acme", "product": 34}, "deny": true, "reason": "unpaid"},
            ],
            "keysFrom": "keys.csv",
            "carriers": {
                "vxlan": {"port": 8472}, "geneve": {"port": 6082}, "gtpu": {"port": 2153},
                "quic": {"port": 8443, "shortHeaderLength": 12}, "shim": {"port": 7000},
            },
            "fragments": {"table": 4096, "otherwise": {"pool": "general"}},
            "trust": {
                "default": "trusted",
                "interfaces": {"eth0": {"mode": "verify", "schemas": [1], "carriers": ["ip.src", "ip.dscp"]}},
            },
            "classes": {"missing": {"pool": "general"}, "unregistered": "pass", "malformed": "drop", "unauthenticated": "pass"},
            "blastRadius": {"keys": "40%", "traffic": "62.5%"},
            "residency": {"field": "product"},
            "signing": {
                "secrets": [{"id": 1, "file": "/etc/keysteer/shim-1.key"}, {"id": 2, "file": "/etc/keysteer/shim-2.key"}],
                "bind": {"source": {"ipv4": 24, "ipv6": 48}, "destination": true},
            },
            "egress": {
                "interfaces": ["eth0"], "count": true, "senders": {"10.9.0.0/16": "acme"},
                "stamp": {"ip.dscp": "product", "ipv6.flow_label": {"acme": 7}}, "probes": true,
            },
            "health": {
                "probe": {"tcp": {"port": 443}}, "address": "203.0.113.10", "interval": "1s", "timeout": "500ms", "rise": 2, "fall": 3,
                "jitter": "10%", "floor": "50%", "slowStart": "30s", "damping": {"flaps": 3, "within": "60s", "hold": "60s"},
            },
            "migration": {"idle": "30s", "deadline": "2h", "pins": 4096},
            "rollout": {
                "cohorts": {"beta": ["acme"]},
                "steps": [
                    {"cohort": "beta", "for": "1m"}, {"tier": "gold"}, {"percent": "10%", "for": "5m"}, {"percent": "50%"},
                ],
                "abortIf": {
                    "drops": "1%", "resets": "2%", "failedHandshakes": "5%", "slowHandshakes": "20%", "shardsDown": 1,
                },
                "least": 50,
            },
        },
    })
}

/// What the reader says of a document: whether its shape is refused, and whether it is as a whole.
fn read(document: &Value) -> (bool, bool, Vec<Diagnostic>) {
    // JSON is YAML.
    let text = document.to_string();
    let keys = |_: &str| Ok("name,match.tenant,pool\nglobex,globex,general\n".into());
    let tree = yaml::read(&text, "p").unwrap();
    let mut context = reader::Context { file: "p", report: diagnostic::Report::default() };
    if document::read(&tree, &mut context).is_none() {
        return (true, true, context.report.finish());
    }
    match parse_with(&text, "p", &keys) {
        Ok(_) => (false, false, Vec::new()),
        Err(error) => (false, true, error.diagnostics().to_vec()),
    }
}

#[test]
fn the_full_document_is_right() {
    let (_, refused, problems) = read(&full());
    assert!(!refused, "{problems:?}");
    let errors: Vec<String> = validator().iter_errors(&full()).map(|error| error.to_string()).collect();
    assert_eq!(errors, [""; 0]);
}

/// The forms that a schema allows: itself, or its alternatives.
fn forms(schema: &Value) -> Vec<&Value> {
    schema["oneOf"].as_array().map_or(vec![schema], |forms| forms.iter().collect())
}

/// Those forms of a schema that are objects of fixed fields.
fn objects(schema: &Value) -> Vec<&Value> {
    forms(schema).into_iter().filter(|form| form["additionalProperties"] == json!(false)).collect()
}

/// The schema of a member of an object or a list.
fn member<'s>(schema: &'s Value, name: Option<&str>) -> &'s Value {
    let Some(name) = name else { return &schema["items"] };
    let found =
        forms(schema).into_iter().map(|form| &form["properties"][name]).find(|member| !member.is_null());
    found.unwrap_or(&schema["additionalProperties"])
}

/// Every node of a document, as a JSON pointer, with its schema.
fn nodes<'s>(document: &Value, schema: &'s Value, at: &str, found: &mut Vec<(String, &'s Value)>) {
    found.push((at.to_owned(), schema));
    match document {
        Value::Object(members) => {
            for (name, value) in members {
                let step = name.replace('~', "~0").replace('/', "~1");
                nodes(value, member(schema, Some(name)), &format!("{at}/{step}"), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                nodes(value, member(schema, None), &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// How many objects of fixed fields a schema describes.
fn closed(schema: &Value) -> usize {
    let own = usize::from(schema["additionalProperties"] == json!(false));
    own + match schema {
        Value::Object(members) => members.values().map(closed).sum(),
        Value::Array(items) => items.iter().map(closed).sum(),
        _ => 0,
    }
}

const UNKNOWN: &str = "zzzzzzzzzzzzzzzz";

/// An unknown field makes the reader list those that it knows: exactly those of the schema.
#[test]
fn the_reader_and_the_schema_know_the_same_fields() {
    let (document, schema, validator) = (full(), json_schema(), validator());
    let mut found = Vec::new();
    nodes(&document, &schema, "", &mut found);
    let mut compared = BTreeSet::new();
    for (pointer, schema) in found {
        let objects = objects(schema);
        if !document.pointer(&pointer).unwrap().is_object() || objects.is_empty() {
            continue;
        }
        let known = objects.iter().flat_map(|object| object["properties"].as_object().unwrap().keys());
        let known: BTreeSet<&str> = known.map(String::as_str).collect();
        let mut changed = document.clone();
        changed.pointer_mut(&pointer).unwrap()[UNKNOWN] = json!(1);
        let (_, _, problems) = read(&changed);
        let said = problems.iter().find(|problem| problem.field.ends_with(UNKNOWN));
        let said = &said.unwrap_or_else(|| panic!("{pointer}: {problems:?}")).message;
        // unknown field "zz": expected "a", "b" or "c"
        let listed: BTreeSet<&str> = said.split('"').skip(3).step_by(2).collect();
        assert_eq!(listed, known, "{pointer}: {said}");
        assert!(!validator.is_valid(&changed), "{pointer}");
        compared.extend(objects.into_iter().map(|object| std::ptr::from_ref(object).addr()));
    }
    // Of three of the four classes, of the fragments' pool and of Geneve's options the document has other forms; of the three
    // probes it has one for all shards, and two for one shard.
    assert_eq!(compared.len() + 6, closed(&schema), "an object of the schema is not in the full document");
}

/// Everything in place of everything else, and everything left out: the schema refuses what the reader finds
/// wrong in shape, and nothing that the reader takes.
#[test]
fn the_schema_is_as_strict_about_shape_and_never_stricter() {
    let (document, schema, validator) = (full(), json_schema(), validator());
    let mut found = Vec::new();
    nodes(&document, &schema, "", &mut found);
    let others = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(7),
        json!(-1),
        json!(70_000),
        json!(1.5),
        json!(""),
        json!("text"),
        json!("two words"),
        json!(" blank"),
        json!("x".repeat(64)),
        json!("x".repeat(257)),
        json!("0x10"),
        json!("all"),
        json!("a\u{7}"),
        json!([]),
        json!({}),
        json!(["text"]),
        json!([7]),
        json!({"text": 7}),
        json!({"pool": "general"}),
        json!({"cpu": 1, "interface": 1}),
    ];
    let mut refused = 0;
    let mut check = |changed: &Value, what: &str| {
        let (shape, all, problems) = read(changed);
        let valid = validator.is_valid(changed);
        assert!(all || valid, "the schema is stricter: {what}");
        // A schema has no words for control characters that every editor's dialect understands.
        let inexpressible = problems.iter().any(|problem| problem.message.contains("control characters"));
        assert!(!shape || !valid || inexpressible, "the schema is more lenient: {what}: {problems:?}");
        refused += usize::from(!valid);
    };
    for (pointer, _) in &found {
        for other in &others {
            let mut changed = document.clone();
            *changed.pointer_mut(pointer).unwrap() = other.clone();
            check(&changed, &format!("{pointer} = {other}"));
        }
        if let Some((parent, last)) = pointer.rsplit_once('/') {
            let mut changed = document.clone();
            let name = last.replace("~1", "/").replace("~0", "~");
            match changed.pointer_mut(parent).unwrap() {
                Value::Object(members) => drop(members.remove(&name)),
                Value::Array(items) => drop(items.remove(name.parse().unwrap())),
                _ => unreachable!("only those have members"),
            }
            check(&changed, &format!("without {pointer}"));
        }
    }
    assert!(refused > 1_000, "{refused}");
}

/// A policy's text as the validator wants it.
fn from_yaml(text: &str) -> Value {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).unwrap()
}

#[test]
fn every_policy_that_is_shipped_or_tested_with_validates() {
    let validator = validator();
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let policies = |folder: &str| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(top.join(folder)).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
        assert!(paths.len() >= 5, "{folder}: {paths:?}");
        paths
    };
    let mut checked = vec![("the small one".to_owned(), RIGHT.to_owned())];
    for path in policies("examples").into_iter().chain(policies("tests/src/differential/policies")) {
        checked.push((path.display().to_string(), std::fs::read_to_string(path).unwrap()));
    }
    let reference = std::fs::read_to_string(top.join("docs/policy.md")).unwrap();
    let whole = reference.split("\n```yaml\n").skip(1).filter_map(|block| block.split_once("\n```"));
    checked.extend(whole.map(|(block, _)| ("docs/policy.md".to_owned(), block.to_owned())));
    for (name, text) in &checked {
        let errors: Vec<String> = validator
            .iter_errors(&from_yaml(text))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(errors, [""; 0], "{name}");
    }
    assert!(checked.len() > 12, "{}", checked.len());
}

#[test]
fn slips_are_found_by_the_schema_too() {
    let validator = validator();
    for (right, wrong) in [
        ("environment: prod", "enviroment: prod"),
        ("services: [tcp/443]", "services: [tpc/443]"),
        ("from: ip.dscp", "from: ip.dcsp"),
        ("target: {cpu: 1}", "target: {cpus: 1}"),
        ("width: 2", "width: two"),
        ("name: gold", "name: -gold"),
        ("tier: gold}", "owner: x}"),
        ("tier: gold}", "tier: gold, sources: 10.1.0.0/16}"),
        ("  keys:\n", "  trust: {default: verified}\n  keys:\n"),
    ] {
        assert!(RIGHT.contains(right), "{right}");
        assert!(!validator.is_valid(&from_yaml(&RIGHT.replacen(right, wrong, 1))), "{wrong}");
    }
}
