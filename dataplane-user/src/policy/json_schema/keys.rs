//! Keys, and the tiers that they have things in common by.

use serde_json::{Value, json};

use super::leaves::{boolean, filled, integer, name, region, text, with_default};
use super::prefix;

/// A tier.
pub(super) fn tier() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": name("What the tier is called."),
            "pool": name("The pool of its keys."),
            "width": width(),
            "owner": text("Who answers for its keys."),
            "costCentre": text("Who is charged for them."),
            "account": text("Who is billed for them."),
            "rank": with_default(integer("How good the tier is: a larger number is better.", 0, 65_535), 0),
            "vip": with_default(boolean("Whether its keys are VIPs, which may not come to a tier of lower rank."), false),
        },
        "required": ["name", "pool"],
        "additionalProperties": false,
    })
}

/// A registered key.
pub(super) fn key() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": text("What the key is called; unique."),
            "match": {
                "description": "The values of exactly the fields of one level.",
                "type": "object",
                "additionalProperties": {"type": ["string", "integer"]},
                "minProperties": 1,
            },
            "tier": name("Where pool, width, owner, costCentre and account come from when not given."),
            "pool": name("The pool that its flows go to; the tier's where not given."),
            "width": width(),
            "owner": text("Who answers for it."),
            "costCentre": text("Who is charged for it."),
            "account": text("Who is billed for it."),
            "deny": {"description": "Drop every packet of the key.", "type": "boolean", "default": false},
            "reason": text("Why it is denied."),
            "region": region("Its region, where no field of its level is."),
            "vip": boolean("Whether it is a VIP, which may not come to a tier of lower rank; the tier's where not given."),
            "schema": integer("The version of the schema that it is of alone; every one that it fits where not given.", 1, 255),
            "aliasOf": text("The key that it is another spelling of: it goes where that one does."),
            "shards": filled("The shards of its pool that it is pinned to, in place of the pool's placement.", &name("A shard of the pool.")),
            "sources": filled("The source addresses that may use it; all where not given.", &prefix()),
        },
        "required": ["name", "match"],
        "anyOf": [
            {"required": ["aliasOf"]},
            {"required": ["tier"]},
            {"required": ["pool"]},
            {"properties": {"deny": {"const": true}}, "required": ["deny"]},
        ],
        "additionalProperties": false,
    })
}

fn width() -> Value {
    json!({
        "description": "Over how many shards of its pool a key's flows spread, or all.",
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 65_535},
            {"type": "string", "pattern": "^(all|[1-9][0-9]{0,4}|0[xX][0-9A-Fa-f]+)$"},
        ],
        "default": 1,
    })
}
