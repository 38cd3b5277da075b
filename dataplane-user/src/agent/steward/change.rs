//! Plan, apply, roll back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::moves::migrate;
use super::planning::Draft;
use super::rollout::Steps;
use super::secrets::give_secrets;
use super::{ChangeError, Desk, Made, Steward};
use crate::agent::ground::Places;
use crate::agent::meter::{Cause, Source as _};
use crate::agent::probe;
use crate::both::{MANY, both};
use crate::control::types::{Applied, RolledBack};
use crate::fault::{Step, point};
use crate::image::Image;
use crate::plan::{Base, Guard};
use crate::policy::Bundle;
use crate::state::Who;
use crate::state::audit::{Event, Outcome};
use crate::state::generations::set_imported;

/// How far a change is, told to whoever asked for it.
pub type Progress<'p> = &'p (dyn Fn(&str) + Sync);

/// What is to be otherwise than the policy says, and than the tables in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Weights of shards: 0 for no share, `None` for the policy's again. Of those that are not named what was said holds on.
    pub shares: BTreeMap<String, Option<u32>>,
    /// Pools whose tables are made anew, from nothing but the policy.
    pub rebalance: BTreeSet<String>,
}

/// A change that is asked for.
pub struct Apply<'a> {
    /// The policy.
    pub bundle: Bundle,
    /// What is to be otherwise.
    pub change: Change,
    /// Guards that are lifted.
    pub allow: Vec<Guard>,
    /// The plan that must come out, by its digest.
    pub plan: Option<String>,
    /// The generation that must be in force.
    pub base: Option<Base>,
    /// Whether all keys move together, whatever the policy says of steps.
    pub at_once: bool,
    /// Who asks.
    pub who: Who,
    /// What the journal calls it.
    pub action: &'static str,
    /// Told of every stage.
    pub progress: Progress<'a>,
    /// Set when the asker has gone: until the commit the change is then given up.
    pub gone: &'a AtomicBool,
}

impl<'a> Apply<'a> {
    /// An error once the asker has gone.
    fn going(&self) -> Result<(), ChangeError> {
        if self.gone.load(Ordering::Relaxed) { Err(ChangeError::Interrupted) } else { Ok(()) }
    }

    /// A change that the agent makes by itself.
    pub fn by_agent(bundle: Bundle, action: &'static str, gone: &'a AtomicBool) -> Self {
        Self {
            bundle,
            change: Change::default(),
            allow: Vec::new(),
            plan: None,
            base: None,
            at_once: false,
            who: Who::this(),
            action,
            progress: &|_| {},
            gone,
        }
    }
}

impl Steward {
    /// Applies a policy.
    ///
    /// # Errors
    /// It is not valid, refused, in conflict with another change, or the kernel refuses it. What was in force still is.
    pub fn apply(&self, apply: &Apply<'_>) -> Result<Applied, ChangeError> {
        let mut desk = self.free_desk()?;
        self.carry_out(&mut desk, apply, true)
    }

    pub(super) fn carry_out(
        &self,
        desk: &mut Desk,
        apply: &Apply<'_>,
        plans: bool,
    ) -> Result<Applied, ChangeError> {
        let before = desk.generations.live().map(|record| record.number);
        let ids = desk.ids.clone();
        let event = |result| Event { from: before, ..Event::new(apply.who.clone(), apply.action, result) };
        let done = self.try_apply(desk, apply, plans);
        match &done {
            Ok(applied) if applied.changed => {
                let plan = Some(applied.plan.clone()).filter(|plan| !plan.is_empty());
                desk.journal(Event { to: Some(applied.generation), plan, ..event(Outcome::Ok) })?;
            }
            Ok(_) => {
                desk.ids = ids;
                // A bundle may have been kept for nothing.
                desk.generations.prune()?;
            }
            Err(error) => {
                desk.ids = ids;
                desk.generations.prune()?;
                let outcome = match error {
                    ChangeError::Kernel(_) | ChangeError::State(_) => Outcome::Failed,
                    _ => Outcome::Refused,
                };
                let detail = Some(error.to_string());
                desk.journal(Event { detail, plan: apply.plan.clone(), ..event(outcome) })?;
            }
        }
        self.post(desk);
        done
    }

