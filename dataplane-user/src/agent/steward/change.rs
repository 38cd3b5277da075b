//! Plan, apply, roll back.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::{ChangeError, Desk, Steward};
use crate::agent::ground::Compiled;
use crate::agent::meter::Source as _;
use crate::agent::probe;
use crate::control::types::{Applied, RolledBack};
use crate::fault::{Step, point};
use crate::plan::{Base, Context, Guard, Plan, Side, Traffic, plan};
use crate::policy::{Bundle, Policy};
use crate::state::Who;
use crate::state::audit::{Event, Outcome};
use crate::state::generations::Status;

/// How far a change is, told to whoever asked for it.
pub type Progress<'p> = &'p (dyn Fn(&str) + Sync);

/// A change that is asked for.
pub struct Apply<'a> {
    /// The policy.
    pub bundle: Bundle,
    /// Guards that are lifted.
    pub allow: Vec<Guard>,
    /// The plan that must come out, by its digest.
    pub plan: Option<String>,
    /// The generation that must be in force.
    pub base: Option<Base>,
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
    /// A change that the agent makes by itself.
    pub fn by_agent(bundle: Bundle, action: &'static str, gone: &'a AtomicBool) -> Self {
        Self {
            bundle,
            allow: Vec::new(),
            plan: None,
            base: None,
            who: Who::this(),
            action,
            progress: &|_| {},
            gone,
        }
    }
}

impl Steward {
    /// What a policy would change.
    ///
    /// # Errors
    /// It is not valid, or another change is being made.
    pub fn plan(&self, bundle: &Bundle, allow: &[Guard], base: Option<Base>) -> Result<Plan, ChangeError> {
        let mut desk = self.free_desk()?;
        // Ids that are given for a plan alone are not kept.
        let ids = desk.ids.clone();
        let planned = self.plan_at(&mut desk, bundle, allow, base).map(|(plan, ..)| plan);
        desk.ids = ids;
        planned
    }

    fn plan_at(
        &self,
        desk: &mut Desk,
        bundle: &Bundle,
        allow: &[Guard],
        expected: Option<Base>,
    ) -> Result<(Plan, Policy, Compiled), ChangeError> {
        let (policy, compiled) = self.compile(desk, bundle)?;
        let live = desk.generations.live().map(|record| (record.number, record.bundle.clone()));
        let node = self.node();
        let slots = match &live {
            Some((number, _)) => self.ground().slots(*number).map_err(ChangeError::Kernel)?,
            None => Vec::new(),
        };
        let traffic = self.traffic();
        let context = Context {
            base: live.map(|(generation, digest)| Base { generation, digest }),
            expected,
            bundle: bundle.digest(),
            allow,
            traffic: traffic.as_ref(),
        };
        let old = desk.policy.as_ref().map(|policy| Side { policy, names: &node.names, slots: &slots });
        let new = Side { policy: &policy, names: &compiled.image.names, slots: &compiled.image.slots };
        let plan = plan(old, new, &context);
        Ok((plan, policy, compiled))
    }

