//! Who changes a node: one change at a time, each journalled, each leaving the old state or the new one wherever it is cut
//! off. Everything else only reads.
//!
//! ```text
//!  apply      parse ─> compile ─> plan ─> ids, bundle, record ─> load, pin ─> prove ─> commit ─> record ─> settle ─> retire
//!  rollback                                                                           commit ─> record ─> settle
//!  words      overlay saved ─> words written, variants loaded
//! ```
//! The kernel is behind a lock of its own, so that counters are read while a policy is compiled. Words of health wait for neither
//! (`health.rs`).

mod board;
mod change;
mod desk;
mod error;
mod health;
mod import;
mod look;
mod moves;
mod planning;
mod recover;
mod rollout;
mod secrets;
mod shares;
mod words;

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::Instant;

use crate::agent::audit::{self, Changes};
use crate::agent::ground::{Compiled, Ground, Places, Platform, Speak, Wanted};
use crate::agent::meter::{Cause, Meter, Source};
use crate::agent::node::Node;
use crate::agent::rebuild::{self, Held, Way};
use crate::agent::state::StateDirectory;
use crate::both::{MANY, drop_aside};
use crate::control::types::{GenerationStatus, InterfaceStatus, MapStatus, ProgramStatus};
use crate::counters::Snapshot;
use crate::fault::{Step, point};
use crate::health::{Ledger, Report};
use crate::image::Image;
use crate::placement::Placement;
use crate::plan::Sample;
use crate::policy::{Bundle, Policy, Shares};
use crate::state::{Ids, Secrets, Timestamp, generations};

pub use board::Posted;
pub use change::{Apply, Change, Progress};
pub use error::ChangeError;

use board::Board;
use desk::Desk;
use health::Heeded;

/// The steward of a node.
pub struct Steward {
    platform: Arc<dyn Platform>,
    desk: Mutex<Desk>,
    ground: Mutex<Box<dyn Ground>>,
    node: RwLock<Arc<Node>>,
    /// The policy file, as it is shown.
    file: String,
    /// Held by whoever makes a change; others may sit at the desk for a moment, to look.
    turn: Mutex<()>,
    board: Arc<Board>,
    /// Counters a while ago, for plans.
    earlier: Mutex<Option<(Instant, Sample)>>,
    /// What the kernel heeds. Whoever has the ground may lock it; who has it locked must not wait for the ground.
    heeded: Mutex<Heeded>,
    speaker: Box<dyn Speak>,
    ledger: Ledger,
}

/// A policy that is compiled.
struct Made {
    policy: Policy,
    compiled: Compiled,
    placement: Arc<Placement>,
}

/// The desk, for whoever makes a change.
struct Seat<'s> {
    desk: MutexGuard<'s, Desk>,
    _turn: MutexGuard<'s, ()>,
}

impl Deref for Seat<'_> {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.desk
    }
}

