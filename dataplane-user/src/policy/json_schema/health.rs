//! The schema of what is said of health.

use serde_json::{Value, json};

use crate::policy::document::{LONGEST, MOST};

use super::leaves::{filled, integer, share, with_default};

/// `spec.health`.
pub(super) fn schema() -> Value {
    let mut all = common("Which shards live, asked over the road that packets to them take.");
    all["properties"]["floor"] = with_default(
        share(
            "How much of a pool's weight must be left; where it is less the network is doubted, and none is taken out.",
        ),
        "50%",
    );
    all["required"] = json!(["probe"]);
    all
}

/// `health` of a shard.
pub(super) fn of_shard() -> Value {
    json!({
        "description": "How this shard is asked, where otherwise than spec.health says.",
        "oneOf": [{"enum": ["off"]}, common("What is otherwise.")],
    })
}

/// `health` of a pool.
pub(super) fn of_pool() -> Value {
    json!({
        "description": "This pool's own floor.",
        "type": "object",
        "properties": {"floor": share("How much of its weight must be left.")},
        "required": ["floor"],
        "additionalProperties": false,
    })
}

fn common(description: &str) -> Value {
    let visible = |what: &str, first: &str| {
        json!({
            "description": what,
            "type": "string",
            "pattern": format!("^{first}[!-~]*$"),
            "minLength": 1,
            "maxLength": LONGEST,
        })
    };
    let port = || integer("The port.", 1, 65_535);
    let only = |name: &str, properties: Value, required: Value| {
        json!({
            "type": "object",
            "properties": {name: {
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": false,
            }},
            "required": [name],
            "additionalProperties": false,
        })
    };
    let http = json!({
        "port": port(),
        "path": with_default(visible("What is asked for.", "/"), "/"),
        "host": visible("The Host of the request; the address where not given.", "[!-~]"),
        "status": with_default(filled("The right answers.", &integer("A status.", 100, 599)), json!([200])),
    });
    json!({
        "description": description,
        "type": "object",
        "properties": {
            "probe": {
                "description": "What a shard is asked.",
                "oneOf": [
                    only("tcp", json!({"port": port()}), json!(["port"])),
                    only("http", http, json!(["port"])),
                    only("icmp", json!({}), json!([])),
                ],
            },
            "address": {
                "description": "Where it is asked; the first address of one host in the scope where not given.",
                "type": "string",
                "pattern": r"^[0-9A-Fa-f:.]+$",
            },
            "interval": with_default(span("From one question to the next."), "1s"),
            "timeout": span("How long an answer is waited for; half the interval where not given."),
            "rise": with_default(integer("Answers in a row that bring a shard back.", 1, MOST), 2),
            "fall": with_default(integer("Failures in a row that take it out.", 1, MOST), 3),
            "jitter": with_default(share("By how much an interval may be shorter, 50% at most."), "10%"),
            "slowStart": with_default(span("How long one that came back takes to have its full share."), "0s"),
            "damping": {
                "description": "When a shard that comes and goes is kept out.",
                "oneOf": [
                    {"enum": ["off"]},
                    {
                        "type": "object",
                        "properties": {
                            "flaps": with_default(integer("How often it went down.", 2, MOST), 3),
                            "within": with_default(span("Within which time."), "60s"),
                            "hold": with_default(span("How long it is kept out, at first."), "60s"),
                        },
                        "additionalProperties": false,
                    },
                ],
            },
        },
        "additionalProperties": false,
    })
}

/// A span of time.
fn span(description: &str) -> Value {
    json!({"description": description, "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d|w))+$"})
}
