//! Who changes a node: one change at a time, each journalled, each leaving the old state or the new one wherever it is cut
//! off. Everything else only reads.
//!
//! ```text
//!  apply      parse ─> compile ─> plan ─> ids, bundle, record ─> load, pin ─> prove ─> commit ─> record ─> settle ─> retire
//!  rollback                                                                           commit ─> record ─> settle
//!  words      overlay saved ─> words written, variants loaded
//! ```
//! The kernel is behind a lock of its own, so that counters are read while a policy is compiled.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::{Duration, Instant};

use keysteer_common::config::ABI;
use keysteer_common::overlay::{key_word, shard_word};

use super::audit::{self, Changes};
use super::ground::{Compiled, Ground, Platform, Wanted};
use super::meter::{Cause, Meter, Source};
use super::node::Node;
use super::probe;
use super::state::StateDirectory;
use crate::control::types::{
    Applied, GenerationStatus, InterfaceStatus, MapStatus, ProgramStatus, RolledBack, Standing, WordRequest,
};
use crate::counters::Snapshot;
use crate::fault::{Step, point};
use crate::image::{Image, Words};
use crate::kernel::interfaces::Interface;
use crate::plan::{Base, Context, Guard, Plan, Side, Traffic, plan};
use crate::policy::{Bundle, Policy};
use crate::state::audit::{Event, Outcome, Subject};
use crate::state::generations::{Record, Status};
use crate::state::overlay::{KeyWord, ShardWord, Word};
use crate::state::{Audit, Generations, Ids, Overlay, Secrets, StateError, Timestamp, Who};

/// A change that was not made; what is said names the next step.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Another change is being made.
    #[error("another change is being made: wait for it, look at `keysteer status`, then plan again")]
    Busy,
    /// The generation in force is not the one that the asker believes.
    #[error("{0}")]
    Conflict(String),
    /// The policy is not valid, or does not fit this host.
    #[error("{0}")]
    Invalid(String),
    /// The plan is refused.
    #[error("{message}")]
    Refused {
        /// Why, a line for each guard.
        message: String,
        /// The plan.
        plan: Box<Plan>,
    },
    /// No such key, shard or generation.
    #[error("{0}")]
    Unknown(String),
    /// The asker went away before the commit.
    #[error("interrupted before the commit: nothing was changed")]
    Interrupted,
    /// The state could not be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The kernel refused.
    #[error("{0}; the policy in force is unchanged")]
    Kernel(Cause),
}

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

/// What changes need, for one at a time.
struct Desk {
    state: StateDirectory,
    secrets: Secrets,
    ids: Ids,
    generations: Generations,
    overlay: Overlay,
    audit: Audit,
    /// Where each generation in the kernel is wanted.
    wanted: BTreeMap<u64, Vec<Wanted>>,
    /// How each interface is attached.
    attached: BTreeMap<u32, InterfaceStatus>,
    /// The interfaces as they were when the live generation was compiled or attached last.
    interfaces: Vec<Interface>,
}

/// The steward of a node.
pub struct Steward {
    platform: Arc<dyn Platform>,
    desk: Mutex<Desk>,
    ground: Mutex<Box<dyn Ground>>,
    node: RwLock<Arc<Node>>,
    /// The policy file, as it is shown.
    file: String,
    /// Counters a while ago, for plans.
    earlier: Mutex<Option<(Instant, Snapshot)>>,
}

impl std::fmt::Debug for Steward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Steward").field("file", &self.file).finish_non_exhaustive()
    }
}

/// What a steward begins with.
pub struct Begin {
    /// The host.
    pub platform: Arc<dyn Platform>,
    /// The state directory.
    pub state: StateDirectory,
    /// What is pinned.
    pub ground: Box<dyn Ground>,
    /// The policy file and what is in it, or what is wrong with it.
    pub file: PathBuf,
    /// The policy, or what is wrong with it.
    pub offered: Result<Bundle, String>,
}

