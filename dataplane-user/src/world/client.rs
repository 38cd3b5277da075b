//! Client sockets with everything chosen that a key can be made of: source address, port, DSCP. They
//! belong to the namespace whose runtime opens them ([`super::Namespace::block_on`]).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::timeout;

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Transport {
    /// IANA protocol number.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }

    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A socket with a source, not yet connected.
#[derive(Debug)]
pub enum Bound {
    /// Of TCP.
    Tcp(TcpSocket),
    /// Of UDP.
    Udp(UdpSocket),
}

/// A connected socket.
#[derive(Debug)]
pub enum Connection {
    /// Of TCP.
    Tcp(TcpStream),
    /// Of UDP.
    Udp(UdpSocket),
}

impl Bound {
    /// A socket bound to `source` (port 0: any free one), whose packets carry `dscp`.
    ///
    /// # Errors
    /// The address is not configured here, or the port is taken.
    pub async fn new(transport: Transport, source: SocketAddr, dscp: u8) -> io::Result<Self> {
        // The two low bits of the octet are for congestion notification (RFC 3168).
        let octet = u32::from(dscp) << 2;
        match transport {
            Transport::Tcp => {
                let socket = if source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
                if source.is_ipv4() {
                    socket.set_tos_v4(octet)?;
                } else {
                    socket.set_tclass_v6(octet)?;
                }
                socket.bind(source)?;
                Ok(Self::Tcp(socket))
            }
            Transport::Udp => {
                let socket = UdpSocket::bind(source).await?;
                if source.is_ipv4() {
                    socket.set_tos_v4(octet)?;
                } else {
                    socket.set_tclass_v6(octet)?;
                }
                Ok(Self::Udp(socket))
            }
        }
    }

    /// Where it is bound.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn source(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr(),
            Self::Udp(socket) => socket.local_addr(),
        }
    }

    /// Connects, or gives `None` when nobody answers within `patience`. (UDP asks nobody.)
    ///
    /// # Errors
    /// The connection is refused, or there is no route.
    pub async fn connect(
        self,
        destination: SocketAddr,
        patience: Duration,
    ) -> io::Result<Option<Connection>> {
        match self {
            Self::Tcp(socket) => match timeout(patience, socket.connect(destination)).await {
                Ok(stream) => Ok(Some(Connection::Tcp(stream?))),
                Err(_) => Ok(None),
            },
            Self::Udp(socket) => {
                socket.connect(destination).await?;
                Ok(Some(Connection::Udp(socket)))
            }
        }
    }
}

impl Connection {
    /// Asks, and gives the answer's first line; `None` when none comes within `patience`.
    ///
    /// # Errors
    /// The other side refuses, resets or ends the connection.
    pub async fn ask(&mut self, question: &[u8], patience: Duration) -> io::Result<Option<String>> {
        timeout(patience, self.exchange(question)).await.map_or(Ok(None), |answer| answer.map(Some))
    }

    async fn exchange(&mut self, question: &[u8]) -> io::Result<String> {
        let mut answer = Vec::new();
        let mut part = [0; 256];
        match self {
            Self::Tcp(stream) => {
                stream.write_all(question).await?;
                while !answer.ends_with(b"\n") {
                    match stream.read(&mut part).await? {
                        0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                        read => answer.extend_from_slice(part.get(..read).unwrap_or_default()),
                    }
                }
            }
            Self::Udp(socket) => {
                socket.send(question).await?;
                let read = socket.recv(&mut part).await?;
                answer.extend_from_slice(part.get(..read).unwrap_or_default());
            }
        }
        Ok(String::from_utf8_lossy(&answer).trim_end().to_owned())
    }
}
