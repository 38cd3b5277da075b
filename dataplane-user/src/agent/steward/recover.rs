//! Taking a node over: from another agent, from a crash, from a host that was started anew.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use keysteer_common::tables::Slot;

use super::moves::UnderWay;
use super::rollout::without_steps;
use super::secrets::give_secrets;
use super::{Apply, ChangeError, Desk, Made, Steward};
use crate::agent::ground::Ground;
use crate::agent::rebuild::Told;
use crate::fault::{Step, point};
use crate::image::Names;
use crate::placement::Placement;
use crate::policy::{Bundle, Policy};
use crate::state::audit::{Event, Outcome};
use crate::state::generations::Record;
use crate::state::{Generations, Part, StateError, Timestamp, Who, followed};

impl Steward {
    /// Whether the policy file was taken up as it is now; a policy that came another way stands until the file changes.
    pub(super) fn follows(&self, bundle: &Bundle) -> Result<bool, ChangeError> {
        let desk = self.desk();
        let digest = bundle.digest();
        let last = match followed::read(desk.state.path())? {
            Some(last) => Some(last),
            // An agent that did not remember it made this.
            None => {
                let from_file = |record: &&Record| FROM_FILE.contains(&record.action.as_str());
                desk.generations.iter().rev().find(from_file).map(|record| record.bundle.clone())
            }
        };
        let live = desk.generations.live();
        Ok(live.is_some_and(|live| live.bundle == digest) || last.is_some_and(|last| last == digest))
    }

    /// Whether the policy file that was taken up last has this digest.
    pub fn has_followed(&self, digest: &str) -> bool {
        let desk = self.desk();
        followed::read(desk.state.path()).is_ok_and(|last| last.is_some_and(|last| last == digest))
    }

