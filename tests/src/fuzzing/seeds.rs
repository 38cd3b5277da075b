//! Seeds: one input for each shape of frame that the captures and the generator of the differential test
//! have, small policies, and short captures.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use super::parse::everything;
use flate2::Compression;
use flate2::write::GzEncoder;
use keysteer_common::headers::found;
use keysteer_common::inside::within;
use keysteer_common::look::facts_of;
use keysteer_common::slice::Frame;
use keysteer_common::vocabulary::Fault;

use super::decision::{answered, policies};
use super::policy::KEYS_BELOW;
use crate::captures;
use crate::differential::generate;
use crate::frames::Packet;

/// Generated frames for each policy, of which the new shapes are kept.
const GENERATED: usize = 4000;
/// Longer frames differ in their payload alone.
const LONGEST: usize = 400;
/// Protocols that the parser looks into: ICMP, TCP, UDP, ICMPv6, SCTP.
const FOLLOWED: [u8; 5] = [1, 6, 17, 58, 132];

/// Extension headers of IPv6.
const EXTENSIONS: [u8; 6] = [0, 43, 44, 51, 60, 135];

/// An input by its name.
pub type Seeds = BTreeMap<String, Vec<u8>>;

/// The seeds of a target.
///
/// # Errors
/// A capture or an example cannot be read.
pub fn of(target: &str) -> Result<Seeds, String> {
    match target {
        "parse" => Ok(parse(&captures::folder(&captures::own())?)),
        "decision" => Ok(decision(&captures::folder(&captures::own())?)),
        "policy" => policy(),
        "capture" => capture(),
        other => Err(format!("there is no target {other}")),
    }
}

/// Frames of other projects' captures as inputs, where this machine has them.
///
/// # Errors
/// A capture cannot be read.
pub fn shared(target: &str) -> Result<Seeds, String> {
    let frames = captures::folder(&captures::shared())?;
    Ok(match target {
        "parse" => parse(&frames),
        "decision" => decision(&frames),
        _ => Seeds::new(),
    })
}

/// Writes seeds to a folder, one file each.
///
/// # Errors
/// The folder cannot be written.
pub fn write(seeds: &Seeds, folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    seeds.iter().try_for_each(|(name, bytes)| fs::write(folder.join(name), bytes))
}

/// Frames from captures or the generator, one for each shape that the parser sees.
fn parse(captured: &[Vec<u8>]) -> Seeds {
    let mut seeds = Seeds::new();
    for extension in EXTENSIONS {
        let plain = Packet::between("2001:db8:1::3", "2001:db8:10::9");
        let packet = Packet { extensions: vec![(extension, 3)], ..plain };
        seeds.insert(format!("behind-{extension}"), packet.bytes());
    }
    for frame in captured.iter().cloned().chain(generated().map(|(_, frame)| frame)) {
        let (headers, inside) = facts_of(&Frame::new(&mut frame.clone(), 1), &everything());
        // Of protocols that are only passed by, one does for all.
        let protocol = if FOLLOWED.contains(&headers.protocol) { headers.protocol } else { 0 };
        let fault = Fault::from_number(headers.fault).map_or("", Fault::name);
        // One tag is as good as none, and before what is followed so are two.
        let tags = if protocol == 0 { found::VLAN } else { found::VLAN | found::VLAN_INNER };
        let name = if inside.found == 0 {
            format!("{:03x}-{protocol}-{fault}", headers.found & !tags)
        } else {
            // A protocol and a context come with what they are in; a tunnel behind labels is as good as one without.
            let shape = inside.found & !(within::PROTOCOL | within::NSH_CONTEXT);
            let tunnel = shape & !within::MPLS;
            format!("{:04x}-inside", if tunnel == 0 { shape } else { tunnel })
        };
        keep(&mut seeds, name, frame);
    }
    seeds
}

