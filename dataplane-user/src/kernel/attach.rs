//! Attaching: native XDP, with an explicit, reported fall-back to TC, and from there to generic XDP.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use aya::util::KernelVersion;
use keysteer_common::program::Hook;

use super::foreign::{ForeignProgram, foreign_program};
use super::interfaces::Interface;
use super::link::{Direction, Link};
use super::{Dataplane, KernelError};

/// Which mode the operator asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WantedMode {
    /// Native, else at TC, else generic.
    #[default]
    Auto,
    /// Native or nothing.
    Native,
    /// Generic.
    Generic,
    /// At TC.
    Tc,
}

/// Which mode was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver.
    Native,
    /// In the network stack: correct, but slower.
    Generic,
    /// At TC ingress.
    Tc,
}

impl Mode {
    /// The name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Tc => "tc",
        }
    }

    /// Where the program then runs.
    pub(super) const fn hook(self) -> Hook {
        match self {
            Self::Native | Self::Generic => Hook::Xdp,
            Self::Tc => Hook::Tc,
        }
    }
}

/// Where the program is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Interface name.
    pub name: String,
    /// Interface index.
    pub index: u32,
    /// The mode taken.
    pub mode: Mode,
    /// Why not native, where it was tried and refused.
    pub fallback: Option<String>,
}

/// An attachment and the link that holds it. Closing the link detaches.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) about: Attachment,
    _link: Link,
}

impl Dataplane {
    /// Attaches to an interface.
    ///
    /// # Errors
    /// Another XDP program is there (it is named and left alone), or the kernel refuses.
    pub fn attach(&mut self, interface: &Interface, wanted: WantedMode) -> Result<Attachment, KernelError> {
        let (link, about) = self.link(interface, wanted, None)?;
        self.links.push(Attached { about: about.clone(), _link: link });
        Ok(about)
    }

    /// A link that attaches to an interface; steering there ends with it. `pin`: where it will be pinned.
    pub(super) fn link(
        &self,
        interface: &Interface,
        wanted: WantedMode,
        pin: Option<&Path>,
    ) -> Result<(Link, Attachment), KernelError> {
        if wanted != WantedMode::Tc
            && let Some(program) = foreign_program(interface.index)
                .map_err(|error| KernelError::other("ask the kernel about the interface", error))?
        {
            return Err(KernelError::Occupied { interface: interface.name.clone(), program });
        }
        let (link, mode, fallback) = match wanted {
            WantedMode::Generic => (self.try_link(interface, Mode::Generic, pin)?, Mode::Generic, None),
            WantedMode::Native => (self.try_link(interface, Mode::Native, pin)?, Mode::Native, None),
            WantedMode::Tc => (self.try_link(interface, Mode::Tc, pin)?, Mode::Tc, None),
            WantedMode::Auto => match self.try_link(interface, Mode::Native, pin) {
                Ok(link) => (link, Mode::Native, None),
                Err(KernelError::Attach { cause, .. }) => {
                    let mut why = format!("the driver refused native XDP: {cause}");
                    let (link, mode) = self.try_without_driver(interface, pin, &mut why)?;
                    (link, mode, Some(why))
                }
                Err(error) => return Err(error),
            },
        };
        Ok((link, Attachment { name: interface.name.clone(), index: interface.index, mode, fallback }))
    }

    /// Where it is attached.
    pub fn attachments(&self) -> Vec<Attachment> {
        self.links.iter().map(|attached| attached.about.clone()).collect()
    }

    /// Ends steering everywhere. Counters can still be read.
    pub fn detach(&mut self) {
        self.links.clear();
    }

    /// At TC, where a large packet stays one; else in generic mode, where each frame is copied. `why` not, if TC refuses.
    fn try_without_driver(
        &self,
        interface: &Interface,
        pin: Option<&Path>,
        why: &mut String,
    ) -> Result<(Link, Mode), KernelError> {
        if self.about.shape.tc {
            match self.try_link(interface, Mode::Tc, pin) {
                Ok(link) => return Ok((link, Mode::Tc)),
                Err(KernelError::Attach { cause, .. }) => *why += &format!("; TC did: {cause}"),
                Err(_) => {}
            }
        }
        Ok((self.try_link(interface, Mode::Generic, pin)?, Mode::Generic))
    }

    fn try_link(&self, interface: &Interface, mode: Mode, pin: Option<&Path>) -> Result<Link, KernelError> {
        if mode == Mode::Generic && self.about.to_cpu && generic_loses_cpu_redirects()? {
            return Err(KernelError::CpuInGeneric { interface: interface.name.clone() });
        }
        let program = self.home.fd(mode.hook())?;
        let program = program.as_fd();
        match mode {
            Mode::Native => Link::xdp(program, interface.index, true),
            Mode::Generic => Link::xdp(program, interface.index, false),
            Mode::Tc => Link::tc(program, interface.index, Direction::Ingress, pin),
        }
        .map_err(|error| attach_error(error, interface, mode))
    }
}

/// Since Linux 6.9 generic XDP copies a frame that has too little headroom, as nearly all have, and the
/// copy forgets the length of its Ethernet header (`mac_len`). Redirecting to a CPU (CPUMAP) relies on
/// it: the frame reaches the IP stack with its Ethernet header before it, and is thrown away there
/// (`InHdrErrors`). Seen on 6.18; everything else about generic mode works.
fn generic_loses_cpu_redirects() -> Result<bool, KernelError> {
    let version =
        KernelVersion::current().map_err(|error| KernelError::other("read the kernel's version", error))?;
    Ok(version >= KernelVersion::new(6, 9, 0))
}

fn attach_error(cause: io::Error, interface: &Interface, mode: Mode) -> KernelError {
    match cause.raw_os_error() {
        Some(libc::EPERM) => KernelError::NotPermitted { operation: "attach to an interface" },
        Some(libc::ENODEV) => KernelError::NoInterface { interface: interface.name.clone() },
        Some(libc::EBUSY) => KernelError::Occupied {
            interface: interface.name.clone(),
            program: foreign_program(interface.index).ok().flatten().unwrap_or_else(ForeignProgram::unknown),
        },
        _ => KernelError::Attach {
            interface: interface.name.clone(),
            mode: mode.name(),
            hint: match mode {
                Mode::Native => "; the interface's `mode: generic` or `auto` in the policy avoids the driver",
                Mode::Generic => "",
                Mode::Tc => "; `mode: generic` does without TC",
            },
            cause,
        },
    }
}
