//! The long-running process: from a policy file to a steering node, which goes on when the process ends.
//!
//! ```text
//!  privilege ─> policy ─> state ─> socket and port ─> what is pinned ─> take over, or apply ─> serve
//! ```
//! [`steward`] changes the node, [`ground`] is the kernel below it; [`watch`] follows the policy file. Invariant: a failure
//! at the start leaves what was there. What others could refuse (the socket, the port) is therefore taken before the
//! first packet is touched.

pub mod audit;
pub mod error;
pub mod ground;
pub mod health;
pub mod kernel;
pub mod memory;
pub mod meter;
pub mod node;
pub mod privilege;
mod probe;
pub mod rebuild;
pub mod road;
pub mod serve;
pub mod start;
pub mod state;
pub mod steward;
pub mod tags;
pub mod watch;

#[cfg(test)]
pub(crate) mod fake;

pub use error::AgentError;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// How many keys have series of their own, unless the command line says otherwise.
pub const DEFAULT_TOP_KEYS: usize = 1_000;

/// What the command line decides.
#[derive(Clone, Debug)]
pub struct Options {
    /// The policy file.
    pub policy: PathBuf,
    /// Where state is kept.
    pub state_dir: PathBuf,
    /// Where the local API is served.
    pub socket: PathBuf,
    /// Where metrics are served.
    pub metrics_address: SocketAddr,
    /// How many keys have series of their own.
    pub top_keys: usize,
    /// Where what outlives the agent is pinned.
    pub pins: PathBuf,
    /// Whether steering ends with the agent.
    pub detach_on_exit: bool,
}

/// Runs the agent until SIGTERM or SIGINT.
///
/// # Errors
/// It cannot start, or cannot serve; what was attached before still is.
pub fn run(options: &Options) -> Result<(), AgentError> {
    memory::be_sparing();
    privilege::check()?;
    // Signals are taken over before anything is attached: one that comes during the start is obeyed
    // after it, cleanly.
    let runtime = serve::Runtime::new()?;
    let started = start::start(options, Arc::new(kernel::Kernel))?;
    memory::give_back();
    runtime.serve(started, options)
}
