//! The network interfaces of this process's namespace. Read by system call, not from `/sys`, which
//! shows the namespace it was mounted in.

use std::io;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its hardware address; zeroes where it has none.
    pub mac: [u8; 6],
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
        let mut found: Vec<Interface> = Vec::new();
        for address in getifaddrs()? {
            let Some(link) = address.address.as_ref().and_then(|a| a.as_link_addr()) else { continue };
            if found.iter().all(|known| known.name != address.interface_name) {
                let index = if_nametoindex(address.interface_name.as_str())?;
                found.push(Interface {
                    name: address.interface_name,
                    index,
                    mac: link.addr().unwrap_or_default(),
                });
            }
        }
        Ok(Self(found))
    }

    /// The interface called `name`.
    pub fn find(&self, name: &str) -> Option<&Interface> {
        self.0.iter().find(|interface| interface.name == name)
    }

    /// Names of all interfaces, for error messages.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|interface| interface.name.as_str()).collect()
    }
}
