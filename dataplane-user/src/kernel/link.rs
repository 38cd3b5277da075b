//! What holds a program on an interface, and lets another take its place between two packets.
//!
//! BPF links, by bpf(2) itself: aya attaches by netlink where the kernel refuses a link with `EINVAL`, and such an attachment can
//! be neither pinned nor replaced atomically. At TC of kernels before 6.6, which have no links there, a classic filter that is made to
//! live as a link does ([`super::filter`]).

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use keysteer_common::program::Hook;

use super::filter::Filter;
use super::native::has_tcx;
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
            Self::Tc(Direction::Ingress) => Hook::Tc,
            Self::Tc(Direction::Egress) => Hook::Back,
        }
    }
}

/// A program attached to an interface, until this and every pin of it are gone. (A filter also stays when the process is killed that
/// made it and did not pin it.)
#[derive(Debug)]
pub struct Link(Hold);

/// What holds the program.
#[derive(Debug)]
enum Hold {
    Link(OwnedFd),
    Filter(Filter),
}

/// What the kernel says of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkFacts {
    /// Where the program is held.
    pub place: Place,
    /// Id of the attached program.
    pub program: u32,
    /// The interface's index; 0 once it has gone, or the filter alone.
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
        sys::create_link(program, index, sys::BPF_XDP, flags).map(Hold::Link).map(Self)
    }

    /// Attaches `program` to TC of interface `index`, behind what others have attached there: by a link where the kernel has such (TCX),
    /// else by a filter. `pin`: where it will be pinned.
    ///
    /// # Errors
    /// The kernel's answer, or who is in the way of a filter.
    pub fn tc(
        program: BorrowedFd<'_>,
        index: u32,
        direction: Direction,
        pin: Option<&Path>,
    ) -> io::Result<Self> {
        if !has_tcx() {
            return Self::filter(program, index, direction, pin);
        }
        let attach_type = match direction {
            Direction::Ingress => sys::BPF_TCX_INGRESS,
            Direction::Egress => sys::BPF_TCX_EGRESS,
        };
        sys::create_link(program, index, attach_type, 0).map(Hold::Link).map(Self)
    }

    /// The same by a filter, which every kernel has.
    ///
    /// # Errors
    /// The kernel's answer, or who is in the way.
    pub fn filter(
        program: BorrowedFd<'_>,
        index: u32,
        direction: Direction,
        pin: Option<&Path>,
    ) -> io::Result<Self> {
        Filter::create(program, index, direction, pin).map(Hold::Filter).map(Self)
    }

    /// What was pinned as `pin` on interface `index`, at XDP or in this direction. Where a link and a filter were, a change from one to the other was
    /// cut short: the filter ends.
    ///
    /// # Errors
    /// There is none, or it cannot be opened.
    pub fn from_pin(pin: &Path, index: u32, direction: Direction) -> io::Result<Self> {
        let filter = Filter::from_pin(pin, index, direction)?;
        match (sys::get_pinned(pin), filter) {
            (Ok(link), filter) => {
                filter.map_or(Ok(()), Filter::end)?;
                Ok(Self(Hold::Link(link)))
            }
            (Err(error), Some(filter)) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Self(Hold::Filter(filter)))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Pins it: it then outlives this process.
    ///
    /// # Errors
    /// Something is there, or the file system refuses.
    pub fn pin(&mut self, pin: &Path) -> io::Result<()> {
        match &mut self.0 {
            Hold::Link(link) => sys::pin(link.as_fd(), pin),
            Hold::Filter(filter) => filter.pin(pin),
        }
    }

    /// Takes its pin away: it still holds, until it is dropped.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn unpin(&mut self, pin: &Path) -> io::Result<()> {
        match &mut self.0 {
            Hold::Link(_) => match fs::remove_file(pin) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
            Hold::Filter(filter) => {
                filter.unpin();
                Ok(())
            }
        }
    }

    /// Detaches, if it is not pinned any more: dropping does the same, and keeps what goes wrong for itself.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn end(self) -> io::Result<()> {
        match self.0 {
            Hold::Link(_) => Ok(()),
            Hold::Filter(filter) => filter.end(),
        }
    }

    /// Puts `program` in the place of the attached one: a packet meets one of them, and no packet none.
    ///
    /// # Errors
    /// The interface has gone, or the program is of another kind.
    pub fn update(&self, program: BorrowedFd<'_>) -> io::Result<()> {
        match &self.0 {
            Hold::Link(link) => sys::update_link(link.as_fd(), program),
            Hold::Filter(filter) => filter.update(program),
        }
    }

    /// Where it is, and what is attached.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn facts(&self) -> io::Result<LinkFacts> {
        let link = match &self.0 {
            Hold::Link(link) => link,
            Hold::Filter(filter) => return filter.facts(),
        };
        let info = sys::link_info(link.as_fd())?;
        let place = match (info.kind, info.attach_type) {
            (sys::LINK_TCX, sys::BPF_TCX_EGRESS) => Place::Tc(Direction::Egress),
            (sys::LINK_TCX, _) => Place::Tc(Direction::Ingress),
            _ => Place::Xdp,
        };
        Ok(LinkFacts { place, program: info.program, interface: info.interface })
    }
}
