//! What the host engine says: the demo's policy compiled on its own, from the same file and the same
//! state, and every frame decided again.

use std::fmt::Display;

use super::child::Agent;
use super::site::{CLIENT_PORT, Site};
use super::traffic::Flow;
use super::{DemoError, probe};
use crate::compile::compile;
use crate::counters::Snapshot;
use crate::engine::Engine;
use crate::image::Image;
use crate::kernel::interfaces::Interfaces;
use crate::policy;
use crate::state::{KeyIds, Secrets};
use crate::world::Captured;

/// What must have happened.
pub(super) struct Expectation {
    image: Image,
    /// Index of the interface that the program is attached to.
    ingress: u32,
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
        let mut ids = KeyIds::open(&agent.state).map_err(failed)?;
        let image = compile(&policy, &interfaces, &secrets, &mut ids).map_err(failed)?;
        Ok(Self { image, ingress: site.node.index(CLIENT_PORT)? })
    }

    /// The tables.
    pub(super) fn image(&self) -> &Image {
        &self.image
    }

    /// The decision for a flow.
    pub(super) fn decide(&self, flow: &Flow) -> Decided<'_> {
        let decision =
            Engine::new(&self.image).decide(&mut probe::frame(flow), self.ingress).work.record.decision;
        Decided {
            shard: self.image.names.shard(decision.shard),
            key: self.image.names.key(decision.key_id).map(|key| key.name.as_str()),
        }
    }

    /// The counters after these frames.
    pub(super) fn count<'f>(&self, frames: impl Iterator<Item = &'f Captured>) -> Snapshot {
        let mut engine = Engine::new(&self.image);
        for captured in frames {
            engine.decide(&mut captured.frame.clone(), self.ingress);
        }
        engine.counters().clone()
    }
}
