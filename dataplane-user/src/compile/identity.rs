//! What a key is, in words: the environment, its fields and their values. A key's dense id and its slot
//! both hang on this text and on nothing else, so that renaming a key, or reordering fields, labels or
//! prefixes, moves nothing; and the same key has the same slot on every node.

use std::fmt::Write;

use siphasher::sip::SipHasher24;

use crate::policy::{Key, Policy};

/// The published key of the slot hash (SipHash-2-4): part of the definition of a placement, not a secret.
const KEY: (u64, u64) = (0x6b65_7973_7465_6572, 0x736c_6f74_206f_6620);

/// A key's identity: `environment;field=value;...`, fields by name, values in canonical text. `%`, `;`
/// and `=` in a value are written `%25`, `%3B` and `%3D`.
pub fn identity(policy: &Policy, key: &Key) -> String {
    let mut text = String::with_capacity(64);
    text.push_str(&policy.environment);
    let schema = &policy.schema;
    let mut fields: Vec<_> = schema
        .levels
        .get(usize::from(key.level))
        .into_iter()
        .flatten()
        .filter_map(|at| schema.fields.get(*at))
        .collect();
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    for field in fields {
        let value = field.text(&policy.tables, field.value(key.key));
        let _ = write!(text, ";{}=", field.name);
        for c in value.chars() {
            match c {
                '%' => text.push_str("%25"),
                ';' => text.push_str("%3B"),
                '=' => text.push_str("%3D"),
                other => text.push(other),
            }
        }
    }
    text
}

/// The slot of an identity: the row of the slot tables that its key goes by.
pub fn slot(identity: &str) -> u16 {
    let [high, low, ..] = SipHasher24::new_with_keys(KEY.0, KEY.1).hash(identity.as_bytes()).to_be_bytes();
    u16::from_be_bytes([high, low])
}
