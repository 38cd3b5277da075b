//! The namespaces: nothing but wires. No interface has an address, so that no packet but ours is on any of them.

use std::time::{Duration, Instant};

use keysteer::world::tune::Offload;
use keysteer::world::{End, Namespace, veth};

/// The interfaces that are steered, and their far ends.
pub(crate) const UPLINKS: [(&str, &str); 3] = [("up0", "far0"), ("up1", "far1"), ("up2", "far2")];
/// The shards, by name.
pub(crate) const SHARDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// The hardware address of a shard's far end.
pub(crate) fn shard_mac(shard: usize) -> [u8; 6] {
    [2, 0, 0, 0, 0, 0x0a + u8::try_from(shard).unwrap()]
}

/// The hardware address of an uplink's end in the node.
pub(crate) fn uplink_mac(uplink: usize) -> [u8; 6] {
    [2, 0, 0, 0, 1, u8::try_from(uplink).unwrap()]
}

/// Three namespaces.
#[derive(Debug)]
pub(crate) struct World {
    /// Who sends.
    pub(crate) clients: Namespace,
    /// Who steers.
    pub(crate) node: Namespace,
    /// Who receives.
    pub(crate) wires: Namespace,
}

impl World {
    pub(crate) fn new() -> Self {
        let [clients, node, wires] = ["clients", "node", "wires"].map(quiet);
        for (uplink, (near, far)) in UPLINKS.into_iter().enumerate() {
            let far_mac = [2, 0, 0, 0, 2, u8::try_from(uplink).unwrap()];
            join(&node, near, uplink_mac(uplink), &clients, far, far_mac);
        }
        for (shard, name) in SHARDS.into_iter().enumerate() {
            let (near, far) = (format!("to-{name}"), format!("at-{name}"));
            let near_mac = [2, 0, 0, 0, 3, u8::try_from(shard).unwrap()];
            join(&node, &near, near_mac, &wires, &far, shard_mac(shard));
            // A veth takes redirected frames only where its peer polls.
            wires.offload(&far, Offload::Gro, true).unwrap();
        }
        let world = Self { clients, node, wires };
        world.await_links();
        world
    }

    fn await_links(&self) {
        let ports = SHARDS.map(|name| format!("to-{name}"));
        let uplinks = UPLINKS.map(|(near, _)| near.to_owned());
        let end = Instant::now() + Duration::from_secs(10);
        for port in ports.iter().chain(&uplinks) {
            while !self.node.running(port).unwrap() {
                assert!(Instant::now() < end, "{port} does not come up");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// A namespace whose interfaces say nothing by themselves.
fn quiet(label: &str) -> Namespace {
    let namespace = Namespace::new(label).unwrap();
    for at in ["all", "default"] {
        namespace.sysctl(&format!("ipv6/conf/{at}/disable_ipv6"), "1").unwrap();
    }
    namespace
}

fn join(node: &Namespace, near: &str, near_mac: [u8; 6], beyond: &Namespace, far: &str, far_mac: [u8; 6]) {
    veth(
        End { namespace: node, name: near, mac: near_mac },
        End { namespace: beyond, name: far, mac: far_mac },
    )
    .unwrap();
    node.up(near).unwrap();
    beyond.up(far).unwrap();
}
