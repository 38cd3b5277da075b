//! BPF links: what holds a program on an interface, and lets another take its place between two packets.
//!
//! By bpf(2) itself: aya attaches by netlink where the kernel refuses a link with `EINVAL`, and such an attachment can be
//! neither pinned nor replaced atomically.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use keysteer_common::program::Hook;

use super::attach::Mode;
use super::sys;

/// A program attached to an interface, until every descriptor and every pin of it is gone.
#[derive(Debug)]
pub(super) struct Link(OwnedFd);

/// What the kernel says of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LinkFacts {
    /// Where the program runs.
    pub(super) hook: Hook,
    /// Id of the attached program.
    pub(super) program: u32,
    /// The interface's index; 0 once it has gone.
    pub(super) interface: u32,
}

impl Link {
    /// Attaches `program` to interface `index`.
    pub(super) fn create(program: BorrowedFd<'_>, index: u32, mode: Mode) -> io::Result<Self> {
        // `XDP_FLAGS_SKB_MODE` and `XDP_FLAGS_DRV_MODE` of linux/if_link.h.
        match mode {
            Mode::Generic => sys::create_link(program, index, sys::BPF_XDP, 1 << 1),
            Mode::Native => sys::create_link(program, index, sys::BPF_XDP, 1 << 2),
            // Behind what others have attached there.
            Mode::Tc => sys::create_link(program, index, sys::BPF_TCX_INGRESS, 0),
        }
        .map(Self)
    }

    /// Attaches `program` where packets leave by interface `index`, behind what others have attached there.
    pub(super) fn egress(program: BorrowedFd<'_>, index: u32) -> io::Result<Self> {
        sys::create_link(program, index, sys::BPF_TCX_EGRESS, 0).map(Self)
    }

    /// A link that was pinned.
    pub(super) fn from_pin(path: &Path) -> io::Result<Self> {
        sys::get_pinned(path).map(Self)
    }

    /// Pins it: it then outlives this process.
    pub(super) fn pin(&self, path: &Path) -> io::Result<()> {
        sys::pin(self.0.as_fd(), path)
    }

    /// Puts `program` in the place of the attached one: a packet meets one of them, and no packet none.
    pub(super) fn update(&self, program: BorrowedFd<'_>) -> io::Result<()> {
        sys::update_link(self.0.as_fd(), program)
    }

    /// Where it is, and what is attached.
    pub(super) fn facts(&self) -> io::Result<LinkFacts> {
        let [kind, program, interface] = sys::link_facts(self.0.as_fd())?;
        let hook = if kind == sys::LINK_TCX { Hook::Tc } else { Hook::Xdp };
        Ok(LinkFacts { hook, program, interface })
    }
}
