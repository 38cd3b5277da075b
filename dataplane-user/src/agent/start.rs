//! From a policy file to a program that steers, in an order in which every failure leaves nothing.

use std::net::TcpListener;
use std::sync::Arc;

use super::error::AgentError;
use super::node::Node;
use super::platform::{Plane, Platform};
use super::state::StateDirectory;
use super::{Options, audit};
use crate::control::socket::Socket;
use crate::control::types::InterfaceStatus;
use crate::messages::{say, warn};
use crate::state::{KeyIds, Secrets};

/// An agent that steers and does not serve yet. Fields are dropped in this order: steering ends before
/// the socket's file goes, and the state is let go last.
pub struct Started {
    /// The program.
    pub attached: Attached,
    /// What is constant while it steers.
    pub node: Arc<Node>,
    /// The control socket.
    pub socket: Socket,
    /// The metrics port.
    pub metrics: TcpListener,
    /// The state directory, so that no second agent uses it meanwhile.
    pub state: StateDirectory,
}

/// A program that is detached on drop, on whatever way out.
pub struct Attached(pub Arc<dyn Plane>);

impl Drop for Attached {
    fn drop(&mut self) {
        self.0.detach();
    }
}

/// Starts steering.
///
/// # Errors
/// Anything that stands in the way; nothing is attached then.
pub fn start<P: Platform>(options: &Options, platform: &P) -> Result<Started, AgentError> {
    let (policy, warnings) = platform.policy(&options.policy).map_err(AgentError::Policy)?;
    for warning in warnings {
        warn(&warning);
    }
    let state = StateDirectory::open(&options.state_dir)?;
    let secrets = Secrets::open(state.path())?;
    let mut ids = KeyIds::open(state.path())?;
    let before = audit::in_force(state.path())?;

    let socket = Socket::bind(&options.socket)?;
    let address = options.metrics_address;
    let metrics = TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|cause| AgentError::Metrics { address, cause })?;

    let image = platform.compile(&policy, &secrets, &mut ids).map_err(AgentError::Compile)?;
    let attached = Attached(platform.load(&policy, &image).map_err(AgentError::Load)?);
    let mut interfaces = Vec::new();
    for interface in &image.names.interfaces {
        interfaces.push(attached.0.attach(interface).map_err(AgentError::Attach)?);
    }
    // Saved once all went well, and before the counters of a new id can be read by anybody.
    ids.save(state.path())?;
    let changes = audit::changes(&before, &image.names);
    audit::save(state.path(), &image.names)?;

    interfaces.iter().for_each(|status| say(&line(status)));
    let node = Arc::new(Node::new(image, options.policy.display().to_string(), interfaces));
    audit::report(&node, &changes, &ids);
    Ok(Started { attached, node, socket, metrics, state })
}

/// What is said of an interface.
fn line(status: &InterfaceStatus) -> String {
    let InterfaceStatus { name, mode, .. } = status;
    match &status.fallback {
        Some(why) => format!("{name}: attached in {mode} mode (not native: {why})"),
        None => format!("{name}: attached in {mode} mode"),
    }
}

#[cfg(test)]
#[path = "start_tests.rs"]
mod tests;
