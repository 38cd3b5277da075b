//! The capture reader on any file.

use std::io::Read;

use keysteer::capture::CaptureError;

use crate::captures::frames;

/// A longer file is only more of the same.
const LONGEST: usize = 1 << 16;
/// The Ethernet header that a packet without any is given.
const HEADER: usize = 14;
/// The fewest bytes around a packet: a simple packet of pcapng and a record of pcap have both 16.
const AROUND: usize = 16;

/// Reads a capture in one piece and in small ones.
pub fn capture(data: &[u8]) {
    let data = data.get(..LONGEST).unwrap_or(data);
    let (whole, end) = frames(data);
    if data.starts_with(&[0x1f, 0x8b]) {
        // What is unpacked can be a thousand times as long.
    } else {
        let bytes: usize = whole.iter().map(|frame| frame.len().saturating_sub(HEADER)).sum();
        assert!(bytes <= data.len(), "{bytes} bytes of frames in a file of {}", data.len());
        assert!(whole.len() <= data.len() / AROUND, "more frames than headers fit");
    }
    if let Err(error) = &end {
        told(error, data, whole.len());
    }
    let step = data.first().map_or(1, |byte| usize::from(*byte) + 1);
    let (slowly, slow_end) = frames(Slowly { data, step });
    assert!(whole == slowly, "in pieces of {step} other frames");
    let words = |end: Result<(), CaptureError>| end.err().map(|error| error.to_string());
    assert_eq!(words(end), words(slow_end), "in pieces of {step}");
}

/// An error is one line with its place and the next step.
fn told(error: &CaptureError, data: &[u8], frames: usize) {
    let text = error.to_string();
    assert!(text.lines().count() == 1 && text.len() < 400 && text.contains("; "), "{text}");
    assert_eq!(error.packets, frames as u64, "{text}");
    assert!(data.starts_with(&[0x1f, 0x8b]) || error.offset <= data.len() as u64, "{text}");
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
