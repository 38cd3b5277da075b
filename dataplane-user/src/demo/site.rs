//! The demo's world: a client host with many addresses, the steering node, three shard hosts.
//!
//! ```text
//!  client            node                     shards
//!  eth0 ──────── ks-client   ks-a ──────── eth0  a   lo: the service's addresses
//!  10.1.0.1 …    [ agent ]   ks-b ──────── eth0  b   lo: the same
//!                            ks-c ──────── eth0  c   lo: the same
//! ```
//! The node has no route to the service's addresses: what reaches a shard was steered there. Answers
//! are routed back. The client's link stays down until the agent steers, so that every frame that ever
//! left the client has met the program.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::tenants::{PORT, SERVICE, TENANTS, network};
use super::{DemoError, signals};
use crate::world::tune::Offload;
use crate::world::{Capture, Direction, Echo, End, Namespace, WorldError, veth};

/// The client's interface, and each shard's.
pub(super) const ETH0: &str = "eth0";
/// The node's interface towards the client.
pub(super) const CLIENT_PORT: &str = "ks-client";
/// How long a link may take to come up.
const LINK_PATIENCE: Duration = Duration::from_secs(10);

/// The shards, as the policy has them.
pub(super) const SHARDS: [ShardPlan; 3] = [
    ShardPlan { name: "a", port: "ks-a", last_octet: 0x0a },
    ShardPlan { name: "b", port: "ks-b", last_octet: 0x0b },
    ShardPlan { name: "c", port: "ks-c", last_octet: 0x0c },
];

/// What is fixed about a shard.
pub(super) struct ShardPlan {
    /// Its name, and its answer.
    pub(super) name: &'static str,
    /// The node's interface towards it.
    pub(super) port: &'static str,
    /// Of its MAC address.
    last_octet: u8,
}

/// A shard host.
pub(super) struct ShardHost {
    pub(super) plan: &'static ShardPlan,
    pub(super) host: Namespace,
    _echo: Echo,
}

/// The world.
pub(super) struct Site {
    pub(super) client: Namespace,
    pub(super) node: Namespace,
    pub(super) shards: Vec<ShardHost>,
}

/// Captures from the first frame on.
pub(super) struct Taps {
    /// Every frame that the client sends.
    pub(super) sent: Capture,
    /// Every frame that the node's own stack sends, and what TC redirects; what XDP redirects is not among them.
    pub(super) routed: Capture,
}

impl Site {
    /// Builds everything but the client's link.
    ///
    /// # Errors
    /// What the kernel refuses; what was built is gone then.
    pub(super) fn build() -> Result<(Self, Taps), DemoError> {
        let client = host("client")?;
        let node = host("node")?;
        for family in ["ipv4", "ipv6"] {
            node.sysctl(&format!("{family}/conf/all/forwarding"), "1")?;
        }
        unfiltered(&node)?;
        let sent = Capture::start(&client, Direction::Outgoing)?;
        let routed = Capture::start(&node, Direction::Outgoing)?;

        veth(
            End { namespace: &node, name: CLIENT_PORT, mac: [2, 0, 0, 0, 1, 0xc1] },
            End { namespace: &client, name: ETH0, mac: [2, 0, 0, 0, 0, 0xc1] },
        )?;
        client.offload(ETH0, Offload::TxChecksum, false)?;
        addresses(&node, CLIENT_PORT, 0, Side::Node)?;
        node.up(CLIENT_PORT)?;

        let mut shards = Vec::new();
        for (number, plan) in (1..).zip(&SHARDS) {
            signals::check()?;
            shards.push(shard(&node, number, plan)?);
        }
        Ok((Self { client, node, shards }, Taps { sent, routed }))
    }

    /// Brings the client up. From now on frames flow.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub(super) fn open(&self) -> Result<(), DemoError> {
        addresses(&self.client, ETH0, 0, Side::Host)?;
        for tenant in &TENANTS {
            for address in tenant.addresses() {
                self.client.address(ETH0, address.into())?;
            }
        }
        self.client.up(ETH0)?;
        default_routes(&self.client, 0)?;
        for tenant in &TENANTS {
            for prefix in tenant.prefixes() {
                let family = usize::from(prefix.addr().is_ipv6());
                self.node.route(prefix, link_addresses(0, Side::Host)[family])?;
            }
        }
        let ports = SHARDS.iter().map(|shard| shard.port).chain([CLIENT_PORT]);
        let links = ports.map(|port| (&self.node, port)).chain([(&self.client, ETH0)]);
        let end = Instant::now() + LINK_PATIENCE;
        for (namespace, interface) in links {
            while !namespace.running(interface)? {
                if Instant::now() > end {
                    let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
                    return Err(DemoError::at(format_args!("wait for `{interface}` to come up"))(late));
                }
                signals::sleep(Duration::from_millis(10))?;
            }
        }
        Ok(())
    }
}

