//! Operators' words, which every generation heeds once there are any.

use super::Steering;
use crate::fault::{Step, point};
use crate::image::Words;
use crate::kernel::counter_set::CounterSet;
use crate::kernel::load::Variant;
use crate::kernel::pins::PinError;
use crate::kernel::{Dataplane, KernelError};

impl Steering {
    /// Operators' words.
    ///
    /// # Errors
    /// The kernel does not let a map be read.
    pub fn words(&self) -> Result<Words, KernelError> {
        self.sets.values().next_back().map_or_else(|| Ok(Words::default()), CounterSet::words)
    }

    /// Makes `words` all that operators have to say. The generations then heed words, if there are any: variants of
    /// those that do not are loaded over the same tables, and take their places.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set_words(&mut self, words: &Words) -> Result<(), KernelError> {
        for set in self.sets.values_mut() {
            set.replace(words)?;
        }
        point(Step::WordsWritten);
        if words.keys.is_empty() && words.shards.is_empty() {
            return Ok(());
        }
        let deaf = self.generations.iter().filter(|(_, it)| it.about.shape.config.overlay == 0);
        let deaf: Vec<u64> = deaf.map(|(number, _)| *number).collect();
        deaf.into_iter().try_for_each(|number| self.heed(number))
    }

    /// Loads the variant of a generation that heeds words, in its place.
    fn heed(&mut self, number: u64) -> Result<(), KernelError> {
        let (set, capacity) = match self.sets.iter().next_back() {
            Some((set, it)) => (self.pins.counters(*set), it.capacity),
            None => return Ok(()),
        };
        let variant = Variant { overlay: true, counters: Some((&set, capacity)), ..Variant::default() };
        let new = self.generation(number)?.load_beside(variant)?;
        self.take_place(number, new)
    }

    /// Puts another variant of a generation in its place.
    pub(super) fn take_place(&mut self, number: u64, mut new: Dataplane) -> Result<(), KernelError> {
        let old = self.generation(number)?;
        let programs = old.programs()?;
        if let Some(signing) = old.signing()? {
            new.write_signing(&signing)?;
        }
        let (directory, beside) = (self.pins.generation(number), self.pins.variant(number));
        self.pins.fresh(&beside)?;
        new.home.pin(&beside, &new.about.shape)?;
        point(Step::VariantPinned);
        self.relink(&new, |attached| programs.contains(&attached), Step::VariantLinked)?;
        self.pins.remove(&directory)?;
        point(Step::VariantAlone);
        std::fs::rename(&beside, &directory).map_err(PinError::io("rename", &beside))?;
        point(Step::VariantInPlace);
        self.generations.insert(number, new);
        Ok(())
    }
}
