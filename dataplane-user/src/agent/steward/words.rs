//! What operators say of keys and shards.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{ChangeError, Desk, Steward};
use crate::agent::meter::Source as _;
use crate::control::types::{Standing, WordRequest};
use crate::state::audit::{Event, Outcome, Subject};
use crate::state::overlay::{KeyWord, ShardWord, Word};
use crate::state::{Overlay, Timestamp, Who};

impl Steward {
    /// Says something of a key, or takes back what was said.
    ///
    /// # Errors
    /// There is no such key, another change is being made, or it cannot be kept.
    pub fn key_word(
        &self,
        name: &str,
        word: Option<KeyWord>,
        asked: &WordRequest,
        who: Who,
    ) -> Result<(), ChangeError> {
        let mut desk = self.free_desk()?;
        let node = self.node();
        let key = node.names.keys.iter().find(|key| key.name == name);
        let Some(key) = key else {
            let names = node.names.keys.iter().map(|key| key.name.as_str());
            return Err(ChangeError::Unknown(unknown("key", name, names)));
        };
        // What is said of a key is said of its aliases: they are other spellings of it.
        let same = node.names.keys.iter().filter(|it| it.id == key.id || it.alias_of == Some(key.id));
        let same: BTreeSet<u32> = same.map(|key| key.id).collect();
        let ids = desk.ids.keys.iter().filter(|(_, id)| same.contains(id));
        let identities: Vec<String> = ids.map(|(text, _)| text.to_owned()).collect();
        if identities.is_empty() {
            return Err(ChangeError::Unknown(format!("key {name} has no id")));
        }
        let action = match word {
            Some(KeyWord::Deny) => "key-deny",
            Some(KeyWord::Allow) => "key-allow",
            None => "key-clear",
        };
        let subject = Subject::Key(name.to_owned());
        self.say(&mut desk, action, subject, asked, who, |overlay, circumstances| {
            for identity in &identities {
                match word {
                    Some(word) => drop(overlay.set_key(identity, circumstances.clone().word(word))),
                    None => drop(overlay.clear_key(identity)),
                }
            }
        })
    }

    /// Says something of a shard, or takes back what was said.
    ///
    /// # Errors
    /// As [`Steward::key_word`].
    pub fn shard_word(
        &self,
        name: &str,
        word: Option<ShardWord>,
        asked: &WordRequest,
        who: Who,
    ) -> Result<(), ChangeError> {
        let mut desk = self.free_desk()?;
        let node = self.node();
        if node.names.policy_shards().all(|(_, shard)| shard.name != name) {
            let names = node.names.policy_shards().map(|(_, shard)| shard.name.as_str());
            return Err(ChangeError::Unknown(unknown("shard", name, names)));
        }
        let action = if word.is_some() { "shard-disable" } else { "shard-enable" };
        let subject = Subject::Shard(name.to_owned());
        self.say(&mut desk, action, subject, asked, who, |overlay, circumstances| match word {
            Some(word) => drop(overlay.set_shard(name, circumstances.word(word))),
            None => drop(overlay.clear_shard(name)),
        })
    }

    /// Changes the overlay: kept first, then told to the kernel.
    fn say(
        &self,
        desk: &mut Desk,
        action: &str,
        subject: Subject,
        asked: &WordRequest,
        who: Who,
        change: impl FnOnce(&mut Overlay, Circumstances),
    ) -> Result<(), ChangeError> {
        let before = desk.overlay.clone();
        let now = Timestamp::now();
        let until = asked.seconds.map(|seconds| now.after(Duration::from_secs(seconds)));
        change(
            &mut desk.overlay,
            Circumstances { reason: asked.reason.clone(), by: who.clone(), since: now, until },
        );
        let done = self.enact(desk);
        if done.is_err() {
            desk.overlay = before;
            desk.overlay.save(desk.state.path())?;
        }
        self.post(desk);
        let result = if done.is_ok() { Outcome::Ok } else { Outcome::Failed };
        let failed = done.as_ref().err().map(ToString::to_string);
        desk.journal(Event {
            subject: Some(subject),
            reason: asked.reason.clone(),
            detail: failed.or_else(|| until.map(|until| format!("until {until}"))),
            ..Event::new(who, action, result)
        })?;
        done
    }

    /// Keeps the overlay and tells the kernel.
    pub(super) fn enact(&self, desk: &mut Desk) -> Result<(), ChangeError> {
        desk.overlay.save(desk.state.path())?;
        self.have_heeded(&mut **self.ground(), desk.words()).map_err(ChangeError::Kernel)
    }

    /// What operators said that stands.
    pub fn standing(&self) -> Arc<[Standing]> {
        self.posted().words
    }

    pub(super) fn standing_at(&self, desk: &Desk) -> Arc<[Standing]> {
        let node = self.node();
        let name = |identity: &str| {
            let id = desk.ids.keys.get(identity);
            let key = id.and_then(|id| node.names.key(id));
            key.map_or_else(|| crate::compile::shown(&node.names, identity), |key| key.name.clone())
        };
        let key = |(identity, word): (&str, &Word<KeyWord>)| {
            let said = match word.word {
                KeyWord::Deny => "deny",
                KeyWord::Allow => "allow",
            };
            Standing::new("key", name(identity), said, word)
        };
        let shard =
            |(name, word): (&str, &Word<ShardWord>)| Standing::new("shard", name.to_owned(), "disable", word);
        desk.overlay.keys().map(key).chain(desk.overlay.shards().map(shard)).collect()
    }
}

/// When, why and by whom something is said.
#[derive(Clone)]
struct Circumstances {
    reason: Option<String>,
    by: Who,
    since: Timestamp,
    until: Option<Timestamp>,
}

impl Circumstances {
    fn word<W>(self, word: W) -> Word<W> {
        let Self { reason, by, since, until } = self;
        Word { word, reason, by, since, until }
    }
}

/// That there is no `what` called `name`, with the nearest that there is.
fn unknown<'n>(what: &str, name: &str, names: impl Iterator<Item = &'n str>) -> String {
    match crate::suggest::nearest(name, names) {
        Some(near) => format!("there is no {what} {name}; did you mean {near}?"),
        None => format!("there is no {what} {name}; `keysteer {what} list` shows all"),
    }
}
