//! The addresses of this network namespace's interfaces, and the neighbours that it knows.

use std::io;
use std::net::IpAddr;

use super::netlink::{attributes, dump, number};

/// Bytes of `struct ifaddrmsg` and of `struct ndmsg` (rtnetlink(7)), before the attributes.
const ADDRESS: usize = 8;
const NEIGHBOUR: usize = 12;

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface's index.
    pub interface: u32,
    /// The address.
    pub address: IpAddr,
}

/// A neighbour whose hardware address is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The index of the interface that it is behind.
    pub interface: u32,
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Whether the kernel asked in vain whether it is still there.
    pub failed: bool,
}

/// All addresses.
///
/// # Errors
/// The kernel does not list them.
pub fn addresses() -> io::Result<Vec<Address>> {
    dump(libc::RTM_GETADDR, &[0; ADDRESS], |answer| {
        let (head, rest) = answer.split_at_checked(ADDRESS)?;
        let find = |wanted| attributes(rest).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
        // Of a link between two the other attribute is who is at its other end.
        let value = find(libc::IFA_LOCAL).or_else(|| find(libc::IFA_ADDRESS))?;
        Some(Address { interface: number(head.get(4..)?)?, address: address(value)? })
    })
}

/// All neighbours.
///
/// # Errors
/// The kernel does not list them.
pub fn neighbours() -> io::Result<Vec<Neighbour>> {
    dump(libc::RTM_GETNEIGH, &[0; NEIGHBOUR], |answer| {
        let (head, rest) = answer.split_at_checked(NEIGHBOUR)?;
        let state = head.get(8..10)?.first_chunk().map(|state| u16::from_ne_bytes(*state))?;
        let (_, mac) = attributes(rest).find(|(kind, _)| *kind == libc::NDA_LLADDR)?;
        let failed = state & (libc::NUD_FAILED | libc::NUD_INCOMPLETE) != 0;
        Some(Neighbour { interface: number(head.get(4..)?)?, mac: mac.try_into().ok()?, failed })
    })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_either_family() {
        assert_eq!(address(&[127, 0, 0, 1]), Some(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(address(&[0; 16]), Some(IpAddr::from([0_u8; 16])));
        assert_eq!(address(&[0; 5]), None);
    }
}
