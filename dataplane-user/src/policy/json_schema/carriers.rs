//! What carriers need: which option a field is, where tunnels are found, what later fragments meet.

use serde_json::{Value, json};

use super::class;
use super::leaves::{integer, name};
use crate::policy::document::{MAX_DATAGRAMS, SECTIONS};

/// Which option a field is.
pub(super) fn option() -> Value {
    json!({
        "description": "Which option, of geneve.option or tcp.option.",
        "oneOf": [
            {
                "type": "object",
                "properties": {
                    "class": integer("The class of a Geneve option.", 0, 65_535),
                    "type": integer("Its type, with the critical bit where it has that.", 0, 255),
                },
                "required": ["class", "type"],
                "additionalProperties": false,
            },
            {
                "type": "object",
                "properties": {
                    "kind": integer("The kind of a TCP option.", 2, 254),
                    "experiment": integer("The experiment's id, of kinds 253 and 254 alone.", 0, 65_535),
                },
                "required": ["kind"],
                "additionalProperties": false,
            },
        ],
    })
}

/// Where tunnels and connection ids are found.
pub(super) fn carriers() -> Value {
    let section = |section: &str| {
        let port = integer("The UDP port; that of the standard where not given.", 1, 65_535);
        match section {
            "quic" => json!({
                "type": "object",
                "properties": {
                    "port": port,
                    "shortHeaderLength": integer("Bytes of connection ids in short headers; 8 where not given.", 0, 20),
                },
                "anyOf": [{"required": ["port"]}, {"required": ["shortHeaderLength"]}],
                "additionalProperties": false,
            }),
            _ => json!({
                "type": "object",
                "properties": {"port": port},
                "required": ["port"],
                "additionalProperties": false,
            }),
        }
    };
    let properties: serde_json::Map<String, Value> =
        SECTIONS.iter().map(|name| ((*name).to_owned(), section(name))).collect();
    json!({
        "description": "Where tunnels, connection ids and shims are found.",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

/// What later fragments meet.
pub(super) fn fragments() -> Value {
    json!({
        "description": "What later fragments meet, where a field is in what only the first has; as missing where not given.",
        "oneOf": [
            {"enum": ["pass", "drop"]},
            {
                "type": "object",
                "properties": {"pool": name("Spread over this pool by flow.")},
                "required": ["pool"],
                "additionalProperties": false,
            },
            {
                "type": "object",
                "properties": {
                    "table": integer("They follow their first: how many datagrams are remembered.", 1, MAX_DATAGRAMS),
                    "otherwise": class("Those that follow none; as missing where not given.", None),
                },
                "required": ["table"],
                "additionalProperties": false,
            },
        ],
    })
}
