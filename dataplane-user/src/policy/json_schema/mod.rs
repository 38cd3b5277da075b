//! The policy's shape as a JSON schema, for editors and for checks without keysteer. The reader
//! ([`super::document`]) decides; a test compares the two, field by field. What names mean (that a pool is
//! declared, that a width fits) a schema cannot say: that is `keysteer validate`.
//!
//! Draft 7, because that is what editors of YAML have understood for long.

use keysteer_common::carrier::Carrier;
use keysteer_common::headers::{FIELDS, LEVELS, SCHEMAS};
use serde_json::{Value, json};

use crate::display::Display;

use super::document::{API_VERSION, CLASSES, KIND};
use super::trust::TrustMode;
use super::values::PROTOCOLS;

use leaves::{
    boolean, date, filled, integer, list, name, name_pattern, number, region, share, text, with_default,
};

mod carriers;
mod egress;
mod health;
mod keys;
mod leaves;
mod migration;
mod rollout;
mod signing;

/// The schema.
pub fn json_schema() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "keysteer policy",
        "description": "Whose traffic goes where: what is ours, how its allocation key is read, and where each key goes.",
        "type": "object",
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": KIND},
            "metadata": {
                "type": "object",
                "properties": {"name": name("What the policy is called in status and metrics.")},
                "required": ["name"],
                "additionalProperties": false,
            },
            "spec": spec(),
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
    })
}

fn spec() -> Value {
    json!({
        "type": "object",
        "properties": {
            "environment": name("Part of every key's identity, so that prod and staging never share one."),
            "mode": {
                "description": "observe decides and counts, and passes every packet unmodified.",
                "enum": ["steer", "observe"],
                "default": "steer",
            },
            "interfaces": filled("Where the program is attached.", &interface()),
            "scope": filled("What is ours; everything else passes untouched.", &scope()),
            "prefixTables": prefix_tables(),
            "schemas": {
                "description": "How a key is read: the versions that are accepted, in the order that they are tried.",
                "type": "array",
                "items": schema(),
                "minItems": 1,
                "maxItems": SCHEMAS,
            },
            "shards": list("Where flows can go.", &shard()),
            "pools": list("Sets of shards.", &pool()),
            "tiers": list("What keys have in common.", &keys::tier()),
            "keys": list("Registered keys.", &keys::key()),
            "keysFrom": {
                "description": "More keys, in a CSV file beside the policy.",
                "type": "string",
            },
            "carriers": carriers::carriers(),
            "fragments": carriers::fragments(),
            "trust": trust(),
            "classes": classes(),
            "blastRadius": {
                "description": "The largest shares that may hang on one shard; a plan that goes beyond is refused.",
                "type": "object",
                "properties": {
                    "keys": share("Of the keys that are steered, such as 40%."),
                    "traffic": share("Of the live traffic that is steered."),
                },
                "anyOf": [{"required": ["keys"]}, {"required": ["traffic"]}],
                "additionalProperties": false,
            },
            "residency": {
                "description": "Keys stay in their region: it must be that of their pool.",
                "type": "object",
                "properties": {"field": name("The field of the schema that is a key's region.")},
                "required": ["field"],
                "additionalProperties": false,
            },
            "signing": signing::schema(),
            "egress": egress::schema(),
            "migration": migration::schema(),
            "rollout": rollout::schema(),
            "health": health::schema(),
        },
        "required": ["environment", "interfaces", "scope", "schemas"],
        "additionalProperties": false,
    })
}

fn interface() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": interface_name(),
            "mode": {
                "description": "native: in the driver or not at all; tc: at TC ingress; generic: the kernel's generic XDP; auto: the first of these that works.",
                "enum": ["auto", "native", "tc", "generic"],
                "default": "auto",
            },
        },
        "required": ["name"],
        "additionalProperties": false,
    })
}

fn interface_name() -> Value {
    json!({
        "description": "An interface's name.",
        "type": "string",
        "pattern": r"^[!-.0-9;-~]{1,15}$",
    })
}

fn scope() -> Value {
    json!({
        "type": "object",
        "properties": {
            "destinations": filled("Prefixes of either family; all where not given.", &prefix()),
            "services": filled("Protocols and destination ports; everything where not given.", &service()),
        },
        "anyOf": [{"required": ["destinations"]}, {"required": ["services"]}],
        "additionalProperties": false,
    })
}

