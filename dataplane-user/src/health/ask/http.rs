//! A page, asked for by HTTP/1.1 (RFC 9112): a request that fits in one packet, and of the answer its first line alone.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, recv, send};

use super::outcome;
use crate::agent::road::RoadError;
use crate::health::{Failure, Outcome};

/// The longest first line that is read.
const LINE: usize = 512;

/// A request and what came of it so far.
#[derive(Debug)]
pub(super) struct Exchange {
    request: Vec<u8>,
    /// How much of it is sent.
    sent: usize,
    /// The beginning of the answer.
    answer: Vec<u8>,
    /// The right answers.
    right: Vec<u16>,
}

impl Exchange {
    /// A request for `path`, to be sent to `at`.
    pub(super) fn new(at: SocketAddr, host: Option<&str>, path: &str, right: &[u16]) -> Self {
        let host = host.map_or_else(|| at.to_string(), str::to_owned);
        let agent = concat!("keysteer/", env!("CARGO_PKG_VERSION"));
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent} (health)\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
        Self { request: request.into_bytes(), sent: 0, answer: Vec::new(), right: right.to_vec() }
    }

    /// What of the socket is waited for.
    pub(super) fn waits_for(&self) -> PollFlags {
        if self.sent < self.request.len() { PollFlags::POLLOUT } else { PollFlags::POLLIN }
    }

    /// Goes on as far as that is possible without waiting.
    pub(super) fn go_on(&mut self, socket: &OwnedFd) -> Result<Option<Outcome>, RoadError> {
        let socket = socket.as_raw_fd();
        while let Some(rest) = self.request.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match send(socket, rest, MsgFlags::MSG_NOSIGNAL) {
                Ok(sent) => self.sent += sent,
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(error) => return outcome(error, "send a request").map(Some),
            }
        }
        let mut some = [0; LINE];
        loop {
            match recv(socket, &mut some, MsgFlags::empty()) {
                // It is closed, and said too little.
                Ok(0) => return Ok(Some(Outcome::Failed(Failure::Broken))),
                Ok(many) => {
                    self.answer.extend(some.iter().take(many));
                    if let Some(outcome) = self.judge() {
                        return Ok(Some(outcome));
                    }
                }
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(error) => return outcome(error, "read an answer").map(Some),
            }
        }
    }

    /// What the answer says, once its first line is there.
    fn judge(&self) -> Option<Outcome> {
        let broken = Some(Outcome::Failed(Failure::Broken));
        let Some(end) = self.answer.iter().take(LINE).position(|byte| *byte == b'\n') else {
            return if self.answer.len() < LINE { None } else { broken };
        };
        match self.answer.get(..end).and_then(status) {
            Some(status) if self.right.contains(&status) => Some(Outcome::Answered),
            Some(status) => Some(Outcome::Failed(Failure::Status(status))),
            None => broken,
        }
    }
}

/// The status of a first line such as `HTTP/1.1 200 OK` (RFC 9112, section 4).
fn status(line: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(line).ok()?;
    let (version, rest) = line.split_once(' ')?;
    version.strip_prefix("HTTP/1.").filter(|minor| minor.len() == 1)?;
    let status = rest.trim_end_matches('\r').split(' ').next()?;
    let digits = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    if digits { status.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_judged_and_nothing_else() {
        let at = "203.0.113.10:80".parse().unwrap();
        let judged = |answer: &[u8]| {
            let mut exchange = Exchange::new(at, None, "/", &[200, 204]);
            exchange.answer.extend(answer);
            exchange.judge()
        };
        let failed = |why| Some(Outcome::Failed(why));
        assert_eq!(judged(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"), Some(Outcome::Answered));
        assert_eq!(judged(b"HTTP/1.0 204\n"), Some(Outcome::Answered));
        assert_eq!(judged(b"HTTP/1.1 503 Busy\r\n"), failed(Failure::Status(503)));
        assert_eq!(judged(b"HTTP/1.1 200"), None);
        for junk in [
            &b"SSH-2.0-x\r\n"[..],
            b"HTTP/2 200\r\n",
            b"HTTP/1.1 2x0\r\n",
            b"HTTP/1.1\r\n",
            b"\n",
            &[b'a'; LINE],
        ] {
            assert_eq!(judged(junk), failed(Failure::Broken), "{junk:?}");
        }
    }

    #[test]
    fn a_request_is_what_the_standard_asks_for() {
        let text = |host| {
            let at = "[2001:db8::1]:8080".parse().unwrap();
            String::from_utf8(Exchange::new(at, host, "/healthz?deep=1", &[200]).request).unwrap()
        };
        assert!(text(None).starts_with("GET /healthz?deep=1 HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n"));
        assert!(text(Some("shop.example")).contains("\r\nHost: shop.example\r\n"));
        assert!(text(None).ends_with("\r\nConnection: close\r\n\r\n"));
    }
}
