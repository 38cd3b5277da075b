//! Shards as pods: with addresses of their own, where the service's are somebody else's.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use keysteer::world::tune::Offload;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, socket};

use super::{ETH0, PATIENCE, PORT, SERVICE, Site, UP0, icmp, link_addresses};

/// The port that pods send long answers from, which the policy must have as a service.
pub const LONG: u16 = 7001;
/// How much is read or written at once.
const CHUNK: usize = 16 << 10;

impl Site {
    /// Lets every host leave checksums to its device, as most do.
    ///
    /// # Panics
    /// The kernel refuses.
    pub fn leave_checksums_to_devices(&self) {
        for host in &self.shards {
            host.namespace.offload(ETH0, Offload::TxChecksum, true).unwrap();
        }
        self.client.offload(ETH0, Offload::TxChecksum, true).unwrap();
        self.node.offload(UP0, Offload::TxChecksum, true).unwrap();
    }

    /// What shard `name` takes for the MTU of its path to a client.
    ///
    /// # Panics
    /// There is no such shard.
    pub fn pod_mtu(&self, name: &str, client: SocketAddr) -> u32 {
        let (number, host) = (1..).zip(&self.shards).find(|(_, host)| host.name == name).unwrap();
        let own = link_addresses(number, 2)[usize::from(client.is_ipv6())];
        host.namespace
            .run(|| {
                let socket = UdpSocket::bind((own, 0)).unwrap();
                socket.connect(client).unwrap();
                path_mtu(&socket, client.is_ipv6())
            })
            .unwrap()
    }

    /// A router beyond the node says of the service's answer to `client` that it is too big for 1,400 bytes.
    pub fn tell_too_big(&self, client: SocketAddr) {
        let family = usize::from(client.is_ipv6());
        let message = icmp::too_big(SocketAddr::new(SERVICE[family], PORT), client);
        icmp::send(&self.client, link_addresses(0, 2)[family], SERVICE[family], message);
    }

    /// Has the pods serve `size` bytes by TCP to whoever asks, and gives how many of them arrive at `source`.
    ///
    /// # Panics
    /// Nobody answers.
    pub fn download(&self, source: IpAddr, size: usize) -> usize {
        let family = usize::from(source.is_ipv6());
        let servers: Vec<_> = (1..)
            .zip(&self.shards)
            .map(|(number, host)| {
                let own = link_addresses(number, 2)[family];
                host.namespace.run(|| TcpListener::bind((own, LONG)).unwrap()).unwrap()
            })
            .collect();
        std::thread::scope(|scope| {
            for server in &servers {
                server.set_nonblocking(true).unwrap();
                scope.spawn(move || serve(server, size));
            }
            self.client
                .run(|| {
                    let mut stream = connect(source, SocketAddr::new(SERVICE[family], LONG));
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    let (mut got, mut chunk) = (0, vec![0; CHUNK]);
                    while got < size {
                        match stream.read(&mut chunk) {
                            Ok(0) | Err(_) => break,
                            Ok(length) => got += length,
                        }
                    }
                    got
                })
                .unwrap()
        })
    }
}

/// A connection from an address.
fn connect(source: IpAddr, to: SocketAddr) -> TcpStream {
    let family = if source.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(source, 0))).unwrap();
    nix::sys::socket::connect(socket.as_raw_fd(), &SockaddrStorage::from(to)).unwrap();
    socket.into()
}

/// Serves the one that comes, or nobody.
fn serve(server: &TcpListener, size: usize) {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let Ok((mut stream, _)) = server.accept() else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        stream.set_nonblocking(false).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let chunk = vec![b'!'; CHUNK];
        let mut left = size;
        while left > 0 {
            match stream.write(&chunk[..left.min(CHUNK)]) {
                Ok(length) => left -= length,
                Err(_) => break,
            }
        }
        return;
    }
}

/// The MTU of a connected socket's path.
fn path_mtu(socket: &UdpSocket, v6: bool) -> u32 {
    let (level, name) =
        if v6 { (libc::IPPROTO_IPV6, libc::IPV6_MTU) } else { (libc::IPPROTO_IP, libc::IP_MTU) };
    let mut mtu: libc::c_int = 0;
    let mut length = size_of_val(&mtu) as libc::socklen_t;
    // SAFETY: both point to what they say, which outlives the call.
    let done =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut mtu).cast(), &raw mut length) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    u32::try_from(mtu).unwrap()
}