impl Steward {
    /// Takes the node over: goes on with the generation that is live, or applies the offered policy. A policy that is not
    /// valid never displaces a live one.
    ///
    /// # Errors
    /// Nothing is live and the policy cannot be applied, or what is there cannot be used.
    pub fn begin(begin: Begin) -> Result<(Self, Option<String>), ChangeError> {
        let Begin { platform, state, ground, file, offered } = begin;
        let path = state.path().to_owned();
        let desk = Desk {
            secrets: Secrets::open(&path)?,
            ids: Ids::open(&path)?,
            generations: Generations::open(&path)?,
            overlay: Overlay::open(&path)?,
            audit: Audit::open(&path)?,
            state,
            wanted: BTreeMap::new(),
            attached: BTreeMap::new(),
            interfaces: Vec::new(),
        };
        desk.generations.check_registries(&desk.ids.keys, &desk.ids.shards)?;
        let steward = Self {
            platform,
            desk: Mutex::new(desk),
            ground: Mutex::new(ground),
            node: RwLock::new(Arc::new(Node::default())),
            file: file.display().to_string(),
            earlier: Mutex::new(None),
        };
        point(Step::Opened);
        let live = steward.recover()?;
        point(Step::TakenOver);
        let trouble = match (offered, live) {
            (Err(error), None) => return Err(ChangeError::Invalid(error)),
            (Err(error), Some(_)) => Some(error),
            (Ok(bundle), live) => {
                let new = live.is_none() || !steward.follows(&bundle)?;
                let none = AtomicBool::new(false);
                let apply = Apply::by_agent(bundle, "start", &none);
                match new.then(|| steward.apply(apply)).transpose() {
                    Ok(_) => None,
                    Err(error) if live.is_none() => return Err(error),
                    Err(error) => Some(error.to_string()),
                }
            }
        };
        Ok((steward, trouble))
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ground(&self) -> MutexGuard<'_, Box<dyn Ground>> {
        self.ground.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The desk, if nobody sits at it.
    fn free_desk(&self) -> Result<MutexGuard<'_, Desk>, ChangeError> {
        match self.desk.try_lock() {
            Ok(desk) => Ok(desk),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(ChangeError::Busy),
        }
    }

    /// Logs which keys came and went since the agent before.
    pub fn report(&self, node: &Node, changes: &Changes) {
        audit::report(node, changes, &self.desk().ids.keys);
    }

    /// Whether the policy file was applied or followed as it is now; a policy that came another way stands until the file
    /// changes.
    fn follows(&self, bundle: &Bundle) -> Result<bool, ChangeError> {
        let desk = self.desk();
        let digest = bundle.digest();
        let from_file = |record: &&Record| FROM_FILE.contains(&record.action.as_str());
        let last = desk.generations.iter().rev().find(from_file);
        let live = desk.generations.live();
        Ok(live.is_some_and(|live| live.bundle == digest) || last.is_some_and(|last| last.bundle == digest))
    }

    /// Finds what is live and takes it over; ends what a crash left half done. Gives the live generation's number.
    fn recover(&self) -> Result<Option<u64>, ChangeError> {
        let mut desk = self.desk();
        let mut ground = self.ground();
        let pinned = ground.pinned().map_err(ChangeError::Kernel)?;
        let intent = ground.intent().map_err(ChangeError::Kernel)?;
        let recorded = desk.generations.live().map(|record| record.number);
        if recorded.is_none()
            && intent.is_none()
            && !pinned.is_empty()
            && desk.generations.iter().next().is_none()
        {
            return Err(ChangeError::Conflict(format!(
                "generation {} is steering, but {} does not know it: give the agent the state directory that it was made with \
                 (--state-dir), or end it with `keysteer agent --cleanup`",
                pinned.last().copied().unwrap_or_default(),
                desk.state.path().display()
            )));
        }
        let target = intent.filter(|number| pinned.contains(number)).or(recorded);
        let Some(number) = target else {
            for number in pinned {
                ground.retire(number).map_err(ChangeError::Kernel)?;
            }
            self.forget_prepared(&mut desk, None)?;
            return Ok(None);
        };
        let bundle: Bundle = desk.generations.bundle(number)?;
        let (policy, compiled) = self.compile(&mut desk, &bundle)?;
        let there = pinned.contains(&number);
        let adopted = there && ground.adopt(number, &compiled.image).map_err(ChangeError::Kernel)?;
        drop(policy);
        let words = desk.words();
        if adopted {
            ground.set_words(&words).map_err(ChangeError::Kernel)?;
            self.adopt_last(&mut desk, &mut **ground, &pinned, number);
            let statuses = ground.commit(number, &compiled.wanted).map_err(ChangeError::Kernel)?;
            desk.note(statuses, &compiled.wanted);
            if desk.generations.live().map(|record| record.number) != Some(number) {
                desk.generations.set_live(number)?;
                desk.journal(Event {
                    to: Some(number),
                    from: recorded,
                    detail: Some("a commit that had been cut off was finished".to_owned()),
                    ..Event::new(Who::this(), "recover", Outcome::Ok)
                })?;
            }
            ground.settle(number).map_err(ChangeError::Kernel)?;
            point(Step::Settled);
            let keep = [desk.generations.live(), desk.generations.last()].map(|it| it.map(|it| it.number));
            for old in pinned.into_iter().filter(|old| !keep.contains(&Some(*old))) {
                ground.retire(old).map_err(ChangeError::Kernel)?;
            }
            self.forget_prepared(&mut desk, None)?;
            desk.interfaces = self.platform.interfaces().map_err(ChangeError::Kernel)?;
            desk.wanted.insert(number, compiled.wanted);
            self.take(&desk, number, compiled.image);
            return Ok(Some(number));
        }
        // The program is not there (the host was started anew), or the host is another: the policy is loaded again.
        if !there {
            for old in pinned {
                ground.retire(old).map_err(ChangeError::Kernel)?;
            }
        }
        drop(ground);
        self.forget_prepared(&mut desk, None)?;
        let none = AtomicBool::new(false);
        let apply = Apply::by_agent(bundle, "restore", &none);
        let applied = self.carry_out(&mut desk, apply, false)?;
        Ok(Some(applied.generation))
    }

