//! `keysteer plan`

pub(super) mod picture;

use std::path::PathBuf;

use clap::Args;

use super::error::safe;
use super::output::print_one;
use super::{Read, Reveal};
use crate::messages::say;
use crate::plan::{Guard, Plan, Request, SavedPlan, offline};
use crate::policy::Bundle;
use crate::state::Timestamp;

/// Show what a policy would change
///
/// Compares a policy with the one in force, by asking the agent, or with another file (--against),
/// which needs no privilege. Shown is what changes, which keys move and the share of live traffic
/// that they carry, what hangs on each shard before and after, and what the plan is refused for.
/// Nothing is changed.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct PlanArgs {
    /// The new policy: a file, or a folder that holds it
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Compare with this policy in place of the agent's
    #[arg(long, value_name = "OLD", conflicts_with = "socket")]
    against: Option<PathBuf>,
    /// Save the plan, to apply it as it is or not at all
    #[arg(long, value_name = "FILE", conflicts_with_all = ["against", "reveal"])]
    out: Option<PathBuf>,
    /// Exit with 3 if something would change
    #[arg(long)]
    exit_code: bool,
    /// Lift a guard that refuses the plan; part of the plan
    #[arg(long, value_enum, value_name = "GUARD")]
    allow: Vec<Guard>,
    #[command(flatten)]
    reveal: Reveal,
    #[command(flatten)]
    read: Read,
}

/// How a plan ended that is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Shown.
    Done,
    /// Shown, and it was to be said by the exit code that something would change.
    WouldChange,
}

pub(super) fn run(args: &PlanArgs) -> anyhow::Result<Outcome> {
    let bundle = Bundle::read(&args.new)?;
    let (plan, bundle) = match &args.against {
        Some(old) => (
            offline::compare(
                Some(&Bundle::read(old)?),
                &bundle,
                &args.allow,
                args.reveal.reveal,
                Timestamp::now(),
            )?,
            bundle,
        ),
        None => {
            let request = Request { bundle, allow: args.allow.clone(), base: None };
            let plan: Plan = args.read.client().post(&args.reveal.path("/v1/plan"), &request)?;
            (plan, request.bundle)
        }
    };
    print_one(args.read.output, &plan, || safe(&picture::draw(&plan)))?;
    let refused: Vec<&str> = plan.refused().map(|refusal| refusal.name.name()).collect();
    if !refused.is_empty() {
        let lift = plan.refused().all(|refusal| refusal.name.can_be_lifted());
        let next = if lift { "change the policy, or lift a guard with --allow" } else { "plan again" };
        anyhow::bail!("the plan is refused: {}; {next}", refused.join(", "));
    }
    let would_change = !plan.is_empty();
    if let Some(file) = &args.out {
        let saved = SavedPlan::new(plan, bundle);
        saved.write(file)?;
        say(&format!("saved as {}, digest {}", file.display(), saved.digest));
    }
    Ok(if args.exit_code && would_change { Outcome::WouldChange } else { Outcome::Done })
}
