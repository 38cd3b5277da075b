//! Every frame that the interfaces of a namespace send, or receive, with the assurance that none was
//! missed.
//!
//! The socket listens to the whole namespace, not to one interface: so a capture can begin before an
//! interface is up and misses nothing of its first frames. Frames sent are as the device gets them;
//! with [`super::tune::Offload::TxChecksum`] off they are what is on the wire. Frames that XDP
//! redirects out of an interface do not pass by here, only those of the namespace's own stack.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::packet::{LONGEST, Received, Tap};
use super::{Namespace, WorldError};

/// Which way a frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Sent by an interface.
    Outgoing,
    /// Received by an interface, whoever it was addressed to.
    Incoming,
}

/// A captured frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Index of the interface.
    pub interface: u32,
    /// The frame from the Ethernet header on, VLAN tags included.
    pub frame: Vec<u8>,
}

/// A capture under way.
#[derive(Debug)]
pub struct Capture {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<Vec<Captured>>>>,
    operation: String,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    seen: AtomicU64,
}

/// How long the capturing thread sleeps at most before it looks whether to stop.
const NAP: Duration = Duration::from_millis(20);

impl Capture {
    /// Begins to capture; frames from now on are kept until [`Capture::finish`].
    ///
    /// # Errors
    /// No privilege (`CAP_NET_RAW`), or no packet sockets in the kernel.
    pub fn start(namespace: &Namespace, direction: Direction) -> Result<Self, WorldError> {
        let operation = format!("capture frames in {}", namespace.label());
        let tap = namespace.run(Tap::open)?.map_err(WorldError::at(&operation))?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = namespace.spawn(move || read(&tap, direction, &of_thread))?;
        Ok(Self { shared, thread: Some(thread), operation })
    }

    /// How many frames were captured so far.
    pub fn seen(&self) -> u64 {
        self.shared.seen.load(Ordering::Acquire)
    }

    /// Ends the capture and gives its frames in order.
    ///
    /// # Errors
    /// A frame was missed or cut, or the socket failed: a capture is complete or it is none.
    pub fn finish(mut self) -> Result<Vec<Captured>, WorldError> {
        self.shared.stop.store(true, Ordering::Release);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(frames)) => frames,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(Vec::new()),
        }
        .map_err(WorldError::at(&self.operation))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // The frames are not wanted, so neither is what went wrong.
            let _ = thread.join();
        }
    }
}

/// Reads until told to stop and nothing is left.
fn read(tap: &Tap, direction: Direction, shared: &Shared) -> io::Result<Vec<Captured>> {
    let mut frames = Vec::new();
    let mut room = Box::new([0; LONGEST]);
    loop {
        // Asked before the queue is emptied: what was sent before the stop is in.
        let stop = shared.stop.load(Ordering::Acquire);
        while let Some(Received { interface, outgoing, frame }) = tap.next(&mut room)? {
            if outgoing == (direction == Direction::Outgoing) {
                frames.push(Captured { interface, frame });
                shared.seen.fetch_add(1, Ordering::Release);
            }
        }
        if stop {
            break;
        }
        tap.wait(NAP)?;
    }
    match tap.missed()? {
        0 => Ok(frames),
        missed => Err(io::Error::other(format!("the kernel's queue was full and {missed} frames were lost"))),
    }
}
