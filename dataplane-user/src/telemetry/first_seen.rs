//! Notices keys whose counters leave zero, and says so in the audit log.

use crate::counters::Snapshot;
use crate::image::Names;

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
            let key = names.key(id).map_or("", |key| key.name.as_str());
            tracing::info!(target: "audit", event = "key_first_seen", key, key_id = id, "a key was seen first");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
