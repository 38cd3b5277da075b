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
//! left the client has met the program. Where hooks are mixed, there is a second link for IPv6 (`ways.rs`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::tenants::{PORT, SERVICE, TENANTS, network};
use super::ways::{Way, takes, ways};
use super::{DemoError, signals};
use crate::world::tune::Offload;
use crate::world::{Capture, Direction, Echo, End, Namespace, WorldError, veth};

/// Each shard's interface.
pub(super) const ETH0: &str = "eth0";
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
    /// The links between the client and the node.
    pub(super) ways: Vec<Way>,
    pub(super) client: Namespace,
    pub(super) node: Namespace,
    pub(super) shards: Vec<ShardHost>,
}

/// Captures from the first frame on.
pub(super) struct Taps {
    /// Every frame that the client sends.
    pub(super) sent: Capture,
    /// Every frame that the node's own stack sends. What XDP redirects is not among them, nor what TC hands to the other end of a
    /// link; what TC redirects out of an interface is.
    pub(super) routed: Capture,
}

impl Site {
    /// Builds everything but the client's link, or links, as `mode` wants them.
    ///
    /// # Errors
    /// What the kernel refuses; what was built is gone then.
    pub(super) fn build(mode: &str) -> Result<(Self, Taps), DemoError> {
        let ways = ways(mode);
        let client = host("client")?;
        let node = host("node")?;
        for family in ["ipv4", "ipv6"] {
            node.sysctl(&format!("{family}/conf/all/forwarding"), "1")?;
        }
        unfiltered(&node)?;
        let sent = Capture::start(&client, Direction::Outgoing)?;
        let routed = Capture::start(&node, Direction::Outgoing)?;

        for way in &ways {
            veth(
                End { namespace: &node, name: way.node, mac: [2, 0, 0, 0, 1, way.last_octet] },
                End { namespace: &client, name: way.client, mac: [2, 0, 0, 0, 0, way.last_octet] },
            )?;
            client.offload(way.client, Offload::TxChecksum, false)?;
            addresses(&node, way.node, way.number, Side::Node)?;
            node.up(way.node)?;
        }

        let mut shards = Vec::new();
        for (number, plan) in (1..).zip(&SHARDS) {
            signals::check()?;
            shards.push(shard(&node, number, plan)?);
        }
        Ok((Self { ways, client, node, shards }, Taps { sent, routed }))
    }

    /// Brings the client up. From now on frames flow.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub(super) fn open(&self) -> Result<(), DemoError> {
        for (place, way) in self.ways.iter().enumerate() {
            self.open_way(way, [false, true].map(|v6| takes(&self.ways, place, v6)))?;
        }
        let ports = SHARDS.iter().map(|shard| shard.port).chain(self.ways.iter().map(|way| way.node));
        let clients = self.ways.iter().map(|way| (&self.client, way.client));
        let links = ports.map(|port| (&self.node, port)).chain(clients);
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

    /// Brings one of the client's links up, for the families that it takes: IPv4, IPv6.
    fn open_way(&self, way: &Way, families: [bool; 2]) -> Result<(), DemoError> {
        let taken = |address: IpAddr| families[usize::from(address.is_ipv6())];
        addresses(&self.client, way.client, way.number, Side::Host)?;
        let talking = TENANTS.iter().flat_map(|tenant| tenant.addresses());
        for address in talking.filter(|address| taken(*address)) {
            self.client.address(way.client, address.into())?;
        }
        self.client.up(way.client)?;
        for gateway in link_addresses(way.number, Side::Node).into_iter().filter(|it| taken(*it)) {
            default_route(&self.client, gateway)?;
        }
        let prefixes = TENANTS.iter().flat_map(|tenant| tenant.prefixes());
        for prefix in prefixes.filter(|prefix| taken(prefix.addr())) {
            let family = usize::from(prefix.addr().is_ipv6());
            self.node.route(prefix, link_addresses(way.number, Side::Host)[family])?;
        }
        Ok(())
    }

    /// The passage of each way.
    ///
    /// # Errors
    /// An interface has gone.
    pub(super) fn passages(&self) -> Result<Vec<Passage>, DemoError> {
        let passage =
            |way: &Way| Ok(Passage { out: self.client.index(way.client)?, into: self.node.index(way.node)? });
        self.ways.iter().map(passage).collect()
    }
}

/// Where frames go: by which interface they leave the client, and by which they arrive at the node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passage {
    /// Of the client.
    pub(super) out: u32,
    /// Of the node.
    pub(super) into: u32,
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
    for gateway in link_addresses(number, Side::Node) {
        default_route(&host, gateway)?;
    }
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

/// Routes the whole of a gateway's family to it.
fn default_route(namespace: &Namespace, gateway: IpAddr) -> Result<(), WorldError> {
    let any = match gateway {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    namespace.route(network(any, 0), gateway)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::child::{POLICY, policy_for};
    use crate::policy::{self, Target};

    #[test]
    fn the_world_is_the_one_that_the_policy_describes() {
        let policy = policy::parse(POLICY, "examples/demo.yaml", None).unwrap();
        assert!(policy.warnings.is_empty(), "{:?}", policy.warnings);
        let steered =
            |policy: &policy::Policy| policy.interfaces.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
        assert_eq!(steered(&policy), [ways("auto")[0].node]);
        let both = ways("mixed");
        let mixed = policy::parse(&policy_for(&both), "examples/demo.yaml", None).unwrap();
        assert_eq!(steered(&mixed), both.iter().map(|way| way.node).collect::<Vec<_>>());
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
