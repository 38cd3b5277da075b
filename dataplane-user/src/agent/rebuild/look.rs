//! What is lost of a state directory, held against what is pinned. Nothing is changed, except that the audit log settles
//! what a crash left of it.

use std::collections::BTreeMap;
use std::path::Path;

use super::kernel;
use crate::agent::ground::Ground;
use crate::agent::steward::ChangeError;
use crate::health::HEALTHS;
use crate::policy::Bundle;
use crate::state::{Audit, Generations, KeyIds, Overlay, Part, Secrets, ShardIds, StateError};

/// A state directory as it was found.
pub(super) struct Looked {
    pub(super) secrets: Option<Secrets>,
    /// What the registry has; nothing, where it cannot be read.
    pub(super) keys: KeyIds,
    /// The same.
    pub(super) shards: ShardIds,
    pub(super) overlay: Overlay,
    pub(super) audit: Option<Audit>,
    pub(super) generations: Option<Generations>,
    /// The bundle of the generation that the records want taken over.
    pub(super) bundle: Option<(u64, Bundle)>,
    /// What is wrong, by part.
    pub(super) losses: Losses,
}

/// What is wrong, by part.
pub(super) type Losses = BTreeMap<Part, String>;

impl Looked {
    /// Whether the records are not those of what is pinned: they were lost, or are an older copy. The rest may be as old.
    pub(super) fn is_strange(&self) -> bool {
        self.losses.contains_key(&Part::Generations)
    }
}

/// What a part holds; that it is damaged is noted.
fn note<T>(losses: &mut Losses, part: Part, read: Result<T, StateError>) -> Result<Option<T>, StateError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(StateError::Damaged { path, what, .. }) => {
            let what = if path.ends_with(part.name()) { what } else { format!("{}: {what}", path.display()) };
            losses.insert(part, what);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Reads every part of a state directory beside which generations `pinned` are pinned.
pub(super) fn look(directory: &Path, ground: &dyn Ground, pinned: &[u64]) -> Result<Looked, ChangeError> {
    let mut losses = Losses::new();
    let missing = |losses: &mut Losses, part: Part| {
        let is_missing = !part.is_there(directory);
        if is_missing {
            losses.insert(part, "it is missing".to_owned());
        }
        is_missing
    };
    let secrets = match missing(&mut losses, Part::Secrets) {
        true => None,
        false => note(&mut losses, Part::Secrets, Secrets::read(directory))?,
    };
    let flow = ground.flow_secret().map_err(kernel)?;
    let other = |secrets: &Secrets| flow.is_some_and(|flow| flow != secrets.flow);
    if secrets.as_ref().is_some_and(other) {
        losses.insert(Part::Secrets, "its flow secret is not the one by which the node steers".to_owned());
    }
    let generations = note(&mut losses, Part::Generations, Generations::open(directory))?;
    if let Some(generations) = &generations
        && let Some(number) = pinned.iter().find(|number| generations.get(**number).is_none())
    {
        let older = match generations.iter().next() {
            Some(_) => "an older copy, it seems",
            None => "there are no records",
        };
        losses.insert(
            Part::Generations,
            format!("it does not know generation {number}, which is pinned: {older}"),
        );
    }
    let (given_keys, given_shards) = generations.as_ref().map_or((0, 0), Generations::given);
    let keys = note(&mut losses, Part::KeyIds, KeyIds::open(directory))?.unwrap_or_default();
    if keys.given() < given_keys && !losses.contains_key(&Part::KeyIds) {
        losses.insert(Part::KeyIds, fewer(directory, Part::KeyIds, keys.given(), given_keys));
    }
    let shards = note(&mut losses, Part::ShardIds, ShardIds::open(directory))?.unwrap_or_default();
    if shards.given() < given_shards && !losses.contains_key(&Part::ShardIds) {
        let what = fewer(directory, Part::ShardIds, shards.given().into(), given_shards.into());
        losses.insert(Part::ShardIds, what);
    }
    let overlay = note(&mut losses, Part::Overlay, Overlay::open(directory))?.unwrap_or_default();
    // It is there since the first word.
    let words = ground.words().map_err(kernel)?;
    // Health's are measured anew.
    let stand = !words.keys.is_empty() || words.shards.values().any(|word| word & !HEALTHS != 0);
    if !Part::Overlay.is_there(directory) && stand {
        losses.insert(Part::Overlay, "it is missing, but operators' words stand".to_owned());
    }
    // It is there since before the first generation.
    let audit = match missing(&mut losses, Part::Audit) {
        true => None,
        false => note(&mut losses, Part::Audit, Audit::open(directory))?,
    };
    let mut bundle = None;
    let intent = ground.intent().map_err(kernel)?;
    if let Some(generations) = generations.as_ref().filter(|_| !losses.contains_key(&Part::Generations)) {
        let live = generations.live().map(|record| record.number);
        let target = intent.filter(|number| pinned.contains(number)).or(live);
        if let Some(number) = target.filter(|number| pinned.contains(number)) {
            let read = note(&mut losses, Part::Bundle(number), generations.bundle::<Bundle>(number))?;
            bundle = read.map(|bundle| (number, bundle));
        }
    }
    Ok(Looked { secrets, keys, shards, overlay, audit, generations, bundle, losses })
}

/// That a registry has fewer ids than were given.
fn fewer(directory: &Path, part: Part, has: u32, given: u32) -> String {
    match part.is_there(directory) {
        true => format!("it has {has} ids, but {given} were given"),
        false => format!("it is missing, but {given} ids were given"),
    }
}
