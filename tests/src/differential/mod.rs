//! The same packets through the program in the kernel and through the host engine.
//!
//! ```text
//!  subjects   policies, compiled once
//!  captures   every frame of every capture, through every subject (of a short run, every so many)
//!  aim        packets for a subject: its scope, its keys, nearly its keys   (write, deep: fields into packets; nest: tunnels;
//!              signed: shims)
//!  mutate     damage to some of them, and to captured frames
//!  pair       both homes, compared frame by frame, and their counters every round
//!  coverage   what was met, and whether it was enough
//!  mutants    hosts with a bug on purpose, beside the right one
//! ```
//! Everything follows from the seed.

mod aim;
mod coverage;
mod deep;
mod flows;
mod mutants;
mod mutate;
mod nest;
mod signed;
mod subjects;
mod write;

use std::fmt;
use std::time::{Duration, Instant};

pub use coverage::Coverage;
pub use subjects::{Subject, subjects, subjects_on};

use keysteer::engine::Engine;
use keysteer::image::Image;
use keysteer::policy::Policy;
use keysteer_common::seeded::Stage;

use crate::captures;
use crate::dice::Dice;
use crate::lab::{Lab, in_lab};
use crate::pair::{Difference, Pair, hex};
use mutants::Mutant;
use subjects::DOOMED;

/// Packets of a subject before the next one's turn.
const TURN: u64 = 64;

/// What a run did.
#[derive(Clone, Debug)]
pub struct Report {
    /// Packets compared.
    pub packets: u64,
    /// Of these, frames of captures as they are.
    pub captured: u64,
    /// Policies they were decided by.
    pub policies: usize,
    /// What was met.
    pub coverage: Coverage,
    /// How long the comparing took.
    pub took: Duration,
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The homes disagree.
    #[error(transparent)]
    Mismatch(#[from] Box<Mismatch>),
    /// The run met too little to prove anything.
    #[error("the run met too little: {}", .0.join("; "))]
    Coverage(Vec<String>),
    /// The run could not be made.
    #[error("{0}")]
    Setup(String),
}

/// A packet about which the homes disagree, or a round after which their counters do.
#[derive(Debug)]
pub struct Mismatch {
    /// The policy.
    pub policy: &'static str,
    /// The seed of the run, and how many packets were compared before.
    pub seed: (u64, u64),
    /// The frame and the interface it arrived on; none where counters differ.
    pub frame: Option<(Vec<u8>, u32)>,
    /// What differs.
    pub difference: Difference,
}

impl std::error::Error for Mismatch {}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seed, packets) = self.seed;
        write!(f, "policy {}, seed {seed}, after {packets} packets: {}", self.policy, self.difference)?;
        if let Some((frame, ingress)) = &self.frame {
            write!(f, "\n arrived on interface {ingress}: {}", hex(frame))?;
        }
        Ok(())
    }
}

/// Compares `packets` packets that follow from `seed`, in a lab of its own. `progress` is told how many
/// have been compared, now and then.
///
/// # Errors
/// The homes disagree, the run met too little, or it could not be made.
pub fn run(packets: u64, seed: u64, progress: impl FnMut(u64) + Send) -> Result<Report, Failure> {
    let work = |lab: &Lab| {
        let subjects = subjects(lab).map_err(Failure::Setup)?;
        let report = compare(lab, &subjects, packets, seed, progress)?;
        match report.coverage.gaps(packets, report.captured) {
            gaps if gaps.is_empty() => Ok(report),
            gaps => Err(Failure::Coverage(gaps)),
        }
    };
    in_lab(work).map_err(Failure::Setup)?
}

/// Compares packets in a lab, which loses an interface by it. What was met is not judged.
///
/// # Errors
/// The homes disagree, or the kernel or the captures cannot be used.
pub fn compare(
    lab: &Lab,
    subjects: &[Subject],
    packets: u64,
    seed: u64,
    mut progress: impl FnMut(u64),
) -> Result<Report, Failure> {
    let mut run = Run::new(lab, subjects, seed)?;
    let begun = Instant::now();
    let captured = run.all(lab, packets, |run| {
        progress(run.packets);
        true
    })?;
    Ok(Report {
        packets: run.packets,
        captured,
        policies: subjects.len(),
        coverage: run.coverage,
        took: begun.elapsed(),
    })
}

/// Has a host with a bug in each of `stages` decide the same packets beside the right one, until all of these bugs were seen or there
/// are no packets left; the lab loses an interface by it. Gives what each was seen by, if it was.
///
/// # Errors
/// The right host disagrees with the kernel, or the kernel or the captures cannot be used.
pub fn bugs(
    lab: &Lab,
    subjects: &[Subject],
    stages: &[Stage],
    packets: u64,
    seed: u64,
) -> Result<Vec<(Stage, Option<Mismatch>)>, Failure> {
    let mut run = Run::new(lab, subjects, seed)?;
    run.mutants = stages.iter().map(|stage| Mutant::new(*stage, subjects)).collect();
    run.all(lab, packets, |run| run.mutants.iter().any(|mutant| mutant.seen().is_none()))?;
    Ok(run.mutants.into_iter().map(Mutant::into_seen).collect())
}

/// Packets for a policy that follow from a seed, some of them damaged.
pub fn generate(policy: &Policy, seed: u64) -> impl Iterator<Item = Vec<u8>> {
    let mut dice = Dice::new(seed);
    std::iter::repeat_with(move || {
        let mut frame = aim::packet(policy, &mut dice).bytes();
        if dice.once_in(5) {
            mutate::mutate(&mut frame, &mut dice);
        }
        frame
    })
}

