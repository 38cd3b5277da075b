//! A small world with the real agent in it, for the tests end to end.
//!
//! ```text
//!  client               node                      shards
//!  eth0 ─────────── up0      to-a ─────────── eth0  a   lo: the service's addresses
//!  10.T.0.N           [agent]   to-b ─────────── eth0  b   lo: the same
//!  2001:db8:T::N   lo: the same to-c ─────────── eth0  c   lo: the same
//! ```
//! Tenant T's addresses are under `10.T.0.0/16` and `2001:db8:T::/48`. Every server answers with the
//! name of its host, the node's too: an answer always says where a packet went.
//!
//! ```text
//!  binary    the program under test, and how it is run
//!  place     the files of one agent
//!  agent     an agent as a child in the node's namespace
//!  policy    policies for this world
//!  metrics   what /metrics says, parsed
//!  pods      shards that do not own the service's addresses
//!  icmp      ICMP messages, by raw sockets
//!  foreign   an XDP program that is not keysteer's
//!  classic   classic filters at TC: what is there, and some that are not keysteer's
//!  residue   what a process may not leave behind
//!  second    a second link between the client and the node
//! ```

pub mod agent;
pub mod binary;
pub mod classic;
pub mod foreign;
pub mod icmp;
pub mod metrics;
pub mod place;
pub mod pods;
pub mod policy;
pub mod residue;
pub mod second;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use keysteer::world::tune::Offload;
use keysteer::world::{Bound, Echo, End, Namespace, Transport, WorldError, veth};

/// The service's addresses: IPv4, IPv6.
pub const SERVICE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x10, 0, 0, 0, 0, 0x10)),
];
/// The service's port.
pub const PORT: u16 = 7000;
/// The node's interface towards the client; the one to steer.
pub const UP0: &str = "up0";
/// The interface of every host but the node.
pub const ETH0: &str = "eth0";
/// The client's hardware address.
pub const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xc1];
/// The hardware address of [`UP0`].
pub const UP0_MAC: [u8; 6] = [2, 0, 0, 0, 1, 0xc1];
/// How many tenants the client has addresses of, and how many addresses of each.
pub const TENANTS: u8 = 7;
/// See [`TENANTS`].
pub const ADDRESSES: u8 = 8;
/// How long an answer may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// How long silence is listened to where silence is expected.
pub const SILENCE: Duration = Duration::from_millis(250);

/// A host behind the node.
#[derive(Debug)]
pub struct Host {
    /// Its name, which is its servers' answer.
    pub name: &'static str,
    /// The node's interface towards it.
    pub port: &'static str,
    /// Where it is.
    pub namespace: Namespace,
    _echo: Echo,
}

/// The world.
#[derive(Debug)]
pub struct Site {
    /// Who asks.
    pub client: Namespace,
    /// Who steers.
    pub node: Namespace,
    /// Who answers: `a`, `b` and `c`.
    pub shards: Vec<Host>,
    mtu: u32,
    _echo: Echo,
}

/// An exchange of one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// From where it was asked.
    pub source: SocketAddr,
    /// Who answered, if anybody did in time.
    pub answer: Option<String>,
}

