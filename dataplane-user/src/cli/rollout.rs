//! `keysteer rollout`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Read;
use super::output::{Align, Format, Table, print_one};
use crate::control::client::Client;
use crate::control::types::{DEFAULT_SOCKET, Promote, Promoted, RolloutStatus, Status};

/// Show a change that is made in steps, or have its next step come
#[derive(Debug, Args)]
pub(super) struct RolloutArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show which keys have moved, and what was counted of them
    Show {
        #[command(flatten)]
        read: Read,
    },
    /// Have the next step come before its time
    ///
    /// What was counted so far is not judged any more. `keysteer rollback` takes the change back
    /// instead.
    #[command(verbatim_doc_comment)]
    Promote {
        /// All keys that have not moved, and no further steps
        #[arg(long)]
        all: bool,
        /// How to show what was done
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
        /// The agent's socket
        #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
        socket: PathBuf,
    },
}

pub(super) fn run(args: &RolloutArgs) -> anyhow::Result<()> {
    match &args.verb {
        Verb::Show { read } => {
            let status: Status = read.client().get("/v1/status")?;
            print_one(read.output, &status.rollout, || {
                status.rollout.as_ref().map_or_else(|| "no change is made in steps\n".to_owned(), render)
            })
        }
        Verb::Promote { all, output, socket } => {
            let done: Promoted = Client::new(socket).post("/v1/rollout/promote", &Promote { all: *all })?;
            print_one(*output, &done, || match done.step {
                Some(step) => {
                    format!("generation {}: step {step} of {} has come\n", done.generation, done.steps)
                }
                None => format!("generation {}: all keys move\n", done.generation),
            })
        }
    }
}

fn render(it: &RolloutStatus) -> String {
    let mut facts = Table::new([("", Align::Left), ("", Align::Left)]);
    let mut fact = |name: &str, value: String| facts.row([name.to_owned(), value]);
    fact("generation", it.generation.to_string());
    fact("step", format!("{} of {}: {}, since {}", it.step, it.steps, it.cohort, it.since));
    fact("watched for", format!("{} s more", it.seconds_left));
    fact("keys", format!("{} have moved, {} are held", it.moved, it.held));
    fact(
        "flows",
        format!("{} opened, {} not answered, {} late, {} reset", it.flows, it.failed, it.slow, it.resets),
    );
    fact("packets", format!("{}, {} dropped", it.packets, it.dropped));
    fact("shards", format!("{} down that were not", it.shards_down));
    facts.render()
}

/// How far it is, in a line.
pub(super) fn far(it: &RolloutStatus) -> String {
    format!(
        "step {} of {} ({}), {} s more; {} keys have moved, {} are held; of {} flows {} failed, {} were slow",
        it.step, it.steps, it.cohort, it.seconds_left, it.moved, it.held, it.flows, it.failed, it.slow
    )
}
