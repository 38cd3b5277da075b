//! What is constant while one policy is in force.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use keysteer_common::tables::{ShardEntry, target};

use crate::control::types::{InterfaceStatus, PolicyStatus, SchemaStatus};
use crate::explain::Generation;
use crate::image::{Image, Names};
use crate::kernel::interfaces::Interfaces;
use crate::placement::Placement;

/// This agent's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The names of what is counted, and where and since when.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// The generation's number.
    pub generation: u64,
    /// Digest of its policy.
    pub digest: String,
    /// The tables that it is compiled to.
    pub placement: Arc<Placement>,
    /// Names behind the numbers of the counters.
    pub names: Names,
    /// Version of the first schema.
    pub schema: u32,
    /// The policy's file.
    pub file: String,
    /// When steering began, in seconds since 1970.
    pub since: u64,
    /// Where the program is attached.
    pub interfaces: Vec<InterfaceStatus>,
    /// Where what leaves is seen.
    pub back: Vec<String>,
}

impl Node {
    /// The node on which `image`, compiled from `file`, was just attached to `interfaces`. The tables
    /// are let go: the kernel has its copy.
    pub fn new(image: Image, file: String, interfaces: Vec<InterfaceStatus>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self {
            generation: 0,
            digest: String::new(),
            placement: Arc::default(),
            schema: image.names.first_version().into(),
            names: image.names,
            file,
            since,
            interfaces,
            back: Vec::new(),
        }
    }

    /// What frames are explained by: the tables in force, where this host has `interfaces` now. The kernel takes a
    /// shard's exit out of its map when the interface goes; one that comes back under the same name is another.
    pub fn generation<'a>(&'a self, tables: &'a Image, interfaces: &Interfaces) -> Generation<'a> {
        let has_gone = |shard: &ShardEntry| {
            matches!(shard.target, target::INTERFACE | target::NEXT_HOP)
                && interfaces.0.iter().all(|interface| interface.index != shard.port)
        };
        let lost = (0_u16..).zip(&tables.shards).filter(|(_, shard)| has_gone(shard));
        Generation {
            image: tables,
            names: &self.names,
            policy: self.policy(),
            live: true,
            lost: lost.map(|(index, _)| index).collect(),
            assumed: Vec::new(),
            veil: self.names.veil,
        }
    }

    /// `steer` or `observe`.
    pub fn mode(&self) -> &'static str {
        self.names.mode()
    }

    /// The policy in force.
    pub fn policy(&self) -> PolicyStatus {
        PolicyStatus {
            name: self.names.policy.clone(),
            file: self.file.clone(),
            trouble: None,
            generation: self.generation,
            digest: self.digest.clone(),
            environment: self.names.environment.clone(),
            mode: self.mode().to_owned(),
            schema: self.schema,
            schemas: self.names.schemas.iter().map(SchemaStatus::of).collect(),
            keys: self.names.keys.len(),
            shards: self.names.policy_shards().count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::interfaces::Interface;

    #[test]
    fn an_exit_has_gone_with_its_interface_also_when_another_took_its_name() {
        let shard = |target, port| ShardEntry { target, port, ..ShardEntry::default() };
        let image = Image {
            shards: vec![
                shard(target::INTERFACE, 7),
                shard(target::NEXT_HOP, 8),
                shard(target::CPU, 9),
                shard(target::PASS, 0),
            ],
            ..Image::default()
        };
        let node = Node::default();
        let here = |indices: &[u32]| {
            let interface = |index: &u32| Interface::new("veth-a", *index, [0; 6]);
            Interfaces(indices.iter().map(interface).collect())
        };
        assert_eq!(node.generation(&image, &here(&[7, 8])).lost, [0; 0]);
        assert_eq!(node.generation(&image, &here(&[17, 8])).lost, [0]);
        assert_eq!(node.generation(&image, &here(&[])).lost, [0, 1]);
    }
}
