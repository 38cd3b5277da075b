//! The schema of what is said of keys that move.

use serde_json::{Value, json};

use super::leaves::{integer, with_default};
use crate::policy::{Migration, Udp};

pub(super) fn schema() -> Value {
    let span = |description: &str| json!({"description": description, "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d|w))+$"});
    let (least, most) = Migration::PINS;
    json!({
        "description": "How flows are treated while their keys move to other shards; none: they move at once.",
        "oneOf": [
            {"enum": ["none"]},
            {
                "type": "object",
                "properties": {
                    "idle": with_default(span("How long a key's flows must have been quiet on shards that it leaves."), "60s"),
                    "deadline": with_default(span("When a move is over, whatever still goes to shards that it leaves."), "1h"),
                    "pins": with_default(
                        integer("How many flows that open meanwhile are remembered.", least, most),
                        Migration::default().pins,
                    ),
                },
                "additionalProperties": false,
            },
        ],
    })
}

pub(super) fn udp() -> Value {
    json!({
        "description": "What datagrams without a flow do while their key moves.",
        "enum": Udp::ALL.map(|(name, _)| name),
        "default": Udp::default().name(),
    })
}
