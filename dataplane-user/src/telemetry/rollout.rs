//! Changes that are made in steps, as metrics: see [`crate::rollout`].

use std::fmt;

use super::families::{Families, In};
use crate::control::types::RolloutStatus;

/// How far a change is, and what was counted of the step's keys; zeroes while none is made in steps.
pub(super) fn encode(status: Option<&RolloutStatus>, families: &mut Families<'_>) -> fmt::Result {
    let none = RolloutStatus::default();
    let status = status.unwrap_or(&none);
    families.gauge(("rollout_step", In::Plain, "The step of a change that is watched"), status.step)?;
    families.gauge(("rollout_steps", In::Plain, "How many steps the change has"), status.steps)?;
    families.gauge(("rollout_moved", In::Plain, "Keys and classes that have moved"), status.moved)?;
    families.gauge(("rollout_held", In::Plain, "Keys and classes whose turn has not come"), status.held)?;
    families.gauge(
        ("rollout_opened", In::Flows, "Flows that opened on the new shards of the step's keys"),
        status.flows,
    )?;
    families
        .gauge(("rollout_failed", In::Flows, "Of these, the ones that were not answered"), status.failed)?;
    families.gauge(("rollout_slow", In::Flows, "Those whose opening was sent again"), status.slow)?;
    families.gauge(("rollout_resets", In::Flows, "Reset connections there"), status.resets)?;
    families.gauge(
        ("rollout_dropped", In::Packets, "Dropped packets of keys that have moved, since the step began"),
        status.dropped,
    )
}