impl DerefMut for Seat<'_> {
    fn deref_mut(&mut self) -> &mut Desk {
        &mut self.desk
    }
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
        let (policy, trouble) = (offered.as_ref().ok(), offered.as_ref().err().map(String::as_str));
        let held = rebuild::open(state.path(), &*ground, &*platform, policy, trouble)?;
        let Held { secrets, ids, generations, overlay, audit, way, told } = held;
        let board = Arc::new(Board::default());
        let mut desk = Desk {
            board: Arc::clone(&board),
            secrets,
            ids,
            generations,
            overlay,
            audit,
            state,
            wanted: BTreeMap::new(),
            policy: None,
            placement: None,
            imported: None,
            signing: secrets::Secrets::default(),
            attached: BTreeMap::new(),
            interfaces: Vec::new(),
            moving: None,
            rolling: None,
        };
        told.iter().try_for_each(|told| desk.tell(told))?;
        desk.imported = generations::imported(desk.state.path())?.map(Arc::new);
        let kernel = ground.words().map_err(ChangeError::Kernel)?;
        let steward = Self {
            heeded: Mutex::new(Heeded::inherit(&kernel, desk.words())),
            speaker: ground.speaker(),
            ledger: Ledger::default(),
            platform,
            desk: Mutex::new(desk),
            ground: Mutex::new(ground),
            node: RwLock::new(Arc::new(Node::default())),
            file: file.display().to_string(),
            turn: Mutex::new(()),
            board,
            earlier: Mutex::new(None),
        };
        point(Step::Opened);
        let live = match way {
            Way::Recover(read) => steward.recover(read)?,
            Way::Anew(bundle) => Some(steward.begin_anew(bundle)?),
        };
        point(Step::TakenOver);
        let trouble = match (offered, live) {
            (Err(error), None) => return Err(ChangeError::Invalid(error)),
            (Err(error), Some(_)) => Some(error),
            (Ok(bundle), live) => {
                let new = live.is_none() || !steward.follows(&bundle)?;
                let none = AtomicBool::new(false);
                let digest = bundle.digest();
                let apply = Apply::by_agent(bundle, "start", &none);
                match new.then(|| steward.apply(&apply)).transpose() {
                    Ok(_) => {
                        steward.followed(&digest)?;
                        None
                    }
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

    /// The desk, if nobody makes a change at it. Whoever only looks at it is waited for.
    fn free_desk(&self) -> Result<Seat<'_>, ChangeError> {
        let turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(ChangeError::Busy),
        };
        Ok(Seat { desk: self.desk(), _turn: turn })
    }

    /// Whether the policy file as it is now is in force, or means what is.
    pub fn file_is(&self, in_force: bool) {
        self.board.post(|posted| posted.file_in_force = in_force);
    }

    /// Posts what stands, for whoever only reads.
    fn post(&self, desk: &Desk) {
        let words = self.standing_at(desk);
        let last = desk.generations.last().map(|record| record.number);
        let secrets = desk.live().map(|live| desk.signing.status(live)).unwrap_or_default().into();
        let generations = desk.generations.iter().rev().map(GenerationStatus::of).collect();
        self.board.post(|posted| {
            (posted.words, posted.last, posted.generations) = (words, last, generations);
            posted.secrets = secrets;
        });
    }

    /// Compiles the bundle of generation `number` to the tables that this was compiled to.
    fn compile_at(&self, desk: &mut Desk, number: u64, bundle: &Bundle) -> Result<Made, ChangeError> {
        let kept = desk.generations.placement(number)?;
        let tables = move |policy: &Policy| match kept.filter(|kept| kept.fits(policy)) {
            Some(kept) => Arc::new(kept),
            None => Arc::new(Placement::next(None, policy)),
        };
        let mut shares = desk.generations.get(number).map(|record| record.shares.clone()).unwrap_or_default();
        self.compile(&desk.secrets, &mut desk.ids, bundle, &mut shares, tables)
    }

    fn compile(
        &self,
        secrets: &Secrets,
        ids: &mut Ids,
        bundle: &Bundle,
        shares: &mut Shares,
        tables: impl FnOnce(&Policy) -> Arc<Placement>,
    ) -> Result<Made, ChangeError> {
        let mut policy = bundle.parse().map_err(|error| ChangeError::Invalid(error.to_string()))?;
        shares.apply(&mut policy).map_err(|error| ChangeError::Invalid(error.to_string()))?;
        let placement = tables(&policy);
        let compiled = self
            .platform
            .compile(&policy, secrets, ids, &placement)
            .map_err(|error| ChangeError::Invalid(error.to_string()))?;
        Ok(Made { policy, compiled, placement })
    }

    /// Makes a generation what is shown as in force, and logs which keys came and went; if it is `news`, and not what
    /// another agent had in force.
    fn take(&self, desk: &mut Desk, number: u64, made: (Policy, Image, Arc<Placement>), news: bool) {
        let (mut policy, image, placement) = made;
        desk.placement = Some(Arc::clone(&placement));
        let keys = std::mem::take(&mut policy.keys);
        let findings = policy.findings;
        desk.policy = Some(policy);
        let digest = desk.generations.get(number).map_or("", |record| record.bundle.as_str());
        let none = Places::default();
        let wanted = desk.wanted.get(&number).unwrap_or(&none);
        let status = |wanted: &Wanted| {
            let at = desk.attached.get(&wanted.interface.index)?.clone();
            let fallback = wanted.fallback.clone().or(at.fallback);
            Some(InterfaceStatus { fallback, note: wanted.note.clone(), ..at })
        };
        let interfaces = wanted.steer.iter().filter_map(status).collect();
        let node = Node {
            generation: number,
            digest: digest.to_owned(),
            placement,
            back: wanted.back.iter().map(|interface| interface.name.clone()).collect(),
            ..Node::new(image, self.file.clone(), interfaces)
        };
        let before = self.node();
        let changes = if news { audit::changes(&before.names, &node.names) } else { Changes::default() };
        audit::report(&before.names, &node, &changes);
        *self.node.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(node);
        let made_at = desk.generations.get(number).map(|record| record.made_at);
        let applied_at = if news { Some(Timestamp::now()) } else { made_at };
        self.board.post(|posted| {
            posted.applied_at = applied_at;
            posted.findings += findings;
        });
        self.post(desk);
        drop_aside(keys.len().max(before.names.keys.len()) >= MANY, (keys, before));
    }

    /// The generations that are remembered, the newest first.
    pub fn generations(&self) -> Arc<[GenerationStatus]> {
        self.board.read().generations
    }

    /// Takes a sample of the counters, for what plans call live traffic.
    pub fn sampled(&self, snapshot: &Snapshot) {
        *self.earlier.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), Sample::of(snapshot)));
    }

    /// Ends steering.
    ///
    /// # Errors
    /// A link cannot be removed.
    pub fn detach(&self) -> Result<(), Cause> {
        self.ground().detach()
    }
}

impl Meter for Steward {
    fn counters(&self) -> Result<Snapshot, Cause> {
        let counted = self.ground().counted();
        counted.all()
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

    fn posted(&self) -> Posted {
        self.board.read()
    }

    fn health(&self) -> Option<Report> {
        self.ledger.report()
    }
}
