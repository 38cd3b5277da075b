//! What the schema is made of: values that have no fields of their own.

use serde_json::{Value, json};

use crate::policy::share;
use crate::policy::values::{NAME, TEXT};

pub(super) fn name_pattern() -> String {
    format!("^[A-Za-z0-9][A-Za-z0-9._-]{{0,{}}}$", NAME - 1)
}

pub(super) fn name(description: &str) -> Value {
    json!({"description": description, "type": "string", "pattern": name_pattern()})
}

pub(super) fn text(description: &str) -> Value {
    json!({
        "description": description,
        "type": "string",
        "minLength": 1,
        "maxLength": TEXT,
        "pattern": r"^\S(.*\S)?$",
    })
}

pub(super) fn integer(description: &str, least: u32, most: u32) -> Value {
    json!({"description": description, "type": "integer", "minimum": least, "maximum": most})
}

pub(super) fn boolean(description: &str) -> Value {
    json!({"description": description, "type": "boolean"})
}

pub(super) fn with_default(mut schema: Value, default: impl Into<Value>) -> Value {
    schema["default"] = default.into();
    schema
}

pub(super) fn share(description: &str) -> Value {
    json!({"description": description, "type": "string", "pattern": share::PATTERN})
}

/// A whole number of up to 128 bits, as a number or as text.
pub(super) fn number(description: &str) -> Value {
    json!({
        "description": description,
        "anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": "^(0|[1-9][0-9]*|0[xX][0-9A-Fa-f]+)$"},
        ],
    })
}

/// A day.
pub(super) fn date(description: &str) -> Value {
    json!({"description": description, "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"})
}

/// Text, or the number that the value of a field is.
pub(super) fn region(description: &str) -> Value {
    let mut region = text(description);
    region["type"] = json!(["string", "number"]);
    region
}

pub(super) fn list(description: &str, items: &Value) -> Value {
    json!({"description": description, "type": "array", "items": items})
}

pub(super) fn filled(description: &str, items: &Value) -> Value {
    json!({"description": description, "type": "array", "items": items, "minItems": 1})
}
