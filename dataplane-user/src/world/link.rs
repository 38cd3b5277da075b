//! Veth pairs, addresses, routes and neighbours, through rtnetlink.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use futures_util::TryStreamExt;
use ipnet::IpNet;
use nix::net::if_::if_nametoindex;
use rtnetlink::packet_route::address::AddressHeaderFlags;
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};

use super::{Namespace, WorldError};

/// One end of a veth pair.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// Where it is.
    pub namespace: &'a Namespace,
    /// Its name there.
    pub name: &'a str,
    /// Its hardware address.
    pub mac: [u8; 6],
}

/// What an interface counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Frames received.
    pub rx_packets: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes received, as the driver counts them (veth leaves the Ethernet header out where it polls).
    pub rx_bytes: u64,
    /// Bytes sent, likewise.
    pub tx_bytes: u64,
    /// Frames that arrived and were dropped.
    pub rx_dropped: u64,
    /// Frames that could not be sent.
    pub tx_dropped: u64,
}

/// Makes a veth pair with both ends down.
///
/// # Errors
/// The kernel's answer: a name is taken, a namespace is gone, veth is not built in.
pub fn veth(one: End<'_>, other: End<'_>) -> Result<(), WorldError> {
    let peer = LinkUnspec::new_with_name(other.name)
        .address(other.mac.to_vec())
        .setns_by_fd(other.namespace.fd().as_raw_fd())
        .build();
    let pair = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name(one.name)
        .address(one.mac.to_vec())
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .build();
    one.namespace.netlink(
        format_args!(
            "join `{}` in {one} and `{}` in {other}",
            one.name,
            other.name,
            one = one.namespace.label(),
            other = other.namespace.label()
        ),
        |netlink| async move { netlink.link().add(pair).execute().await },
    )
}

impl Namespace {
    /// Brings an interface up.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn up(&self, interface: &str) -> Result<(), WorldError> {
        let message = LinkUnspec::new_with_name(interface).up().build();
        self.netlink(format_args!("bring `{interface}` up in {}", self.label()), |netlink| async move {
            netlink.link().set(message).execute().await
        })
    }

    /// Takes an interface down.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn down(&self, interface: &str) -> Result<(), WorldError> {
        let message = LinkUnspec::new_with_name(interface).down().build();
        self.netlink(format_args!("take `{interface}` down in {}", self.label()), |netlink| async move {
            netlink.link().set(message).execute().await
        })
    }

    /// Sets the longest packet that an interface sends, in bytes without the Ethernet header.
    ///
    /// # Errors
    /// The kernel's answer: the driver has a limit, which an XDP program can lower.
    pub fn mtu(&self, interface: &str, mtu: u32) -> Result<(), WorldError> {
        let message = LinkUnspec::new_with_name(interface).mtu(mtu).build();
        self.netlink(
            format_args!("give `{interface}` in {} an MTU of {mtu}", self.label()),
            |netlink| async move { netlink.link().set(message).execute().await },
        )
    }

    /// Deletes an interface, and with it the other end of a veth pair.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn delete(&self, interface: &str) -> Result<(), WorldError> {
        let index = self.index(interface)?;
        self.netlink(format_args!("delete `{interface}` in {}", self.label()), |netlink| async move {
            netlink.link().del(index).execute().await
        })
    }

    /// The index of an interface.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn index(&self, interface: &str) -> Result<u32, WorldError> {
        self.run(|| if_nametoindex(interface))?
            .map_err(WorldError::at(format_args!("find `{interface}` in {}", self.label())))
    }

    /// Gives an interface an address. IPv6 addresses are usable at once: no duplicate detection.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn address(&self, interface: &str, address: IpNet) -> Result<(), WorldError> {
        let index = self.index(interface)?;
        self.netlink(
            format_args!("give {address} to `{interface}` in {}", self.label()),
            |netlink| async move {
                let mut request = netlink.address().add(index, address.addr(), address.prefix_len());
                if address.addr().is_ipv6() {
                    request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
                }
                request.execute().await
            },
        )
    }

    /// Adds a route to `destination` by the gateway `via`.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn route(&self, destination: IpNet, via: IpAddr) -> Result<(), WorldError> {
        let operation = format!("route {destination} by {via} in {}", self.label());
        let message = RouteMessageBuilder::<IpAddr>::new()
            .destination_prefix(destination.addr(), destination.prefix_len())
            .and_then(|route| route.gateway(via))
            .map_err(|error| WorldError::at(&operation)(io::Error::other(error)))?
            .build();
        self.netlink(&operation, |netlink| async move { netlink.route().add(message).execute().await })
    }

    /// Adds a permanent neighbour.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn neighbour(&self, interface: &str, address: IpAddr, mac: [u8; 6]) -> Result<(), WorldError> {
        let index = self.index(interface)?;
        self.netlink(
            format_args!("make {address} a neighbour of `{interface}` in {}", self.label()),
            |netlink| async move {
                netlink.neighbours().add(index, address).link_layer_address(&mac).execute().await
            },
        )
    }

    /// Whether an interface is up and connected, so that it carries frames.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn running(&self, interface: &str) -> Result<bool, WorldError> {
        let link = self.link(interface, "read the state of")?;
        Ok(link.header.flags.contains(LinkFlags::Running))
    }

    /// What an interface has counted since it was made.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn statistics(&self, interface: &str) -> Result<Statistics, WorldError> {
        let link = self.link(interface, "read the statistics of")?;
        link.attributes
            .into_iter()
            .find_map(|attribute| match attribute {
                LinkAttribute::Stats64(counted) => Some(Statistics {
                    rx_packets: counted.rx_packets,
                    tx_packets: counted.tx_packets,
                    rx_bytes: counted.rx_bytes,
                    tx_bytes: counted.tx_bytes,
                    rx_dropped: counted.rx_dropped,
                    tx_dropped: counted.tx_dropped,
                }),
                _ => None,
            })
            .ok_or_else(|| {
                WorldError::at(format_args!("find the statistics of `{interface}` in {}", self.label()))(
                    io::Error::from(io::ErrorKind::NotFound),
                )
            })
    }

    /// What the kernel says of an interface.
    fn link(&self, interface: &str, operation: &str) -> Result<LinkMessage, WorldError> {
        let index = self.index(interface)?;
        let operation = format!("{operation} `{interface}` in {}", self.label());
        self.netlink(&operation, |netlink| async move {
            netlink.link().get().match_index(index).execute().try_next().await
        })?
        .ok_or_else(|| WorldError::at(&operation)(io::Error::from(io::ErrorKind::NotFound)))
    }

    /// One exchange with this namespace's rtnetlink.
    fn netlink<T, F>(
        &self,
        operation: impl std::fmt::Display,
        exchange: impl FnOnce(Handle) -> F + Send,
    ) -> Result<T, WorldError>
    where
        T: Send,
        F: Future<Output = Result<T, rtnetlink::Error>>,
    {
        self.block_on(|| async {
            let (connection, handle, _) = rtnetlink::new_connection()?;
            let connection = tokio::spawn(connection);
            let answer = exchange(handle).await.map_err(io_error);
            connection.abort();
            answer
        })?
        .map_err(WorldError::at(operation))
    }
}

/// The errno behind a netlink error, which says it best.
fn io_error(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    }
}
