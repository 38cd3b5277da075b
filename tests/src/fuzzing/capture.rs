//! The capture reader on any file.

use std::io::Read;

use crate::captures::frames;

/// A longer file is only more of the same.
const LONGEST: usize = 1 << 16;

/// Reads a capture in one piece and in small ones.
pub fn capture(data: &[u8]) {
    let data = data.get(..LONGEST).unwrap_or(data);
    let whole = frames(data);
    if let Ok(frames) = &whole {
        let bytes: usize = frames.iter().map(Vec::len).sum();
        assert!(bytes <= data.len(), "{bytes} bytes of frames in a file of {}", data.len());
        assert!(frames.len() <= data.len() / 16, "more frames than headers fit");
    }
    let step = data.first().map_or(1, |byte| usize::from(*byte) + 1);
    match (whole, frames(Slowly { data, step })) {
        (Ok(whole), Ok(slowly)) => assert_eq!(whole, slowly),
        (Err(_), Err(_)) => {}
        (whole, slowly) => panic!("in one piece {whole:?}, in pieces of {step} {slowly:?}"),
    }
}

/// A file that gives only a few bytes at a time, as pipes do.
struct Slowly<'d> {
    data: &'d [u8],
    step: usize,
}

impl Read for Slowly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.step.min(buffer.len());
        let read = self.data.take(length as u64).read(buffer)?;
        self.data = self.data.get(read..).unwrap_or_default();
        Ok(read)
    }
}
