//! What can be wrong with a capture: what, where, and what to do next, in one line.

use std::io;

use super::input::Place;

/// A capture cannot be opened, or not be read any further.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {place}{problem}; {}", problem.next_step())]
pub struct CaptureError {
    /// The capture.
    pub name: String,
    /// Packets that were read before.
    pub packets: u64,
    /// Byte of the capture (unpacked, where it is in gzip) at which the packet or block begins that could
    /// not be read.
    pub offset: u64,
    /// What is wrong there.
    #[source]
    pub problem: Problem,
    /// The place in words.
    place: String,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It cannot be opened.
    #[error("cannot be opened: {0}")]
    Open(io::Error),
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// It has no bytes at all.
    #[error("is empty: it has 0 bytes")]
    Empty,
    /// It has a beginning and no packets. Not an error to the reader; for commands that need some.
    #[error("is empty: it has no packets")]
    NoPackets,
    /// It begins as no capture does.
    #[error("is no pcap or pcapng capture: it begins with {found}")]
    NotACapture {
        /// Its first bytes, in hexadecimal digits.
        found: String,
    },
    /// It is something else that is known.
    #[error("is {what}")]
    Foreign {
        /// What it is.
        what: &'static str,
        /// What to do with it.
        next: &'static str,
    },
    /// It ends in the middle.
    #[error("it ends inside {what} ({there} of {wanted} bytes are there)")]
    Truncated {
        /// What is cut off.
        what: &'static str,
        /// Bytes that should be there.
        wanted: u64,
        /// Bytes that are.
        there: u64,
    },
    /// The gzip file around it ends in the middle.
    #[error("the gzip file ends too early")]
    GzipTruncated,
    /// The gzip file around it is damaged.
    #[error("the gzip file is damaged")]
    GzipDamaged,
    /// Something in it cannot be so.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// A link without Ethernet or IP.
    #[error("{of} of link type {link}, which is not supported")]
    Link {
        /// What is: the capture, or one of its interfaces.
        of: String,
        /// The name and number of the link type.
        link: String,
    },
    /// A version of the format that is not known.
    #[error("it is {0}, which is not supported")]
    Version(String),
}

/// What is known by its first bytes, and what to do with it.
const KNOWN: [(&[u8], &str, &str); 7] = [
    (&[0x28, 0xb5, 0x2f, 0xfd], "compressed with zstd", "unpack it: zstd -dc FILE | keysteer ... -"),
    (&[0xfd, 0x37, 0x7a, 0x58], "compressed with xz", "unpack it: xz -dc FILE | keysteer ... -"),
    (&[0x42, 0x5a, 0x68], "compressed with bzip2", "unpack it: bzip2 -dc FILE | keysteer ... -"),
    (&[0x04, 0x22, 0x4d, 0x18], "compressed with lz4", "unpack it: lz4 -dc FILE | keysteer ... -"),
    (b"snoo", "a snoop capture", "convert it: editcap -F pcapng FILE NEW"),
    (
        &[0x34, 0xcd, 0xb2, 0xa1],
        "a pcap capture of a patched libpcap",
        "convert it: editcap -F pcapng FILE NEW",
    ),
    (
        &[0xa1, 0xb2, 0xcd, 0x34],
        "a pcap capture of a patched libpcap",
        "convert it: editcap -F pcapng FILE NEW",
    ),
];

impl Problem {
    /// What begins as no capture does.
    pub(super) fn foreign(begins: &[u8]) -> Self {
        match KNOWN.iter().find(|(magic, ..)| begins.starts_with(magic)) {
            Some((_, what, next)) => Self::Foreign { what, next },
            None => Self::NotACapture { found: begins.iter().map(|byte| format!("{byte:02x}")).collect() },
        }
    }

    /// What to do about it.
    fn next_step(&self) -> &'static str {
        match self {
            Self::Open(_) => "check its name and that this user may read it",
            Self::Read(_) => "check that it is a file, and the disk or pipe that it comes from",
            Self::Empty | Self::NoPackets => "record some traffic: tcpdump -i INTERFACE -s 0 -w FILE",
            Self::NotACapture { .. } => "give a file that tcpdump, dumpcap or Wireshark has written",
            Self::Foreign { next, .. } => next,
            Self::Truncated { .. } | Self::GzipTruncated => {
                "record or copy it again, or go on with what was read"
            }
            Self::GzipDamaged | Self::Damaged(_) => {
                "copy it again from where it was recorded, or go on with what was read"
            }
            Self::Link { .. } => "record on one Ethernet or IP interface: tcpdump -i INTERFACE -s 0 -w FILE",
            Self::Version(_) => "convert it: editcap -F pcapng FILE NEW",
        }
    }
}

impl CaptureError {
    /// At a place.
    pub(super) fn new(name: String, problem: Problem, place: &Place) -> Self {
        let Place { offset, packets, unpacked } = *place;
        let text = if offset == 0 && packets == 0 {
            String::new()
        } else {
            let of = if unpacked { " of the unpacked capture" } else { "" };
            let s = if packets == 1 { "" } else { "s" };
            format!("at byte {offset}{of}, after {packets} packet{s}: ")
        };
        Self { name, packets, offset, problem, place: text }
    }

    /// Before anything was read.
    pub(super) fn at_start(name: String, problem: Problem) -> Self {
        Self::new(name, problem, &Place { offset: 0, packets: 0, unpacked: false })
    }

    pub(super) fn open(name: &str, cause: io::Error) -> Self {
        Self::at_start(name.to_owned(), Problem::Open(cause))
    }

    /// A capture that was read to its end and had no packets.
    pub fn no_packets(name: &str) -> Self {
        Self::at_start(name.to_owned(), Problem::NoPackets)
    }
}
