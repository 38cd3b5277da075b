//! The schema of what is said of signed keys.

use serde_json::{Value, json};

use crate::policy::check::SECRETS;

use super::leaves::{boolean, filled, integer, text, with_default};

pub(super) fn schema() -> Value {
    let mut file = text("The file that holds it, by its absolute path: 32 hexadecimal digits, mode 0600.");
    file["pattern"] = r"^/(.*\S)?$".into();
    let mut secrets = filled(
        "The secret that keys are signed with, and while it is changed a second one.",
        &json!({
            "type": "object",
            "properties": {"id": integer("Its public id, by which a shim names it.", 0, 255), "file": file},
            "required": ["id", "file"],
            "additionalProperties": false,
        }),
    );
    secrets["maxItems"] = SECRETS.into();
    json!({
        "description": "How signed keys are verified.",
        "type": "object",
        "properties": {
            "secrets": secrets,
            "bind": {
                "description": "What a signed key must be bound to.",
                "type": "object",
                "properties": {
                    "source": {
                        "description": "The prefix of these lengths that the source is in.",
                        "type": "object",
                        "properties": {
                            "ipv4": with_default(integer("Of IPv4.", 0, 32), 32),
                            "ipv6": with_default(integer("Of IPv6.", 0, 128), 128),
                        },
                        "additionalProperties": false,
                    },
                    "destination": with_default(boolean("The destination."), false),
                },
                "anyOf": [{"required": ["source"]}, {"required": ["destination"]}],
                "additionalProperties": false,
            },
        },
        "required": ["secrets"],
        "additionalProperties": false,
    })
}
