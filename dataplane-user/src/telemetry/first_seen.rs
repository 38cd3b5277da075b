//! Notices keys whose counters leave zero, and says so in the audit log.

use crate::compile::{of_compiled, shown};
use crate::counters::Snapshot;
use crate::image::{KeyInfo, Names};

/// Above so many keys in one reading they are summarised.
const NAMED: usize = 100;

/// Which keys were seen already, by id.
#[derive(Debug, Default)]
pub struct FirstSeen {
    seen: Vec<bool>,
}

impl FirstSeen {
    /// The ids that this snapshot counts and no earlier one did.
    pub fn notice(&mut self, snapshot: &Snapshot) -> Vec<u32> {
        if self.seen.len() < snapshot.keys.len() {
            self.seen.resize(snapshot.keys.len(), false);
        }
        let mut new = Vec::new();
        for ((id, seen), key) in (0u32..).zip(&mut self.seen).zip(&snapshot.keys) {
            if !*seen && key.packets > 0 {
                *seen = true;
                new.push(id);
            }
        }
        new
    }

    /// Logs the keys that this snapshot counts and no earlier one did.
    pub fn report(&mut self, names: &Names, snapshot: &Snapshot) {
        let new = self.notice(snapshot);
        if new.len() > NAMED {
            tracing::info!(target: "audit", event = "keys_first_seen", keys = new.len(), "keys were seen first");
            return;
        }
        for id in new {
            let Some(key) = names.key(id) else { continue };
            let (identity, fields) = (shown(names, &of_compiled(names, key)), fields(names, key));
            let schema = names.schema_of(key).map_or(0, |schema| schema.version);
            tracing::info!(
                target: "audit", event = "key_first_seen", key = key.name, key_id = id, schema, fields, identity,
                "a key was seen first"
            );
        }
    }
}

/// The fields that a key is looked up by.
fn fields(names: &Names, key: &KeyInfo) -> String {
    let Some((schema, level)) = names.level(key.level) else { return String::new() };
    let fields = level.iter().filter_map(|at| schema.fields.get(*at));
    fields.map(|field| field.name.as_str()).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::{Imagined, compile_for};
    use crate::policy::examples::EXAMPLES;
    use crate::policy::parse;
    use crate::state::{Ids, Secrets};

    #[test]
    fn a_key_is_new_once() {
        let mut snapshot = Snapshot::empty(4, 0);
        let mut seen = FirstSeen::default();
        assert!(seen.notice(&snapshot).is_empty());
        snapshot.keys[2].packets = 1;
        assert_eq!(seen.notice(&snapshot), [2]);
        snapshot.keys[2].packets = 9;
        snapshot.keys[3].packets = 1;
        assert_eq!(seen.notice(&snapshot), [3]);
        assert!(seen.notice(&snapshot).is_empty());
    }

    /// What is said of a key is enough to derive it again.
    #[test]
    fn a_key_that_is_seen_says_what_it_was_read_from() {
        let text = EXAMPLES.iter().find(|it| it.name == "demo").unwrap().text;
        let policy = parse(text, "demo.yaml", None).unwrap();
        let imagined = Imagined::of(&policy);
        let secrets = Secrets::from_bytes(&[7; 32]);
        let image = compile_for(&policy, imagined.host(), &secrets, &mut Ids::default()).unwrap();
        let names = &image.names;
        let key = names.keys.iter().find(|key| key.name == "acme-video").unwrap();
        assert_eq!((names.first_version(), fields(names, key).as_str()), (1, "tenant,product"));
        assert_eq!(of_compiled(names, key), "demo;product=34;tenant=acme");
    }
}
