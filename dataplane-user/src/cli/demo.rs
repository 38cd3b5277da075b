//! `keysteer demo`

use clap::Args;

use crate::demo::{self, DemoError, Options};

/// Show the main job on real traffic, and prove it
///
/// Builds a small world of network namespaces: a client host with addresses in several tenants'
/// prefixes, a steering node, and three shard hosts with real echo servers. Real sockets talk for
/// some seconds; at the end it proves that every answer came from the right shard and that the
/// counters are exact. Leaves nothing behind. Needs root.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct DemoArgs {
    /// Leave the world up, with the agent running, and say what to try
    #[arg(long)]
    keep: bool,
    /// How long the sockets talk
    #[arg(long, value_name = "N", default_value_t = 5)]
    seconds: u64,
    /// How the node's interface is steered, as the policy has it
    ///
    /// mixed: IPv4 by an interface in native mode, IPv6 by another in tc mode
    #[arg(long, value_name = "MODE", default_value = "auto", value_parser = ["auto", "native", "generic", "tc", "mixed"])]
    mode: String,
    /// Plant a wrong table entry, which the proof must find: a test of the test.
    #[arg(long, hide = true)]
    plant_wrong_slot: bool,
}

pub(super) fn run(args: &DemoArgs) -> anyhow::Result<()> {
    demo::run(&Options {
        keep: args.keep,
        seconds: args.seconds,
        mode: args.mode.clone(),
        plant_wrong_slot: args.plant_wrong_slot,
    })?;
    Ok(())
}

/// The exit code of a demo that failed: it tells an interruption from a failure.
pub(super) fn exit_code(error: &anyhow::Error) -> Option<u8> {
    error.downcast_ref().map(DemoError::exit_code)
}
