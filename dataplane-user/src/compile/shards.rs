//! Shards to what reaches them on this host: interface indices and MAC addresses, CPUs.

use keysteer_common::tables::{ShardEntry, target};

use super::{CompileError, Host};
use crate::policy::{Diagnostic, Place, Policy, Target};

/// The shards, and whether the host has everything that the policy names.
pub(super) fn compile(policy: &Policy, host: Host<'_>) -> Result<Vec<ShardEntry>, CompileError> {
    let mut missing = Missing { policy, host, found: Vec::new() };
    for (index, interface) in policy.interfaces.iter().enumerate() {
        if host.interfaces.find(&interface.name).is_none() {
            missing.interface(&interface.name, interface.at, format!("spec.interfaces[{index}].name"));
        }
    }
    let mut entries = Vec::with_capacity(policy.shards.len());
    for (index, shard) in policy.shards.iter().enumerate() {
        let path = |field: &str| format!("spec.shards[{index}].target.{field}");
        entries.push(match &shard.target {
            Target::Pass => ShardEntry { target: target::PASS, ..ShardEntry::default() },
            Target::Drop => ShardEntry { target: target::DROP, ..ShardEntry::default() },
            Target::Cpu(cpu) => {
                if !host.cpus.contains(cpu) {
                    missing.cpu(*cpu, shard.at, path("cpu"));
                }
                ShardEntry { target: target::CPU, port: *cpu, ..ShardEntry::default() }
            }
            Target::Interface { interface, mac } => {
                missing.exit(target::INTERFACE, interface, *mac, shard.at, &path("interface.name"))
            }
            Target::NextHop { interface, mac } => {
                missing.exit(target::NEXT_HOP, interface, *mac, shard.at, &path("nextHop.interface"))
            }
        });
    }
    if missing.found.is_empty() { Ok(entries) } else { Err(CompileError::Host(missing.found)) }
}

/// What the host lacks.
struct Missing<'a> {
    policy: &'a Policy,
    host: Host<'a>,
    found: Vec<Diagnostic>,
}

impl Missing<'_> {
    fn exit(&mut self, target: u32, name: &str, mac: [u8; 6], at: Place, field: &str) -> ShardEntry {
        let Some(interface) = self.host.interfaces.find(name) else {
            self.interface(name, at, field.to_owned());
            return ShardEntry::default();
        };
        ShardEntry {
            target,
            port: interface.index,
            destination: mac,
            source: interface.mac,
            ..ShardEntry::default()
        }
    }

    fn interface(&mut self, name: &str, at: Place, field: String) {
        let names = self.host.interfaces.names();
        self.add(at, field, format!("this host has no interface \"{name}\"; it has {}", names.join(", ")));
    }

    fn cpu(&mut self, cpu: u32, at: Place, field: String) {
        let cpus: Vec<String> = self.host.cpus.iter().map(u32::to_string).collect();
        self.add(at, field, format!("CPU {cpu} is not online here; online are {}", cpus.join(", ")));
    }

    fn add(&mut self, at: Place, field: String, message: String) {
        self.found.push(Diagnostic {
            file: self.policy.file.clone(),
            line: at.line,
            column: at.column,
            field,
            message,
            suggestion: None,
        });
    }
}