    fn try_apply(&self, desk: &mut Desk, apply: &Apply<'_>, plans: bool) -> Result<Applied, ChangeError> {
        let begun = Instant::now();
        (apply.progress)("compiling");
        let number = desk.generations.next_number();
        let mut draft = self.draft(desk, &apply.bundle, Some(number), plans, &apply.change)?;
        draft.compiled.image.heed(self.heeds(desk.words()));
        if desk.policy.is_some() {
            let exists = self.has_interface()?;
            migrate(
                &draft.beside.tables,
                &draft.policy,
                &mut draft.compiled.image,
                &exists,
                !self.unwell().is_empty(),
            );
            if plans && !apply.at_once {
                self.stage(&mut draft);
            }
        }
        let image = &draft.compiled.image;
        // The tables of many keys are loaded while the plan is made and written down.
        let early = image.names.keys.len() >= MANY;
        let (recorded, ready) = both(
            early,
            || self.plan_and_record(desk, apply, &draft, plans),
            || early.then(|| self.ready(image)),
        );
        let (number, plan) = recorded?;
        let Some(number) = number else {
            let generation = desk.generations.live().map_or(0, |record| record.number);
            return Ok(Applied { generation, changed: false, plan, millis: elapsed(begun) });
        };
        (apply.progress)("loading");
        let ready = ready.unwrap_or_else(|| self.ready(image));
        if let Err(error) = ready.and_then(|()| self.prove(desk, number, &mut draft, apply, plans)) {
            self.abandon(desk, number, &error)?;
            return Err(error);
        }
        (apply.progress)("committing");
        self.commit(desk, number, &draft.compiled.wanted)?;
        let last = desk.generations.last().map(|record| record.number);
        self.clear(desk, [Some(number), last]);
        desk.wanted.insert(number, draft.compiled.wanted);
        // What is put in force first is new, unless another agent had it.
        let news = self.node().generation != 0 || apply.action == "start";
        self.take(desk, number, (draft.policy, draft.compiled.image, draft.placement), news);
        self.take_up_moves(desk, number)?;
        if let Some((rolling, turns)) = draft.rollout {
            self.take_up_steps(desk, number, rolling, turns);
        }
        if plans && desk.imported.take().is_some() {
            set_imported(desk.state.path(), None)?;
        }
        desk.interfaces = self.platform.interfaces().map_err(ChangeError::Kernel)?;
        Ok(Applied { generation: number, changed: true, plan, millis: elapsed(begun) })
    }

    fn ready(&self, image: &Image) -> Result<(), ChangeError> {
        self.ground().ready(image).map_err(ChangeError::Kernel)?;
        // A set of maps that was made for it had the words of a moment ago.
        self.say_again().map_err(ChangeError::Kernel)
    }

    /// Plans a change, and records its generation as prepared. Gives its number, if anything changes, and the plan's
    /// digest.
    fn plan_and_record(
        &self,
        desk: &mut Desk,
        apply: &Apply<'_>,
        draft: &Draft,
        plans: bool,
    ) -> Result<(Option<u64>, String), ChangeError> {
        let mut digest = String::new();
        if plans && desk.generations.live().is_some() {
            let plan = self.plan_of(desk, draft, &apply.allow, apply.base.clone(), false);
            digest = plan.digest();
            if let Some(wanted) = apply.plan.as_ref().filter(|wanted| **wanted != digest) {
                return Err(ChangeError::Conflict(format!(
                    "the saved plan {wanted} is not what would be done now ({digest}): plan again"
                )));
            }
            let refusals: Vec<String> =
                plan.refused().map(|it| format!("{}: {}; {}", it.name.name(), it.message, it.next)).collect();
            if !refusals.is_empty() {
                let message = format!("the plan is refused: {}", refusals.join("\n"));
                return Err(ChangeError::Refused { message, plan: Box::new(plan) });
            }
            // Tables that were imported are taken over also where no key moves.
            let imports = desk.imported.is_some()
                && desk.placement.as_ref().is_none_or(|live| live.digest() != draft.placement.digest());
            if plan.is_empty() && !imports {
                return Ok((None, digest));
            }
            if let Some(number) = desk.rolling.as_ref().map(Steps::number) {
                return Err(ChangeError::RollingOut(number));
            }
        }
        apply.going()?;
        (apply.progress)("recording");
        let number = desk.generations.next_number();
        desk.ids.save(desk.state.path())?;
        let mut record = desk.record(number, apply, draft);
        record.plan = Some(digest.clone()).filter(|digest| !digest.is_empty());
        if !draft.kept {
            desk.generations.put_bundle(number, &apply.bundle)?;
        }
        desk.generations.put_placement(number, &draft.placement)?;
        desk.generations.put(record)?;
        Ok((Some(number), digest))
    }

    /// Pins a recorded generation whose tables are loaded, gives it its secrets, and has it decide its probes. A change that
    /// the agent makes by itself goes without secrets that are not there.
    fn prove(
        &self,
        desk: &mut Desk,
        number: u64,
        draft: &mut Draft,
        apply: &Apply<'_>,
        asked: bool,
    ) -> Result<(), ChangeError> {
        let Draft { policy, compiled, .. } = draft;
        let mut ground = self.ground();
        ground.load(number).map_err(ChangeError::Kernel)?;
        let live = desk.live();
        give_secrets(&mut desk.signing, &mut **ground, number, live, policy, asked)?;
        apply.going()?;
        (apply.progress)("proving");
        let frames = probe::frames(policy, &compiled.image);
        self.in_silence(|words| {
            compiled.image.words = words;
            ground.prove(number, &compiled.image, &frames).map_err(ChangeError::Kernel)
        })?;
        point(Step::Probed);
        apply.going()
    }

