//! What a policy says of each flow, by the host engine over the tables that the agent compiles.

use keysteer::compile::{Host, compile_placed};
use keysteer::engine::Engine;
use keysteer::kernel::interfaces::Interfaces;
use keysteer::placement::Placement;
use keysteer::policy::Bundle;
use keysteer::state::{Ids, Secrets};
use keysteer_common::forward::Action;

use crate::flows::Flow;
use crate::world::SHARDS;

/// By flow, the number of its shard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expected(Vec<u8>);

impl Expected {
    /// Decides a packet of each flow by the tables that come after those `before`, and gives these too. Ids need not be the agent's: no
    /// packet's way hangs on them.
    pub(crate) fn after(
        before: Option<&Placement>,
        bundle: &Bundle,
        flows: &[Flow],
        interfaces: &Interfaces,
        secrets: &Secrets,
    ) -> (Self, Placement) {
        let policy = bundle.parse().unwrap_or_else(|error| panic!("{error}\n{}", bundle.policy));
        let placement = Placement::next(before, &policy);
        let host = Host { interfaces, cpus: &[0] };
        let image = compile_placed(&policy, host, secrets, &mut Ids::default(), &placement).unwrap();
        let uplink = interfaces.find("up0").unwrap().index;
        let mut engine = Engine::new(&image);
        let shard = |flow: &Flow| {
            let decided = engine.decide(&mut flow.frame(0), uplink);
            assert_eq!(decided.action, Action::Redirect, "{flow:?} is not steered: {}", bundle.policy);
            let name = image.names.shard(decided.work.record.decision.shard).unwrap();
            u8::try_from(SHARDS.iter().position(|shard| *shard == name).unwrap()).unwrap()
        };
        (Self(flows.iter().map(shard).collect()), placement)
    }

    /// The shard of a flow.
    pub(crate) fn shard(&self, flow: usize) -> usize {
        usize::from(self.0[flow])
    }
}
