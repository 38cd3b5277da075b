//! What a key is, in words: the environment, its fields and their values. A key's dense id and its slot
//! both hang on this text and on nothing else, so that renaming a key, or reordering fields, labels or
//! prefixes, moves nothing; and the same key has the same slot on every node.
//!
//! A key that several versions of the schema have is called the same by all of them (the policy's checks see to that), so
//! that a version that comes or goes moves nothing either. An alias is a key of its own, with an id and counters of its own;
//! but its slot is that of the key that it is an alias of.

use siphasher::sip::SipHasher24;

use crate::display::MASK;
use crate::image::{KeyInfo, Names};
use crate::policy::{Field, Key, Policy, Schema};

/// The published key of the slot hash (SipHash-2-4): part of the definition of a placement, not a secret.
const KEY: (u64, u64) = (0x6b65_7973_7465_6572, 0x736c_6f74_206f_6620);

/// Writes the identities of a policy's keys.
#[derive(Debug)]
pub struct Identities<'p> {
    policy: &'p Policy,
    /// By level, over all schemas: its fields, by name.
    levels: Vec<Vec<&'p Field>>,
}

impl<'p> Identities<'p> {
    /// Prepares for the keys of `policy`.
    pub fn new(policy: &'p Policy) -> Self {
        let by_name = |schema: &'p Schema, level: &[usize]| {
            let mut fields: Vec<&Field> = level.iter().filter_map(|at| schema.fields.get(*at)).collect();
            fields.sort_by(|a, b| a.name.cmp(&b.name));
            fields
        };
        let all = policy.schemas.iter();
        let all = all.flat_map(|schema| schema.levels.iter().map(move |level| by_name(schema, level)));
        Self { policy, levels: all.collect() }
    }

    /// Puts the identity that decides a key's slot into `text`: its own, or that of the key that it is an alias of.
    pub fn write_placed(&self, key: &Key, text: &mut String) {
        self.write(key.alias_of.and_then(|of| self.policy.keys.get(of)).unwrap_or(key), text);
    }

    /// Puts a key's identity into `text`: `environment;field=value;...`, fields by name, values in
    /// canonical text. `%`, `;` and `=` in a value are written `%25`, `%3B` and `%3D`.
    pub fn write(&self, key: &Key, text: &mut String) {
        text.clear();
        text.push_str(&self.policy.environment);
        for field in self.levels.get(usize::from(key.level)).into_iter().flatten() {
            text.push(';');
            text.push_str(&field.name);
            text.push('=');
            let begun = text.len();
            field.write_text(&self.policy.tables, field.value(key.key), text);
            // Numbers and addresses hold nothing to escape.
            if field.table.is_some() || !field.values.is_empty() {
                escape(text, begun);
            }
        }
    }
}

/// Escapes the value that `text` has from `begun` on.
fn escape(text: &mut String, begun: usize) {
    if text.get(begun..).is_some_and(|value| value.contains(['%', ';', '='])) {
        let value = text.split_off(begun);
        text.push_str(&value.replace('%', "%25").replace(';', "%3B").replace('=', "%3D"));
    }
}

/// The identity of a key that was compiled, by its names: the same text as [`Identities::write`]'s. It is kept and compared;
/// what is shown of it is [`shown`].
pub fn of_compiled(names: &Names, key: &KeyInfo) -> String {
    let mut values: Vec<_> =
        names.values(key).map(|(field, value)| (field.name.as_str(), field.text(value))).collect();
    values.sort();
    let mut text = names.environment.clone();
    for (field, value) in values {
        text.extend([";", field, "="]);
        let begun = text.len();
        text.push_str(&value);
        escape(&mut text, begun);
    }
    text
}

/// The slot of a key that was compiled.
pub fn slot_of(names: &Names, key: &KeyInfo) -> u16 {
    slot(&of_compiled(names, key.alias_of.and_then(|of| names.key(of)).unwrap_or(key)))
}

/// An identity as it is shown: each value as its field's are. What nobody knows of any more how it is to be shown, because
/// the policy has no such field, is masked.
pub fn shown(names: &Names, identity: &str) -> String {
    let mut parts = identity.split(';');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (field, value) = part.split_once('=').unwrap_or((part, ""));
        text.extend([";", field, "="]);
        match names.field(field) {
            Some(info) if !info.display.hides() => text.push_str(value),
            Some(info) => text.push_str(&info.shown_text(&names.veil, || unescaped(value))),
            None => text.push_str(MASK),
        }
    }
    text
}

/// What [`escape`] made a value of.
fn unescaped(value: &str) -> String {
    value.replace("%3D", "=").replace("%3B", ";").replace("%25", "%")
}

/// One key's identity; see [`Identities::write`].
pub fn identity(policy: &Policy, key: &Key) -> String {
    let mut text = String::new();
    Identities::new(policy).write(key, &mut text);
    text
}

/// The slot of an identity: the row of the slot tables that its key goes by.
pub fn slot(identity: &str) -> u16 {
    let [high, low, ..] = SipHasher24::new_with_keys(KEY.0, KEY.1).hash(identity.as_bytes()).to_be_bytes();
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::fake;
    use crate::display::{Display, Veil};

    #[test]
    fn an_identity_is_shown_as_its_fields_are() {
        let mut names = fake::image(&["50%;a=b"]).names;
        let text = of_compiled(&names, &names.keys[0]);
        assert_eq!(text, "test;tenant=50%25%3Ba%3Db");
        assert_eq!(shown(&names, &text), text);
        names.schemas[0].fields[0].display = Display::KeyedHash;
        names.veil = Veil::new([1, 2]);
        let (_, hash) = names.shown(&names.keys[0], &names.veil).next().unwrap();
        assert_eq!(shown(&names, &text), format!("test;tenant={hash}"), "the same hash as of the value");
        names.schemas[0].fields[0].display = Display::Masked;
        assert_eq!(shown(&names, &text), "test;tenant=****");
        names.schemas.clear();
        assert_eq!(shown(&names, &text), "test;tenant=****", "nobody knows that field any more");
    }
}