/// A run under way.
struct Run<'s> {
    subjects: &'s [Subject],
    pairs: Vec<Pair<'s>>,
    /// The host's, without operators' words, where there are any.
    deaf: Vec<Option<Engine<'s>>>,
    /// The host's, with nothing that moves, where something does.
    still: Vec<Option<Engine<'s>>>,
    mutants: Vec<Mutant<'s>>,
    coverage: Coverage,
    seed: u64,
    packets: u64,
}

impl<'s> Run<'s> {
    fn new(lab: &Lab, subjects: &'s [Subject], seed: u64) -> Result<Self, Failure> {
        let load = |subject: &'s Subject| {
            let mut pair = Pair::new(&subject.image)
                .map_err(|error| Failure::Setup(format!("policy {}: {error}", subject.name)))?;
            subject.doomed().for_each(|shard| pair.lose_exit(shard));
            Ok(pair)
        };
        let pairs = subjects.iter().map(load).collect::<Result<_, Failure>>()?;
        let engine = |subject: &'s Subject, image: &'s Option<Image>| {
            let mut engine = Engine::new(image.as_ref()?);
            subject.doomed().for_each(|shard| engine.lose_exit(shard));
            Some(engine)
        };
        let deaf = subjects.iter().map(|subject| engine(subject, &subject.deaf)).collect();
        let still = subjects.iter().map(|subject| engine(subject, &subject.still)).collect();
        // The kernel takes it out of every map of exits.
        lab.delete(DOOMED).map_err(Failure::Setup)?;
        Ok(Self {
            subjects,
            pairs,
            deaf,
            still,
            mutants: Vec::new(),
            coverage: Coverage::default(),
            seed,
            packets: 0,
        })
    }

    /// Compares captured frames, then generated ones, as long as `further` says so after a round. Gives how many were captured.
    fn all(
        &mut self,
        lab: &Lab,
        packets: u64,
        mut further: impl FnMut(&Self) -> bool,
    ) -> Result<u64, Failure> {
        let mut frames = captures::folder(&captures::own()).map_err(Failure::Setup)?;
        frames.extend(captures::folder(&captures::shared()).map_err(Failure::Setup)?);
        // Every frame of every capture, as long as these are a third of all: of a shorter run every so many.
        let shown = (frames.len() * self.subjects.len()) as u64;
        let step = usize::try_from(shown * 3 / packets.max(1)).unwrap_or(usize::MAX).max(1);
        for at in 0..self.subjects.len() {
            for frame in frames.iter().skip(at % step).step_by(step) {
                self.frame(at, frame, 0)?;
            }
        }
        let captured = self.packets;
        let ingresses = [0, lab.index("eth0"), lab.index("veth-a")];
        let mut dice = Dice::new(self.seed);
        let subjects = self.subjects;
        while self.packets < packets.max(captured) {
            for (at, subject) in subjects.iter().enumerate() {
                for _ in 0..TURN {
                    let mut frame = match dice.pick(&frames) {
                        Some(frame) if dice.once_in(16) => frame.clone(),
                        _ => aim::packet(&subject.policy, &mut dice).bytes(),
                    };
                    if dice.once_in(5) {
                        mutate::mutate(&mut frame, &mut dice);
                    }
                    self.frame(at, &frame, dice.one(ingresses))?;
                    // Where keys move it matters what a flow said before.
                    while subject.still.is_some() && !dice.once_in(6) {
                        let Some(next) = flows::next(&frame, &mut dice) else { break };
                        frame = next;
                        self.frame(at, &frame, dice.one(ingresses))?;
                    }
                }
            }
            self.counters()?;
            if !further(self) {
                return Ok(captured);
            }
        }
        self.counters()?;
        Ok(captured)
    }

    fn frame(&mut self, at: usize, frame: &[u8], ingress: u32) -> Result<(), Failure> {
        let (Some(subject), Some(pair)) = (self.subjects.get(at), self.pairs.get_mut(at)) else {
            return Ok(());
        };
        let mismatch = |difference| Mismatch {
            policy: subject.name,
            seed: (self.seed, self.packets),
            frame: Some((frame.to_vec(), ingress)),
            difference,
        };
        let seen = pair.see(frame, ingress).map_err(|difference| Box::new(mismatch(difference)))?;
        for mutant in &mut self.mutants {
            mutant.judge(at, &mismatch, |host| host.judge(frame, ingress, &seen));
        }
        let outcome = seen.into_outcome();
        self.coverage.note(subject, frame, &outcome);
        pair.left().iter().for_each(|left| self.coverage.note_left(left));
        if let Some(Some(deaf)) = self.deaf.get_mut(at) {
            let without = deaf.decide(&mut frame.to_vec(), ingress);
            self.coverage.note_words(&without.work.record.decision, &outcome.work.record.decision);
        }
        if let Some(Some(still)) = self.still.get_mut(at) {
            let after = still.decide(&mut frame.to_vec(), ingress);
            let moving = pair.moving();
            self.coverage.note_moving(&after.work.record.decision, &outcome.work.record.decision, moving);
        }
        self.packets += 1;
        Ok(())
    }

    fn counters(&mut self) -> Result<(), Failure> {
        for (at, (subject, pair)) in self.subjects.iter().zip(&self.pairs).enumerate() {
            let mismatch = |difference| Mismatch {
                policy: subject.name,
                seed: (self.seed, self.packets),
                frame: None,
                difference,
            };
            let counted = pair.counted().map_err(|difference| Box::new(mismatch(difference)))?;
            for mutant in &mut self.mutants {
                mutant.judge(at, &mismatch, |host| host.judge_counters(&counted));
            }
        }
        Ok(())
    }
}
