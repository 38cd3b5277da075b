//! Operators' words beside a plan: what the policy says and they overrule, and what it takes their ground from. They are no
//! part of the change, and so not of its digest.

use super::types::Overruled;
use crate::image::Names;
use crate::state::overlay::{KeyWord, Word};
use crate::state::{Ids, Overlay};

/// The words of `overlay` that overrule the policy behind `new`, or that are on what `old` has and `new` does not.
pub fn overruled(overlay: &Overlay, ids: &Ids, old: Option<&Names>, new: &Names) -> Vec<Overruled> {
    let mut found = Vec::new();
    for (identity, word) in overlay.keys() {
        let Some(id) = ids.keys.get(identity) else { continue };
        let (before, after) = (old.and_then(|old| old.key(id)), new.key(id));
        let effect = match (word.word, after.map(|key| key.denied.is_some())) {
            (KeyWord::Deny, Some(false)) => "stays denied, though the policy steers it",
            (KeyWord::Allow, Some(true)) => "stays steered, though the policy denies it",
            (_, None) if before.is_some() => REMOVED,
            _ => continue,
        };
        let said = if word.word == KeyWord::Deny { "deny" } else { "allow" };
        if let Some(key) = after.or(before) {
            found.push(of("key", &key.name, said, word, effect));
        }
    }
    for (name, word) in overlay.shards() {
        let has = |names: &Names| names.policy_shards().any(|(_, shard)| shard.name == name);
        let effect = match (has(new), old.is_some_and(has)) {
            (true, _) => "stays disabled, and takes nothing",
            (false, true) => REMOVED,
            (false, false) => continue,
        };
        found.push(of("shard", name, "disable", word, effect));
    }
    found
}

/// What becomes of a word whose key or shard goes.
const REMOVED: &str = "is removed; the word stands, should it come back";

fn of<W>(kind: &str, name: &str, said: &str, word: &Word<W>, effect: &str) -> Overruled {
    Overruled {
        kind: kind.to_owned(),
        name: name.to_owned(),
        word: said.to_owned(),
        reason: word.reason.clone(),
        until: word.until,
        effect: effect.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::fake::image;
    use crate::compile::of_compiled;
    use crate::state::overlay::ShardWord;
    use crate::state::{Timestamp, Who};

    fn word<W>(word: W) -> Word<W> {
        Word { word, reason: None, by: Who::default(), since: Timestamp::default(), until: None }
    }

    #[test]
    fn words_that_overrule_and_words_whose_ground_goes() {
        let mut old = image(&["a", "b", "c", "d", "e"]).names;
        let mut ids = Ids::default();
        let mut overlay = Overlay::default();
        let identities: Vec<String> = old.keys.iter().map(|key| of_compiled(&old, key)).collect();
        for (identity, said) in
            identities.iter().zip([KeyWord::Deny, KeyWord::Deny, KeyWord::Allow, KeyWord::Allow])
        {
            ids.keys.id(identity);
            overlay.set_key(identity, word(said));
        }
        for shard in ["a", "b", "nowhere"] {
            overlay.set_shard(shard, word(ShardWord::Disabled));
        }
        old.keys[2].denied = Some("unpaid".into());
        let mut new = old.clone();
        new.keys.remove(1);
        new.shards.truncate(1);
        let found = overruled(&overlay, &ids, Some(&old), &new);
        let told: Vec<_> =
            found.iter().map(|it| (it.kind.as_str(), it.name.as_str(), it.effect.as_str())).collect();
        assert_eq!(
            told,
            [
                ("key", "a", "stays denied, though the policy steers it"),
                ("key", "b", REMOVED),
                ("key", "c", "stays steered, though the policy denies it"),
                ("shard", "a", "stays disabled, and takes nothing"),
                ("shard", "b", REMOVED),
            ]
        );
        assert_eq!(overruled(&overlay, &ids, None, &new).len(), 3, "what nobody had is not removed");
    }
}