/// An address with or without a prefix length.
const PREFIX: &str = r"^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$";

fn prefix() -> Value {
    json!({
        "description": "An address prefix such as 203.0.113.0/24; an address alone is one of full length.",
        "type": "string",
        "pattern": PREFIX,
    })
}

fn service() -> Value {
    let named = |ports: bool| -> Vec<&str> {
        PROTOCOLS.iter().filter(|(_, _, has)| *has == ports).map(|(name, ..)| *name).collect()
    };
    let port = "([0-9]{1,5}|0[xX][0-9A-Fa-f]+)";
    let (with, without) = (named(true).join("|"), named(false).join("|"));
    json!({
        "description": "Such as tcp/443, udp/1000-2000, icmp or any.",
        "type": "string",
        "pattern": format!("^(any|{without}|({with})(/{port}(-{port})?)?)$"),
    })
}

fn prefix_tables() -> Value {
    json!({
        "description": "Tables of address prefixes and their labels; the longest prefix wins.",
        "type": "object",
        "propertyNames": {"pattern": name_pattern()},
        "additionalProperties": {
            "type": "object",
            "propertyNames": {"pattern": PREFIX},
            "additionalProperties": text("The label."),
            "minProperties": 1,
        },
    })
}

fn schema() -> Value {
    let mut fields = filled("The key's fields, the most significant first.", &field());
    let mut levels = filled(
        "Sets of fields that keys are looked up by, the most specific first; one of all fields where not given.",
        &filled("The names of the level's fields.", &name("A field.")),
    );
    fields["maxItems"] = FIELDS.into();
    levels["maxItems"] = LEVELS.into();
    json!({
        "type": "object",
        "properties": {
            "version": integer("The schema's version.", 1, 255),
            "fields": fields,
            "levels": levels,
            "since": date("Since when the version is accepted."),
            "deprecated": date("From when on nobody should send the version any more."),
            "dualAccept": {
                "description": "How long at least the version is accepted together with another before it goes, such as 30d.",
                "type": "string",
                "pattern": "^([0-9]+(ms|s|m|h|d|w))+$",
            },
        },
        "required": ["version", "fields"],
        "additionalProperties": false,
    })
}

fn field() -> Value {
    let carriers: Vec<&str> = Carrier::ALL.iter().map(|carrier| carrier.name()).collect();
    json!({
        "type": "object",
        "properties": {
            "name": name("What the field is called."),
            "from": {"description": "Where it is read.", "enum": carriers},
            "bits": {
                "description": "A range of the carrier's bits; all where not given.",
                "type": "object",
                "properties": {
                    "offset": integer("The first bit, counted from the carrier's most significant.", 0, 991),
                    "length": integer("How many bits.", 1, 128),
                },
                "required": ["offset", "length"],
                "additionalProperties": false,
            },
            "option": carriers::option(),
            "rotation": integer("Of quic.dcid: only ids of this configuration rotation; of any where not given.", 0, 6),
            "signed": boolean("Whether a geneve.option is a signed block, whose key is the value; a shim always is."),
            "table": name("The prefix table that the address is looked up in; the field is its label."),
            "mask": number("Which of its bits count, such as 0xff00; the others are read as 0."),
            "display": {
                "description": "How its values are shown in logs, events and answers: as they are, as a hash that only tells equal ones, or not at all.",
                "enum": Display::NAMED.map(|(name, _)| name),
                "default": "plain",
            },
            "values": {
                "description": "Names of values; several values of one name are one.",
                "type": "object",
                "propertyNames": {"pattern": r"^[^0-9\s](.*\S)?$"},
                "additionalProperties": {
                    "oneOf": [number("The value."), filled("The values.", &number("A value."))],
                },
                "minProperties": 1,
            },
        },
        "required": ["name", "from"],
        "additionalProperties": false,
    })
}

