//! Who talks in the demo. Addresses and names are those of `examples/demo.yaml`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The service's addresses.
pub(super) const SERVICE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x10, 0, 0, 0, 0, 0x10)),
];

/// The service's port.
pub(super) const PORT: u16 = 7000;

/// Some of the client host's addresses.
pub(super) struct Tenant {
    /// What the policy calls their owner.
    pub(super) name: &'static str,
    /// Second octet of its IPv4 addresses, third group of its IPv6 addresses.
    pub(super) number: u8,
    /// How many IPv4 addresses talk.
    pub(super) v4: u8,
    /// How many IPv6 addresses talk.
    pub(super) v6: u8,
    /// DSCPs that its packets carry, a flow for each.
    pub(super) dscps: &'static [u8],
    /// Whether its key is denied.
    pub(super) denied: bool,
}

/// Everybody.
pub(super) const TENANTS: [Tenant; 5] = [
    // DSCP 34 is acme's video, a key of its own.
    Tenant { name: "acme", number: 1, v4: 8, v6: 4, dscps: &[0, 34], denied: false },
    Tenant { name: "globex", number: 2, v4: 8, v6: 4, dscps: &[0], denied: false },
    Tenant { name: "initech", number: 3, v4: 8, v6: 4, dscps: &[0], denied: true },
    // In the prefix table, but without a key.
    Tenant { name: "umbrella", number: 4, v4: 4, v6: 2, dscps: &[0], denied: false },
    // In no prefix table.
    Tenant { name: "nobody", number: 9, v4: 4, v6: 2, dscps: &[0], denied: false },
];

impl Tenant {
    /// Its addresses.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        let number = self.number;
        let v4 = (1..=self.v4).map(|host| IpAddr::V4(Ipv4Addr::new(10, number, 0, host)));
        let v6 = (1..=u16::from(self.v6))
            .map(|host| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, u16::from(number), 0, 0, 0, 0, host)));
        v4.chain(v6).collect()
    }

    /// The prefixes that its addresses are from.
    pub(super) fn prefixes(&self) -> [IpNet; 2] {
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, u16::from(self.number), 0, 0, 0, 0, 0);
        [network(Ipv4Addr::new(10, self.number, 0, 0).into(), 16), network(v6.into(), 48)]
    }
}

/// Whether an Ethernet frame is sent to the service. The node has no route there: it is one that was steered.
pub(super) fn to_service(frame: &[u8]) -> bool {
    SERVICE.iter().any(|address| match address {
        IpAddr::V4(address) => {
            frame.get(12..14) == Some(&[0x08, 0x00]) && frame.get(30..34) == Some(&address.octets())
        }
        IpAddr::V6(address) => {
            frame.get(12..14) == Some(&[0x86, 0xdd]) && frame.get(38..54) == Some(&address.octets())
        }
    })
}

/// A prefix. The lengths used here fit every address, so the other arm is never taken; it is a host.
pub(super) fn network(address: IpAddr, length: u8) -> IpNet {
    IpNet::new(address, length).unwrap_or_else(|_| IpNet::from(address))
}