/// Frames with their policy, one for each answer.
fn decision(captured: &[Vec<u8>]) -> Seeds {
    let mut seeds = Seeds::new();
    let everywhere =
        captured.iter().flat_map(|frame| (0..policies().len()).map(move |which| (which, frame.clone())));
    for (which, frame) in everywhere.chain(generated()) {
        let policy = u8::try_from(which).unwrap_or(u8::MAX);
        keep(&mut seeds, answered(which, &frame), [&[policy, 0][..], &frame].concat());
    }
    seeds
}

/// Keeps the shortest input of each name, within reason.
fn keep(seeds: &mut Seeds, name: String, input: Vec<u8>) {
    if input.len() <= LONGEST && seeds.get(&name).is_none_or(|kept| input.len() < kept.len()) {
        seeds.insert(name, input);
    }
}

/// Frames for every policy, with the policy's number.
fn generated() -> impl Iterator<Item = (usize, Vec<u8>)> {
    policies().iter().enumerate().flat_map(|(which, subject)| {
        generate(&subject.policy, 1).take(GENERATED).map(move |frame| (which, frame))
    })
}

/// The examples without their comments, with the file of keys below where one names it.
fn policy() -> Result<Seeds, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let read = |path: &Path| fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let keys = read(&folder.join("keys.csv"))?;
    let mut seeds = Seeds::new();
    for entry in fs::read_dir(&folder).map_err(|error| error.to_string())?.flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if !name.ends_with(".yaml") {
            continue;
        }
        let text = read(&path)?;
        let lines: Vec<&str> = text
            .lines()
            .map(|line| line.split_once(" #").map_or(line, |(text, _)| text).trim_end())
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        let mut text = lines.join("\n");
        if text.contains("keysFrom") {
            text = [&text, KEYS_BELOW, &keys].concat();
        }
        seeds.insert(name, text.into_bytes());
    }
    Ok(seeds)
}

/// The beginnings of our own captures; a few frames in every other way that they can be written.
fn capture() -> Result<Seeds, String> {
    let mut seeds = Seeds::new();
    for name in ["ipv4.pcap", "ipv6.pcap"] {
        let path = captures::own().join(name);
        let whole = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        seeds.insert(name.to_owned(), whole.get(..600).unwrap_or(&whole).to_vec());
    }
    let frames = captures::folder(&captures::own())?;
    let short: Vec<&Vec<u8>> = frames.iter().filter(|frame| frame.len() < 100).take(3).collect();
    let file = pcapng(&short);
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&file).map_err(|error| error.to_string())?;
    seeds.insert("frames.pcapng.gz".to_owned(), packed.finish().map_err(|error| error.to_string())?);
    seeds.insert("frames.pcapng".to_owned(), file);
    seeds.insert("big-endian-raw.pcap".to_owned(), raw(&short));
    Ok(seeds)
}

/// Frames as a pcapng file (draft-ietf-opsawg-pcapng): a section, an Ethernet interface, its packets in each
/// of the three kinds of blocks, and a block of another kind.
fn pcapng(frames: &[&Vec<u8>]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = u32::try_from(body.len() + 12).unwrap_or(u32::MAX).to_le_bytes();
        [&kind.to_le_bytes()[..], &length, &body, &length].concat()
    };
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let mut file = block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]));
    file.extend(block(1, &words(&[1, 65_535])));
    for (frame, kind) in frames.iter().zip([6, 3, 2]) {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let head = if kind == 3 { words(&[length]) } else { words(&[0, 0, 0, length, length]) };
        file.extend(block(kind, &[head, frame.to_vec()].concat()));
    }
    file.extend(block(5, &words(&[0, 0, 0])));
    file
}

/// Frames without their Ethernet headers as a pcap file, most significant bytes first, in nanoseconds.
fn raw(frames: &[&Vec<u8>]) -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let mut file = words(&[0xa1b2_3c4d, 2 << 16 | 4, 0, 0, 65_535, 101]);
    for packet in frames.iter().filter_map(|frame| frame.get(14..)) {
        let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        file.extend([words(&[0, 0, length, length]), packet.to_vec()].concat());
    }
    file
}
