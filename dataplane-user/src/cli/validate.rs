//! `keysteer validate`

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::error::safe;
use super::output;
use crate::policy::{self, Diagnostic, Policy, versions};
use crate::state::Timestamp;

/// Check policy files
///
/// Lists every problem of every file with its line, column and field, and what to write instead.
/// Needs no privilege and touches nothing; whether this host has the interfaces is only known to
/// the agent.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct ValidateArgs {
    /// The policy files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The policy before them: one that drops a version of the schema too early is refused
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
}

/// What is wrong with a policy that comes after another.
fn after(previous: &Policy, policy: &Policy, now: Timestamp) -> Vec<Diagnostic> {
    let at = policy.schemas.first().map(|schema| schema.at).unwrap_or_default();
    let early = versions::too_early(previous, policy, now).into_iter();
    early
        .map(|early| Diagnostic {
            file: policy.file.clone(),
            line: at.line,
            column: at.column,
            field: "spec.schemas".to_owned(),
            message: format!("{}; {}", early.message, early.next),
            suggestion: None,
        })
        .collect()
}

pub(super) fn run(args: &ValidateArgs) -> anyhow::Result<()> {
    let mut invalid = 0;
    let now = Timestamp::now();
    let previous = match args.previous.as_deref().map(policy::load).transpose() {
        Ok(previous) => previous,
        Err(problems) => {
            eprintln!("{}", safe(&problems.to_string()));
            anyhow::bail!("the previous policy is not valid, so nothing can be compared with it");
        }
    };
    for file in &args.files {
        match policy::load(file) {
            Ok(policy) => {
                let overdue = versions::overdue(&policy, now);
                policy
                    .warnings
                    .iter()
                    .chain(&overdue)
                    .for_each(|warning| eprintln!("warning: {}", safe(&warning.to_string())));
                let early =
                    previous.as_ref().map(|previous| after(previous, &policy, now)).unwrap_or_default();
                if !early.is_empty() {
                    invalid += 1;
                    early.iter().for_each(|problem| eprintln!("{}", safe(&problem.to_string())));
                    continue;
                }
                output::finish(writeln!(output::stdout(), "{}: valid", file.display()))?;
            }
            Err(problems) => {
                invalid += 1;
                eprintln!("{}", safe(&problems.to_string()));
            }
        }
    }
    match (invalid, args.files.len()) {
        (0, _) => Ok(()),
        (_, 1) => anyhow::bail!("the policy is not valid; correct what is listed above"),
        (invalid, all) => {
            anyhow::bail!("{invalid} of {all} policies are not valid; correct what is listed above")
        }
    }
}
