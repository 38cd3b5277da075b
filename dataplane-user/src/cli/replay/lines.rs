//! Objects to stdout as they come: an array, or one a line.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use crate::cli::output::{self, Format};
use crate::replay::Line;

/// Bytes that are written at once.
const BUFFER: usize = 64 << 10;

/// Objects on their way to stdout.
pub(super) struct Lines {
    to: BufWriter<StdoutLock<'static>>,
    format: Format,
    /// Whether any was written.
    any: bool,
}

impl Lines {
    pub(super) fn new(format: Format) -> Self {
        Self { to: BufWriter::with_capacity(BUFFER, output::stdout()), format, any: false }
    }

    /// Whether a terminal shows none of what is written.
    pub(super) fn is_quiet(&self) -> bool {
        self.format == Format::Table || !io::stdout().is_terminal()
    }

    /// Writes an object.
    pub(super) fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        let before: &[u8] = match (self.format, self.any) {
            (Format::Table, _) => return Ok(()),
            (Format::Json, false) => b"[\n",
            (Format::Json, true) => b",\n",
            (Format::Jsonl, false) => b"",
            (Format::Jsonl, true) => b"\n",
        };
        self.any = true;
        self.to.write_all(before)?;
        serde_json::to_writer(&mut self.to, line).map_err(io::Error::from)
    }

    /// Writes what is held back.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    /// Ends what was begun.
    pub(super) fn finish(mut self) -> io::Result<()> {
        match (self.format, self.any) {
            (Format::Json, true) => self.to.write_all(b"\n]\n")?,
            (Format::Jsonl, true) => self.to.write_all(b"\n")?,
            _ => {}
        }
        self.to.flush()
    }
}
