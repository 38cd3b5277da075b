//! The schema of what is said of the way back.

use serde_json::{Value, json};

use super::leaves::{boolean, filled, integer, name, name_pattern, with_default};
use super::{PREFIX, interface_name};

pub(super) fn schema() -> Value {
    let stamp = |most| {
        json!({
            "description": "The value of a field, or a number for each of some keys.",
            "oneOf": [
                name("A field of the first schema."),
                {
                    "type": "object",
                    "propertyNames": {"pattern": name_pattern()},
                    "additionalProperties": integer("What is stamped.", 0, most),
                },
            ],
        })
    };
    json!({
        "description": "The way back: what is done to what leaves, at TC egress.",
        "type": "object",
        "properties": {
            "interfaces": filled("Where packets leave; the policy's interfaces where not given.", &interface_name()),
            "count": with_default(boolean("Count what leaves for keys and shards."), true),
            "senders": {
                "description": "Whose traffic it is that comes from an address, whatever it answers: address prefixes and keys.",
                "type": "object",
                "propertyNames": {"pattern": PREFIX},
                "additionalProperties": name("A key."),
            },
            "stamp": {
                "description": "What of the key is written into what leaves.",
                "type": "object",
                "properties": {"ip.dscp": stamp(63), "ipv6.flow_label": stamp(1_048_575)},
                "additionalProperties": false,
            },
            "probes": with_default(boolean("Send marked packets to the shard that their mark names."), false),
        },
        "additionalProperties": false,
    })
}
