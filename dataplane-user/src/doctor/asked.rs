//! What a policy asks of the host.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::facts::{Facts, Known};
use super::report::Report;
use crate::agent::tags::{Stripper, reads_tags, stripper};
use crate::compile::{Device, devices};
use crate::kernel::Mode;
use crate::kernel::interfaces::Interface;
use crate::policy::{AttachMode, Policy, Shard, Target};

/// A policy on a host.
pub(super) struct Asked<'a> {
    pub(super) facts: &'a Facts,
    pub(super) policy: &'a Policy,
    /// Where it is steered.
    pub(super) devices: Vec<Device>,
}

/// An interface that shards are reached by.
#[derive(Debug, Default)]
pub(super) struct Exit<'a> {
    /// Names of the shards that are behind it, with it as their target.
    pub(super) pods: Vec<&'a str>,
    /// Names of the shards that a next hop behind it leads to, with its MAC address.
    pub(super) hops: Vec<(&'a str, [u8; 6])>,
}

impl<'a> Asked<'a> {
    /// Finds the devices, and says where they cannot be.
    pub(super) fn new(facts: &'a Facts, policy: &'a Policy, report: &mut Report) -> Self {
        let devices = devices(policy, &facts.interfaces).unwrap_or_else(|error| {
            report.fail("steering.device", "spec.interfaces", error.to_string(), "correct the policy");
            Vec::new()
        });
        Self { facts, policy, devices }
    }

    /// The shards that are used.
    fn shards(&self) -> impl Iterator<Item = &'a Shard> {
        let policy = self.policy;
        let used = |at: &usize| policy.pools.iter().any(|pool| pool.shards.contains(at));
        policy.shards.iter().enumerate().filter(move |(at, _)| used(at)).map(|(_, shard)| shard)
    }

    /// The interfaces that packets leave by, by name.
    pub(super) fn exits(&self) -> BTreeMap<&'a str, Exit<'a>> {
        let mut exits: BTreeMap<&str, Exit<'_>> = BTreeMap::new();
        for shard in self.shards() {
            match &shard.target {
                Target::Interface { interface, .. } => {
                    exits.entry(interface).or_default().pods.push(&shard.name);
                }
                Target::NextHop { interface, mac } => {
                    exits.entry(interface).or_default().hops.push((&shard.name, *mac));
                }
                Target::Pass | Target::Drop | Target::Cpu(_) => {}
            }
        }
        exits
    }

    /// Names of the shards that are this host.
    pub(super) fn here(&self) -> Vec<&'a str> {
        let here = self.shards().filter(|shard| matches!(shard.target, Target::Pass | Target::Cpu(_)));
        here.map(|shard| shard.name.as_str()).collect()
    }

    /// The service's addresses, as far as the scope names single ones.
    pub(super) fn service(&self) -> Vec<IpAddr> {
        let single =
            self.policy.scope.iter().filter(|it| it.prefix.prefix_len() == it.prefix.max_prefix_len());
        single.map(|it| it.prefix.addr()).collect()
    }

    /// Whether packets of IPv4, or of IPv6, are steered.
    pub(super) fn has_family(&self, ipv4: bool) -> bool {
        self.policy.scope.iter().any(|it| it.prefix.addr().is_ipv4() == ipv4)
    }

    /// The card that strips tags that the policy reads.
    pub(super) fn stripper(&self, device: &Interface) -> Option<Stripper> {
        let ask = |name: &str| {
            self.facts.features.get(name).cloned().ok_or_else(|| std::io::ErrorKind::NotFound.into())
        };
        stripper(&self.facts.interfaces, device, ask).filter(|_| reads_tags(self.policy))
    }

    /// Whether a driver can do something with XDP, as it says.
    pub(super) fn xdp<T>(
        &self,
        interface: &Interface,
        ask: impl Fn(crate::kernel::xdp_features::XdpFeatures) -> T,
    ) -> Known<T> {
        let all = self.facts.xdp.as_ref().map_err(Clone::clone)?;
        all.get(&interface.index).copied().map(ask).ok_or_else(|| "its driver does not say".to_owned())
    }

    /// How a device will be steered.
    pub(super) fn mode(&self, device: &Device) -> Known<Mode> {
        let without = if self.facts.tcx { Mode::Tc } else { Mode::Generic };
        Ok(match device.mode {
            AttachMode::Native => Mode::Native,
            AttachMode::Generic => Mode::Generic,
            AttachMode::Tc => Mode::Tc,
            AttachMode::Auto if self.stripper(&device.interface).is_some() => without,
            AttachMode::Auto if self.xdp(&device.interface, |xdp| xdp.runs)? => Mode::Native,
            AttachMode::Auto => without,
        })
    }

    /// A device that is, or may be, steered in its driver.
    pub(super) fn native(&self) -> Option<&Device> {
        self.devices.iter().find(|device| self.mode(device).is_ok_and(|mode| mode == Mode::Native))
    }
}

/// A sysctl, as `sysctl -w` takes it also where an interface's name has a dot.
pub(super) fn key(family: &str, interface: &str, name: &str) -> String {
    let between = if interface.contains('.') { '/' } else { '.' };
    ["net", family, "conf", interface, name].join(&between.to_string())
}