    /// Takes the last generation over too, if it is there as it was; else there is none to go back to.
    fn adopt_last(&self, desk: &mut Desk, ground: &mut dyn Ground, pinned: &[u64], live: u64) {
        let others = [desk.generations.last(), desk.generations.live()];
        let Some(number) = others.into_iter().flatten().map(|record| record.number).find(|it| *it != live)
        else {
            return;
        };
        let adopted = pinned.contains(&number)
            && desk.generations.bundle::<Bundle>(number).is_ok_and(|bundle| {
                self.compile(desk, &bundle).is_ok_and(|(_, compiled)| {
                    desk.wanted.insert(number, compiled.wanted);
                    ground.adopt(number, &compiled.image).unwrap_or(false)
                })
            });
        if !adopted && desk.generations.last().is_some_and(|last| last.number == number) {
            tracing::warn!(generation = number, "the last generation cannot be gone back to any more");
            if let Err(error) = desk.generations.retire(number) {
                tracing::warn!(%error, "the records cannot be written");
            }
        }
    }

    /// Records that prepared generations came to nothing.
    fn forget_prepared(&self, desk: &mut Desk, but: Option<u64>) -> Result<(), ChangeError> {
        let prepared: Vec<u64> =
            desk.generations.prepared().map(|record| record.number).filter(|it| Some(*it) != but).collect();
        for number in prepared {
            desk.generations.fail(number, "the agent ended before it was committed")?;
        }
        desk.generations.prune()?;
        Ok(())
    }

    fn compile(&self, desk: &mut Desk, bundle: &Bundle) -> Result<(Policy, Compiled), ChangeError> {
        let policy = bundle.parse().map_err(|error| ChangeError::Invalid(error.to_string()))?;
        let compiled = self
            .platform
            .compile(&policy, &desk.secrets, &mut desk.ids)
            .map_err(|error| ChangeError::Invalid(error.to_string()))?;
        Ok((policy, compiled))
    }

    /// Makes a generation what is shown as in force.
    fn take(&self, desk: &Desk, number: u64, image: Image) {
        let digest = desk.generations.get(number).map_or("", |record| record.bundle.as_str());
        let wanted = desk.wanted.get(&number).map_or(&[][..], Vec::as_slice);
        let status = |wanted: &Wanted| desk.attached.get(&wanted.interface.index).cloned();
        let interfaces = wanted.iter().filter_map(status).collect();
        let node = Node {
            generation: number,
            digest: digest.to_owned(),
            ..Node::new(image, self.file.clone(), interfaces)
        };
        *self.node.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(node);
    }

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
        let old = match &live {
            Some((number, _)) => {
                let bundle = desk.generations.bundle::<Bundle>(*number)?;
                Some(self.compile(desk, &bundle)?)
            }
            None => None,
        };
        let traffic = self.traffic();
        let context = Context {
            base: live.map(|(generation, digest)| Base { generation, digest }),
            expected,
            bundle: bundle.digest(),
            allow,
            traffic: traffic.as_ref(),
        };
        let old = old.as_ref().map(|(policy, compiled)| Side {
            policy,
            names: &compiled.image.names,
            image: &compiled.image,
        });
        let new = Side { policy: &policy, names: &compiled.image.names, image: &compiled.image };
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

