//! Captures of traffic, read packet by packet: pcap and pcapng, either of them in gzip, of any size.
//!
//! ```text
//!  file or stdin ── gzip, if it is ── pcap or pcapng ── link type ──▶ an Ethernet frame
//!  input                              pcap, pcapng      link
//! ```
//! Nothing is read whole: one packet is in memory at a time, and no packet is longer than
//! [`LONGEST_PACKET`]. Timestamps and options are passed over. A packet without an Ethernet header (raw IP)
//! is given one; links that have neither are refused by name.
//!
//! A capture that is damaged or cut off gives every packet before that place, then an error that names it.

mod error;
mod gzip;
mod input;
mod link;
mod pcap;
mod pcapng;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

pub use error::{CaptureError, Problem};
pub use link::Link;

use input::{Input, Progress};

/// The longest packet that a capture may hold, in bytes: what capture programs take for their longest.
pub const LONGEST_PACKET: u32 = 262_144;

/// What stands for stdin among the names of files.
pub const STDIN: &str = "-";

/// A capture that is being read.
#[derive(Debug)]
pub struct Capture<'r> {
    name: String,
    input: Input<'r>,
    format: Format,
    buffer: Buffer,
    /// Packets given so far.
    packets: u64,
    progress: Progress,
    /// Bytes of the file; none where that is not known.
    size: Option<u64>,
}

/// The two formats, and what each must remember.
#[derive(Debug)]
enum Format {
    Pcap(pcap::Pcap),
    Pcapng(pcapng::Pcapng),
}

/// One packet of a capture.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet<'c> {
    /// Its number, from 1.
    pub number: u64,
    /// The Ethernet frame as far as it was captured; yours to change.
    pub frame: &'c mut [u8],
    /// Bytes of the frame that were on the wire and are not in the capture.
    pub missing: u32,
}

/// A packet as its format describes it; its bytes are in the [`Buffer`].
#[derive(Clone, Copy, Debug)]
struct Record {
    link: Link,
    /// Bytes in the capture.
    captured: u32,
    /// Bytes that were on the wire.
    original: u32,
}

impl Capture<'static> {
    /// Opens a file, or stdin where `path` is `-`.
    ///
    /// # Errors
    /// It cannot be opened, or is no capture.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        if path == Path::new(STDIN) {
            return Self::new("stdin", io::stdin().lock());
        }
        let name = path.display().to_string();
        let open = || -> io::Result<(File, u64)> {
            let file = File::open(path)?;
            let facts = file.metadata()?;
            Ok((file, if facts.is_file() { facts.len() } else { 0 }))
        };
        let (file, size) = open().map_err(|cause| CaptureError::open(&name, cause))?;
        let mut capture = Self::new(name, file)?;
        capture.size = (size > 0).then_some(size);
        Ok(capture)
    }
}

impl<'r> Capture<'r> {
    /// A capture from any bytes; `name` is what errors call it.
    ///
    /// # Errors
    /// It is no capture.
    pub fn new(name: impl Into<String>, from: impl Read + 'r) -> Result<Self, CaptureError> {
        let name = name.into();
        let progress = Progress::default();
        let mut input = match Input::new(Box::new(from), &progress) {
            Ok(input) => input,
            Err(problem) => return Err(CaptureError::at_start(name, problem)),
        };
        match Format::open(&mut input) {
            Ok(format) => {
                let buffer = Buffer::default();
                Ok(Self { name, input, format, buffer, packets: 0, progress, size: None })
            }
            Err(problem) => Err(CaptureError::new(name, input.explain(problem), &input.place(0, 0))),
        }
    }

    /// The next packet; `None` after the last.
    ///
    /// # Errors
    /// What comes next is damaged, cut off or of a link that is not supported. Nothing can be read after it.
    #[expect(clippy::should_implement_trait, reason = "a packet borrows from the capture")]
    pub fn next(&mut self) -> Result<Option<Packet<'_>>, CaptureError> {
        let mut begins = self.input.offset();
        let record = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.input, &mut self.buffer),
            Format::Pcapng(pcapng) => pcapng.next(&mut self.input, &mut self.buffer, &mut begins),
        };
        match record {
            Ok(Some(record)) => {
                self.packets += 1;
                let frame = self.buffer.frame(record);
                let missing = record.original.saturating_sub(record.captured);
                Ok(Some(Packet { number: self.packets, frame, missing }))
            }
            Ok(None) => Ok(None),
            Err(problem) => {
                let problem = self.input.explain(problem);
                let place = self.input.place(begins, self.packets);
                Err(CaptureError::new(self.name.clone(), problem, &place))
            }
        }
    }

    /// What it is called: the file's name as given, or `stdin`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Packets given so far.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Whether the next packet may have to be waited for: all that was read has been given.
    pub fn is_drained(&self) -> bool {
        self.input.is_drained()
    }

    /// Bytes of the file that have been read.
    pub fn read(&self) -> u64 {
        self.progress.get()
    }

    /// Bytes of the file; `None` for stdin, a pipe, a device.
    pub fn size(&self) -> Option<u64> {
        self.size
    }
}

impl Format {
    /// Recognises the format by its first four bytes.
    fn open(input: &mut Input<'_>) -> Result<Self, Problem> {
        let mut magic = [0; 4];
        match input.fill(&mut magic)? {
            0 => return Err(Problem::Empty),
            4 => {}
            there => return Err(Problem::foreign(magic.get(..there).unwrap_or_default())),
        }
        if magic == pcapng::SECTION {
            return Ok(Self::Pcapng(pcapng::Pcapng::default()));
        }
        match pcap::Pcap::open(magic, input)? {
            Some(pcap) => Ok(Self::Pcap(pcap)),
            None => Err(Problem::foreign(&magic)),
        }
    }
}

/// Room for one packet, and for an Ethernet header before it.
#[derive(Debug)]
struct Buffer {
    bytes: Vec<u8>,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { bytes: vec![0; link::HEADER] }
    }
}

impl Buffer {
    /// Reads a packet of `captured` bytes, at most [`LONGEST_PACKET`].
    fn read(&mut self, input: &mut Input<'_>, captured: u32) -> Result<(), Problem> {
        let wanted = link::HEADER + captured as usize;
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
        let to = self.bytes.get_mut(link::HEADER..wanted).unwrap_or_default();
        input.exact(to, "a packet")
    }

    /// The Ethernet frame of the packet that was read last.
    fn frame(&mut self, record: Record) -> &mut [u8] {
        let end = link::HEADER + record.captured as usize;
        let Range { start, .. } = record.link.frame(self.bytes.get_mut(..end).unwrap_or_default());
        self.bytes.get_mut(start..end).unwrap_or_default()
    }
}
