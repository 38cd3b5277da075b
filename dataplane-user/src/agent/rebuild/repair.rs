//! Making lost parts anew, in an order in which a repair that is cut off is noticed and begun again: the records last.

use std::collections::BTreeMap;
use std::path::Path;

use keysteer_common::overlay::{key_word, shard_word};

use super::ids::{Above, key_ids, shard_ids};
use super::look::Looked;
use super::source::{self, Names, Source};
use super::{Held, Told, Way, kernel};
use crate::agent::ground::{Ground, Platform};
use crate::agent::steward::ChangeError;
use crate::image::Words;
use crate::kernel::Pinned;
use crate::policy::Bundle;
use crate::state::overlay::{KeyWord, ShardWord, Word};
use crate::state::{Audit, Generations, Ids, Overlay, Part, Secrets, StateError, Timestamp, Who};

/// What operators' words say of themselves that were found in the kernel alone.
const REASON: &str = "rebuilt from the pins";

/// What a repair has at hand.
pub(super) struct Repair<'r> {
    pub(super) directory: &'r Path,
    pub(super) ground: &'r dyn Ground,
    pub(super) platform: &'r dyn Platform,
    /// The policy that the agent was given, where it is valid.
    pub(super) offered: Option<&'r Bundle>,
    /// Else what is wrong with it.
    pub(super) trouble: Option<&'r str>,
    pub(super) pinned: &'r [u64],
}

/// What was rebuilt so far.
struct Log<'r> {
    directory: &'r Path,
    now: Timestamp,
    told: Vec<Told>,
}

impl Log<'_> {
    /// Takes a part out of the way; what is put in its place is to be told by [`Log::tell`].
    fn set_aside(&mut self, part: Part, what: String) -> Result<(), StateError> {
        let kept = part.set_aside(self.directory, self.now)?;
        self.told.push(Told { part, what, kept, now: String::new() });
        Ok(())
    }

    fn tell(&mut self, now: &str) {
        if let Some(told) = self.told.last_mut() {
            told.now = format!("rebuilt from the pins: {now}");
        }
    }
}