    /// Recent traffic: since the last sample but one.
    fn traffic(&self) -> Option<Traffic> {
        let now = self.ground().counters().ok()?;
        let earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, before) = earlier.as_ref()?;
        Some(Traffic::between(Some(before), &now, since.elapsed()))
    }

    /// Applies a policy.
    ///
    /// # Errors
    /// It is not valid, refused, in conflict with another change, or the kernel refuses it. What was in force still is.
    pub fn apply(&self, apply: Apply<'_>) -> Result<Applied, ChangeError> {
        let mut desk = self.free_desk()?;
        self.carry_out(&mut desk, apply, true)
    }

    pub(super) fn carry_out(
        &self,
        desk: &mut Desk,
        apply: Apply<'_>,
        plans: bool,
    ) -> Result<Applied, ChangeError> {
        let before = desk.generations.live().map(|record| record.number);
        let ids = desk.ids.clone();
        let event = |result| Event { from: before, ..Event::new(apply.who.clone(), apply.action, result) };
        let done = self.try_apply(desk, &apply, plans);
        match &done {
            Ok(applied) if applied.changed => {
                let plan = Some(applied.plan.clone()).filter(|plan| !plan.is_empty());
                desk.journal(Event { to: Some(applied.generation), plan, ..event(Outcome::Ok) })?;
            }
            Ok(_) => desk.ids = ids,
            Err(error) => {
                desk.ids = ids;
                let outcome = match error {
                    ChangeError::Kernel(_) | ChangeError::State(_) => Outcome::Failed,
                    _ => Outcome::Refused,
                };
                let detail = Some(error.to_string());
                desk.journal(Event { detail, plan: apply.plan.clone(), ..event(outcome) })?;
            }
        }
        done
    }

    fn try_apply(&self, desk: &mut Desk, apply: &Apply<'_>, plans: bool) -> Result<Applied, ChangeError> {
        let begun = Instant::now();
        let going =
            || if apply.gone.load(Ordering::Relaxed) { Err(ChangeError::Interrupted) } else { Ok(()) };
        (apply.progress)("compiling");
        let (plan, policy, mut compiled) = if plans && desk.generations.live().is_some() {
            let (plan, policy, compiled) =
                self.plan_at(desk, &apply.bundle, &apply.allow, apply.base.clone())?;
            (Some(plan), policy, compiled)
        } else {
            let (policy, compiled) = self.compile(desk, &apply.bundle)?;
            (None, policy, compiled)
        };
        let digest = plan.as_ref().map(Plan::digest).unwrap_or_default();
        if let Some(plan) = plan {
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
            if plan.is_empty() && apply.action != "restore" && apply.action != "interfaces" {
                let live = desk.generations.live().map_or(0, |record| record.number);
                return Ok(Applied {
                    generation: live,
                    changed: false,
                    plan: digest,
                    millis: elapsed(begun),
                });
            }
        }
        going()?;
        (apply.progress)("recording");
        let number = desk.generations.next_number();
        desk.ids.save(desk.state.path())?;
        let mut record = desk.record(number, apply, &policy, &compiled.image);
        record.plan = Some(digest.clone()).filter(|digest| !digest.is_empty());
        desk.generations.put_bundle(number, &apply.bundle)?;
        desk.generations.put(record)?;
        let done = self.bring_in(desk, number, &policy, &mut compiled, apply.progress, &going);
        if let Err(error) = &done {
            // Once the commit is recorded, only the clearing up can have failed.
            if desk.generations.get(number).is_some_and(|record| record.status == Status::Prepared) {
                desk.generations.fail(number, &error.to_string())?;
                self.ground().retire(number).map_err(ChangeError::Kernel)?;
                desk.generations.prune()?;
            }
        }
        done?;
        desk.wanted.insert(number, compiled.wanted);
        self.take(desk, number, policy, compiled.image);
        desk.interfaces = self.platform.interfaces().map_err(ChangeError::Kernel)?;
        Ok(Applied { generation: number, changed: true, plan: digest, millis: elapsed(begun) })
    }

    /// From a recorded generation to a live one.
    fn bring_in(
        &self,
        desk: &mut Desk,
        number: u64,
        policy: &Policy,
        compiled: &mut Compiled,
        progress: Progress<'_>,
        going: &dyn Fn() -> Result<(), ChangeError>,
    ) -> Result<(), ChangeError> {
        progress("loading");
        compiled.image.words = desk.words();
        let mut ground = self.ground();
        ground.load(number, &compiled.image).map_err(ChangeError::Kernel)?;
        going()?;
        progress("proving");
        let frames = probe::frames(policy, &compiled.image);
        ground.prove(number, &compiled.image, &frames).map_err(ChangeError::Kernel)?;
        point(Step::Probed);
        going()?;
        progress("committing");
        let statuses = ground.commit(number, &compiled.wanted).map_err(ChangeError::Kernel)?;
        desk.note(statuses, &compiled.wanted);
        let gone = desk.generations.last().map(|record| record.number);
        desk.generations.set_live(number)?;
        ground.settle(number).map_err(ChangeError::Kernel)?;
        point(Step::Settled);
        if let Some(gone) = gone {
            ground.retire(gone).map_err(ChangeError::Kernel)?;
            desk.wanted.remove(&gone);
        }
        point(Step::Retired);
        desk.generations.prune()?;
        Ok(())
    }

    /// Goes back to the last generation.
    ///
    /// # Errors
    /// There is none, another change is being made, or the kernel refuses.
    pub fn rollback(&self, who: Who, expected: Option<u64>) -> Result<RolledBack, ChangeError> {
        let mut desk = self.free_desk()?;
        let begun = Instant::now();
        let from = desk.generations.live().map(|record| record.number);
        if expected.is_some() && expected != from {
            return Err(ChangeError::Conflict(format!(
                "generation {} is in force, not {}: look at `keysteer status`",
                from.unwrap_or_default(),
                expected.unwrap_or_default()
            )));
        }
        let done = self.try_rollback(&mut desk);
        let event = |result| Event { from, ..Event::new(who.clone(), "rollback", result) };
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
        let (policy, compiled) = self.compile(&mut desk, &bundle)?;
        self.take(&mut desk, number, policy, compiled.image);
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
        let wanted = desk.wanted.get(&number).cloned().unwrap_or_default();
        let mut ground = self.ground();
        let statuses = ground.commit(number, &wanted).map_err(ChangeError::Kernel)?;
        desk.note(statuses, &wanted);
        desk.generations.swap()?;
        ground.settle(number).map_err(ChangeError::Kernel)?;
        point(Step::Settled);
        Ok(number)
    }
}

fn elapsed(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
