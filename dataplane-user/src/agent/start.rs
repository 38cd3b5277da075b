//! From a command line to a node that is steered, in an order in which every failure leaves what was there.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use super::Options;
use super::error::AgentError;
use super::ground::Platform;
use super::meter::Source;
use super::state::StateDirectory;
use super::steward::{Begin, ChangeError, Steward};
use crate::control::socket::Socket;
use crate::control::types::InterfaceStatus;
use crate::messages::{say, warn};
use crate::policy::Bundle;

/// An agent that steers and does not serve yet. Fields are dropped in this order: the socket's file goes before the state is
/// let go.
pub struct Started {
    /// Who changes the node.
    pub steward: Arc<Steward>,
    /// The control socket.
    pub socket: Socket,
    /// The metrics port.
    pub metrics: TcpListener,
    /// What was wrong with the policy file, where another policy was in force already.
    pub trouble: Option<String>,
}

/// Starts steering, or goes on with it.
///
/// # Errors
/// Anything that stands in the way; nothing is attached then that was not before.
pub fn start(options: &Options, platform: Arc<dyn Platform>) -> Result<Started, AgentError> {
    let offered = Bundle::read(&options.policy).and_then(|bundle| {
        let policy = bundle.parse()?;
        policy.warnings.iter().for_each(|warning| warn(&warning.to_string()));
        Ok(bundle)
    });
    let offered = match offered {
        // Nothing was ever made here that could steer by another policy, and nothing is made for a broken one.
        Err(error) if !options.state_dir.exists() && !options.pins.exists() => {
            return Err(AgentError::Change(ChangeError::Invalid(error.to_string())));
        }
        offered => offered,
    };
    let state = StateDirectory::open(&options.state_dir)?;
    let socket = Socket::bind(&options.socket)?;
    let address = options.metrics_address;
    let metrics = TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|cause| AgentError::Metrics { address, cause })?;

    forget_keys_in_force(state.path());
    let ground = platform.open(&options.pins).map_err(AgentError::Load)?;
    let (steward, trouble) = Steward::begin(Begin {
        platform,
        state,
        ground,
        file: options.policy.clone(),
        offered: offered.map_err(|error| error.to_string()),
    })?;
    let node = steward.node();
    node.interfaces.iter().for_each(|status| say(&line(status)));
    if let Some(trouble) = &trouble {
        warn(&format!("the policy file is not in force: {trouble}"));
    }
    Ok(Started { steward: Arc::new(steward), socket, metrics, trouble })
}

/// Removes what an older keysteer kept of the keys in force. It hinders nobody where it cannot be.
fn forget_keys_in_force(state: &Path) {
    let _ = fs::remove_file(state.join("keys-in-force.json"));
}

/// What is said of an interface.
fn line(status: &InterfaceStatus) -> String {
    let InterfaceStatus { name, mode, .. } = status;
    let note = status.note.as_ref().map(|note| format!(", {note}")).unwrap_or_default();
    match &status.fallback {
        Some(why) => format!("{name}: attached in {mode} mode{note} (not native: {why})"),
        None => format!("{name}: attached in {mode} mode{note}"),
    }
}

#[cfg(test)]
#[path = "start_tests.rs"]
pub(crate) mod tests;
