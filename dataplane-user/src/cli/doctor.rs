//! `keysteer doctor`

use std::path::PathBuf;

use clap::Args;

use super::error::safe;
use super::output::{Align, Format, Table, print_list};
use crate::doctor::{self, Check, State};
use crate::kernel::pins::DEFAULT_DIRECTORY as DEFAULT_PINS;
use crate::policy;
use crate::state::DEFAULT_DIRECTORY;

/// Check what a policy asks of this host
///
/// Looks at the kernel, at the interfaces that are steered and that shards are reached by, and at
/// the settings that answers depend on, each only where the policy makes it matter, and says what
/// to do. Without --policy it takes the policy in force, or checks the host alone. Nothing is
/// changed, and no agent has to run. The exit code is 1 if a check failed.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct DoctorArgs {
    /// Check what this policy asks, in place of the one in force
    #[arg(long, value_name = "FILE", conflicts_with = "state_dir")]
    policy: Option<PathBuf>,
    /// Where the agent's records are, with the policy in force
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIRECTORY)]
    state_dir: PathBuf,
    /// Where the agent pins
    #[arg(long, value_name = "DIR", default_value = DEFAULT_PINS)]
    bpffs: PathBuf,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) fn run(args: &DoctorArgs) -> anyhow::Result<()> {
    let checks = match &args.policy {
        Some(file) => doctor::examine(&policy::load(file)?, &args.bpffs),
        None => doctor::examine_in_force(&args.state_dir, &args.bpffs),
    };
    let checks = checks
        .map_err(|error| anyhow::anyhow!("cannot list this host's interfaces: {error}; try as root"))?;
    print_list(args.output, &checks, || safe(&render(&checks)))?;
    let failed: Vec<&str> =
        checks.iter().filter(|it| it.state == State::Failed).map(|it| it.place.as_str()).collect();
    match failed.len() {
        0 => Ok(()),
        1 => anyhow::bail!("a check failed ({}): do what is said there, and look again", failed.join(", ")),
        many => {
            anyhow::bail!(
                "{many} checks failed ({}): do what is said there, and look again",
                failed.join(", ")
            )
        }
    }
}

fn render(checks: &[Check]) -> String {
    let mut table = Table::new([
        ("STATE", Align::Left),
        ("CHECK", Align::Left),
        ("PLACE", Align::Left),
        ("FINDING", Align::Left),
    ]);
    for check in checks {
        let next = check.next.as_ref().map(|next| format!("; {next}")).unwrap_or_default();
        table.row([
            check.state.name().to_owned(),
            check.id.to_owned(),
            check.place.clone(),
            format!("{}{next}", check.finding),
        ]);
    }
    table.render()
}
