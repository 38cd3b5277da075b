//! Where a capture's bytes come from: any reader, unpacked where it is gzip, with its place counted.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufReader, Cursor, ErrorKind, Read};
use std::rc::Rc;

use super::Problem;
use super::gzip::Unpacked;

/// Bytes that are asked for at once.
const BUFFER: usize = 256 << 10;

/// The first bytes of a gzip file (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// How many bytes have been read of what the capture is in.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Rc<Cell<u64>>);

impl Progress {
    pub(super) fn get(&self) -> u64 {
        self.0.get()
    }
}

/// A reader that counts.
struct Counted<R> {
    from: R,
    progress: Progress,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(to)?;
        self.progress.0.set(self.progress.0.get() + read as u64);
        Ok(read)
    }
}

/// Where in a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Bytes before it.
    pub(super) offset: u64,
    /// Packets before it.
    pub(super) packets: u64,
    /// Whether bytes are counted in what was unpacked.
    pub(super) unpacked: bool,
}

/// The bytes of a capture.
pub(super) struct Input<'r> {
    from: BufReader<Box<dyn Read + 'r>>,
    offset: u64,
    gzip: bool,
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("offset", &self.offset)
            .field("gzip", &self.gzip)
            .finish_non_exhaustive()
    }
}

impl<'r> Input<'r> {
    /// Bytes from a reader, whose progress is told.
    pub(super) fn new(from: Box<dyn Read + 'r>, progress: &Progress) -> Result<Self, Problem> {
        let mut from = Counted { from, progress: progress.clone() };
        let mut first = [0; GZIP.len()];
        let there = fill(&mut from, &mut first).map_err(Problem::Read)?;
        let gzip = first == GZIP;
        let whole = Cursor::new(first).take(there as u64).chain(from);
        let from: Box<dyn Read + 'r> = if gzip {
            Box::new(Unpacked::new(BufReader::with_capacity(BUFFER, whole)))
        } else {
            Box::new(whole)
        };
        Ok(Self { from: BufReader::with_capacity(BUFFER, from), offset: 0, gzip })
    }

    /// Bytes taken so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether nothing is left of what was read.
    pub(super) fn is_drained(&self) -> bool {
        self.from.buffer().is_empty()
    }

    /// A place at this offset.
    pub(super) fn place(&self, offset: u64, packets: u64) -> Place {
        Place { offset, packets, unpacked: self.gzip }
    }

    /// Reads until `to` is full or the input ends; how many bytes were read.
    pub(super) fn fill(&mut self, to: &mut [u8]) -> Result<usize, Problem> {
        let read = fill(&mut self.from, to).map_err(Problem::Read)?;
        self.offset += read as u64;
        Ok(read)
    }

    /// Fills `to` with what belongs to `what`.
    pub(super) fn exact(&mut self, to: &mut [u8], what: &'static str) -> Result<(), Problem> {
        let there = self.fill(to)?;
        if there == to.len() {
            return Ok(());
        }
        Err(Problem::Truncated { what, wanted: to.len() as u64, there: there as u64 })
    }

    /// Reads an array.
    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Problem> {
        let mut array = [0; N];
        self.exact(&mut array, what)?;
        Ok(array)
    }

    /// Reads an array; `None` where the input ends before it.
    pub(super) fn array_or_end<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<Option<[u8; N]>, Problem> {
        let mut array = [0; N];
        match self.fill(&mut array)? {
            0 => Ok(None),
            there if there == N => Ok(Some(array)),
            there => Err(Problem::Truncated { what, wanted: N as u64, there: there as u64 }),
        }
    }

    /// Passes over bytes of `what`.
    pub(super) fn skip(&mut self, bytes: u64, what: &'static str) -> Result<(), Problem> {
        let there = io::copy(&mut self.from.by_ref().take(bytes), &mut io::sink()).map_err(Problem::Read)?;
        self.offset += there;
        if there == bytes { Ok(()) } else { Err(Problem::Truncated { what, wanted: bytes, there }) }
    }

    /// A problem with a reader that unpacks is one with what it unpacks.
    pub(super) fn explain(&self, problem: Problem) -> Problem {
        match problem {
            Problem::Read(error) if self.gzip => match error.kind() {
                ErrorKind::UnexpectedEof => Problem::GzipTruncated,
                ErrorKind::InvalidData => Problem::GzipDamaged,
                _ => Problem::Read(error),
            },
            problem => problem,
        }
    }
}

/// Reads until `to` is full or the reader ends.
fn fill(from: &mut impl Read, to: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = to.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
