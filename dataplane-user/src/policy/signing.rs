//! What a policy says of signed keys, checked. The secrets themselves are not in it: their files are read by the agent.

use std::path::PathBuf;

use super::diagnostic::Place;

/// How signed keys are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signing {
    /// One secret or two, of different ids and files.
    pub secrets: Vec<SigningSecret>,
    /// Prefix lengths of the source that a shim is bound to, for IPv4 and IPv6, where it must be bound to one.
    pub source: Option<(u8, u8)>,
    /// Whether a shim must be bound to its destination.
    pub destination: bool,
}

/// A secret, by where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningSecret {
    /// Its public id.
    pub id: u8,
    /// The file that holds it: an absolute path.
    pub file: PathBuf,
    /// Where the policy names it.
    pub at: Place,
}
