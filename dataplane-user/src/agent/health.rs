//! The task that asks shards whether they live, and says to the kernel what comes of it. It is a thread of its own, which waits for
//! sockets and times alone: nothing that is slow (a change, the audit log, a scrape) is between a shard's last answer and its word.
//!
//! ```text
//!  what is due ─> questions put ─> sockets ready ─> answers judged ─> words said ─> written down, logged
//! ```
//! There is none where the policy asks no shard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollTimeout, poll};

use super::meter::Source as _;
use super::node::Node;
use super::road::{RoadError, Sources};
use super::steward::Steward;
use crate::health::ask::{Begun, Question};
use crate::health::{Condition, Event, Moment, Monitor, Outcome, Step, health_word, seed};
use crate::state::Timestamp;

/// How often it is looked whether another policy is in force, or operators took a shard out.
const LOOK: Duration = Duration::from_millis(200);
/// How long an address of this host's is taken for its own without another look.
const SOURCES: Duration = Duration::from_secs(10);
/// How often it is logged that shards cannot be asked.
const COMPLAIN: Duration = Duration::from_secs(60);

/// Has the task run while the policy in force asks shards.
#[derive(Debug, Default)]
pub struct Keeper(Mutex<Option<JoinHandle<()>>>);

impl Keeper {
    /// Looks whether it runs, and should.
    pub fn look(&self, steward: &Arc<Steward>) {
        let mut thread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        if thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(target: "health", "the task that asks shards ended by a fault of its own; it begins again");
        }
        if steward.node().names.health.is_none() {
            // An agent before this one may have left words.
            if let Err(error) = steward.say_health(BTreeMap::new()) {
                tracing::error!(target: "health", %error, "what health had said cannot be taken back");
            }
            return;
        }
        let steward = Arc::clone(steward);
        let begun = std::thread::Builder::new().name("health".to_owned()).spawn(move || keep(&steward));
        match begun {
            Ok(begun) => *thread = Some(begun),
            Err(error) => tracing::error!(target: "health", %error, "shards cannot be asked"),
        }
    }
}

/// Asks until the policy in force asks no shard any more.
fn keep(steward: &Steward) {
    let Some(mut keeping) = Keeping::begin(steward) else { return };
    while keeping.go_on() {}
}

struct Keeping<'s> {
    steward: &'s Steward,
    begun: Instant,
    node: Arc<Node>,
    monitor: Monitor,
    /// Questions on their way, by shard.
    questions: BTreeMap<u16, Question>,
    /// How many were put.
    number: u64,
    sources: Sources,
    /// When the sources were looked at last, if they may still be right.
    sources_at: Option<Moment>,
    /// When policy and operators were looked at last.
    looked_at: Moment,
    /// When it was logged last that shards cannot be asked.
    complained: Option<Moment>,
    /// Whether the kernel has not been told all.
    untold: bool,
    /// Whether that was logged.
    lamented: bool,
}

impl<'s> Keeping<'s> {
    fn begin(steward: &'s Steward) -> Option<Self> {
        let node = steward.node();
        let checks = Arc::clone(node.names.health.as_ref()?);
        steward.ledger().ask(&checks, Timestamp::now());
        tracing::info!(target: "health", event = "health_begins", shards = checks.shards.len(), "shards are asked whether they live");
        let (monitor, events) = Monitor::new(checks, seed(), Moment::ZERO, &steward.unwell());
        let mut keeping = Self {
            steward,
            begun: Instant::now(),
            sources: Sources::default(),
            node,
            monitor,
            questions: BTreeMap::new(),
            number: 0,
            sources_at: None,
            looked_at: Moment::ZERO,
            complained: None,
            untold: true,
            lamented: false,
        };
        keeping.find_sources(Moment::ZERO);
        let aside = keeping.monitor.set_aside(steward.disabled());
        let all: Vec<Event> = events.into_iter().chain(aside).collect();
        keeping.tell(&all, Moment::ZERO);
        keeping.write_down();
        Some(keeping)
    }

    fn now(&self) -> Moment {
        self.begun.elapsed()
    }

