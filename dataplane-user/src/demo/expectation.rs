//! What the host engine says: the demo's policy compiled on its own, from the same file and the same
//! state, and every frame decided again.

use std::fmt::Display;

use super::child::Agent;
use super::site::{Passage, Site};
use super::traffic::Flow;
use super::ways::takes;
use super::{DemoError, probe};
use crate::compile::compile;
use crate::counters::Snapshot;
use crate::engine::Engine;
use crate::image::Image;
use crate::kernel::interfaces::Interfaces;
use crate::policy;
use crate::state::{Ids, Secrets};
use crate::world::Captured;

/// What must have happened.
pub(super) struct Expectation {
    image: Image,
    /// How frames come to the node.
    passages: Vec<Passage>,
    /// The interface of the node that each family arrives by: IPv4, IPv6.
    ingress: [u32; 2],
}

/// What the host engine decides for a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Decided<'a> {
    /// The shard it goes to, by name.
    pub(super) shard: Option<&'a str>,
    /// Its key, by name.
    pub(super) key: Option<&'a str>,
}

impl Expectation {
    /// Compiles the agent's policy.
    ///
    /// # Errors
    /// The policy or the state cannot be read or compiled, although the agent could.
    pub(super) fn of(agent: &Agent, site: &Site) -> Result<Self, DemoError> {
        fn failed(error: impl Display) -> DemoError {
            DemoError::Policy(error.to_string())
        }
        let interfaces =
            site.node.run(Interfaces::read)?.map_err(DemoError::at("list the node's interfaces"))?;
        let policy = policy::load(&agent.policy).map_err(failed)?;
        let secrets = Secrets::open(&agent.state).map_err(failed)?;
        let mut ids = Ids::open(&agent.state).map_err(failed)?;
        let image = compile(&policy, &interfaces, &secrets, &mut ids).map_err(failed)?;
        let passages = site.passages()?;
        let ingress = [false, true].map(|v6| {
            let taking = |(place, _): &(usize, &Passage)| takes(&site.ways, *place, v6);
            passages.iter().enumerate().find(taking).map_or(0, |(_, passage)| passage.into)
        });
        Ok(Self { image, passages, ingress })
    }

    /// The tables.
    pub(super) fn image(&self) -> &Image {
        &self.image
    }

    /// The decision for a flow.
    pub(super) fn decide(&self, flow: &Flow) -> Decided<'_> {
        let ingress = self.ingress[usize::from(flow.source.is_ipv6())];
        let decision = Engine::new(&self.image).decide(&mut probe::frame(flow), ingress).work.record.decision;
        Decided {
            shard: self.image.names.shard(decision.shard),
            key: self.image.names.key(decision.key_id).map(|key| key.name.as_str()),
        }
    }

    /// The counters after these frames.
    pub(super) fn count<'f>(&self, frames: impl Iterator<Item = &'f Captured>) -> Snapshot {
        let mut engine = Engine::new(&self.image);
        for captured in frames {
            let by = self.passages.iter().find(|passage| passage.out == captured.interface);
            engine.decide(&mut captured.frame.clone(), by.map_or(0, |passage| passage.into));
        }
        engine.counters().clone()
    }
}
