//! Who is at the other end of the local socket, as the kernel says.

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

use crate::state::Who;

/// A peer; nobody where the kernel does not say, who may then only read.
#[derive(Clone, Debug)]
pub struct Peer(Option<Who>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let credentials = stream.io().peer_cred();
        Self(credentials.ok().map(|peer| {
            Who::peer(peer.uid(), peer.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0))
        }))
    }
}

impl Peer {
    /// Who it is, if changes may be asked for by it: root, or the user that the agent runs as.
    pub fn operator(&self) -> Option<&Who> {
        let own = nix::unistd::Uid::effective().as_raw();
        self.0.as_ref().filter(|who| who.uid == 0 || who.uid == own)
    }
}