    fn carry_out(&self, desk: &mut Desk, apply: Apply<'_>, plans: bool) -> Result<Applied, ChangeError> {
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
        let (plan, policy, compiled) = if plans && desk.generations.live().is_some() {
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
        let done = self.bring_in(desk, number, &policy, &compiled, apply.progress, &going);
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
        self.take(desk, number, compiled.image);
        desk.interfaces = self.platform.interfaces().map_err(ChangeError::Kernel)?;
        Ok(Applied { generation: number, changed: true, plan: digest, millis: elapsed(begun) })
    }

    /// From a recorded generation to a live one.
    fn bring_in(
        &self,
        desk: &mut Desk,
        number: u64,
        policy: &Policy,
        compiled: &Compiled,
        progress: Progress<'_>,
        going: &dyn Fn() -> Result<(), ChangeError>,
    ) -> Result<(), ChangeError> {
        progress("loading");
        let words = desk.words();
        let mut ground = self.ground();
        ground.load(number, &compiled.image).map_err(ChangeError::Kernel)?;
        going()?;
        progress("proving");
        let image = Image { words, ..compiled.image.clone() };
        let frames = probe::frames(policy, &image);
        ground.prove(number, &image, &frames).map_err(ChangeError::Kernel)?;
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
        let (_, compiled) = self.compile(&mut desk, &bundle)?;
        self.take(&desk, number, compiled.image);
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
        let identity = desk.ids.keys.iter().find(|(_, id)| *id == key.id).map(|(text, _)| text.to_owned());
        let identity = identity.ok_or_else(|| ChangeError::Unknown(format!("key {name} has no id")))?;
        let action = match word {
            Some(KeyWord::Deny) => "key-deny",
            Some(KeyWord::Allow) => "key-allow",
            None => "key-clear",
        };
        let subject = Subject::Key(name.to_owned());
        self.say(&mut desk, action, subject, asked, who, |overlay, circumstances| match word {
            Some(word) => drop(overlay.set_key(&identity, circumstances.word(word))),
            None => drop(overlay.clear_key(&identity)),
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
    fn enact(&self, desk: &mut Desk) -> Result<(), ChangeError> {
        desk.overlay.save(desk.state.path())?;
        self.ground().set_words(&desk.words()).map_err(ChangeError::Kernel)
    }

    /// What operators said that stands.
    pub fn standing(&self) -> Vec<Standing> {
        let desk = self.desk();
        let node = self.node();
        let name = |identity: &str| {
            let id = desk.ids.keys.iter().find(|(text, _)| *text == identity).map(|(_, id)| id);
            id.and_then(|id| node.names.key(id)).map_or_else(|| identity.to_owned(), |key| key.name.clone())
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

    /// The generations that are remembered, the newest first.
    pub fn generations(&self) -> Vec<GenerationStatus> {
        self.desk().generations.iter().rev().map(GenerationStatus::of).collect()
    }

    /// Takes the regular look: words whose time is over end, and interfaces that came back are attached.
    pub fn look(&self) {
        let Ok(mut desk) = self.free_desk() else { return };
        let over = desk.overlay.expired(Timestamp::now());
        if !over.is_empty() {
            if let Err(error) = self.enact(&mut desk) {
                tracing::error!(%error, "words whose time is over cannot be ended");
            }
            let keys = over
                .keys
                .iter()
                .map(|(identity, word)| (Subject::Key(identity.clone()), word.reason.clone()));
            let shards =
                over.shards.iter().map(|(name, word)| (Subject::Shard(name.clone()), word.reason.clone()));
            for (subject, reason) in keys.chain(shards) {
                let event = Event {
                    subject: Some(subject),
                    reason,
                    detail: Some("its time is over".to_owned()),
                    ..Event::new(Who::this(), "word-expired", Outcome::Ok)
                };
                if let Err(error) = desk.journal(event) {
                    tracing::error!(%error, "the journal cannot be written");
                }
            }
        }
        self.look_at_interfaces(&mut desk);
    }

    /// Attaches again where an interface came back, by a new generation where the tables name it.
    fn look_at_interfaces(&self, desk: &mut Desk) {
        let Ok(now) = self.platform.interfaces() else { return };
        if now == desk.interfaces {
            return;
        }
        let Some(number) = desk.generations.live().map(|record| record.number) else { return };
        let Ok(bundle) = desk.generations.bundle::<Bundle>(number) else { return };
        // An interface that the policy names may be away: then nothing can be done until it is back.
        let Ok((_, compiled)) = self.compile(desk, &bundle) else { return };
        desk.interfaces = now;
        let same = desk.wanted.get(&number).is_some_and(|wanted| *wanted == compiled.wanted);
        let same = same && {
            let ground = self.ground();
            ground.tables(number).is_ok_and(|tables| compiled.image.same_tables(&tables))
                && ground.attached(number).is_ok_and(|attached| {
                    compiled.wanted.iter().all(|wanted| attached.contains(&wanted.interface.index))
                })
        };
        if same {
            return;
        }
        let none = AtomicBool::new(false);
        match self.carry_out(desk, Apply::by_agent(bundle, "interfaces", &none), false) {
            Ok(applied) => {
                tracing::info!(generation = applied.generation, "interfaces changed: attached again")
            }
            Err(error) => tracing::error!(%error, "interfaces changed, and cannot be attached again"),
        }
    }

    /// Takes a sample of the counters, for what plans call live traffic.
    pub fn sampled(&self, snapshot: &Snapshot) {
        *self.earlier.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), snapshot.clone()));
    }

    /// Ends steering.
    ///
    /// # Errors
    /// A link cannot be removed.
    pub fn detach(&self) -> Result<(), Cause> {
        self.ground().detach()
    }
}

/// What a generation's record says of who made it when the policy came from the file.
const FROM_FILE: [&str; 2] = ["start", "watch"];

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

/// When, why and by whom something is said.
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

impl Desk {
    /// Appends to the audit log.
    fn journal(&mut self, event: Event) -> Result<(), StateError> {
        self.audit.append(event).map(drop)
    }

    /// What the kernel is to heed.
    fn words(&self) -> Words {
        let key = |(identity, word): (&str, &Word<KeyWord>)| {
            let bits = match word.word {
                KeyWord::Deny => key_word::DENY,
                KeyWord::Allow => key_word::ALLOW,
            };
            Some((self.ids.keys.get(identity)?, bits))
        };
        let shard = |(name, word): (&str, &Word<ShardWord>)| {
            let ShardWord::Disabled = word.word;
            Some((u32::from(self.ids.shards.get(name)?), shard_word::DISABLED))
        };
        Words {
            keys: self.overlay.keys().filter_map(key).collect(),
            shards: self.overlay.shards().filter_map(shard).collect(),
        }
    }

    /// Remembers how interfaces were attached.
    fn note(&mut self, statuses: Vec<InterfaceStatus>, wanted: &[Wanted]) {
        self.attached.extend(statuses.into_iter().map(|status| (status.index, status)));
        for Wanted { interface, .. } in wanted {
            // Taken over from another agent, which knew.
            self.attached.entry(interface.index).or_insert_with(|| InterfaceStatus {
                name: interface.name.clone(),
                index: interface.index,
                mode: mode_of(interface.index),
                fallback: None,
            });
        }
    }

    fn record(&self, number: u64, apply: &Apply<'_>, policy: &Policy, image: &Image) -> Record {
        Record {
            number,
            parent: self.generations.live().map(|record| record.number),
            made_at: Timestamp::now(),
            by: apply.who.clone(),
            action: apply.action.to_owned(),
            policy: policy.name.clone(),
            bundle: apply.bundle.digest(),
            abi: ABI,
            interfaces: image.names.interfaces.clone(),
            schema: image.config.schema,
            keys: image.names.keys.len() as u64,
            shards: image.names.policy_shards().count() as u64,
            key_ids: self.ids.keys.given(),
            shard_ids: self.ids.shards.given(),
            plan: None,
            status: Status::Prepared,
        }
    }
}

/// How an interface is attached, where this agent did not do it.
fn mode_of(index: u32) -> String {
    crate::kernel::mode_of(index).map_or("unknown", |mode| mode.name()).to_owned()
}

fn elapsed(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// That there is no `what` called `name`, with the nearest that there is.
fn unknown<'n>(what: &str, name: &str, names: impl Iterator<Item = &'n str>) -> String {
    match crate::suggest::nearest(name, names) {
        Some(near) => format!("there is no {what} {name}; did you mean {near}?"),
        None => format!("there is no {what} {name}; `keysteer {what} list` shows all"),
    }
}

impl Meter for Steward {
    fn counters(&self) -> Result<Snapshot, Cause> {
        self.ground().counters()
    }

    fn tables(&self) -> Result<Image, Cause> {
        self.ground().tables(self.node().generation)
    }

    fn program(&self) -> Result<ProgramStatus, Cause> {
        self.ground().program(self.node().generation)
    }

    fn maps(&self) -> Result<Vec<MapStatus>, Cause> {
        self.ground().maps(self.node().generation)
    }
}

impl Source for Steward {
    fn node(&self) -> Arc<Node> {
        Arc::clone(&self.node.read().unwrap_or_else(PoisonError::into_inner))
    }
}
