//! The local API: JSON over HTTP on a Unix socket (mode 0600), so that curl works too. Its types live
//! once, in [`types`]; the agent's [`server`] fills them and the command line's [`client`] reads them.

pub mod changes;
pub mod claims;
pub mod client;
mod health;
pub mod peer;
pub mod pools;
mod reveal;
pub mod rollout;
pub mod server;
pub mod socket;
pub mod types;
pub mod view;
