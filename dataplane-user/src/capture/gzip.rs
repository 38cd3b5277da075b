//! Unpacks gzip (RFC 1952), one member or several. Where it is damaged, all that was packed before that place is given first, then
//! the error; flate2's own readers lose what they unpacked in the call that met it.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::{Decompress, FlushDecompress, Status};

/// Base-2 logarithm of the largest window of DEFLATE (RFC 1951).
const WINDOW_BITS: u8 = 15;

/// A reader of what is packed in another.
pub(super) struct Unpacked<R> {
    from: R,
    inflate: Decompress,
    /// What is told once everything before it was given.
    failed: Option<io::Error>,
}

impl<R: BufRead> Unpacked<R> {
    /// Unpacks `from`, which begins with a member's first byte.
    pub(super) fn new(from: R) -> Self {
        Self { from, inflate: Decompress::new_gzip(WINDOW_BITS), failed: None }
    }
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            let packed = self.from.fill_buf()?;
            if packed.is_empty() {
                // Between members is where it may end.
                return if self.inflate.total_in() == 0 {
                    Ok(0)
                } else {
                    Err(ErrorKind::UnexpectedEof.into())
                };
            }
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(packed, to, FlushDecompress::None);
            let taken = (self.inflate.total_in() - before_in) as usize;
            let given = (self.inflate.total_out() - before_out) as usize;
            self.from.consume(taken);
            match status {
                Ok(Status::StreamEnd) => self.inflate = Decompress::new_gzip(WINDOW_BITS),
                Ok(Status::Ok | Status::BufError) => {}
                // In which words zlib says it depends on how much it was given at once.
                Err(_) => self.failed = Some(ErrorKind::InvalidData.into()),
            }
            if given > 0 || to.is_empty() {
                return Ok(given);
            }
        }
    }
}
