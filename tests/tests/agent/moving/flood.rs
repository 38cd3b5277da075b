//! Forged SYNs: a flood of them, and some on the tuples of live connections.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use etherparse::PacketBuilder;
use keysteer::world::Namespace;
use keysteer_tests::site::{PORT, SERVICE};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};

/// SYNs in a burst.
const BURST: u32 = 50;

/// A flood under way.
pub(super) struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU32>,
    thread: JoinHandle<u64>,
}

impl Flood {
    /// Sends so many SYNs a second from the client, of tenants 1 to 4, from addresses that nobody has; no more than a million.
    pub(super) fn start(client: &Namespace, a_second: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (raw, seen) = (raw(client), Arc::clone(&stop));
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let thread = std::thread::spawn(move || {
            let mut sent: u32 = 0;
            let pause = Duration::from_secs(1) * BURST / a_second;
            while !seen.load(Ordering::Relaxed) && sent < 1_000_000 {
                let begun = Instant::now();
                for _ in 0..BURST {
                    sent += 1;
                    let [_, high, low, last] = sent.wrapping_mul(2_654_435_761).to_be_bytes();
                    let source = Ipv4Addr::new(10, 1 + last % 4, 64 | high, low);
                    syn(&raw, source, 1_024 + (sent % 60_000) as u16, sent.wrapping_mul(40_503));
                }
                counted.store(sent, Ordering::Relaxed);
                std::thread::sleep(pause.saturating_sub(begun.elapsed()));
            }
            u64::from(sent)
        });
        Self { stop, sent: count, thread }
    }

    /// Waits for so many more, but no longer than two seconds.
    pub(super) fn more(&self, syns: u32) {
        let (begun, before) = (Instant::now(), self.sent.load(Ordering::Relaxed));
        while self.sent.load(Ordering::Relaxed) - before < syns && begun.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it, and gives how many were sent.
    pub(super) fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }

    /// Sends a SYN on each of these tuples; gives how many.
    pub(super) fn forge(client: &Namespace, tuples: &[(SocketAddr, SocketAddr)]) -> usize {
        let raw = raw(client);
        for (number, (source, _)) in (0..).zip(tuples) {
            if let SocketAddr::V4(source) = source {
                syn(&raw, *source.ip(), source.port(), u32::wrapping_mul(number, 1_664_525_013));
            }
        }
        tuples.len()
    }
}

fn raw(client: &Namespace) -> OwnedFd {
    let open = || -> std::io::Result<OwnedFd> {
        let (family, kind) = (AddressFamily::Inet, SockType::Raw);
        Ok(socket(family, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw)?)
    };
    client.run(open).unwrap().unwrap()
}

fn syn(raw: &OwnedFd, source: Ipv4Addr, port: u16, sequence: u32) {
    let std::net::IpAddr::V4(service) = SERVICE[0] else { unreachable!() };
    let mut packet = Vec::new();
    let built =
        PacketBuilder::ipv4(source.octets(), service.octets(), 64).tcp(port, PORT, sequence, 64_240).syn();
    built.write(&mut packet, &[]).unwrap();
    let to = SockaddrIn::from(std::net::SocketAddrV4::new(service, 0));
    // A queue that is full loses some: it is a flood.
    let _ = sendto(raw.as_raw_fd(), &packet, &to, MsgFlags::MSG_DONTWAIT);
}
