//! A question to a shard, over the road that packets to it take: begun, gone on with whenever its socket is ready, given up by being
//! dropped. Nothing here waits, and nothing knows the time: time-outs are `monitor.rs`'s.

mod echo;
mod http;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{SockType, SockaddrStorage, connect, getsockopt, setsockopt, sockopt};

use super::{Asked, Failure, Outcome};
use crate::agent::road::{RoadError, Sources, open};
use crate::policy::Probe;

/// A question on its way.
#[derive(Debug)]
pub struct Question {
    socket: OwnedFd,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// A connection is being opened; then that is all, or this is asked.
    Connecting(Option<http::Exchange>),
    /// A page is asked for.
    Asking(http::Exchange),
    /// An echo is waited for.
    Echo(echo::Wanted),
}

/// How a question begins.
#[derive(Debug)]
pub enum Begun {
    /// It is on its way.
    Waiting(Question),
    /// It is over already.
    Over(Outcome),
}

impl Question {
    /// Puts a question, from an address of this host where the road needs one. `number` tells questions apart.
    ///
    /// # Errors
    /// The system refuses, which says nothing of the shard.
    pub fn put(asked: &Asked, sources: &Sources, number: u64) -> Result<Begun, RoadError> {
        let Asked { check, mark, .. } = asked;
        let from = mark.and_then(|_| sources.of(check.address.is_ipv4()));
        let (port, exchange) = match &check.probe {
            Probe::Icmp => return echo::put(*mark, from, check.address, number),
            Probe::Tcp { port } => (*port, None),
            Probe::Http { port, path, host, status } => {
                let at = SocketAddr::new(check.address, *port);
                (*port, Some(http::Exchange::new(at, host.as_deref(), path, status)))
            }
        };
        let to = SocketAddr::new(check.address, port);
        let socket = open(SockType::Stream, None, *mark, from, to.is_ipv4())?;
        // Closed by a reset: thousands of questions an hour leave no port waiting behind them.
        let reset = libc::linger { l_onoff: 1, l_linger: 0 };
        setsockopt(&socket, sockopt::Linger, &reset).map_err(system("set up a socket"))?;
        match connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
            Ok(()) | Err(Errno::EINPROGRESS) => {
                Ok(Begun::Waiting(Self { socket, stage: Stage::Connecting(exchange) }))
            }
            Err(error) => outcome(error, "connect").map(Begun::Over),
        }
    }

    /// The socket.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What of the socket is waited for.
    pub fn waits_for(&self) -> PollFlags {
        match &self.stage {
            Stage::Connecting(_) => PollFlags::POLLOUT,
            Stage::Asking(exchange) => exchange.waits_for(),
            Stage::Echo(_) => PollFlags::POLLIN,
        }
    }

    /// Goes on, now that the socket is ready. Gives what came of it, once that is known.
    ///
    /// # Errors
    /// The system refuses, which says nothing of the shard.
    pub fn go_on(&mut self) -> Result<Option<Outcome>, RoadError> {
        if let Stage::Connecting(exchange) = &mut self.stage {
            match getsockopt(&self.socket, sockopt::SocketError).map_err(system("read a socket's error"))? {
                0 => {}
                code => return outcome(Errno::from_raw(code), "connect").map(Some),
            }
            match exchange.take() {
                None => return Ok(Some(Outcome::Answered)),
                Some(exchange) => self.stage = Stage::Asking(exchange),
            }
        }
        match &mut self.stage {
            Stage::Connecting(_) => Ok(None),
            Stage::Asking(exchange) => exchange.go_on(&self.socket),
            Stage::Echo(wanted) => wanted.go_on(&self.socket),
        }
    }
}

/// What an error of a socket says of the shard.
fn outcome(error: Errno, operation: &'static str) -> Result<Outcome, RoadError> {
    let failed = |why| Ok(Outcome::Failed(why));
    match error {
        Errno::ECONNREFUSED => failed(Failure::Refused),
        Errno::ETIMEDOUT => failed(Failure::Timeout),
        Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::EHOSTDOWN | Errno::ENETDOWN => {
            failed(Failure::Unreachable)
        }
        Errno::ECONNRESET | Errno::EPIPE | Errno::ECONNABORTED | Errno::EPROTO => failed(Failure::Broken),
        error => Err(RoadError::System { operation, cause: error.into() }),
    }
}

fn system<E: Into<io::Error>>(operation: &'static str) -> impl FnOnce(E) -> RoadError {
    move |cause| RoadError::System { operation, cause: cause.into() }
}
