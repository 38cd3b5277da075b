//! Worlds of network namespaces with real sockets, for the demo and for the kernel tests.
//!
//! ```text
//!  namespace  a network namespace held by a file descriptor; code is run inside it
//!  name       a name for one under /run/netns, for `ip netns exec` and `nsenter`
//!  link       veth pairs, addresses, routes, neighbours, statistics (rtnetlink)
//!  tune       sysctls and offloads
//!  capture    every frame that an interface sends or receives
//!  echo       servers that answer with their own name
//!  pinboard   a BPF file system for what an agent pins
//!  client     sockets bound to a source address, a port and a DSCP
//! ```
//!
//! Nothing here needs a binary of the system: a world is made of system calls alone. A namespace lives
//! as long as somebody holds it, and only this process and its children do, so a world vanishes with
//! them, also after `kill -9`.

pub mod capture;
pub mod client;
pub mod echo;
pub mod link;
pub mod name;
pub mod namespace;
mod packet;
pub mod pinboard;
pub mod tune;

pub use capture::{Capture, Captured, Direction};
pub use client::{Bound, Connection, Transport};
pub use echo::Echo;
pub use link::{End, Statistics, veth};
pub use name::Name;
pub use namespace::Namespace;
pub use pinboard::Pinboard;

use std::fmt::Display;
use std::io;

/// A world could not be built or observed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation}: {cause}{}", advice(cause))]
pub struct WorldError {
    /// What was tried, as the words after "cannot".
    pub operation: String,
    /// The system's answer.
    #[source]
    pub cause: io::Error,
}

impl WorldError {
    /// An error of `operation`, for `map_err`.
    pub fn at<E: Into<io::Error>>(operation: impl Display) -> impl FnOnce(E) -> Self {
        move |cause| Self { operation: operation.to_string(), cause: cause.into() }
    }
}

/// What to try next, where the cause has an answer.
fn advice(cause: &io::Error) -> &'static str {
    if cause.kind() == io::ErrorKind::PermissionDenied {
        "; worlds of network namespaces need root (CAP_SYS_ADMIN and CAP_NET_ADMIN)"
    } else {
        ""
    }
}
