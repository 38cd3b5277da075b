//! `keysteer agent`

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::log::LogFormat;
use crate::agent::{self, DEFAULT_TOP_KEYS, Options};
use crate::control::types::DEFAULT_SOCKET;
use crate::state::DEFAULT_DIRECTORY;
use crate::telemetry::server::DEFAULT_ADDRESS;

/// Steer by a policy until stopped
///
/// Loads the policy into the kernel, attaches to its interfaces, and serves metrics and the local
/// API. SIGTERM and SIGINT detach cleanly. Needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.
/// If anything fails on the way, nothing is left attached.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct AgentArgs {
    /// The policy file
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Where secrets and key ids are kept
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIRECTORY)]
    state_dir: PathBuf,
    /// Where the local API is served
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
    /// Where /metrics is served
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_ADDRESS)]
    metrics_address: SocketAddr,
    /// How many of the busiest keys get metrics of their own
    ///
    /// With no more keys than this each has its own. Otherwise the busiest have (up to twice as
    /// many are kept, so that series do not come and go), and the rest is summed up as
    /// `scope="other"`. `keysteer key list` is exact for every key regardless.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_TOP_KEYS, verbatim_doc_comment)]
    top_keys: usize,
    /// How the log is written
    ///
    /// With json, everything on stderr is one JSON object a line: the log, and what is said
    /// beside it (that the agent is ready, warnings, why it ends).
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t, verbatim_doc_comment)]
    log_format: LogFormat,
}

impl AgentArgs {
    pub(super) fn log_format(&self) -> LogFormat {
        self.log_format
    }
}

pub(super) fn run(args: &AgentArgs) -> anyhow::Result<()> {
    agent::run(&Options {
        policy: args.policy.clone(),
        state_dir: args.state_dir.clone(),
        socket: args.socket.clone(),
        metrics_address: args.metrics_address,
        top_keys: args.top_keys,
    })?;
    Ok(())
}