    /// Puts a generation on its interfaces, and records that it is live. An error leaves the one before in force; where
    /// there was none on record, the generation stays with its intent, and the next agent goes on from there.
    fn commit(&self, desk: &mut Desk, number: u64, wanted: &Places) -> Result<(), ChangeError> {
        let live = desk.generations.live().map(|record| record.number);
        let committed = self.ground().commit(number, wanted).map_err(ChangeError::Kernel);
        let statuses = match committed {
            Ok(statuses) => statuses,
            Err(error) => {
                self.abandon(desk, number, &error)?;
                return Err(error);
            }
        };
        if let Err(error) = desk.generations.set_live(number) {
            let error = ChangeError::from(error);
            if let Some(live) = live {
                desk.take_back(&mut **self.ground(), number, live).map_err(ChangeError::Kernel)?;
                self.abandon(desk, number, &error)?;
            }
            return Err(error);
        }
        desk.note(statuses, wanted);
        Ok(())
    }

    /// Records that a prepared generation came to nothing, and removes it.
    fn abandon(&self, desk: &mut Desk, number: u64, why: &ChangeError) -> Result<(), ChangeError> {
        desk.generations.fail(number, &why.to_string())?;
        desk.signing.forget(number);
        self.ground().retire(number).map_err(ChangeError::Kernel)?;
        desk.generations.prune()?;
        Ok(())
    }

    /// Ends a commit that is recorded, and lets go of generations that are in the kernel and not to be kept. Packets have
    /// what they should by now, so an error is only told: whoever opens the pins next does the same.
    fn clear(&self, desk: &mut Desk, keep: [Option<u64>; 2]) {
        let mut ground = self.ground();
        let mut clear = || -> Result<(), Cause> {
            if let Some(live) = keep[0] {
                ground.settle(live)?;
            }
            point(Step::Settled);
            for old in ground.pinned()?.into_iter().filter(|number| !keep.contains(&Some(*number))) {
                ground.retire(old)?;
                desk.wanted.remove(&old);
                desk.signing.forget(old);
            }
            point(Step::Retired);
            desk.generations.prune()?;
            Ok(())
        };
        if let Err(error) = clear() {
            tracing::error!(%error, "what is left of the generation before cannot be cleared away");
        }
    }

    /// Goes back to the last generation.
    ///
    /// # Errors
    /// There is none, another change is being made, or the kernel refuses.
    pub fn rollback(&self, who: &Who, expected: Option<u64>) -> Result<RolledBack, ChangeError> {
        let mut desk = self.free_desk()?;
        let from = desk.live();
        if expected.is_some() && expected != from {
            return Err(ChangeError::Conflict(format!(
                "generation {} is in force, not {}: look at `keysteer status`",
                from.unwrap_or_default(),
                expected.unwrap_or_default()
            )));
        }
        self.go_back(&mut desk, who, None)
    }

    /// Goes back to the last generation; `why` where the agent does so by itself.
    pub(super) fn go_back(
        &self,
        desk: &mut Desk,
        who: &Who,
        why: Option<&str>,
    ) -> Result<RolledBack, ChangeError> {
        let begun = Instant::now();
        let from = desk.live();
        let done = self.try_rollback(desk);
        let event = |result| Event {
            from,
            reason: why.map(str::to_owned),
            ..Event::new(who.clone(), "rollback", result)
        };
        let number = match done {
            Ok(number) => number,
            Err(error) => {
                desk.journal(Event { detail: Some(error.to_string()), ..event(Outcome::Failed) })?;
                return Err(error);
            }
        };
        let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        desk.journal(Event { to: Some(number), ..event(Outcome::Ok) })?;
        // Packets have the old policy again; its names follow.
        let bundle: Bundle = desk.generations.bundle(number)?;
        let Made { policy, compiled, placement } = self.compile_at(desk, number, &bundle)?;
        if let Some(from) = from {
            desk.end_steps(from, why.unwrap_or("rolled back"))?;
        }
        self.take(desk, number, (policy, compiled.image, placement), true);
        self.take_up_moves(desk, number)?;
        Ok(RolledBack { generation: number, from: from.unwrap_or_default(), micros })
    }

    fn try_rollback(&self, desk: &mut Desk) -> Result<u64, ChangeError> {
        let last = desk.generations.last().map(|record| record.number);
        let Some(number) = last else {
            return Err(ChangeError::Unknown(
                "there is no generation to go back to: only one was in force since the node's state began, or the one before is \
                 gone; apply the policy that is wanted"
                    .to_owned(),
            ));
        };
        let live = desk.generations.live().map(|record| record.number);
        let wanted = desk.wanted.get(&number).cloned().unwrap_or_default();
        self.ready_to_go_back(desk, number)?;
        let mut ground = self.ground();
        let statuses = ground.commit(number, &wanted).map_err(ChangeError::Kernel)?;
        if let Err(error) = desk.generations.swap() {
            if let Some(live) = live {
                desk.take_back(&mut **ground, number, live).map_err(ChangeError::Kernel)?;
            }
            return Err(error.into());
        }
        desk.note(statuses, &wanted);
        ground.settle(number).map_err(ChangeError::Kernel)?;
        point(Step::Settled);
        Ok(number)
    }
}

fn elapsed(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
