//! `keysteer agent`

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::log::LogFormat;
use crate::agent::{self, DEFAULT_TOP_KEYS, Options};
use crate::control::types::DEFAULT_SOCKET;
use crate::kernel::cleanup;
use crate::kernel::pins::DEFAULT_DIRECTORY as DEFAULT_PINS;
use crate::messages::say;
use crate::state::DEFAULT_DIRECTORY;
use crate::telemetry::server::DEFAULT_ADDRESS;

/// Steer by a policy until stopped
///
/// Loads the policy into the kernel, attaches to its interfaces, and serves metrics and the local
/// API; or takes over what an agent before it left, without losing a packet. The policy file is
/// followed: a change of it is applied, unless it is not valid; SIGHUP has it read at once.
///
/// When the agent ends, by SIGTERM, SIGINT or a crash, steering goes on. --detach-on-exit ends it
/// with the agent, and --cleanup ends what an agent left. Needs root, or CAP_BPF, CAP_NET_ADMIN and
/// CAP_PERFMON, and a BPF file system.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct AgentArgs {
    /// The policy file, or the folder that holds it
    #[arg(long, value_name = "FILE", required_unless_present = "cleanup")]
    policy: Option<PathBuf>,
    /// Where ids, generations, operators' words and the audit log are kept
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIRECTORY)]
    state_dir: PathBuf,
    /// Where the local API is served
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
    /// Where /metrics is served
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_ADDRESS)]
    metrics_address: SocketAddr,
    /// Where programs, maps and links are pinned, on a BPF file system
    #[arg(long, value_name = "DIR", default_value = DEFAULT_PINS)]
    bpffs: PathBuf,
    /// End steering when the agent ends
    #[arg(long, conflicts_with = "cleanup")]
    detach_on_exit: bool,
    /// End steering and remove all that is pinned, then exit; also after a crash
    #[arg(long)]
    cleanup: bool,
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
    let Some(policy) = args.policy.clone().filter(|_| !args.cleanup) else {
        let links = cleanup(&args.bpffs)?;
        say(&match links {
            0 => format!("nothing was attached; {} is clean", args.bpffs.display()),
            1 => "detached from 1 interface; nothing is pinned any more".to_owned(),
            many => format!("detached from {many} interfaces; nothing is pinned any more"),
        });
        return Ok(());
    };
    agent::run(&Options {
        policy,
        state_dir: args.state_dir.clone(),
        socket: args.socket.clone(),
        metrics_address: args.metrics_address,
        top_keys: args.top_keys,
        pins: args.bpffs.clone(),
        detach_on_exit: args.detach_on_exit,
    })?;
    Ok(())
}
