//! Both formats, in both byte orders, in gzip, however they are read.

use super::write::{ORDERS, Words, captures, frame};
use super::*;
use crate::capture::{LONGEST_PACKET, Problem, STDIN};

#[test]
fn a_capture_written_by_hand_is_read() {
    // Little-endian, microseconds, Ethernet; one packet of 3 bytes, of which 60 were on the wire.
    let bytes = [
        0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0, //
        1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 60, 0, 0, 0, 0xaa, 0xbb, 0xcc,
    ];
    assert_eq!(read(&bytes[..]), (vec![(vec![0xaa, 0xbb, 0xcc], 57)], Ok(())));
    // Big-endian: a section, an Ethernet interface, an enhanced packet of 3 bytes and one of padding.
    let bytes = [
        0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 28, 0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, //
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 28, //
        0, 0, 0, 1, 0, 0, 0, 20, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, //
        0, 0, 0, 6, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 60, //
        0xaa, 0xbb, 0xcc, 0, 0, 0, 0, 36,
    ];
    assert_eq!(read(&bytes[..]), (vec![(vec![0xaa, 0xbb, 0xcc], 57)], Ok(())));
}

#[test]
fn every_format_byte_order_and_packing_gives_the_same_frames() {
    for (format, bytes, ends) in captures() {
        let wanted: &[usize] = if format == "pcap" { &[60, 0, 1514, 61] } else { &[60, 61, 1514, 0] };
        let wanted: Vec<Vec<u8>> = wanted.iter().map(|length| frame(*length)).collect();
        assert_eq!(wanted.len(), ends.len());
        assert_eq!(frames(&bytes), wanted, "{format}");
        assert_eq!(frames(&gzip(&bytes)), wanted, "{format} in gzip");
        // gzip files may be joined, as `cat a.gz b.gz` does.
        let (first, second) = bytes.split_at(100);
        assert_eq!(frames(&[gzip(first), gzip(second)].concat()), wanted, "{format} in two gzip files");
        let (slowly, end) = read(Drop(&bytes, false));
        assert_eq!((slowly.len(), end), (wanted.len(), Ok(())), "{format}, one byte at a time");
        let packed = gzip(&bytes);
        let (slowly, end) = read(Drop(&packed, false));
        assert_eq!((slowly.len(), end), (wanted.len(), Ok(())), "{format} in gzip, one byte at a time");
    }
}

#[test]
fn sections_follow_each_other_in_any_byte_order() {
    let [little, big] = ORDERS;
    let file = [
        little.section(),
        little.interface(1, 0),
        little.interface(101, 96),
        little.enhanced(1, &[0x45; 40], 40),
        little.enhanced(0, &frame(60), 60),
        big.section(),
        // A section begins with no interfaces.
        big.interface(229, 0),
        big.enhanced(0, &[0x60; 40], 40),
        big.section(),
        big.enhanced(0, &frame(60), 60),
    ]
    .concat();
    let (found, end) = read(&file[..]);
    let types: Vec<&[u8]> = found.iter().map(|(frame, _)| &frame[12..14]).collect();
    assert_eq!(types, [&[8, 0], &frame(60)[12..14], &[0x86, 0xdd]]);
    let error = end.unwrap_err();
    assert!(error.contains("a packet of interface 0, of 0 in its section"), "{error}");
}

#[test]
fn a_simple_packet_is_as_long_as_its_interface_keeps() {
    for words in ORDERS {
        let file = [
            words.section(),
            words.interface(1, 64),
            words.interface(1, 9),
            words.simple(&frame(64), 1000),
            words.simple(&frame(63), 63),
        ]
        .concat();
        assert_eq!(read(&file[..]), (vec![(frame(64), 936), (frame(63), 0)], Ok(())));
    }
}

#[test]
fn packets_may_be_as_long_as_any_and_no_longer() {
    let words = Words { big: false };
    let long = frame(LONGEST_PACKET as usize);
    let pcap = [words.pcap(0xa1b2_c3d4, 1), words.record(&long, long.len())].concat();
    assert_eq!(frames(&pcap), [long.as_slice()]);
    let pcapng = [words.section(), words.interface(1, 0), words.enhanced(0, &long, long.len())].concat();
    assert_eq!(frames(&pcapng), [long.as_slice()]);

    let longer = frame(LONGEST_PACKET as usize + 1);
    for file in [
        [words.pcap(0xa1b2_c3d4, 1), words.record(&longer, longer.len())].concat(),
        [words.section(), words.interface(1, 0), words.enhanced(0, &longer, longer.len())].concat(),
        [words.section(), words.interface(1, 0), words.simple(&longer, longer.len())].concat(),
    ] {
        let (found, end) = read(&file[..]);
        let error = end.unwrap_err();
        assert!(found.is_empty() && error.contains("a packet says it has 262145 bytes"), "{error}");
    }
}

/// Of files from elsewhere: more of a packet captured than was there, and any fraction of a second.
#[test]
fn lengths_that_are_the_wrong_way_round_harm_nothing() {
    let words = Words { big: false };
    let file = [words.pcap(0xa1b2_c3d4, 1), words.record(&frame(60), 46)].concat();
    assert_eq!(read(&file[..]), (vec![(frame(60), 0)], Ok(())));
}

#[test]
fn a_file_says_how_far_it_was_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c.pcap.gz");
    let (_, bytes, _) = captures().remove(0);
    let packed = gzip(&bytes);
    std::fs::write(&path, &packed).unwrap();
    let mut capture = Capture::open(&path).unwrap();
    assert_eq!((capture.size(), capture.name()), (Some(packed.len() as u64), path.to_str().unwrap()));
    while capture.next().unwrap().is_some() {}
    assert_eq!((capture.read(), capture.packets()), (packed.len() as u64, 4));

    let missing = Capture::open(&directory.path().join("none")).unwrap_err();
    assert!(matches!(missing.problem, Problem::Open(_)), "{missing:?}");
    assert!(missing.to_string().ends_with("check its name and that this user may read it"), "{missing}");
    let folder = Capture::open(directory.path()).unwrap_err();
    assert!(folder.to_string().contains("cannot be read: Is a directory"), "{folder}");
    assert_eq!(STDIN, "-");
}
