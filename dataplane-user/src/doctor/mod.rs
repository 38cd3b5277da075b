//! What keysteer and a policy ask of this host, looked at one by one. Nothing is changed, and no agent has to run.
//!
//! ```text
//!  facts      what is read of the host, once
//!  report     checks: what was looked at, what was found, what to do
//!  asked      what a policy asks: devices, exits, families
//!  in_force   the policy in force, from the agent's records
//!  host       the kernel, the BPF file system, privilege
//!  steering   the interfaces that are steered
//!  exits      the interfaces that packets leave by
//!  answers    the way of what pods answer, back through this node
//!  service    the service's addresses, where this host is a target
//!  next_hop   neighbours
//! ```
//! Every check is a function of [`Facts`]: what cannot be looked at is `unknown`, and never an error.

mod answers;
mod asked;
mod exits;
pub mod facts;
mod host;
mod in_force;
mod next_hop;
mod report;
mod service;
mod steering;

#[cfg(test)]
mod tests;

pub use facts::Facts;
pub use report::{Check, State};

use std::io;
use std::path::Path;

use crate::policy::Policy;
use asked::Asked;
use report::Report;

/// Examines this host for a policy, and for an agent that pins in `pins`.
///
/// # Errors
/// The kernel does not list interfaces.
pub fn examine(policy: &Policy, pins: &Path) -> io::Result<Vec<Check>> {
    Ok(check(&Facts::gather(Some(policy), pins)?, Some(policy)))
}

/// The same for the policy in force by the records in `state`; of the host alone, where there is none.
///
/// # Errors
/// The kernel does not list interfaces.
pub fn examine_in_force(state: &Path, pins: &Path) -> io::Result<Vec<Check>> {
    let mut report = Report::default();
    let policy = in_force::read(state, &mut report);
    let facts = Facts::gather(policy.as_ref(), pins)?;
    Ok(report.checks.into_iter().chain(check(&facts, policy.as_ref())).collect())
}

/// Checks a host, and what `policy` asks of it.
pub fn check(facts: &Facts, policy: Option<&Policy>) -> Vec<Check> {
    let mut report = Report::default();
    host::check(facts, &mut report);
    if let Some(policy) = policy {
        let asked = Asked::new(facts, policy, &mut report);
        steering::check(&asked, &mut report);
        exits::check(&asked, &mut report);
        next_hop::check(&asked, &mut report);
        service::check(&asked, &mut report);
        answers::check(&asked, &mut report);
    }
    report.checks
}
