//! Who changes the policy, and kills the agent, while packets go on.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use keysteer::control::client::{Client, ClientError};
use keysteer::control::types::{ApplyRequest, GenerationStatus, RollbackRequest, RolledBack};
use keysteer::kernel::interfaces::Interfaces;
use keysteer::placement::Placement;
use keysteer::plan::Guard;
use keysteer::policy::Bundle;
use keysteer::state::Secrets;
use keysteer_tests::dice::Dice;
use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::place::Place;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::balance::Balance;
use crate::eras::Eras;
use crate::expected::Expected;
use crate::flows;
use crate::policies::{Kind, Spec};
use crate::traffic::Traffic;
use crate::world::World;

/// How long the senders may take for a round of all flows.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the agent does when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// It applies a policy.
    Applying,
    /// It is about to steer again.
    Starting,
    /// It goes back to the last generation.
    RollingBack,
    /// Nothing.
    Idle,
}

impl Moment {
    pub(crate) const ALL: [Self; 4] = [Self::Applying, Self::Starting, Self::RollingBack, Self::Idle];
}

/// A policy that is or was in force.
#[derive(Clone, Debug)]
struct Known {
    spec: Spec,
    bundle: Bundle,
    expected: Arc<Expected>,
    /// By which tables: they hang on those of before.
    placement: Arc<Placement>,
}

/// A change that can be asked for.
#[derive(Clone, Debug)]
enum Change {
    Apply(Known),
    Rollback(Known),
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) packets: u64,
    pub(crate) between: u64,
    pub(crate) kinds: BTreeMap<Kind, u32>,
    pub(crate) moments: BTreeMap<Moment, u32>,
    /// Changes during which the agent was killed, and that came to be, or did not.
    pub(crate) forward: u32,
    pub(crate) back: u32,
    pub(crate) ids: usize,
    pub(crate) retired: usize,
}

/// The node under test and what is known of it.
pub(crate) struct Drive {
    world: World,
    place: Place,
    agent: Option<Agent>,
    traffic: Traffic,
    dice: Dice,
    secrets: Secrets,
    interfaces: Interfaces,
    known: BTreeMap<String, Known>,
    live: Known,
    last: Option<Known>,
    deck: Vec<Kind>,
    /// How long the latest apply, rollback and start took.
    took: [Duration; 3],
    done: Done,
}

impl Drive {
    /// Steers, and begins to send `rate` packets per second.
    pub(crate) fn new(seed: u64, rate: f64) -> Self {
        let world = World::new();
        let mut dice = Dice::new(seed);
        let spec = Spec::first(&mut dice);
        let bundle = spec.bundle();
        let place = Place::new(&bundle.policy);
        let agent = place.start_as(place.lasting(&world.node));
        let secrets = Secrets::read(&place.state()).unwrap();
        let interfaces = world.node.run(Interfaces::read).unwrap().unwrap();
        let flows = flows::all();
        let (expected, placement) = Expected::after(None, &bundle, &flows, &interfaces, &secrets);
        let live = Known { spec, bundle, expected: Arc::new(expected), placement: Arc::new(placement) };
        let traffic = Traffic::start(&world, flows, Eras::new(Arc::clone(&live.expected)), rate);
        let known = BTreeMap::from([(live.bundle.digest(), live.clone())]);
        let agent = Some(agent);
        let (took, done) = ([Duration::from_millis(50); 3], Done::default());
        let deck = Vec::new();
        let last = None;
        let drive = Self {
            world,
            place,
            agent,
            traffic,
            dice,
            secrets,
            interfaces,
            known,
            live,
            last,
            deck,
            took,
            done,
        };
        drive.round();
        drive
    }

    fn agent(&self) -> &Agent {
        self.agent.as_ref().expect("it runs")
    }

    fn client(&self) -> Client {
        Client::new(&self.place.socket())
    }

