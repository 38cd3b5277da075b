//! The reader on captures written by hand, byte by byte, and on everything that can be wrong with them.

mod damage;
mod formats;
mod links;
mod write;

use std::io::{Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Capture, CaptureError};

/// What was read: every frame with the bytes that are missing of it, and how it ended.
type Found = (Vec<(Vec<u8>, u32)>, Result<(), String>);

/// Reads a capture to its end.
fn read(from: impl Read) -> Found {
    let mut found = Vec::new();
    let mut capture = match Capture::new("c", from) {
        Ok(capture) => capture,
        Err(error) => return (found, Err(error.to_string())),
    };
    loop {
        match capture.next() {
            Ok(Some(packet)) => {
                found.push((packet.frame.to_vec(), packet.missing));
                assert_eq!(packet.number, found.len() as u64);
            }
            Ok(None) => return (found, Ok(())),
            Err(error) => {
                assert_eq!(error.packets, found.len() as u64);
                return (found, Err(error.to_string()));
            }
        }
    }
}

/// The frames of a capture without anything wrong or missing.
fn frames(capture: &[u8]) -> Vec<Vec<u8>> {
    let (found, end) = read(capture);
    assert_eq!(end, Ok(()));
    found
        .into_iter()
        .map(|(frame, missing)| {
            assert_eq!(missing, 0);
            frame
        })
        .collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// A reader that gives one byte at a time, and is interrupted before each.
struct Drop<'b>(&'b [u8], bool);

impl Read for Drop<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        let length = to.len().min(1);
        self.0.read(to.get_mut(..length).unwrap_or_default())
    }
}

/// The error of a capture that cannot be opened.
fn refused(bytes: &[u8]) -> CaptureError {
    Capture::new("c", bytes).expect_err("it is no capture")
}
