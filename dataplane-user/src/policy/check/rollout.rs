//! Steps of a change: their cohorts and tiers are there, and each takes somebody along.

use std::collections::{BTreeSet, HashSet};

use crate::policy::diagnostic::Problem;
use crate::policy::document::{Document, RawAbortIf, RawRollout, RawWho};
use crate::policy::model::{Key, Tier};
use crate::policy::reader::At;
use crate::policy::rollout::{AbortIf, Cohort, Rollout, RolloutStep};
use crate::policy::share::Share;

use super::Checker;

pub(super) fn check(
    checker: &mut Checker<'_>,
    document: &Document<'_>,
    tiers: &[Tier],
    keys: &[Key],
) -> Option<Rollout> {
    let raw = document.rollout.as_ref()?;
    if document.migration.is_none() {
        let problem = "steps need flows that stay where they are: leave \"migration: none\" out";
        checker.error(raw.steps.at, "spec.rollout", problem);
    }
    let cohorts = cohorts(checker, raw, keys);
    let mut before: Option<Share> = None;
    let mut steps = Vec::with_capacity(raw.steps.value.len());
    for (index, step) in raw.steps.value.iter().enumerate() {
        let path = format!("spec.rollout.steps[{index}]");
        let cohort = match &step.who {
            RawWho::Percent(At { value, at }) => {
                if *value == Share::NONE || before.is_some_and(|before| *value <= before) {
                    let least = before.map_or_else(|| "0%".to_owned(), |before| before.to_string());
                    let problem = format!("{value} takes no further key along: expected more than {least}");
                    checker.error(*at, format!("{path}.percent"), problem);
                }
                before = Some(*value);
                Cohort::Percent(*value)
            }
            RawWho::Cohort(name) => {
                let Some((known, keys)) = cohorts.iter().find(|(known, _)| *known == name.value) else {
                    let known = cohorts.iter().map(|(known, _)| *known);
                    let problem = Problem::unknown("cohort", name.value, known);
                    checker.error(name.at, format!("{path}.cohort"), problem);
                    continue;
                };
                Cohort::Named { name: (*known).to_owned(), keys: keys.clone() }
            }
            RawWho::Tier(name) => {
                let Some(tier) = tiers.iter().position(|tier| tier.name == name.value) else {
                    let known = tiers.iter().map(|tier| tier.name.as_str());
                    checker.error(
                        name.at,
                        format!("{path}.tier"),
                        Problem::unknown("tier", name.value, known),
                    );
                    continue;
                };
                let of = keys.iter().filter(|key| key.tier == Some(tier)).map(|key| key.name.clone());
                Cohort::Tier { name: name.value.to_owned(), keys: of.collect() }
            }
        };
        steps.push(RolloutStep { cohort, lasts: step.lasts });
    }
    let abort_if = abort_if(checker, document, &raw.abort_if);
    Some(Rollout { steps, abort_if, least: raw.least.into() })
}

/// Cohorts, by name.
type Cohorts<'n> = Vec<(&'n str, BTreeSet<String>)>;

fn cohorts<'n>(checker: &mut Checker<'_>, raw: &RawRollout<'n>, keys: &[Key]) -> Cohorts<'n> {
    let known: HashSet<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    let used = |name: &str| {
        let steps = &raw.steps.value;
        steps.iter().any(|step| matches!(&step.who, RawWho::Cohort(used) if used.value == name))
    };
    let mut found = Vec::with_capacity(raw.cohorts.len());
    for (name, of) in &raw.cohorts {
        let path = format!("spec.rollout.cohorts.{}", name.value);
        for (index, key) in of.iter().enumerate().filter(|(_, key)| !known.contains(key.value)) {
            let problem = Problem::unknown("key", key.value, known.iter().copied());
            checker.error(key.at, format!("{path}[{index}]"), problem);
        }
        if !used(name.value) {
            checker.warn(name.at, path, "no step takes it along");
        }
        found.push((name.value, of.iter().map(|key| key.value.to_owned()).collect()));
    }
    found
}

fn abort_if(checker: &mut Checker<'_>, document: &Document<'_>, raw: &At<RawAbortIf>) -> AbortIf {
    let value = |share: &Option<At<Share>>| share.as_ref().map(|share| share.value);
    let found = AbortIf {
        drops: value(&raw.value.drops),
        resets: value(&raw.value.resets),
        failed_handshakes: value(&raw.value.failed_handshakes),
        slow_handshakes: value(&raw.value.slow_handshakes),
        shards_down: raw.value.shards_down.as_ref().map(|shards| shards.value),
    };
    if found == AbortIf::default() {
        checker.error(raw.at, "spec.rollout.abortIf", "nothing would turn the change back: name a condition");
    }
    if let Some(shards) = raw.value.shards_down.as_ref().filter(|_| document.health.is_none()) {
        let problem = "no shard is asked whether it lives: add spec.health, or leave this out";
        checker.error(shards.at, "spec.rollout.abortIf.shardsDown", problem);
    }
    found
}
