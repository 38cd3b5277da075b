//! What holds a program on an interface, and lets another take its place between two packets.
//!
//! BPF links, by bpf(2) itself: aya attaches by netlink where the kernel refuses a link with `EINVAL`, and such an attachment can
//! be neither pinned nor replaced atomically.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use keysteer_common::program::Hook;

use super::sys;

/// Which packets of an interface a program at TC meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Those that come in.
    Ingress,
    /// Those that go out.
    Egress,
}

impl Direction {
    /// The name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

/// Where on an interface a program is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Before the network stack; the kernel does not say of a link whether in the driver.
    Xdp,
    /// In the network stack, by direction.
    Tc(Direction),
}

impl Place {
    /// The kind of program that runs there.
    pub const fn hook(self) -> Hook {
        match self {
            Self::Xdp => Hook::Xdp,
            Self::Tc(_) => Hook::Tc,
        }
    }
}

/// A program attached to an interface, until this and every pin of it are gone.
#[derive(Debug)]
pub struct Link(OwnedFd);

/// What the kernel says of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkFacts {
    /// Where the program is held.
    pub place: Place,
    /// Id of the attached program.
    pub program: u32,
    /// The interface's index; 0 once it has gone.
    pub interface: u32,
}

impl Link {
    /// Attaches `program` to XDP of interface `index`: in its driver (`native`), or before the network stack.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn xdp(program: BorrowedFd<'_>, index: u32, native: bool) -> io::Result<Self> {
        // `XDP_FLAGS_DRV_MODE` and `XDP_FLAGS_SKB_MODE` of linux/if_link.h.
        let flags = if native { 1 << 2 } else { 1 << 1 };
        sys::create_link(program, index, sys::BPF_XDP, flags).map(Self)
    }

    /// Attaches `program` to TC of interface `index`, behind what others have attached there.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn tc(program: BorrowedFd<'_>, index: u32, direction: Direction) -> io::Result<Self> {
        let attach_type = match direction {
            Direction::Ingress => sys::BPF_TCX_INGRESS,
            Direction::Egress => sys::BPF_TCX_EGRESS,
        };
        sys::create_link(program, index, attach_type, 0).map(Self)
    }

    /// Attaches `program` where packets leave by interface `index`, behind what others have attached there.
    pub(super) fn egress(program: BorrowedFd<'_>, index: u32) -> io::Result<Self> {
        sys::create_link(program, index, sys::BPF_TCX_EGRESS, 0).map(Self)
    }

    /// A link that was pinned.
    ///
    /// # Errors
    /// There is none, or it cannot be opened.
    pub fn from_pin(path: &Path) -> io::Result<Self> {
        sys::get_pinned(path).map(Self)
    }

    /// Pins it: it then outlives this process.
    ///
    /// # Errors
    /// Something is there, or the file system refuses.
    pub fn pin(&mut self, path: &Path) -> io::Result<()> {
        sys::pin(self.0.as_fd(), path)
    }

    /// Takes its pin away: it still holds, until it is dropped.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn unpin(&mut self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Puts `program` in the place of the attached one: a packet meets one of them, and no packet none.
    ///
    /// # Errors
    /// The interface has gone, or the program is of another kind.
    pub fn update(&self, program: BorrowedFd<'_>) -> io::Result<()> {
        sys::update_link(self.0.as_fd(), program)
    }

    /// Where it is, and what is attached.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn facts(&self) -> io::Result<LinkFacts> {
        let info = sys::link_info(self.0.as_fd())?;
        let place = match (info.kind, info.attach_type) {
            (sys::LINK_TCX, sys::BPF_TCX_EGRESS) => Place::Tc(Direction::Egress),
            (sys::LINK_TCX, _) => Place::Tc(Direction::Ingress),
            _ => Place::Xdp,
        };
        Ok(LinkFacts { place, program: info.program, interface: info.interface })
    }
}