fn shard() -> Value {
    let exit = |interface: &str| {
        json!({
            "type": "object",
            "properties": {interface: interface_name(), "mac": mac()},
            "required": [interface, "mac"],
            "additionalProperties": false,
        })
    };
    let translated = |mut exit: Value| {
        exit["properties"]["nat"] = with_default(
            boolean("Translate between the service's address and the pod's own, which the others are."),
            false,
        );
        exit["properties"]["addresses"] = json!({
            "description": "With nat: the pod's own addresses, one of each family at most.",
            "type": "array",
            "items": {"type": "string", "pattern": r"^[0-9A-Fa-f:.]+$"},
            "minItems": 1,
            "maxItems": 2,
        });
        exit["dependencies"] = json!({"addresses": ["nat"]});
        exit
    };
    let only = |field: &str, value: Value| {
        json!({
            "type": "object",
            "properties": {field: value},
            "required": [field],
            "additionalProperties": false,
        })
    };
    json!({
        "type": "object",
        "properties": {
            "name": name("What the shard is called; it also decides which slots the shard prefers."),
            "weight": integer("Its share relative to the others of a pool.", 1, 65_535),
            "zone": name("Where it is: keys of more than one shard have theirs in different zones. All shards of a pool have one, or none."),
            "health": health::of_shard(),
            "target": {
                "description": "How the shard is reached.",
                "oneOf": [
                    {"description": "This host's own stack, or nowhere.", "enum": ["pass", "drop"]},
                    only("cpu", integer("This host's stack, on that CPU.", 0, 4095)),
                    only("interface", translated(exit("name"))),
                    only("nextHop", exit("interface")),
                ],
            },
        },
        "required": ["name", "target"],
        "additionalProperties": false,
    })
}

fn mac() -> Value {
    json!({
        "description": "The MAC address of one station, such as 02:00:00:00:00:0a.",
        "type": "string",
        "pattern": r"^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$",
    })
}

fn pool() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": name("What the pool is called."),
            "shards": filled("The names of its shards.", &name("A shard.")),
            "region": region("The region that its shards are in."),
            "udp": migration::udp(),
            "health": health::of_pool(),
        },
        "required": ["name", "shards"],
        "additionalProperties": false,
    })
}

fn trust() -> Value {
    let modes: Vec<&str> = TrustMode::ALL.iter().map(|(name, _)| *name).collect();
    let mode = |description: &str| json!({"description": description, "enum": modes});
    let carriers: Vec<&str> = Carrier::ALL.iter().map(|carrier| carrier.name()).collect();
    json!({
        "description": "Who may assert keys where.",
        "type": "object",
        "properties": {
            "default": mode("What is asked of packets that come in by interfaces that are not named."),
            "interfaces": {
                "description": "By the names of interfaces.",
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "properties": {
                        "mode": mode("trusted: nothing; verify: a valid signature, or a source that the key lists; ignore: they have no key."),
                        "schemas": filled("The versions of the schema that are read; all where not given.", &integer("A version.", 1, 255)),
                        "carriers": filled("The carriers that are read; all where not given.", &json!({"enum": carriers})),
                    },
                    "anyOf": [{"required": ["mode"]}, {"required": ["schemas"]}, {"required": ["carriers"]}],
                    "additionalProperties": false,
                },
            },
        },
        "anyOf": [{"required": ["default"]}, {"required": ["interfaces"]}],
        "additionalProperties": false,
    })
}

/// What is done with a class.
fn class(when: &str, default: Option<&str>) -> Value {
    let mut class = json!({
        "description": when,
        "oneOf": [
            {"enum": ["pass", "drop"]},
            {
                "type": "object",
                "properties": {"pool": name("Spread over this pool by flow.")},
                "required": ["pool"],
                "additionalProperties": false,
            },
        ],
    });
    if let Some(default) = default {
        class["default"] = default.into();
    }
    class
}

fn classes() -> Value {
    let of = |name: &str| match name {
        "missing" => class("Not all fields of any level are in the packet.", Some("pass")),
        "unregistered" => class("A well-formed key that is not registered.", Some("pass")),
        "unauthenticated" => class("A key that is asserted without right.", Some("drop")),
        _ => class("Headers that are cut off or contradict themselves.", Some("drop")),
    };
    let properties: serde_json::Map<String, Value> =
        CLASSES.iter().map(|name| ((*name).to_owned(), of(name))).collect();
    json!({
        "description": "What packets without a registered key meet.",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}
