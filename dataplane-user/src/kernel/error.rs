//! What can go wrong with the kernel, each with what to do next.

use std::io;

use super::foreign::ForeignProgram;
use super::pins::PinError;

/// A kernel operation failed.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The running kernel is too old.
    #[error("this kernel is Linux {found}; keysteer needs 6.1 or later")]
    TooOld {
        /// Its version.
        found: String,
    },
    /// Not allowed to load programs.
    #[error(
        "the kernel refused to {operation} for lack of privilege; run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
    )]
    NotPermitted {
        /// What was tried.
        operation: &'static str,
    },
    /// The committed object and this program do not belong together.
    #[error("the eBPF object has no {what}; rebuild it with `cargo xtask ebpf`")]
    Object {
        /// What is missing.
        what: String,
    },
    /// The verifier said no.
    #[error(
        "the kernel's verifier rejected the program: {cause}; its last words: {log}. Please report this with the output of `uname -r`"
    )]
    Rejected {
        /// The system's answer.
        cause: io::Error,
        /// The end of the verifier's log.
        log: String,
    },
    /// A map could not be made or filled.
    #[error(
        "cannot {operation} map {map}: {cause}; the policy's tables need {megabytes} MiB of kernel memory"
    )]
    Map {
        /// What was tried.
        operation: &'static str,
        /// On which map.
        map: &'static str,
        /// How much memory the tables take.
        megabytes: usize,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
    /// Another program is attached to the interface.
    #[error(
        "{interface} already has an XDP program: {program}; keysteer leaves it alone. Detach it, steer behind it (`mode: tc`), or take {interface} out of the policy"
    )]
    Occupied {
        /// The interface.
        interface: String,
        /// Whose program.
        program: ForeignProgram,
    },
    /// The interface is not there.
    #[error("there is no interface {interface}")]
    NoInterface {
        /// Its name.
        interface: String,
    },
    /// Neither mode could be attached.
    #[error("cannot attach to {interface} in {mode} mode: {cause}{hint}")]
    Attach {
        /// The interface.
        interface: String,
        /// The mode tried last.
        mode: &'static str,
        /// What to do.
        hint: &'static str,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
    /// The kernel would lose what is steered to a CPU.
    #[error(
        "cannot attach to {interface} in generic mode: a shard has a `cpu` target, whose packets Linux 6.9 and later lose there; give it the target `pass`, or take an interface whose driver has native XDP"
    )]
    CpuInGeneric {
        /// The interface.
        interface: String,
    },
    /// VLAN tags are gone before XDP sees a frame.
    #[error(
        "cannot steer {interface} by VLAN tags in {mode} mode: {card} takes them out of frames before XDP sees them; run `ethtool -K {card} {off}`, {otherwise}"
    )]
    TagStripped {
        /// The interface.
        interface: String,
        /// The network card: the interface, or a part of it.
        card: String,
        /// What `ethtool -K` turns off.
        off: &'static str,
        /// The mode that is asked for.
        mode: &'static str,
        /// What else can be done, or why that cannot.
        otherwise: &'static str,
    },
    /// There is no way from TC to a CPU.
    #[error(
        "cannot attach to {interface} at TC: a shard has a `cpu` target, and only XDP can steer to a CPU; give it the target `pass`, or take an interface whose driver has native XDP"
    )]
    CpuAtTc {
        /// The interface.
        interface: String,
    },
    /// Nothing can be attached where packets leave.
    #[error("cannot attach to what leaves {interface}: {cause}")]
    Egress {
        /// The interface.
        interface: String,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// A program does not decide as the host engine does.
    #[error(
        "the new program does not decide as planned ({what}): this is a defect of keysteer, please report it; the frame was {frame}"
    )]
    Disproved {
        /// The difference.
        what: String,
        /// The frame, in hexadecimal digits.
        frame: String,
    },
    /// The pins cannot be used.
    #[error(transparent)]
    Pins(#[from] PinError),
    /// Something else in aya or the kernel.
    #[error("cannot {operation}: {cause}")]
    Other {
        /// What was tried.
        operation: &'static str,
        /// What was said.
        cause: String,
    },
}

impl KernelError {
    /// An error of aya's that has no better name.
    pub(super) fn other(operation: &'static str, cause: impl std::fmt::Display) -> Self {
        Self::Other { operation, cause: cause.to_string() }
    }
}
