//! The host that a policy asks for, whatever this machine is: so that a policy can be tried before it exists
//! anywhere.

use std::collections::BTreeSet;

use keysteer_common::config::Config;
use keysteer_common::tables::{ShardEntry, target};

use super::Host;
use crate::kernel::interfaces::{Interface, Interfaces};
use crate::policy::{Policy, Target};

/// Every interface and CPU that a policy names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imagined {
    /// The interfaces, numbered from 2 (1 is the loopback's), without hardware addresses.
    pub interfaces: Interfaces,
    /// The CPUs.
    pub cpus: Vec<u32>,
}

impl Imagined {
    /// The host that `policy` asks for.
    pub fn of(policy: &Policy) -> Self {
        let mut names: Vec<&str> =
            policy.interfaces.iter().map(|interface| interface.name.as_str()).collect();
        for leaving in policy.egress.iter().flat_map(|egress| &egress.interfaces) {
            if !names.contains(&leaving.name.as_str()) {
                names.push(&leaving.name);
            }
        }
        let mut cpus = BTreeSet::new();
        for shard in &policy.shards {
            match &shard.target {
                Target::Interface { interface, .. } | Target::NextHop { interface, .. } => {
                    if !names.contains(&interface.as_str()) {
                        names.push(interface);
                    }
                }
                Target::Cpu(cpu) => {
                    cpus.insert(*cpu);
                }
                Target::Pass | Target::Drop => {}
            }
        }
        let interface = |(name, index): (&str, u32)| Interface::new(name, index, [0; 6]);
        Self {
            interfaces: Interfaces(names.into_iter().zip(2..).map(interface).collect()),
            cpus: cpus.into_iter().collect(),
        }
    }

    /// The same, to compile for.
    pub fn host(&self) -> Host<'_> {
        Host { interfaces: &self.interfaces, cpus: &self.cpus }
    }
}

/// The loopback interface, which every network namespace has, and which a test run arrives on.
pub const LOOPBACK: u32 = 1;

/// Gives shards exits that any host has, so that the kernel takes their policy for test runs: the loopback, and a CPU that
/// is online here.
pub fn reachable(shards: &mut [ShardEntry], cpu: u32) {
    for shard in shards {
        match shard.target {
            target::INTERFACE | target::NEXT_HOP => shard.port = LOOPBACK,
            target::CPU => shard.port = cpu,
            _ => {}
        }
    }
}

/// Has what is said of interface `index` hold wherever a test run arrives.
pub fn arrive(config: &mut Config, index: u32) {
    let rules = config.interfaces.get(1..config.interfaces_len as usize).unwrap_or_default();
    if let Some(rule) = rules.iter().rfind(|rule| rule.index == index).copied() {
        config.interfaces[0] = rule;
    }
    config.interfaces_len = config.interfaces_len.min(1);
}