    /// Fails where a packet has.
    fn look(&self) {
        if let Some(failure) = self.traffic.shared.failure() {
            let log = std::fs::read_to_string(self.place.log()).unwrap_or_default();
            panic!("{failure}\nafter {:?}, {:?}\nthe agent: {log}", self.done.kinds, self.done.moments);
        }
    }

    /// Waits until every sender has had a packet of every flow through under the policy in force.
    fn round(&self) {
        let flows = self.traffic.shared.flows.len() as u64;
        let least = self.traffic.shared.begun().map(|begun| begun + flows);
        let end = Instant::now() + PATIENCE;
        while self.traffic.shared.done().iter().zip(least).any(|(done, least)| *done < least) {
            self.look();
            assert!(Instant::now() < end, "the senders have stopped");
            thread::sleep(Duration::from_millis(1));
        }
        self.look();
    }

    /// One of each kind, in any order, again and again.
    fn kind(&mut self) -> Kind {
        if self.deck.is_empty() {
            self.deck = Kind::ALL.to_vec();
            for at in (1..self.deck.len()).rev() {
                let other = self.dice.below(at + 1);
                self.deck.swap(at, other);
            }
        }
        self.deck.pop().unwrap()
    }

    /// A change, and what it would change.
    fn choose(&mut self, kind: Kind) -> (Change, BTreeSet<Kind>) {
        if kind == Kind::Rollback
            && let Some(last) = self.last.clone()
        {
            return (Change::Rollback(last), BTreeSet::from([Kind::Rollback]));
        }
        let (spec, kinds) = self.live.spec.next(kind, &mut self.dice);
        let bundle = spec.bundle();
        let flows = &self.traffic.shared.flows;
        let before = Some(&*self.live.placement);
        let (expected, placement) = Expected::after(before, &bundle, flows, &self.interfaces, &self.secrets);
        let known = Known { spec, bundle, expected: Arc::new(expected), placement: Arc::new(placement) };
        self.known.insert(known.bundle.digest(), known.clone());
        (Change::Apply(known), kinds)
    }

    /// One change, acknowledged.
    pub(crate) fn change(&mut self) {
        let kind = self.kind();
        let (change, kinds) = self.choose(kind);
        self.begin(&change);
        let begun = Instant::now();
        let changed = loop {
            match self.ask(&change) {
                Ok(changed) => break changed,
                // The agent takes a regular look at the node, during which nothing else is changed.
                Err(ClientError::Refused(why)) if why.contains("another change is being made") => {}
                Err(error) => panic!("{kinds:?}: {error}\n{}", self.agent().log()),
            }
        };
        self.took[usize::from(matches!(change, Change::Rollback(_)))] = begun.elapsed();
        self.settle(change, &kinds, changed);
        self.round();
    }

    fn begin(&self, change: &Change) {
        let (Change::Apply(new) | Change::Rollback(new)) = change;
        self.traffic.shared.eras.begin(Arc::clone(&new.expected));
    }

    /// Says whether anything was changed: a policy may mean the same as the one in force.
    fn ask(&self, change: &Change) -> Result<bool, ClientError> {
        match change {
            Change::Apply(new) => {
                let request = ApplyRequest {
                    bundle: new.bundle.clone(),
                    allow: vec![Guard::Schema],
                    plan: None,
                    base: None,
                    at_once: false,
                };
                self.client().apply(&request, |_| {}).map(|applied| applied.changed)
            }
            Change::Rollback(_) => {
                self.client().post::<RolledBack>("/v1/rollback", &RollbackRequest::default()).map(|_| true)
            }
        }
    }

    /// The change is in force: from the packets on that were not begun to be sent.
    fn settle(&mut self, change: Change, kinds: &BTreeSet<Kind>, changed: bool) {
        self.traffic.shared.eras.settle(self.traffic.shared.begun());
        let (Change::Apply(new) | Change::Rollback(new)) = change;
        if !changed {
            return;
        }
        self.last = Some(std::mem::replace(&mut self.live, new));
        for kind in kinds {
            *self.done.kinds.entry(*kind).or_default() += 1;
        }
    }

