//! What is constant while one policy is in force.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::control::types::{InterfaceStatus, PolicyStatus};
use crate::image::{Image, Names};

/// This agent's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The names of what is counted, and where and since when.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Names behind the numbers of the counters.
    pub names: Names,
    /// Schema version.
    pub schema: u32,
    /// The policy's file.
    pub file: String,
    /// When steering began, in seconds since 1970.
    pub since: u64,
    /// Where the program is attached.
    pub interfaces: Vec<InterfaceStatus>,
}

impl Node {
    /// The node on which `image`, compiled from `file`, was just attached to `interfaces`. The tables
    /// are let go: the kernel has its copy.
    pub fn new(image: Image, file: String, interfaces: Vec<InterfaceStatus>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { schema: image.config.schema, names: image.names, file, since, interfaces }
    }

    /// `steer` or `observe`.
    pub fn mode(&self) -> &'static str {
        if self.names.observe { "observe" } else { "steer" }
    }

    /// The policy in force.
    pub fn policy(&self) -> PolicyStatus {
        PolicyStatus {
            name: self.names.policy.clone(),
            file: self.file.clone(),
            environment: self.names.environment.clone(),
            mode: self.mode().to_owned(),
            schema: self.schema,
            keys: self.names.keys.len(),
            shards: self.names.shards.len(),
        }
    }
}
