//! What the kernel heeds: operators' words and health's, both at once.
//!
//! Operators' words are kept, and told by way of the ground, which loads what heeds them. Health's are measured, and cannot wait for
//! a change that is being made: they are said beside the ground, into maps that are there, to programs that heed words already.
//! Where the two ways meet, what was told by the ground is said again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};

use keysteer_common::overlay::shard_word;

use super::Steward;
use crate::agent::ground::Ground;
use crate::agent::meter::Cause;
use crate::health::{Ledger, WHOLE, inherited};
use crate::image::Words;

/// What the kernel heeds.
#[derive(Debug, Default)]
pub(super) struct Heeded {
    operators: Words,
    /// By shard index.
    health: BTreeMap<u32, u64>,
    /// The shards that health has said something of, now or before.
    touched: BTreeSet<u32>,
    /// Whether the program in force finds flows where they are: only then can a shard come back without taking flows from others.
    migrates: bool,
}

impl Heeded {
    /// What a `kernel` heeds, in which the agent before this one left words.
    pub(super) fn inherit(kernel: &Words, operators: Words) -> Self {
        let health = inherited(&kernel.shards);
        Self { touched: health.keys().copied().collect(), operators, health, migrates: false }
    }

    /// The words that take the place of what health said: a shard that comes back whole keeps one, for the flows that it lost meanwhile,
    /// until these have ended.
    fn lingering(&self, mut words: BTreeMap<u32, u64>) -> BTreeMap<u32, u64> {
        if self.migrates {
            for index in self.health.keys() {
                words.entry(*index).or_insert(WHOLE);
            }
        }
        words
    }

    fn shard(&self, index: u32) -> u64 {
        let of = |words: &BTreeMap<u32, u64>| words.get(&index).copied().unwrap_or_default();
        of(&self.operators.shards) | of(&self.health)
    }

    /// All of it.
    fn all(&self) -> Words {
        let mut all = self.operators.clone();
        for (index, word) in &self.health {
            *all.shards.entry(*index).or_default() |= word;
        }
        all
    }
}

impl Steward {
    fn heeded(&self) -> MutexGuard<'_, Heeded> {
        self.heeded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be heeded where these are the operators' words.
    pub(super) fn heeds(&self, operators: Words) -> Words {
        let health = self.heeded().health.clone();
        Heeded { operators, health, ..Heeded::default() }.all()
    }

    /// Has the ground heed operators' words, beside health's.
    pub(super) fn have_heeded(&self, ground: &mut dyn Ground, operators: Words) -> Result<(), Cause> {
        let (before, all) = {
            let mut heeded = self.heeded();
            let before = std::mem::replace(&mut heeded.operators, operators);
            (before, heeded.all())
        };
        if let Err(error) = ground.set_words(&all) {
            self.heeded().operators = before;
            return Err(error);
        }
        self.say_again()
    }

    /// Says again what health has said meanwhile.
    pub(super) fn say_again(&self) -> Result<(), Cause> {
        let heeded = self.heeded();
        if heeded.touched.is_empty() {
            return Ok(());
        }
        let words = heeded.touched.iter().map(|index| (*index, heeded.shard(*index))).collect();
        self.speaker.say(&words)
    }

    /// Does something short, with the words that are heeded, while health says nothing new.
    pub(super) fn in_silence<T>(&self, work: impl FnOnce(Words) -> T) -> T {
        let heeded = self.heeded();
        let done = work(heeded.all());
        drop(heeded);
        done
    }

    /// Makes `words`, by shard index, all that health has to say. It is in the kernel when this returns.
    ///
    /// # Errors
    /// The kernel does not let it be written; then it was not said, and may be tried again.
    pub fn say_health(&self, words: BTreeMap<u32, u64>) -> Result<(), Cause> {
        let mut heeded = self.heeded();
        let words = heeded.lingering(words);
        let other = |index: &&u32| heeded.health.get(index) != words.get(index);
        let changed: Vec<u32> = heeded.health.keys().chain(words.keys()).filter(other).copied().collect();
        if changed.is_empty() {
            return Ok(());
        }
        let before = std::mem::replace(&mut heeded.health, words);
        heeded.touched.extend(&changed);
        let said = changed.into_iter().map(|index| (index, heeded.shard(index))).collect();
        self.speaker.say(&said).inspect_err(|_| heeded.health = before)
    }

    /// Says whether the program in force finds flows where they are.
    pub(super) fn finds_flows(&self, migrates: bool) {
        self.heeded().migrates = migrates;
    }

    /// The shards that are back whole, and whose lost flows may still be elsewhere.
    pub(super) fn returned(&self) -> Vec<u32> {
        let heeded = self.heeded();
        heeded.health.iter().filter(|(_, word)| **word == WHOLE).map(|(index, _)| *index).collect()
    }

    /// Says that nothing is left elsewhere of what a shard lost.
    pub(super) fn is_whole(&self, index: u32) -> Result<(), Cause> {
        let mut heeded = self.heeded();
        if heeded.health.get(&index) != Some(&WHOLE) {
            return Ok(());
        }
        heeded.health.remove(&index);
        let said = [(index, heeded.shard(index))].into();
        self.speaker.say(&said).inspect_err(|_| {
            heeded.health.insert(index, WHOLE);
        })
    }

    /// The shards that health has said something of.
    pub fn unwell(&self) -> BTreeSet<u16> {
        self.heeded().health.keys().filter_map(|index| u16::try_from(*index).ok()).collect()
    }

    /// The shards that do not answer.
    pub(super) fn down(&self) -> BTreeSet<u16> {
        let heeded = self.heeded();
        let down = heeded.health.iter().filter(|(_, word)| **word & shard_word::DOWN != 0);
        down.filter_map(|(index, _)| u16::try_from(*index).ok()).collect()
    }

    /// The shards that operators have taken out.
    pub fn disabled(&self) -> BTreeSet<u16> {
        let heeded = self.heeded();
        let shards = heeded.operators.shards.iter().filter(|(_, word)| **word & shard_word::DISABLED != 0);
        shards.filter_map(|(index, _)| u16::try_from(*index).ok()).collect()
    }

    /// Where it is written down how shards are.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