/// Which end of a link.
#[derive(Clone, Copy)]
enum Side {
    Node,
    Host,
}

/// A namespace that does not chatter more than it must.
fn host(label: &str) -> Result<Namespace, WorldError> {
    let namespace = Namespace::new(label)?;
    for at in ["all", "default"] {
        // A host may be configured to make new namespaces without IPv6.
        namespace.sysctl(&format!("ipv6/conf/{at}/disable_ipv6"), "0")?;
    }
    namespace.sysctl("ipv6/conf/default/accept_dad", "0")?;
    namespace.sysctl("ipv6/conf/default/router_solicitations", "0")?;
    Ok(namespace)
}

/// Lets packets in by another way than they would go out: the service's addresses are on every shard.
fn unfiltered(namespace: &Namespace) -> Result<(), WorldError> {
    for at in ["all", "default"] {
        namespace.sysctl(&format!("ipv4/conf/{at}/rp_filter"), "0")?;
    }
    Ok(())
}

fn shard(node: &Namespace, number: u8, plan: &'static ShardPlan) -> Result<ShardHost, DemoError> {
    let host = host(plan.name)?;
    unfiltered(&host)?;
    veth(
        End { namespace: node, name: plan.port, mac: [2, 0, 0, 0, 1, plan.last_octet] },
        End { namespace: &host, name: ETH0, mac: [2, 0, 0, 0, 0, plan.last_octet] },
    )?;
    host.offload(ETH0, Offload::Gro, true)?;
    addresses(node, plan.port, number, Side::Node)?;
    addresses(&host, ETH0, number, Side::Host)?;
    for address in SERVICE {
        host.address("lo", address.into())?;
    }
    // The receiving end first, so that nothing the node sends is lost for being early.
    host.up(ETH0)?;
    node.up(plan.port)?;
    default_routes(&host, number)?;
    let echo = Echo::start(&host, plan.name, &SERVICE, PORT)?;
    Ok(ShardHost { plan, host, _echo: echo })
}

/// The addresses of one end of link `number`, IPv4 then IPv6. The client's link is 0.
fn link_addresses(number: u8, side: Side) -> [IpAddr; 2] {
    let last = match side {
        Side::Node => 1,
        Side::Host => 2,
    };
    [
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, number * 4 + last)),
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xff00 + u16::from(number), 0, 0, 0, 0, last.into())),
    ]
}

fn addresses(namespace: &Namespace, interface: &str, number: u8, side: Side) -> Result<(), WorldError> {
    let [v4, v6] = link_addresses(number, side);
    namespace.address(interface, network(v4, 30))?;
    namespace.address(interface, network(v6, 64))
}

fn default_routes(namespace: &Namespace, number: u8) -> Result<(), WorldError> {
    let [v4, v6] = link_addresses(number, Side::Node);
    namespace.route(network(Ipv4Addr::UNSPECIFIED.into(), 0), v4)?;
    namespace.route(network(Ipv6Addr::UNSPECIFIED.into(), 0), v6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::child::POLICY;
    use crate::policy::{self, Target};

    #[test]
    fn the_world_is_the_one_that_the_policy_describes() {
        let policy = policy::parse(POLICY, "examples/demo.yaml", None).unwrap();
        assert!(policy.warnings.is_empty(), "{:?}", policy.warnings);
        assert_eq!(policy.interfaces.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), [CLIENT_PORT]);
        let targets: Vec<_> = policy.shards.iter().map(|it| (it.name.as_str(), it.target.clone())).collect();
        let built = SHARDS.map(|plan| {
            let mac = [2, 0, 0, 0, 0, plan.last_octet];
            (plan.name, Target::Interface { interface: plan.port.to_owned(), mac, nat: None })
        });
        assert_eq!(targets, built);
    }

    #[test]
    fn tenants_talk_from_their_own_prefixes() {
        let policy = policy::parse(POLICY, "examples/demo.yaml", None).unwrap();
        let table = &policy.tables[0];
        for tenant in &TENANTS {
            for address in tenant.addresses() {
                let found = table.prefixes.iter().find(|(prefix, _)| prefix.contains(&address));
                let label = found.and_then(|(_, number)| table.label(*number));
                assert_eq!(label, Some(tenant.name).filter(|name| *name != "nobody"), "{address}");
            }
            let key = policy.keys.iter().find(|key| &*key.name == tenant.name);
            assert_eq!(key.is_some_and(|key| key.denied.is_some()), tenant.denied, "{}", tenant.name);
        }
    }
}