impl Repair<'_> {
    /// Makes everything usable.
    pub(super) fn all(&self, looked: Looked) -> Result<Held, ChangeError> {
        let is_strange = looked.is_strange();
        let Looked { secrets, keys, shards, overlay, audit, generations, bundle, mut losses } = looked;
        // By the time of the first change it must be certain that there is a policy for the last.
        let registries =
            is_strange || losses.contains_key(&Part::KeyIds) || losses.contains_key(&Part::ShardIds);
        let lost_bundle = losses.keys().find_map(|part| match part {
            Part::Bundle(number) => Some(*number),
            _ => None,
        });
        let survey = match registries {
            true => self.ground.survey().map_err(kernel)?,
            false => Vec::new(),
        };
        let steering = survey.first().map(|pinned| pinned.number).or(self.pinned.last().copied());
        let own = |number: u64| Generations::bundle_of::<Bundle>(self.directory, number).ok();
        let applied = match is_strange || lost_bundle.is_some() {
            true => {
                let bundle = self.offered.cloned().or_else(|| steering.and_then(own));
                Some(bundle.ok_or_else(|| self.refuse(&losses, steering, self.trouble))?)
            }
            false => None,
        };
        let (words, above) = match registries || losses.contains_key(&Part::Overlay) {
            true => (self.ground.words().map_err(kernel)?, Above::of(&survey, self.ground)?),
            false => (Words::default(), Above::default()),
        };
        let found = match registries {
            true => {
                let secrets = secrets.unwrap_or(Secrets::from_bytes(&[0; 32]));
                let sources = self.sources(&survey, &secrets, own)?;
                if sources.1.first().is_none_or(Vec::is_empty) {
                    return Err(self.refuse(&losses, steering, self.trouble));
                }
                let lent = |at: &Vec<usize>| at.iter().filter_map(|at| sources.0.get(*at)).collect();
                let lent: Vec<Vec<&Source>> = sources.1.iter().map(lent).collect();
                let strange = "the offered policy reads other bits of packets for a key than that does";
                source::read(&survey, &lent).ok_or_else(|| self.refuse(&losses, steering, Some(strange)))?
            }
            false => Names::default(),
        };

        let mut log = Log { directory: self.directory, now: Timestamp::now(), told: Vec::new() };
        let secrets = match (losses.remove(&Part::Secrets), secrets) {
            (None, Some(secrets)) => secrets,
            (what, _) => self.secrets(what.unwrap_or_default(), &mut log)?,
        };
        let mut ids = Ids { keys, shards };
        if registries {
            let above = above.and(&words, generations.as_ref());
            let what = losses.remove(&Part::KeyIds);
            let rebuilt = key_ids(&found, &ids.keys, above.keys);
            if what.is_some() || rebuilt != ids.keys {
                let what = what.unwrap_or_else(|| older(Part::KeyIds, self.directory));
                log.set_aside(Part::KeyIds, what)?;
                ids.keys = rebuilt;
                log.tell(&format!(
                    "{} of the {} keys of the policy have the ids that they had; ids that are given from now on begin at {}",
                    found.found,
                    found.of,
                    ids.keys.given() + 1
                ));
            }
            let what = losses.remove(&Part::ShardIds);
            let rebuilt = shard_ids(&found, &ids.shards, above.shards);
            if what.is_some() || rebuilt != ids.shards {
                let what = what.unwrap_or_else(|| older(Part::ShardIds, self.directory));
                log.set_aside(Part::ShardIds, what)?;
                ids.shards = rebuilt;
                log.tell(&format!(
                    "{} shards have the indices that they had, by their targets; new ones begin at {}",
                    ids.shards.iter().count(),
                    ids.shards.given()
                ));
            }
            ids.save(self.directory)?;
        }
        let overlay = match losses.remove(&Part::Overlay) {
            None if !is_strange => overlay,
            what => self.overlay(what, overlay, &words, &ids, &mut log)?,
        };
        let audit = match audit {
            Some(audit) => audit,
            None => {
                log.set_aside(Part::Audit, losses.remove(&Part::Audit).unwrap_or_default())?;
                log.tell("a new chain begins with this entry; what was in the old one is not in it");
                Audit::open(self.directory)?
            }
        };
        let (generations, way) =
            self.generations(generations, bundle, applied, lost_bundle, losses, &mut log)?;
        Ok(Held { secrets, ids, generations, overlay, audit, way, told: log.told })
    }

    /// Refuses to go on without a policy.
    fn refuse(
        &self,
        losses: &BTreeMap<Part, String>,
        steering: Option<u64>,
        why: Option<&str>,
    ) -> ChangeError {
        // The first says enough: the records, where they are among them.
        let first = losses.iter().next_back().map(|(part, what)| format!("{}: {what}", part.name()));
        let why = why.and_then(|why| why.lines().next()).unwrap_or("there is none");
        ChangeError::Conflict(format!(
            "the state in {} is damaged ({}); generation {} steers on, and what is lost can be rebuilt from it by the policy in force, \
             but: {why}; start with that policy, restore the directory, or give up what steers by `keysteer agent --cleanup`",
            self.directory.display(),
            first.unwrap_or_default(),
            steering.unwrap_or_default()
        ))
    }

    /// The policies to read the pins by: each once, and for each pinned generation which of them, the best first.
    fn sources(
        &self,
        survey: &[Pinned],
        secrets: &Secrets,
        own: impl Fn(u64) -> Option<Bundle>,
    ) -> Result<(Vec<Source>, Vec<Vec<usize>>), ChangeError> {
        let mut all = Vec::new();
        let offered = match self.offered {
            Some(offered) => {
                all.push(Source::of(offered, self.platform, secrets)?);
                Some(0)
            }
            None => None,
        };
        let mut lists = Vec::new();
        for pinned in survey {
            let mut list = Vec::new();
            // One that does not fit this host any more is no source.
            let bundle = own(pinned.number).filter(|bundle| self.offered != Some(bundle));
            if let Some(source) = bundle.and_then(|it| Source::of(&it, self.platform, secrets).ok()) {
                list.push(all.len());
                all.push(source);
            }
            list.extend(offered);
            lists.push(list);
        }
        Ok((all, lists))
    }

    fn secrets(&self, what: String, log: &mut Log<'_>) -> Result<Secrets, ChangeError> {
        let flow = self.ground.flow_secret().map_err(kernel)?;
        let flow = flow.ok_or_else(|| ChangeError::Conflict("no flow secret is pinned".to_owned()))?;
        log.set_aside(Part::Secrets, what)?;
        let secrets = Secrets::rebuild(self.directory, flow)?;
        log.tell(
            "the flow secret is the one that steers, so no flow moves; the key table's seed is a new one",
        );
        Ok(secrets)
    }

    /// Words that stand in the kernel; with their circumstances, where these are known.
    fn overlay(
        &self,
        what: Option<String>,
        known: Overlay,
        words: &Words,
        ids: &Ids,
        log: &mut Log<'_>,
    ) -> Result<Overlay, ChangeError> {
        fn word<W>(word: W, now: Timestamp) -> Word<W> {
            Word { word, reason: Some(REASON.to_owned()), by: Who::this(), since: now, until: None }
        }
        let mut overlay = Overlay::default();
        for (identity, id) in ids.keys.iter() {
            let Some(bits) = words.keys.get(&id).filter(|bits| **bits & WORDS != 0) else { continue };
            let said = if bits & key_word::DENY != 0 { KeyWord::Deny } else { KeyWord::Allow };
            let before = known.key(identity).filter(|word| word.word == said).cloned();
            overlay.set_key(identity, before.unwrap_or_else(|| word(said, log.now)));
        }
        for (name, index) in ids.shards.iter() {
            let Some(bits) = words.shards.get(&u32::from(index)) else { continue };
            if bits & shard_word::DISABLED != 0 {
                let before = known.shard(name).cloned();
                overlay.set_shard(name, before.unwrap_or_else(|| word(ShardWord::Disabled, log.now)));
            }
        }
        if what.is_none() && overlay == known {
            return Ok(known);
        }
        let what = what.unwrap_or_else(|| older(Part::Overlay, self.directory));
        log.set_aside(Part::Overlay, what)?;
        overlay.save(self.directory)?;
        let stand = overlay.keys().len() + overlay.shards().len();
        let lost = (words.keys.len() + words.shards.len()).saturating_sub(stand);
        let mut now = format!(
            "{stand} words stand; of those that are not known otherwise, who said them, why and until when is lost"
        );
        if lost > 0 {
            now += &format!(", and {lost} words on what the policy does not have are dropped");
        }
        log.tell(&now);
        Ok(overlay)
    }

    /// The records, and how to go on.
    fn generations(
        &self,
        generations: Option<Generations>,
        bundle: Option<(u64, Bundle)>,
        applied: Option<Bundle>,
        lost_bundle: Option<u64>,
        mut losses: BTreeMap<Part, String>,
        log: &mut Log<'_>,
    ) -> Result<(Generations, Way), ChangeError> {
        let intent = self.ground.intent().map_err(kernel)?;
        let most = self.pinned.iter().copied().chain(intent).max().unwrap_or_default();
        let next = most.saturating_add(1);
        let strange = losses.remove(&Part::Generations);
        let (generations, way) = match (generations, applied) {
            (Some(mut generations), Some(applied)) if strange.is_some() => {
                let part = Part::Generations;
                let what = strange.unwrap_or_default();
                log.told.push(Told { part, what, kept: Vec::new(), now: String::new() });
                generations.overtake(next)?;
                (generations, Way::Anew(applied))
            }
            (None, Some(applied)) => {
                log.set_aside(Part::Generations, strange.unwrap_or_default())?;
                (Generations::anew(self.directory, next)?, Way::Anew(applied))
            }
            (Some(generations), Some(applied)) => {
                // The bundle alone is lost.
                let number = lost_bundle.unwrap_or_default();
                let digest = generations.get(number).map(|record| record.bundle.clone());
                log.set_aside(
                    Part::Bundle(number),
                    losses.remove(&Part::Bundle(number)).unwrap_or_default(),
                )?;
                if digest == Some(applied.digest()) {
                    generations.put_bundle(number, &applied)?;
                    log.tell("the policy that the agent was given is the same");
                    return Ok((generations, Way::Recover(Some((number, applied)))));
                }
                (generations, Way::Anew(applied))
            }
            (Some(generations), None) => return Ok((generations, Way::Recover(bundle))),
            // What is lost without records asks for a policy.
            (None, None) => return Err(self.refuse(&losses, self.pinned.last().copied(), self.trouble)),
        };
        let number = generations.next_number();
        log.tell(&format!(
            "the policy is applied anew, as generation {number}; there is none to go back to, and what is not recorded of those \
             before is lost"
        ));
        Ok((generations, way))
    }
}

/// The bits of a key's word that this program knows.
const WORDS: u64 = key_word::DENY | key_word::ALLOW;

/// What is wrong with a part that can be read, beside records that are not those of what is pinned.
fn older(part: Part, directory: &Path) -> String {
    let what = if part.is_there(directory) { "it is older than what is pinned" } else { "it is missing" };
    what.to_owned()
}
