//! Frames from capture files.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use keysteer::capture::{Capture, CaptureError};

/// Where this package keeps its own.
pub fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures")
}

/// Where captures of other projects are on the machines that have them.
pub fn shared() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures")
}

/// The captures of a folder, in the order of their names. The shared folder is not on every machine: what is
/// not there has no captures.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "pcap"));
    paths.sort();
    paths
}

/// The capture of the documentation's tour.
pub fn tour() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tour.pcap")
}

/// All captures that there are.
pub fn all() -> Vec<PathBuf> {
    [files(&own()), vec![tour()], files(&shared())].concat()
}

/// Frames as a capture file: pcap, microseconds, Ethernet, at time zero.
pub fn pcap<'f>(frames: impl IntoIterator<Item = &'f [u8]>) -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let mut file = words(&[0xa1b2_c3d4, 4 << 16 | 2, 0, 0, 65_535, 1]);
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        file.extend(words(&[0, 0, length, length]));
        file.extend(frame);
    }
    file
}

/// Every frame of every capture of a folder, in the order of file names.
///
/// # Errors
/// A capture cannot be read: its name and why.
pub fn folder(folder: &Path) -> Result<Vec<Vec<u8>>, String> {
    let mut frames = Vec::new();
    for path in files(folder) {
        let mut capture = Capture::open(&path).map_err(|error| error.to_string())?;
        rest(&mut capture, &mut frames).map_err(|error| error.to_string())?;
    }
    Ok(frames)
}

/// Every frame of a capture as far as it can be read, and how it ended.
pub fn frames(capture: impl Read) -> (Vec<Vec<u8>>, Result<(), CaptureError>) {
    let mut frames = Vec::new();
    let end = Capture::new("capture", capture).and_then(|mut capture| rest(&mut capture, &mut frames));
    (frames, end)
}

/// Adds the frames that are left in a capture.
fn rest(capture: &mut Capture<'_>, frames: &mut Vec<Vec<u8>>) -> Result<(), CaptureError> {
    while let Some(packet) = capture.next()? {
        frames.push(packet.frame.to_vec());
    }
    Ok(())
}
