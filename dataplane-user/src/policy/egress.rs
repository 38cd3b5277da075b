//! What is done on the way back: what leaves is counted for keys and shards, and stamped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use keysteer_common::carrier::Carrier;

use super::diagnostic::Place;

/// The addresses of what is behind a shard that is reached by translation ([`keysteer_common::nat`]); one of them at least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// IPv4.
    pub v4: Option<Ipv4Addr>,
    /// IPv6.
    pub v6: Option<Ipv6Addr>,
}

impl Addresses {
    /// Those that there are.
    pub fn all(self) -> impl Iterator<Item = IpAddr> {
        self.v4.map(IpAddr::from).into_iter().chain(self.v6.map(IpAddr::from))
    }

    /// As output has them.
    pub fn text(self) -> String {
        self.all().map(|address| address.to_string()).collect::<Vec<_>>().join(" ")
    }
}

/// `spec.egress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Egress {
    /// Where packets leave; those of the policy where none is named.
    pub interfaces: Vec<Leaving>,
    /// Whether what leaves is counted.
    pub count: bool,
    /// Whose traffic it is that comes from an address: index of the key. Sorted by prefix.
    pub senders: Vec<(IpNet, usize)>,
    /// What is stamped, and into which carrier.
    pub stamps: Vec<Stamp>,
    /// Whether marked packets go to the shard that their mark names.
    pub probes: bool,
}

/// An interface that packets leave by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Its name.
    pub name: String,
    /// Where the policy names it.
    pub at: Place,
}

/// What of a key is stamped on what leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Where: [`Carrier::IpDscp`] or [`Carrier::Ipv6FlowLabel`].
    pub carrier: Carrier,
    /// What.
    pub value: StampValue,
}

/// Where a stamp's value is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StampValue {
    /// The key's value of a field of the first schema: its index.
    Field(usize),
    /// A number for each of some keys: index of the key and the number, sorted.
    Keys(Vec<(usize, u32)>),
}
