//! `keysteer apply` and `keysteer rollback`

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;

use super::output::{Align, Format, Table, print_one};
use crate::control::client::Client;
use crate::control::types::{Applied, ApplyRequest, DEFAULT_SOCKET, RollbackRequest, RolledBack};
use crate::messages::say;
use crate::plan::{Guard, SavedPlan};
use crate::policy::Bundle;

/// Put a policy in force
///
/// The agent compiles it, loads it beside the one in force, proves by test runs that it decides as
/// planned, and switches every interface between two packets. What was in force stays loaded:
/// `keysteer rollback` goes back to it. Interrupted before the switch, nothing is changed.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct ApplyArgs {
    /// The policy: a file, or a folder that holds it
    #[arg(value_name = "POLICY", required_unless_present = "plan", conflicts_with = "plan")]
    policy: Option<PathBuf>,
    /// Do exactly what this saved plan says, or refuse
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Lift a guard that refuses the plan
    #[arg(long, value_enum, value_name = "GUARD", conflicts_with = "plan")]
    allow: Vec<Guard>,
    /// Move all keys together, where the policy has them move in steps
    #[arg(long)]
    at_once: bool,
    /// How to show what was done
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// The agent's socket
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
}

pub(super) fn apply(args: &ApplyArgs) -> anyhow::Result<()> {
    let request = match (&args.plan, &args.policy) {
        (Some(file), _) => {
            let saved = SavedPlan::read(file)?;
            let (digest, base) = (saved.digest.clone(), saved.plan.base.clone());
            let SavedPlan { bundle, plan, .. } = saved;
            ApplyRequest { bundle, allow: plan.allow, plan: Some(digest), base, at_once: args.at_once }
        }
        (None, Some(policy)) => {
            let (bundle, allow) = (Bundle::read(policy)?, args.allow.clone());
            ApplyRequest { bundle, allow, plan: None, base: None, at_once: args.at_once }
        }
        (None, None) => {
            anyhow::bail!("there is nothing to apply: name a policy, or a saved plan with --plan")
        }
    };
    let applied: Applied = Client::new(&args.socket).apply(&request, progress)?;
    print_one(args.output, &applied, || render(&applied))
}

/// Shows how far it is, to somebody who looks on.
fn progress(stage: &str) {
    if std::io::stderr().is_terminal() {
        say(&format!("{stage} ..."));
    }
}

fn render(applied: &Applied) -> String {
    let Applied { generation, changed, millis, .. } = applied;
    if *changed {
        format!("generation {generation} is in force ({millis} ms)\n")
    } else {
        format!("nothing to change: generation {generation} already means this\n")
    }
}

/// Go back to the policy that was in force before
///
/// It is still loaded, so that going back takes milliseconds. Keys that operators denied stay
/// denied. A second rollback goes forward again. The policy file is not changed: change it too, or
/// its next change puts it in force again.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct RollbackArgs {
    /// Only if this generation is in force
    #[arg(long, value_name = "GENERATION")]
    from: Option<u64>,
    /// How to show what was done
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// The agent's socket
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
}

pub(super) fn rollback(args: &RollbackArgs) -> anyhow::Result<()> {
    let request = RollbackRequest { from: args.from };
    let done: RolledBack = Client::new(&args.socket).post("/v1/rollback", &request)?;
    print_one(args.output, &done, || {
        let RolledBack { generation, from, micros } = &done;
        format!(
            "generation {generation} is in force again, in place of {from} ({:.1} ms)\n",
            *micros as f64 / 1e3
        )
    })
}

/// List the generations that are remembered
#[derive(Debug, Args)]
pub(super) struct GenerationsArgs {
    #[command(flatten)]
    read: super::Read,
}

pub(super) fn generations(args: &GenerationsArgs) -> anyhow::Result<()> {
    let list: Vec<crate::control::types::GenerationStatus> = args.read.client().get("/v1/generations")?;
    super::output::print_list(args.read.output, &list, || {
        let mut table = Table::new([
            ("GENERATION", Align::Right),
            ("STATUS", Align::Left),
            ("MADE", Align::Left),
            ("BY", Align::Left),
            ("ACTION", Align::Left),
            ("POLICY", Align::Left),
            ("KEYS", Align::Right),
            ("SHARDS", Align::Right),
            ("DIGEST", Align::Left),
        ]);
        for it in &list {
            table.row([
                it.number.to_string(),
                it.why.as_ref().map_or_else(|| it.status.clone(), |why| format!("{}: {why}", it.status)),
                it.made_at.to_string(),
                it.by.to_string(),
                it.action.clone(),
                it.policy.clone(),
                it.keys.to_string(),
                it.shards.to_string(),
                it.digest.chars().take(12).collect(),
            ]);
        }
        table.render()
    })
}
