//! The network interfaces of this process's namespace. Read by netlink, not from `/sys`, which
//! shows the namespace it was mounted in.

use std::io;

use super::netlink::{attributes, dump, number, text};

/// Bytes of `struct ifinfomsg` (rtnetlink(7)), before the attributes.
const INFO: usize = 16;

/// What made an interface, by the kernel's name for it. A network card and the loopback have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One end of a pair.
    Veth,
    /// A VLAN on another interface.
    Vlan,
    /// Several interfaces as one.
    Bond,
    /// The same, from user space.
    Team,
    /// A bridge.
    Bridge,
    /// Another, such as `vxlan`.
    Other(String),
}

impl Kind {
    fn of(name: &str) -> Self {
        match name {
            "veth" => Self::Veth,
            "vlan" => Self::Vlan,
            "bond" => Self::Bond,
            "team" => Self::Team,
            "bridge" => Self::Bridge,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The kernel's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Veth => "veth",
            Self::Vlan => "vlan",
            Self::Bond => "bond",
            Self::Team => "team",
            Self::Bridge => "bridge",
            Self::Other(name) => name,
        }
    }
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its hardware address; zeroes where it has none, or one of another length.
    pub mac: [u8; 6],
    /// The longest packet that it sends, in bytes without the Ethernet header.
    pub mtu: u32,
    /// Whether it was brought up.
    pub up: bool,
    /// Whether it can carry frames: it is up, and what it is connected to is, too. (The carrier, which holds at once;
    /// the operational state follows it a little later.)
    pub running: bool,
    /// What made it.
    pub kind: Option<Kind>,
    /// The index of the interface in this namespace that a VLAN is on.
    pub parent: Option<u32>,
    /// The index of the bond, team, bridge or VRF that it is part of.
    pub master: Option<u32>,
    /// Of a veth, whether its other end is in another network namespace.
    pub peer_elsewhere: bool,
}

impl Interface {
    /// An interface of which no more is known than this.
    pub fn new(name: &str, index: u32, mac: [u8; 6]) -> Self {
        Self { name: name.to_owned(), index, mac, ..Self::default() }
    }

    /// Whether `other` is the same device at the same place. What an operator changes while it is in use, its MTU and
    /// whether it is up, makes no other device of it.
    pub fn is(&self, other: &Self) -> bool {
        let Self { mtu, up, running, .. } = other;
        *other == Self { mtu: *mtu, up: *up, running: *running, ..self.clone() }
    }

    /// What an answer to `RTM_GETLINK` says.
    fn read(answer: &[u8]) -> Option<Self> {
        let (info, rest) = answer.split_at_checked(INFO)?;
        let flags = number(info.get(8..)?)?;
        let has = |flag: libc::c_int| flags & flag.cast_unsigned() != 0;
        let mut interface = Self {
            index: number(info.get(4..)?)?,
            up: has(libc::IFF_UP),
            running: has(libc::IFF_LOWER_UP),
            ..Self::default()
        };
        let (mut below, mut elsewhere) = (None, false);
        for (kind, value) in attributes(rest) {
            match kind {
                libc::IFLA_IFNAME => interface.name = text(value)?,
                libc::IFLA_ADDRESS => interface.mac = value.try_into().unwrap_or_default(),
                libc::IFLA_MTU => interface.mtu = number(value)?,
                libc::IFLA_MASTER => interface.master = number(value),
                libc::IFLA_LINK => below = number(value),
                libc::IFLA_LINK_NETNSID => elsewhere = true,
                libc::IFLA_LINKINFO => {
                    let name = attributes(value).find(|(kind, _)| *kind == libc::IFLA_INFO_KIND);
                    interface.kind = name.and_then(|(_, name)| text(name)).map(|name| Kind::of(&name));
                }
                _ => {}
            }
        }
        // Of a veth the link is its other end; of others it is an index of another namespace, if one is named.
        match interface.kind {
            Some(Kind::Veth) => interface.peer_elsewhere = elsewhere,
            Some(Kind::Vlan) if !elsewhere => interface.parent = below,
            _ => {}
        }
        Some(interface)
    }
}

/// Whether two lists are the same as far as tables depend on them: the same devices, each at the same place and of the same MTU.
pub fn same_devices(one: &[Interface], other: &[Interface]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| one.is(other) && one.mtu == other.mtu)
}

/// All interfaces of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces(pub Vec<Interface>);

impl Interfaces {
    /// Reads the interfaces of this namespace.
    ///
    /// # Errors
    /// The kernel does not list them.
    pub fn read() -> io::Result<Self> {
        let mut ask = vec![0; INFO];
        // Counters are not asked for: of many interfaces they are most of the answer.
        ask.extend(8_u16.to_ne_bytes());
        ask.extend(libc::IFLA_EXT_MASK.to_ne_bytes());
        ask.extend(libc::RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
        dump(libc::RTM_GETLINK, &ask, Interface::read).map(Self)
    }

    /// The interface called `name`.
    pub fn find(&self, name: &str) -> Option<&Interface> {
        self.0.iter().find(|interface| interface.name == name)
    }

    /// The interface with this index.
    pub fn at(&self, index: u32) -> Option<&Interface> {
        self.0.iter().find(|interface| interface.index == index)
    }

    /// Names of all interfaces, for error messages.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|interface| interface.name.as_str()).collect()
    }
}

#[cfg(test)]
#[path = "interfaces_tests.rs"]
mod tests;
