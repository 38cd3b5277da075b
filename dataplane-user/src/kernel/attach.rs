//! Attaching: native XDP, with an explicit, reported fall-back to generic.

use std::io;

use aya::programs::links::FdLink;
use aya::programs::{ProgramError, Xdp, XdpMode};
use aya::util::KernelVersion;

use super::foreign::{ForeignProgram, foreign_program};
use super::interfaces::Interface;
use super::{Dataplane, KernelError, PROGRAM};

/// Which mode the operator asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WantedMode {
    /// Native, else generic.
    #[default]
    Auto,
    /// Native or nothing.
    Native,
    /// Generic.
    Generic,
}

/// Which mode was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver.
    Native,
    /// In the network stack: correct, but slower.
    Generic,
}

impl Mode {
    /// The name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
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
    _link: FdLink,
}

impl Dataplane {
    /// Attaches to an interface.
    ///
    /// # Errors
    /// Another XDP program is there (it is named and left alone), or the kernel refuses.
    pub fn attach(&mut self, interface: &Interface, wanted: WantedMode) -> Result<Attachment, KernelError> {
        if let Some(program) = foreign_program(interface.index)
            .map_err(|error| KernelError::other("ask the kernel about the interface", error))?
        {
            return Err(KernelError::Occupied { interface: interface.name.clone(), program });
        }
        let (link, mode, fallback) = match wanted {
            WantedMode::Generic => (self.link(interface, Mode::Generic)?, Mode::Generic, None),
            WantedMode::Native => (self.link(interface, Mode::Native)?, Mode::Native, None),
            WantedMode::Auto => match self.link(interface, Mode::Native) {
                Ok(link) => (link, Mode::Native, None),
                Err(KernelError::Attach { cause, .. }) => {
                    let why = format!("the driver refused native XDP: {cause}");
                    (self.link(interface, Mode::Generic)?, Mode::Generic, Some(why))
                }
                Err(error) => return Err(error),
            },
        };
        let about = Attachment { name: interface.name.clone(), index: interface.index, mode, fallback };
        self.links.push(Attached { about: about.clone(), _link: link });
        Ok(about)
    }

    /// Where it is attached.
    pub fn attachments(&self) -> Vec<Attachment> {
        self.links.iter().map(|attached| attached.about.clone()).collect()
    }

    /// Ends steering everywhere. Counters can still be read.
    pub fn detach(&mut self) {
        self.links.clear();
    }

    fn link(&mut self, interface: &Interface, mode: Mode) -> Result<FdLink, KernelError> {
        if mode == Mode::Generic && self.to_cpu && generic_loses_cpu_redirects()? {
            return Err(KernelError::CpuInGeneric { interface: interface.name.clone() });
        }
        let program: &mut Xdp = self
            .ebpf
            .program_mut(PROGRAM)
            .ok_or_else(|| KernelError::Object { what: format!("program {PROGRAM}") })?
            .try_into()
            .map_err(|error| KernelError::other("use the program", error))?;
        let flags = match mode {
            Mode::Native => XdpMode::Driver,
            Mode::Generic => XdpMode::Skb,
        };
        let id = program
            .attach_to_if_index(interface.index, flags)
            .map_err(|error| attach_error(error, interface, mode))?;
        let link = program.take_link(id).map_err(|error| KernelError::other("take the link", error))?;
        // Where aya fell back to netlink there is no link to hold, and nothing that could be replaced
        // atomically later: refuse rather than half-attach. Dropping the link detaches it.
        FdLink::try_from(link).map_err(|error| KernelError::other("attach by a BPF link", error))
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

fn attach_error(error: ProgramError, interface: &Interface, mode: Mode) -> KernelError {
    let cause = match error {
        ProgramError::SyscallError(error) => error.io_error,
        error => io::Error::other(error),
    };
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
            },
            cause,
        },
    }
}
