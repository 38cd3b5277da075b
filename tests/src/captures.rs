//! Frames from capture files.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};

/// Where this package keeps its own.
pub fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures")
}

/// Where captures of other projects are on the machines that have them.
pub fn shared() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures")
}

/// Every Ethernet frame of every capture of a folder, in the order of file names. The shared folder is not
/// on every machine: what is not there has no frames. Frames of other links are left out.
///
/// # Errors
/// A capture cannot be read: its name and why.
pub fn folder(folder: &Path) -> Result<Vec<Vec<u8>>, String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "pcap"));
    paths.sort();
    let mut frames = Vec::new();
    for path in paths {
        frames.extend(file(&path).map_err(|why| format!("{}: {why}", path.display()))?);
    }
    Ok(frames)
}

fn file(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    frames(fs::File::open(path).map_err(|error| error.to_string())?)
}

/// Every Ethernet frame of a capture, in pcap or pcapng format. Frames of other links are left out.
///
/// # Errors
/// It is not a capture, or cannot be read: why.
pub fn frames(mut capture: impl Read) -> Result<Vec<Vec<u8>>, String> {
    // The parser takes a short first read for the whole file, and refuses blocks beyond its buffer.
    let mut whole = Vec::new();
    capture.read_to_end(&mut whole).map_err(|error| error.to_string())?;
    let mut reader =
        create_reader(2 * whole.len() + 4096, whole.as_slice()).map_err(|error| format!("{error:?}"))?;
    let mut frames = Vec::new();
    // By interface; the older format has one.
    let mut links = Vec::new();
    let mut blocks = Blocks::of(&whole);
    loop {
        blocks.check(reader.data())?;
        match reader.next() {
            Ok((read, block)) => {
                let (interface, frame) = match &block {
                    PcapBlockOwned::LegacyHeader(header) => {
                        links.push(header.network);
                        (0, None)
                    }
                    PcapBlockOwned::Legacy(packet) => (0, Some(packet.data)),
                    PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                        links.push(interface.linktype);
                        (0, None)
                    }
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                        (packet.if_id as usize, Some(packet.packet_data()))
                    }
                    PcapBlockOwned::NG(_) => (0, None),
                };
                if let (Some(&Linktype::ETHERNET), Some(frame)) = (links.get(interface), frame) {
                    frames.push(frame.to_vec());
                }
                reader.consume(read);
            }
            Err(PcapError::Eof) => return Ok(frames),
            Err(PcapError::Incomplete(_)) => reader.refill().map_err(|error| format!("{error:?}"))?,
            Err(error) => return Err(format!("{error:?}")),
        }
    }
}

/// The blocks of a pcapng file as far as the parser takes them on trust: it subtracts from a block's length
/// what every block has around its content.
struct Blocks {
    newer_format: bool,
    big_endian: bool,
}

/// Type, length, and the length once more.
const AROUND: u32 = 12;
/// The type of a block that begins a section, the same in either byte order.
const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

impl Blocks {
    fn of(file: &[u8]) -> Self {
        Self { newer_format: file.starts_with(&SECTION), big_endian: false }
    }

    /// Refuses the next block when it is shorter than what is around its content.
    fn check(&mut self, rest: &[u8]) -> Result<(), String> {
        let Some([kind @ .., a, b, c, d]) = rest.first_chunk::<8>().filter(|_| self.newer_format) else {
            return Ok(());
        };
        if *kind == SECTION {
            self.big_endian = rest.get(8..12) == Some(&[0x1a, 0x2b, 0x3c, 0x4d]);
        }
        let length = [*a, *b, *c, *d];
        let length = if self.big_endian { u32::from_be_bytes(length) } else { u32::from_le_bytes(length) };
        if length < AROUND { Err(format!("a block of {length} bytes")) } else { Ok(()) }
    }
}