impl Site {
    /// Builds the world, with this MTU on every link.
    ///
    /// # Panics
    /// Without root, or when the kernel refuses.
    pub fn new(mtu: u32) -> Self {
        binary::demand_root();
        Self::build(mtu, false).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same with shards that do not own the service's addresses, and answer at their own ([`link_addresses`]).
    ///
    /// # Panics
    /// Without root, or when the kernel refuses.
    pub fn of_pods(mtu: u32) -> Self {
        binary::demand_root();
        Self::build(mtu, true).unwrap_or_else(|error| panic!("{error}"))
    }

    fn build(mtu: u32, pods: bool) -> Result<Self, WorldError> {
        let [client, node] = [host("client")?, host("node")?];
        for family in ["ipv4", "ipv6"] {
            node.sysctl(&format!("{family}/conf/all/forwarding"), "1")?;
        }
        // The service's addresses are the node's own too, and answers from the shards have them.
        node.sysctl("ipv4/conf/all/accept_local", "1")?;
        for address in SERVICE {
            node.address("lo", address.into())?;
        }
        plug_client(&node, &client, mtu)?;
        let mut shards = Vec::new();
        for (number, name, port) in [(1, "a", "to-a"), (2, "b", "to-b"), (3, "c", "to-c")] {
            let namespace = host(name)?;
            plug_shard(&node, port, &namespace, mtu, number)?;
            let at = if pods { link_addresses(number, 2) } else { SERVICE };
            for address in SERVICE.into_iter().filter(|_| !pods) {
                namespace.address("lo", address.into())?;
            }
            let echo = Echo::start(&namespace, name, &at, PORT)?;
            shards.push(Host { name, port, namespace, _echo: echo });
        }
        let echo = Echo::start(&node, "node", &SERVICE, PORT)?;
        let site = Self { client, node, shards, mtu, _echo: echo };
        site.await_links()?;
        Ok(site)
    }

    /// Takes the client's interface away, and with it [`UP0`].
    ///
    /// # Panics
    /// It is not there.
    pub fn unplug_client(&self) {
        self.node.delete(UP0).unwrap();
    }

    /// Gives the client an interface again, as it was.
    ///
    /// # Panics
    /// It is there.
    pub fn plug_client(&self) {
        plug_client(&self.node, &self.client, self.mtu).unwrap();
        self.await_links().unwrap();
    }

    /// Takes the interface of a shard away, by the shard's place in [`Site::shards`].
    ///
    /// # Panics
    /// It is not there.
    pub fn unplug_shard(&self, shard: usize) {
        self.node.delete(self.shards[shard].port).unwrap();
    }

    /// Gives a shard an interface again, as it was.
    ///
    /// # Panics
    /// It is there.
    pub fn plug_shard(&self, shard: usize) {
        let Host { port, namespace, .. } = &self.shards[shard];
        plug_shard(&self.node, port, namespace, self.mtu, u8::try_from(shard).unwrap() + 1).unwrap();
        self.await_links().unwrap();
    }

    /// Asks the service one question of `size` bytes, and waits for its answer.
    ///
    /// # Errors
    /// The socket is refused or reset.
    pub fn ask(
        &self,
        transport: Transport,
        source: IpAddr,
        size: usize,
        patience: Duration,
    ) -> io::Result<Exchange> {
        self.ask_at(SERVICE[usize::from(source.is_ipv6())], transport, source, size, patience)
    }

    /// The same, of another address.
    ///
    /// # Errors
    /// The socket is refused or reset.
    pub fn ask_at(
        &self,
        destination: IpAddr,
        transport: Transport,
        source: IpAddr,
        size: usize,
        patience: Duration,
    ) -> io::Result<Exchange> {
        let question = vec![b'?'; size];
        let asked = self.client.block_on(|| async {
            let bound = Bound::new(transport, SocketAddr::new(source, 0), 0).await?;
            let source = bound.source()?;
            let connected = bound.connect(SocketAddr::new(destination, PORT), patience).await?;
            let answer = match connected {
                Some(mut connection) => connection.ask(&question, patience).await?,
                None => None,
            };
            // A long question by TCP is answered once for each read that it took.
            let answer = answer.map(|lines| lines.lines().next().unwrap_or_default().to_owned());
            Ok(Exchange { source, answer })
        });
        asked.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Who answers a small question by UDP from `source`, which must not be silence.
    ///
    /// # Panics
    /// Nobody answers.
    pub fn who(&self, source: IpAddr) -> String {
        let asked = self.ask(Transport::Udp, source, 32, PATIENCE).unwrap();
        asked.answer.unwrap_or_else(|| panic!("nobody answered {source}"))
    }

    /// Who answers a small question by UDP from `source`, if anybody does at once.
    ///
    /// # Panics
    /// The socket is refused.
    pub fn try_who(&self, source: IpAddr) -> Option<String> {
        self.ask(Transport::Udp, source, 32, Duration::from_millis(400)).unwrap().answer
    }

    /// The id of the XDP program on an interface of the node.
    ///
    /// # Panics
    /// There is no such interface.
    pub fn attached(&self, interface: &str) -> Option<u32> {
        let index = self.node.index(interface).unwrap();
        self.node.run(|| keysteer::kernel::foreign_program(index)).unwrap().unwrap().map(|program| program.id)
    }

    fn await_links(&self) -> Result<(), WorldError> {
        let end = Instant::now() + Duration::from_secs(10);
        let ports = [UP0, "to-a", "to-b", "to-c"].map(|port| (&self.node, port));
        for (namespace, interface) in ports.into_iter().chain([(&self.client, ETH0)]) {
            while !namespace.running(interface)? {
                assert!(Instant::now() < end, "{interface} does not come up");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(())
    }
}

/// An IPv4 address of a tenant.
pub fn v4(tenant: u8, number: u8) -> IpAddr {
    Ipv4Addr::new(10, tenant, 0, number).into()
}

/// An IPv6 address of a tenant.
pub fn v6(tenant: u8, number: u8) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, tenant.into(), 0, 0, 0, 0, number.into()).into()
}

/// The addresses on link `number`: of the node (`last` 1) or of the host (2).
pub fn link_addresses(number: u8, last: u8) -> [IpAddr; 2] {
    [
        Ipv4Addr::new(192, 0, 2, number * 4 + last).into(),
        Ipv6Addr::new(0x2001, 0xdb8, 0xff00 + u16::from(number), 0, 0, 0, 0, last.into()).into(),
    ]
}

fn network(address: IpAddr, length: u8) -> IpNet {
    IpNet::new(address, length).unwrap()
}

/// A namespace that does not chatter more than it must, and takes packets from any side.
fn host(label: &str) -> Result<Namespace, WorldError> {
    let namespace = Namespace::new(label)?;
    for at in ["all", "default"] {
        namespace.sysctl(&format!("ipv6/conf/{at}/disable_ipv6"), "0")?;
        namespace.sysctl(&format!("ipv4/conf/{at}/rp_filter"), "0")?;
    }
    namespace.sysctl("ipv6/conf/default/accept_dad", "0")?;
    namespace.sysctl("ipv6/conf/default/router_solicitations", "0")?;
    Ok(namespace)
}

/// Joins the node and the client, with the tenants' addresses.
fn plug_client(node: &Namespace, client: &Namespace, mtu: u32) -> Result<(), WorldError> {
    link(node, UP0, UP0_MAC, client, CLIENT_MAC, mtu, 0)?;
    // Permanent, so that no test hangs on how long a machine takes to find a neighbour out.
    for node in link_addresses(0, 1) {
        client.neighbour(ETH0, node, UP0_MAC)?;
    }
    for tenant in 1..=TENANTS {
        for number in 1..=ADDRESSES {
            for address in [v4(tenant, number), v6(tenant, number)] {
                client.address(ETH0, address.into())?;
            }
        }
        let via = link_addresses(0, 2);
        for (address, length) in [(v4(tenant, 0), 16), (v6(tenant, 0), 48)] {
            node.route(network(address, length), via[usize::from(address.is_ipv6())])?;
        }
    }
    Ok(())
}

/// Joins the node and shard `number`, from 1.
fn plug_shard(
    node: &Namespace,
    port: &str,
    shard: &Namespace,
    mtu: u32,
    number: u8,
) -> Result<(), WorldError> {
    let last = 9 + number;
    link(node, port, [2, 0, 0, 0, 1, last], shard, [2, 0, 0, 0, 0, last], mtu, number)?;
    shard.offload(ETH0, Offload::Gro, true)
}

/// Joins the node and a host, with addresses, and the host's default routes by the node.
fn link(
    node: &Namespace,
    port: &str,
    port_mac: [u8; 6],
    host: &Namespace,
    mac: [u8; 6],
    mtu: u32,
    number: u8,
) -> Result<(), WorldError> {
    veth(End { namespace: node, name: port, mac: port_mac }, End { namespace: host, name: ETH0, mac })?;
    for (namespace, name, last) in [(host, ETH0, 2), (node, port, 1)] {
        namespace.mtu(name, mtu)?;
        // A local socket's checksum is only partial, and XDP cannot finish it.
        namespace.offload(name, Offload::TxChecksum, false)?;
        let [four, six] = link_addresses(number, last);
        namespace.address(name, network(four, 30))?;
        namespace.address(name, network(six, 64))?;
        namespace.up(name)?;
    }
    let [four, six] = link_addresses(number, 1);
    host.route(network(Ipv4Addr::UNSPECIFIED.into(), 0), four)?;
    host.route(network(Ipv6Addr::UNSPECIFIED.into(), 0), six)
}