    /// Kills the agent, and starts another.
    pub(crate) fn kill(&mut self, moment: Moment) {
        let open = match moment {
            Moment::Applying => self.cut_off(Kind::Added),
            Moment::RollingBack => self.cut_off(Kind::Rollback),
            Moment::Idle => {
                thread::sleep(self.some(Duration::from_millis(30)));
                self.end();
                None
            }
            Moment::Starting => {
                let open = self.cut_off(Kind::Repooled);
                self.start_and_kill();
                open
            }
        };
        self.round();
        let begun = Instant::now();
        self.agent = Some(self.place.start_as(self.place.lasting(&self.world.node)));
        self.took[2] = begun.elapsed();
        self.find_out(open);
        self.round();
        *self.done.moments.entry(moment).or_default() += 1;
    }

    /// Any part of so long.
    fn some(&mut self, at_most: Duration) -> Duration {
        at_most.mul_f64(self.dice.below(1_000) as f64 / 1_000.0)
    }

    fn end(&mut self) {
        let mut agent = self.agent.take().expect("it runs");
        agent.signal(Signal::SIGKILL);
        assert_eq!(agent.wait().code(), None, "it ended by itself: {}", agent.log());
    }

    /// Kills the agent while it makes a change; gives the change, if it is not known what became of it.
    fn cut_off(&mut self, kind: Kind) -> Option<(Change, BTreeSet<Kind>)> {
        let (change, kinds) = self.choose(kind);
        let took = self.took[usize::from(matches!(change, Change::Rollback(_)))];
        let delay = self.some(took.mul_f64(1.1));
        let pid = Pid::from_raw(self.agent().pid().cast_signed());
        self.begin(&change);
        let killer = thread::spawn(move || {
            thread::sleep(delay);
            kill(pid, Signal::SIGKILL).unwrap();
        });
        let asked = self.ask(&change);
        if let Ok(changed) = asked {
            // What was acknowledged holds, whatever comes.
            self.settle(change.clone(), &kinds, changed);
        }
        killer.join().unwrap();
        self.agent.take().expect("it runs").wait();
        asked.is_err().then_some((change, kinds))
    }

    /// Starts an agent and kills it before it may be ready.
    fn start_and_kill(&mut self) {
        let delay = self.some(self.took[2].mul_f64(1.1));
        let mut command = self.place.lasting(&self.world.node);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks the new agent what is in force, and compares with what may be.
    fn find_out(&mut self, open: Option<(Change, BTreeSet<Kind>)>) {
        let generations: Vec<GenerationStatus> = self.client().get("/v1/generations").unwrap();
        let of = |status: &str| generations.iter().find(|it| it.status == status).map(|it| &it.digest);
        let live = of("live").expect("one is live");
        if let Some((change, kinds)) = open {
            let (Change::Apply(new) | Change::Rollback(new)) = &change;
            if *live == new.bundle.digest() {
                self.settle(change, &kinds, true);
                self.done.forward += 1;
            } else {
                self.traffic.shared.eras.withdraw();
                self.done.back += 1;
            }
        }
        assert_eq!(*live, self.live.bundle.digest(), "another policy is in force: {generations:?}");
        self.last = of("last").map(|digest| self.known[digest].clone());
    }

    /// Ends traffic and agent, and compares counters.
    pub(crate) fn finish(mut self) -> Done {
        let flows = self.traffic.shared.flows.clone();
        let sent = self.traffic.finish();
        let balance = Balance::of(&flows, &sent.arrived);
        let agent = self.agent.as_mut().expect("it runs");
        let status = agent.status();
        assert!(status.balanced);
        assert_eq!(status.received.packets, balance.packets);
        self.done.retired = agent.keys().len();
        agent.signal(Signal::SIGTERM);
        assert!(agent.wait().success(), "{}", agent.log());
        self.done.ids = balance.check(&self.place);
        self.done.retired = self.done.ids - self.done.retired;
        (self.done.packets, self.done.between) = (balance.packets, sent.between);
        self.done
    }
}