    /// Remembers that the policy file was taken up, by its digest.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn followed(&self, digest: &str) -> Result<(), StateError> {
        let desk = self.desk();
        let path = desk.state.path();
        if followed::read(path)?.as_deref() == Some(digest) { Ok(()) } else { followed::write(path, digest) }
    }

    /// Finds what is live and takes it over; ends what a crash left half done. Gives the live generation's number.
    /// `read` is the bundle of a generation that was read already.
    pub(super) fn recover(&self, read: Option<(u64, Bundle)>) -> Result<Option<u64>, ChangeError> {
        let mut desk = self.desk();
        let mut ground = self.ground();
        let pinned = ground.pinned().map_err(ChangeError::Kernel)?;
        let intent = ground.intent().map_err(ChangeError::Kernel)?;
        let recorded = desk.generations.live().map(|record| record.number);
        let target = intent.filter(|number| pinned.contains(number)).or(recorded);
        let Some(number) = target else {
            for number in pinned {
                ground.retire(number).map_err(ChangeError::Kernel)?;
            }
            self.forget_prepared(&mut desk, None)?;
            return Ok(None);
        };
        let bundle = match read {
            Some((of, bundle)) if of == number => bundle,
            _ => desk.generations.bundle(number)?,
        };
        let Made { mut policy, mut compiled, mut placement } = self.compile_at(&mut desk, number, &bundle)?;
        // What is made of it, should it have to be loaded again, has its tables.
        desk.placement = Some(Arc::clone(&placement));
        let there = pinned.contains(&number);
        let mut adopted = there && ground.adopt(number, &compiled.image).map_err(ChangeError::Kernel)?;
        if there && !adopted && desk.generations.placement(number)?.is_none() {
            // The tables that its file had are in the kernel.
            let slots = ground.slots(number).map_err(ChangeError::Kernel)?;
            if let Some(read) = read_back(&placement, &compiled.image.names, &slots) {
                let read = Arc::new(read);
                let tables = |_: &Policy| Arc::clone(&read);
                let mut shares =
                    desk.generations.get(number).map(|record| record.shares.clone()).unwrap_or_default();
                let Desk { secrets, ids, .. } = &mut *desk;
                let again = self.compile(secrets, ids, &bundle, &mut shares, tables)?;
                adopted = ground.adopt(number, &again.compiled.image).map_err(ChangeError::Kernel)?;
                if adopted {
                    tracing::warn!(
                        generation = number,
                        "its placement was lost, and is read back from the kernel"
                    );
                    desk.generations.put_placement(number, &read)?;
                    desk.placement = Some(read);
                    (policy, compiled, placement) = (again.policy, again.compiled, again.placement);
                }
            }
        }
        let words = desk.words();
        if adopted {
            give_secrets(&mut desk.signing, &mut **ground, number, None, &policy, false)?;
            self.have_heeded(&mut **ground, words).map_err(ChangeError::Kernel)?;
            self.adopt_last(&mut desk, &mut **ground, &pinned, number)?;
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
            let migration = policy.migration;
            self.take(&mut desk, number, (policy, compiled.image, placement), false);
            if ground.is_migrating(number).map_err(ChangeError::Kernel)? {
                let since = desk.generations.get(number).map_or_else(Timestamp::now, |record| record.made_at);
                let spent = Timestamp::now().since(since);
                let settings = migration.unwrap_or_default();
                desk.moving = Some(UnderWay::resume(&**ground, number, settings, since, spent)?);
                drop(ground);
                self.finds_flows(migration.is_some());
                self.resume_steps(&mut desk, number)?;
                self.post_moves(&desk);
            }
            return Ok(Some(number));
        }
        let bundle = without_steps(&mut desk, number, bundle)?;
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
        let applied = self.carry_out(&mut desk, &apply, false)?;
        // What was live cannot be gone back to: its tables are not those that the host asks for.
        self.end_last(&mut desk)?;
        Ok(Some(applied.generation))
    }

    /// Goes on by `bundle` as a new generation where no record is of what is pinned; that goes, once packets meet the new
    /// one. Gives its number.
    pub(super) fn begin_anew(&self, bundle: Bundle) -> Result<u64, ChangeError> {
        let mut desk = self.desk();
        let pinned = {
            let mut ground = self.ground();
            if let Some(number) = ground.intent().map_err(ChangeError::Kernel)? {
                ground.settle(number).map_err(ChangeError::Kernel)?;
            }
            ground.pinned().map_err(ChangeError::Kernel)?
        };
        for number in pinned.iter().rev() {
            // The tables may be there where the records are not.
            if desk.placement.is_none() {
                desk.placement = Generations::placement_of(desk.state.path(), *number)?.map(Arc::new);
            }
        }
        let none = AtomicBool::new(false);
        let applied = self.carry_out(&mut desk, &Apply::by_agent(bundle, REBUILD, &none), false)?;
        let words = desk.words();
        {
            let mut ground = self.ground();
            self.have_heeded(&mut **ground, words).map_err(ChangeError::Kernel)?;
            for number in pinned {
                ground.retire(number).map_err(ChangeError::Kernel)?;
            }
        }
        self.end_last(&mut desk)?;
        self.forget_prepared(&mut desk, None)?;
        self.post(&desk);
        Ok(applied.generation)
    }

    /// Makes the last generation one that cannot be gone back to.
    fn end_last(&self, desk: &mut Desk) -> Result<(), ChangeError> {
        let Some(number) = desk.generations.last().map(|record| record.number) else { return Ok(()) };
        desk.generations.retire(number)?;
        desk.generations.prune()?;
        desk.signing.forget(number);
        self.post(desk);
        self.ground().retire(number).map_err(ChangeError::Kernel)
    }

    /// Takes the last generation over too, if it is there as it was; else there is none to go back to.
    fn adopt_last(
        &self,
        desk: &mut Desk,
        ground: &mut dyn Ground,
        pinned: &[u64],
        live: u64,
    ) -> Result<(), ChangeError> {
        let others = [desk.generations.last(), desk.generations.live()];
        let Some(number) = others.into_iter().flatten().map(|record| record.number).find(|it| *it != live)
        else {
            return Ok(());
        };
        let bundle = desk.generations.bundle::<Bundle>(number);
        if let Err(StateError::Damaged { what, .. }) = &bundle {
            let part = Part::Bundle(number);
            let kept = part.set_aside(desk.state.path(), Timestamp::now())?;
            let now = format!("generation {number} cannot be gone back to any more");
            desk.tell(&Told { part, what: what.clone(), kept, now })?;
        }
        let adopted = pinned.contains(&number)
            && bundle.is_ok_and(|bundle| {
                self.compile_at(desk, number, &bundle).is_ok_and(|Made { policy, compiled, .. }| {
                    desk.wanted.insert(number, compiled.wanted);
                    ground.adopt(number, &compiled.image).unwrap_or(false)
                        && give_secrets(&mut desk.signing, ground, number, Some(live), &policy, false).is_ok()
                })
            });
        if !adopted && desk.generations.last().is_some_and(|last| last.number == number) {
            tracing::warn!(generation = number, "the last generation cannot be gone back to any more");
            if let Err(error) = desk.generations.retire(number) {
                tracing::warn!(%error, "the records cannot be written");
            }
        }
        Ok(())
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
}

/// The placement by which the kernel has `slots`, of the tables of `like`.
fn read_back(like: &Placement, names: &Names, slots: &[Slot]) -> Option<Placement> {
    let first = |pool: &str, width: u16| {
        let table = names.tables.iter().find(|table| table.pool == pool && table.width == width)?;
        Some(table.first)
    };
    Placement::read_back(like, slots, first, |index| names.shard(index).map(str::to_owned))
}

/// What a generation's record says of who made it when the policy came from the file.
const FROM_FILE: [&str; 4] = ["start", "watch", "reload", REBUILD];

/// What is done where no record is of what is pinned.
pub(super) const REBUILD: &str = "rebuild";
