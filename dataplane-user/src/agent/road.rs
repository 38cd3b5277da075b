//! Whether a shard answers, asked over the road that packets take: a connection of this host's, whose packets are marked and are sent to that
//! shard where they leave ([`keysteer_common::back::probe`]), whatever shard a key would choose.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use keysteer_common::back::PROBE_MARK;
use keysteer_common::tables::{exit, target};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, connect, getsockopt, setsockopt,
    socket, sockopt,
};

use super::node::Node;
use crate::control::types::{ProbeOutcome, Probed};
use crate::image::Image;
use crate::kernel::addresses::{Address, addresses};
use crate::kernel::interfaces::Interfaces;
use crate::suggest::nearest;

/// The longest that an answer is waited for.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// A shard that cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum RoadError {
    /// There is no such shard.
    #[error("policy `{policy}` has no shard `{shard}`; {hint}")]
    Unknown {
        /// The policy.
        policy: String,
        /// The shard.
        shard: String,
        /// What to do.
        hint: String,
    },
    /// The shard takes nothing.
    #[error("shard `{0}` has the target `drop`: nothing can answer there")]
    Drops(String),
    /// Nobody sends probes on their way.
    #[error("the policy does not send probes on their way: it needs `egress: {{probes: true}}`")]
    Off,
    /// The shard's pod has no address of that family.
    #[error("shard `{shard}` is translated, and has no address for {service}")]
    NoAddress {
        /// The shard.
        shard: String,
        /// What was asked for.
        service: SocketAddr,
    },
    /// The system refuses.
    #[error("cannot {operation}: {cause}")]
    System {
        /// What was tried.
        operation: &'static str,
        /// Its answer.
        #[source]
        cause: io::Error,
    },
}

fn failed<E: Into<io::Error>>(operation: &'static str) -> impl FnOnce(E) -> RoadError {
    move |cause| RoadError::System { operation, cause: cause.into() }
}

/// Asks shard `name` of the policy in force, whose `tables` are those in the kernel, for a TCP connection to `service`.
///
/// # Errors
/// The shard cannot be asked. That it does not answer is no error.
pub fn probe(node: &Node, tables: &Image, name: &str, service: SocketAddr) -> Result<Probed, RoadError> {
    let shards = || node.names.policy_shards();
    let Some((index, _)) = shards().find(|(_, info)| info.name == name) else {
        let hint = match nearest(name, shards().map(|(_, info)| info.name.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`keysteer shard list` shows the shards in force".to_owned(),
        };
        return Err(RoadError::Unknown { policy: node.names.policy.clone(), shard: name.to_owned(), hint });
    };
    let entry = tables.shards.get(usize::from(index)).copied().unwrap_or_default();
    let (mark, to) = match entry.target {
        target::DROP => return Err(RoadError::Drops(name.to_owned())),
        // The road of these is this host's own stack.
        target::PASS | target::CPU => (None, service),
        _ if tables.config.back.probes == 0 => return Err(RoadError::Off),
        _ => {
            let to = if entry.exit & exit::NAT != 0 { pod(tables, index, service) } else { Some(service) };
            let none = || RoadError::NoAddress { shard: name.to_owned(), service };
            (Some(PROBE_MARK << 16 | u32::from(index)), to.ok_or_else(none)?)
        }
    };
    let from = match mark {
        Some(_) => own_address(node, to.is_ipv4())?,
        None => None,
    };
    let begun = Instant::now();
    let outcome = ask(mark, from, to)?;
    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(Probed { shard: name.to_owned(), address: to.to_string(), outcome, micros })
}

/// The address of the pod behind a shard: it is asked itself, because its answer comes to this host and is translated where packets leave.
fn pod(tables: &Image, index: u16, service: SocketAddr) -> Option<SocketAddr> {
    let pod = tables.pods.get(usize::from(index))?;
    let address = if service.is_ipv4() {
        IpAddr::from(pod.v4)
    } else {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(pod.v6.as_flattened());
        IpAddr::from(bytes)
    };
    (!address.is_unspecified()).then(|| SocketAddr::new(address, service.port()))
}

/// An address of the first interface that packets leave by: what has it for a source is answered to it. The service's own may be this host's too.
fn own_address(node: &Node, v4: bool) -> Result<Option<IpAddr>, RoadError> {
    let interfaces = Interfaces::read().map_err(failed("list the interfaces"))?;
    let leaving = node.back.iter().filter_map(|name| interfaces.find(name)).map(|interface| interface.index);
    let all: Vec<Address> = addresses().map_err(failed("list this host's addresses"))?;
    let local = |address: IpAddr| match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let of = |index: u32| {
        let own = all.iter().filter(move |it| it.interface == index && it.address.is_ipv4() == v4);
        own.map(|it| it.address).find(|address| !local(*address))
    };
    Ok(leaving.into_iter().find_map(of))
}

/// A socket that never blocks, whose packets have `mark` and come from `from`, where these are given.
pub(crate) fn open(
    kind: SockType,
    protocol: Option<SockProtocol>,
    mark: Option<u32>,
    from: Option<IpAddr>,
    v4: bool,
) -> Result<OwnedFd, RoadError> {
    let family = if v4 { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, kind, flags, protocol).map_err(failed("make a socket"))?;
    if let Some(mark) = mark {
        setsockopt(&socket, sockopt::Mark, &mark).map_err(failed("mark a socket (CAP_NET_ADMIN)"))?;
    }
    if let Some(from) = from {
        let from = SockaddrStorage::from(SocketAddr::new(from, 0));
        bind(socket.as_raw_fd(), &from).map_err(failed("use this host's address"))?;
    }
    Ok(socket)
}

/// Where this host's questions come from, by family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    v4: Option<IpAddr>,
    v6: Option<IpAddr>,
}

impl Sources {
    /// Those of a node, as its interfaces have them now.
    ///
    /// # Errors
    /// The kernel does not list them.
    pub fn of_node(node: &Node) -> Result<Self, RoadError> {
        Ok(Self { v4: own_address(node, true)?, v6: own_address(node, false)? })
    }

    /// That of a family.
    pub fn of(&self, v4: bool) -> Option<IpAddr> {
        if v4 { self.v4 } else { self.v6 }
    }
}

/// Asks for a connection, and closes it.
fn ask(mark: Option<u32>, from: Option<IpAddr>, to: SocketAddr) -> Result<ProbeOutcome, RoadError> {
    let socket = open(SockType::Stream, None, mark, from, to.is_ipv4())?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
        Ok(()) => return Ok(ProbeOutcome::Connected),
        Err(nix::errno::Errno::EINPROGRESS) => {}
        Err(error) => return outcome(error.into()),
    }
    let patience = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
    let mut waited = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    if poll(&mut waited, patience).map_err(failed("wait for an answer"))? == 0 {
        return Ok(ProbeOutcome::Silent);
    }
    match getsockopt(&socket, sockopt::SocketError).map_err(failed("read a socket's error"))? {
        0 => Ok(ProbeOutcome::Connected),
        code => outcome(io::Error::from_raw_os_error(code)),
    }
}

/// What an error of a connection says of the shard.
fn outcome(error: io::Error) -> Result<ProbeOutcome, RoadError> {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Ok(ProbeOutcome::Refused),
        io::ErrorKind::TimedOut => Ok(ProbeOutcome::Silent),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Ok(ProbeOutcome::Unreachable),
        _ => Err(failed("connect")(error)),
    }
}
