//! The long-running process: from a policy file to a steering node, and back.
//!
//! ```text
//!  privilege ─> policy ─> state ─> socket and port ─> compile ─> load ─> attach ─> save ids ─> serve
//! ```
//! Invariant: whatever fails on the way leaves nothing attached and nothing behind. What others could
//! refuse (the socket, the port) is therefore taken before the first packet is touched.

pub mod audit;
pub mod error;
pub mod kernel;
pub mod memory;
pub mod meter;
pub mod node;
pub mod platform;
pub mod privilege;
pub mod serve;
pub mod start;
pub mod state;

#[cfg(test)]
pub(crate) mod fake;

pub use error::AgentError;

use std::net::SocketAddr;
use std::path::PathBuf;

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
}

/// Runs the agent until SIGTERM or SIGINT.
///
/// # Errors
/// It cannot start, or cannot serve; nothing is attached then.
pub fn run(options: &Options) -> Result<(), AgentError> {
    memory::be_sparing();
    privilege::check()?;
    // Signals are taken over before anything is attached: one that comes during the start is obeyed
    // after it, cleanly.
    let runtime = serve::Runtime::new()?;
    let started = start::start(options, &kernel::Kernel)?;
    memory::give_back();
    runtime.serve(started, options)
}
