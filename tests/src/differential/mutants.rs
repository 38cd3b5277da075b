//! Hosts with a bug on purpose.

use keysteer_common::seeded::{Stage, plant};

use super::{Mismatch, Subject};
use crate::pair::{Difference, Host};

/// A host whose code has a bug in one stage, for every subject, until the bug is seen.
#[derive(Debug)]
pub(super) struct Mutant<'s> {
    stage: Stage,
    hosts: Vec<Host<'s>>,
    seen: Option<Mismatch>,
}

impl<'s> Mutant<'s> {
    pub(super) fn new(stage: Stage, subjects: &'s [Subject]) -> Self {
        let host = |subject: &'s Subject| {
            let mut host = Host::new(&subject.image);
            subject.doomed().for_each(|shard| host.lose_exit(shard));
            host
        };
        Self { stage, hosts: subjects.iter().map(host).collect(), seen: None }
    }

    /// Has the host of a subject judge what the kernel did, with the bug planted on this thread meanwhile.
    pub(super) fn judge(
        &mut self,
        subject: usize,
        mismatch: &impl Fn(Difference) -> Mismatch,
        judge: impl FnOnce(&mut Host<'s>) -> Result<(), Difference>,
    ) {
        if self.seen.is_some() {
            return;
        }
        let Some(host) = self.hosts.get_mut(subject) else { return };
        plant(Some(self.stage));
        let judged = judge(host);
        plant(None);
        if let Err(difference) = judged {
            self.seen = Some(mismatch(difference));
            self.hosts = Vec::new();
        }
    }

    /// What the bug was seen by, if it was.
    pub(super) fn seen(&self) -> Option<&Mismatch> {
        self.seen.as_ref()
    }

    /// The stage, and what its bug was seen by.
    pub(super) fn into_seen(self) -> (Stage, Option<Mismatch>) {
        (self.stage, self.seen)
    }
}