    /// One round; false where the policy asks no shard any more.
    fn go_on(&mut self) -> bool {
        let now = self.now();
        if now.saturating_sub(self.looked_at) >= LOOK && !self.look(now) {
            return false;
        }
        let steps = self.monitor.tick(now);
        let mut events = Vec::new();
        let mut due = Vec::new();
        for step in steps {
            match step {
                Step::Happened(event) => events.push(event),
                Step::GiveUp(shard) => {
                    self.questions.remove(&shard);
                    self.count(shard, Outcome::Failed(crate::health::Failure::Timeout));
                }
                Step::Ask(shard) => due.push(shard),
            }
        }
        // What is known first, then what is not known yet.
        if !events.is_empty() {
            self.tell(&events, now);
        }
        for shard in due {
            self.put(shard);
        }
        self.wait();
        true
    }

    /// Looks for another policy, and at what operators say.
    fn look(&mut self, now: Moment) -> bool {
        self.looked_at = now;
        let node = self.steward.node();
        if !Arc::ptr_eq(&node, &self.node) {
            let Some(checks) = node.names.health.clone() else {
                self.end();
                return false;
            };
            self.questions.clear();
            self.node = node;
            self.steward.ledger().ask(&checks, Timestamp::now());
            // The monitor is not there for a moment, and nobody looks.
            let none = Monitor::new(Arc::clone(&checks), 0, now, &BTreeSet::new()).0;
            let (monitor, events) = std::mem::replace(&mut self.monitor, none).by(checks, now);
            self.monitor = monitor;
            self.find_sources(now);
            self.untold = true;
            self.tell(&events, now);
            self.write_down();
        }
        let events = self.monitor.set_aside(self.steward.disabled());
        if self.untold || !events.is_empty() {
            self.untold = true;
            self.tell(&events, now);
        }
        if self.sources_at.is_none_or(|at| now.saturating_sub(at) >= SOURCES) {
            self.find_sources(now);
        }
        true
    }

    /// Takes back what was said: the policy asks no shard any more.
    fn end(&mut self) {
        if let Err(error) = self.steward.say_health(BTreeMap::new()) {
            tracing::error!(target: "health", %error, "what health had said cannot be taken back");
        }
        self.steward.ledger().end();
        tracing::info!(target: "health", event = "health_ends", "no shard is asked any more");
    }

    fn find_sources(&mut self, now: Moment) {
        self.sources_at = Some(now);
        match Sources::of_node(&self.node) {
            Ok(sources) => self.sources = sources,
            Err(error) => self.complain(now, &error),
        }
    }

    /// Logs that shards cannot be asked, now and then.
    fn complain(&mut self, now: Moment, error: &RoadError) {
        if self.complained.is_none_or(|last| now.saturating_sub(last) >= COMPLAIN) {
            self.complained = Some(now);
            tracing::warn!(target: "health", event = "shard_unasked", %error, "a shard cannot be asked, which says nothing of it");
        }
    }

    fn put(&mut self, shard: u16) {
        let checks = Arc::clone(self.monitor.checks());
        let Some(asked) = checks.shard(shard) else { return };
        self.number += 1;
        let begun = Question::put(asked, &self.sources, self.number);
        match begun {
            Ok(Begun::Waiting(question)) => drop(self.questions.insert(shard, question)),
            Ok(Begun::Over(outcome)) => self.came(shard, outcome),
            Err(error) => self.unasked(shard, &error),
        }
    }

    fn unasked(&mut self, shard: u16, error: &RoadError) {
        let now = self.now();
        self.complain(now, error);
        // The address that it was asked from may have gone.
        self.sources_at = None;
        self.came(shard, Outcome::Unasked);
    }

    fn came(&mut self, shard: u16, outcome: Outcome) {
        self.questions.remove(&shard);
        let now = self.now();
        let events = self.monitor.came(shard, outcome, now);
        if !events.is_empty() {
            self.tell(&events, now);
        }
        self.count(shard, outcome);
    }

