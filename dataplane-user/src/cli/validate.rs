//! `keysteer validate`

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::error::safe;
use super::output;
use crate::policy;

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
}

pub(super) fn run(args: &ValidateArgs) -> anyhow::Result<()> {
    let mut invalid = 0;
    for file in &args.files {
        match policy::load(file) {
            Ok(policy) => {
                policy
                    .warnings
                    .iter()
                    .for_each(|warning| eprintln!("warning: {}", safe(&warning.to_string())));
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
