//! A second link between the client and the node, for nodes that steer two interfaces.

use std::time::Instant;

use keysteer::world::tune::Offload;
use keysteer::world::{End, veth};

use super::{PATIENCE, SERVICE, Site, TENANTS, link_addresses, network, v4, v6};

/// The node's interface of the second link.
pub const UP1: &str = "up1";
/// The client's.
const ETH1: &str = "eth1";
/// The number of the link: beyond those of the shards.
const NUMBER: u8 = 4;

impl Site {
    /// Joins the client and the node a second time. Nothing goes that way yet.
    ///
    /// # Panics
    /// The kernel refuses.
    pub fn plug_second(&self) {
        let [client, node] = [(&self.client, ETH1, 2, 0), (&self.node, UP1, 1, 1)];
        let end = |(namespace, name, _, side)| End { namespace, name, mac: [2, 0, 0, 0, side, 0xc6] };
        veth(end(node), end(client)).unwrap();
        for (namespace, name, last, _) in [client, node] {
            namespace.mtu(name, self.mtu).unwrap();
            namespace.offload(name, Offload::TxChecksum, false).unwrap();
            let [four, six] = link_addresses(NUMBER, last);
            namespace.address(name, network(four, 30)).unwrap();
            namespace.address(name, network(six, 64)).unwrap();
            namespace.up(name).unwrap();
        }
        let end = Instant::now() + PATIENCE;
        for (namespace, name, ..) in [client, node] {
            while !namespace.running(name).unwrap() {
                assert!(Instant::now() < end, "{name} does not come up");
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
    }

    /// Has questions and answers go by the second link from now on.
    ///
    /// # Panics
    /// There is none.
    pub fn go_by_second(&self) {
        for (service, gateway) in SERVICE.into_iter().zip(link_addresses(NUMBER, 1)) {
            self.client.route(service.into(), gateway).unwrap();
        }
        let [four, six] = link_addresses(NUMBER, 2);
        for tenant in 1..=TENANTS {
            // More specific than the routes by the first.
            self.node.route(network(v4(tenant, 0), 24), four).unwrap();
            self.node.route(network(v6(tenant, 0), 64), six).unwrap();
        }
    }
}
