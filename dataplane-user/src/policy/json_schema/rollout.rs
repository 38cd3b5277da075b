//! The schema of changes that are made in steps.

use serde_json::{Value, json};

use super::leaves::{filled, integer, name, share, with_default};
use crate::policy::Rollout;

pub(super) fn schema() -> Value {
    let step = json!({
        "type": "object",
        "properties": {
            "percent": share("Of the keys that a change moves, by an order that every change has of its own; at least one."),
            "cohort": name("The cohort that moves."),
            "tier": name("The tier whose keys move."),
            "for": with_default(
                json!({"description": "How long it is watched before the next step.", "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d|w))+$"}),
                "10m",
            ),
        },
        "allOf": [{"oneOf": [{"required": ["percent"]}, {"required": ["cohort"]}, {"required": ["tier"]}]}],
        "additionalProperties": false,
    });
    let most = 1_000_000_000;
    json!({
        "description": "How a change moves keys to other shards step by step, and what turns it back. The rest moves after the last step.",
        "type": "object",
        "properties": {
            "cohorts": {
                "description": "Keys that move together, by the cohort's name.",
                "type": "object",
                "additionalProperties": filled("Names of keys.", &json!({"type": "string"})),
            },
            "steps": {
                "description": "Who moves one after the other.",
                "type": "array",
                "items": step,
                "minItems": 1,
                "maxItems": Rollout::STEPS,
            },
            "abortIf": {
                "description": "More than this of any turns the change back.",
                "type": "object",
                "properties": {
                    "drops": share("Dropped packets, of those of the keys that have moved."),
                    "resets": share("Reset connections, of the flows that opened on new shards."),
                    "failedHandshakes": share("Flows that opened on new shards and were not answered."),
                    "slowHandshakes": share("Flows that opened on new shards and had to say so again."),
                    "shardsDown": integer("Shards that are down by their probes and were not before.", 0, most),
                },
                "minProperties": 1,
                "additionalProperties": false,
            },
            "least": with_default(
                integer("How many flows, or packets, a share is judged from.", 1, most),
                Rollout::LEAST,
            ),
        },
        "required": ["steps", "abortIf"],
        "additionalProperties": false,
    })
}