    /// Waits for sockets, and goes on with those that are ready.
    fn wait(&mut self) {
        let now = self.now();
        let look = self.looked_at + LOOK;
        let until = self.monitor.due().map_or(look, |due| due.min(look)).saturating_sub(now);
        // Up to the next millisecond, so that what is due then is.
        let millis = u16::try_from(until.as_micros().div_ceil(1_000)).unwrap_or(u16::MAX);
        let ready: Vec<u16> = {
            let waits = |question: &Question| question.waits_for();
            let mut sockets: Vec<PollFd<'_>> =
                self.questions.values().map(|it| PollFd::new(it.socket(), waits(it))).collect();
            match poll(&mut sockets, PollTimeout::from(millis)) {
                Ok(0) | Err(nix::errno::Errno::EINTR) => return,
                Ok(_) => {}
                Err(error) => {
                    // There is no memory, perhaps: not at once again.
                    tracing::error!(target: "health", %error, "shards' answers cannot be waited for");
                    std::thread::sleep(LOOK);
                    return;
                }
            }
            let is_ready = |socket: &PollFd<'_>| socket.any().unwrap_or(true);
            let ready = self.questions.keys().zip(&sockets).filter(|(_, socket)| is_ready(socket));
            ready.map(|(shard, _)| *shard).collect()
        };
        for shard in ready {
            let went = self.questions.get_mut(&shard).map(Question::go_on);
            match went {
                Some(Ok(Some(outcome))) => self.came(shard, outcome),
                Some(Err(error)) => self.unasked(shard, &error),
                Some(Ok(None)) | None => {}
            }
        }
    }

    fn count(&self, shard: u16, outcome: Outcome) {
        if let Some(asked) = self.monitor.checks().shard(shard) {
            self.steward.ledger().count(&asked.name, outcome);
        }
    }

    /// Says to the kernel what follows from `events`, then writes it down and logs it.
    fn tell(&mut self, events: &[Event], now: Moment) {
        let wanted = self.monitor.wanted();
        let words = wanted.into_iter().map(|(index, wanted)| (u32::from(index), health_word(Some(wanted))));
        let said = self.steward.say_health(words.filter(|(_, word)| *word != 0).collect());
        let micros = self.now().saturating_sub(now).as_micros();
        self.untold = said.is_err();
        if let Err(error) = &said
            && !self.lamented
        {
            tracing::error!(target: "health", %error, "the kernel cannot be told of shards: it is tried again, until it can");
        }
        self.lamented = said.is_err();
        for event in events {
            self.log(event, u64::try_from(micros).unwrap_or(u64::MAX));
        }
        if !events.is_empty() {
            self.write_down();
        }
    }

    /// Writes down how everything is.
    fn write_down(&self) {
        let (now, today) = (self.now(), Timestamp::now());
        let ledger = self.steward.ledger();
        for (index, condition) in self.monitor.conditions() {
            let until = match condition {
                Condition::Held { until } => Some(today.after(until.saturating_sub(now))),
                _ => None,
            };
            if let Some(asked) = self.monitor.checks().shard(index) {
                ledger.is(&asked.name, condition, until);
            }
        }
        self.monitor.pools().for_each(|(pool, doubted)| ledger.doubt(&pool.name, doubted));
    }

    /// Logs an event, which was in the kernel `micros` after it was known.
    fn log(&self, event: &Event, micros: u64) {
        let checks = self.monitor.checks();
        let shard = |index: u16| checks.shard(index).map_or("", |asked| asked.name.as_str());
        let pool = |at: usize| checks.pools.get(at).map_or("", |pool| pool.name.as_str());
        let ledger = self.steward.ledger();
        match *event {
            Event::Down { shard: index, why, failures } => {
                let check = checks.shard(index).map(|asked| asked.check.to_string()).unwrap_or_default();
                ledger.became(shard(index), "down");
                tracing::warn!(
                    target: "health", event = "shard_down", shard = shard(index), check, failures, why = %why, micros,
                    "a shard does not answer"
                );
            }
            Event::Up { shard: index, answers, after } => {
                ledger.became(shard(index), "up");
                let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                tracing::info!(
                    target: "health", event = "shard_up", shard = shard(index), answers, down_ms = millis, micros,
                    "a shard answers again"
                );
            }
            Event::Held { shard: index, span } => {
                ledger.became(shard(index), "held");
                let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(
                    target: "health", event = "shard_held", shard = shard(index), hold_ms = millis,
                    "a shard comes and goes, and is kept out for a while"
                );
            }
            Event::Ramp { shard: index, share } => {
                tracing::debug!(target: "health", event = "shard_ramp", shard = shard(index), share, "a shard's share grows");
            }
            Event::Doubt { pool: at } => {
                tracing::error!(
                    target: "health", event = "pool_doubted", pool = pool(at), micros,
                    "so much of a pool does not answer that the network is doubted: all of its shards are used"
                );
            }
            Event::Trust { pool: at } => {
                tracing::info!(
                    target: "health", event = "pool_trusted", pool = pool(at), micros, "enough of a pool answers again"
                );
            }
        }
    }
}
