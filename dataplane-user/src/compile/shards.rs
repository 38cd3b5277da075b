//! Shards to what reaches them on this host: interface indices and MAC addresses, CPUs.

use keysteer_common::tables::{ShardEntry, exit, target};

use super::{CompileError, Host};
use crate::kernel::interfaces::Interface;
use crate::policy::{Diagnostic, Place, Policy, Shard, Target};
use crate::state::ShardIds;

/// The indices of the policy's shards, which each has for ever: counters and operators' words are kept by them.
pub(super) fn indices(policy: &Policy, ids: &mut ShardIds) -> Result<Vec<u16>, CompileError> {
    let mut index = |shard: &Shard| {
        let none = || CompileError::ShardIndices { shard: shard.name.clone(), most: u16::MAX };
        ids.index(&shard.name).ok_or_else(none)
    };
    policy.shards.iter().map(&mut index).collect()
}

/// The shards by index, and whether the host has everything that the policy names. At an index of a shard that the
/// policy does not have there is nothing.
pub(super) fn compile(
    policy: &Policy,
    host: Host<'_>,
    indices: &[u16],
) -> Result<Vec<ShardEntry>, CompileError> {
    let mut missing = Missing { policy, host, found: Vec::new() };
    for (index, interface) in policy.interfaces.iter().enumerate() {
        if host.interfaces.find(&interface.name).is_none() {
            missing.interface(&interface.name, interface.at, format!("spec.interfaces[{index}].name"));
        }
    }
    for (index, leaving) in policy.egress.iter().flat_map(|egress| &egress.interfaces).enumerate() {
        if host.interfaces.find(&leaving.name).is_none() {
            missing.interface(&leaving.name, leaving.at, format!("spec.egress.interfaces[{index}]"));
        }
    }
    let length = indices.iter().max().map_or(0, |most| usize::from(*most) + 1);
    let mut entries = vec![ShardEntry::default(); length];
    for ((index, shard), to) in policy.shards.iter().enumerate().zip(indices) {
        let path = |field: &str| format!("spec.shards[{index}].target.{field}");
        let entry = match &shard.target {
            Target::Pass => ShardEntry { target: target::PASS, ..ShardEntry::default() },
            Target::Drop => ShardEntry { target: target::DROP, ..ShardEntry::default() },
            Target::Cpu(cpu) => {
                if !host.cpus.contains(cpu) {
                    missing.cpu(*cpu, shard.at, path("cpu"));
                }
                ShardEntry { target: target::CPU, port: *cpu, ..ShardEntry::default() }
            }
            Target::Interface { interface, mac, nat } => {
                let mut entry =
                    missing.exit(target::INTERFACE, interface, *mac, shard.at, &path("interface.name"));
                if nat.is_some() {
                    entry.exit |= exit::NAT;
                }
                entry
            }
            Target::NextHop { interface, mac } => {
                missing.exit(target::NEXT_HOP, interface, *mac, shard.at, &path("nextHop.interface"))
            }
        };
        if let Some(to) = entries.get_mut(usize::from(*to)) {
            *to = entry;
        }
    }
    if missing.found.is_empty() { Ok(entries) } else { Err(CompileError::Host(missing.found)) }
}

/// Bytes of the longest frame that the kernel sends by an interface: its MTU, the Ethernet header and one tag (`is_skb_forwardable`,
/// `xdp_ok_fwd_dev`).
fn most(interface: &Interface) -> u32 {
    match interface.mtu {
        0 => 0,
        mtu => mtu.saturating_add(14 + 4),
    }
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
            most: most(interface),
            exit: if interface.peer_elsewhere { exit::PEER } else { 0 },
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
