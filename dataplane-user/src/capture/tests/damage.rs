//! What is wrong is told in one line, after everything that could be read.

use super::write::{ORDERS, Words, captures, frame};
use super::*;

#[test]
fn cut_anywhere_it_gives_what_was_there_and_one_line() {
    for (format, bytes, ends) in captures() {
        let (whole, _) = read(&bytes[..]);
        let first = if format == "pcap" { 24 } else { 44 };
        for cut in 0..bytes.len() {
            let (found, end) = read(&bytes[..cut]);
            let there = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(found, whole[..there], "{format} cut at {cut}");
            match end {
                // Only between packets or blocks is nothing missing.
                Ok(()) => assert!(at_boundary(&bytes, format, cut), "{format} cut at {cut} is not noticed"),
                Err(error) => {
                    assert!(!at_boundary(&bytes, format, cut), "{format} cut at {cut}: {error}");
                    assert_eq!(error.lines().count(), 1, "{error}");
                    assert!(error.starts_with("c: ") && error.contains("; "), "{error}");
                    let of = match cut {
                        0 => "is empty: it has 0 bytes",
                        1..=3 => "is no pcap or pcapng capture",
                        _ if cut < first => "it ends inside ",
                        _ => &format!("after {there} packet"),
                    };
                    assert!(error.contains(of), "{format} cut at {cut}: {error}");
                }
            }
        }
    }
}

/// Whether a packet or block begins at `cut`; the lengths are found by plain means.
fn at_boundary(bytes: &[u8], format: &str, cut: usize) -> bool {
    let big = if format == "pcap" { bytes[0] == 0xa1 } else { bytes[8] == 0x1a };
    let word = |at: usize| {
        let word: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
        (if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }) as usize
    };
    let mut at = if format == "pcap" { 24 } else { word(4) };
    while at < cut {
        at += if format == "pcap" { 16 + word(at + 8) } else { word(at + 4) };
    }
    at == cut
}

#[test]
fn a_gzip_file_that_is_cut_anywhere_is_never_taken_for_whole() {
    for (format, bytes, _) in captures() {
        let (whole, _) = read(&bytes[..]);
        let packed = gzip(&bytes);
        for cut in 0..packed.len() {
            let (found, end) = read(&packed[..cut]);
            let error = end.unwrap_err();
            assert!(whole.starts_with(&found), "{format} cut at {cut}");
            let of = match cut {
                0 => "is empty",
                1 => "begins with 1f",
                _ => "the gzip file ends too early",
            };
            assert!(error.contains(of) && error.lines().count() == 1, "{format} cut at {cut}: {error}");
        }
    }
}

#[test]
fn a_gzip_file_with_any_byte_changed_is_noticed_or_harmless() {
    let (_, bytes, _) = captures().remove(0);
    let (whole, _) = read(&bytes[..]);
    let packed = gzip(&bytes);
    for at in 2..packed.len() {
        let mut damaged = packed.clone();
        damaged[at] ^= 0x41;
        let told = read(&damaged[..]);
        assert_eq!(told, read(Drop(&damaged, false)), "byte {at}, read in pieces");
        match told {
            // Its header has a time and a system, and bytes can be packed in more than one way.
            (found, Ok(())) => assert_eq!(found, whole, "byte {at}"),
            (_, Err(error)) => assert_eq!(error.lines().count(), 1, "byte {at}: {error}"),
        }
    }
    let (found, end) = read(&[&packed[..], b"something more"].concat()[..]);
    let error = end.unwrap_err();
    assert_eq!(found, whole);
    assert!(
        error.contains("the gzip file is damaged") && error.contains("of the unpacked capture"),
        "{error}"
    );
}

#[test]
fn what_is_no_capture_is_named() {
    let cases: [(&[u8], &str); 8] = [
        (b"", "c: is empty: it has 0 bytes; record some traffic: tcpdump -i INTERFACE -s 0 -w FILE"),
        (
            b"\x7fELF\x02",
            "c: is no pcap or pcapng capture: it begins with 7f454c46; give a file that tcpdump, dumpcap or Wireshark has written",
        ),
        (b"apiVersion: x", "begins with 61706956"),
        (b"\x28\xb5\x2f\xfd....", "c: is compressed with zstd; unpack it: zstd -dc FILE | keysteer ... -"),
        (b"\xfd7zXZ\0....", "is compressed with xz"),
        (b"BZh91AY", "is compressed with bzip2"),
        (b"snoop\0\0\0", "c: is a snoop capture; convert it: editcap -F pcapng FILE NEW"),
        (b"\x34\xcd\xb2\xa1", "a pcap capture of a patched libpcap"),
    ];
    for (bytes, phrase) in cases {
        let error = refused(bytes).to_string();
        assert!(error.contains(phrase), "{error}");
    }
    assert!(refused(&gzip(b"")).to_string().contains("is empty"));
    assert!(refused(&gzip(b"text")).to_string().contains("begins with 74657874"));
}

#[test]
fn versions_that_are_not_known_are_refused() {
    let words = Words { big: false };
    let mut pcap = words.pcap(0xa1b2_c3d4, 1);
    pcap[4] = 3;
    let error = refused(&pcap).to_string();
    assert!(error.contains("it is pcap 3.4, which is not supported; convert it: editcap"), "{error}");
    let mut section = words.section();
    section[12] = 2;
    let (_, end) = read(&section[..]);
    assert!(end.unwrap_err().contains("it is pcapng 2.0, which is not supported"));
}

/// A packet's bytes as damaged: what is said of it and how many packets come before.
#[test]
fn damage_is_named_with_its_place() {
    for words in ORDERS {
        let good = [words.section(), words.interface(1, 0), words.enhanced(0, &frame(60), 60)].concat();
        let bad: [(Vec<u8>, &str); 9] = [
            (words.u32s(&[6, 8, 0]), "a block says it has 8 bytes"),
            (words.u32s(&[6, 35, 0]), "a block says it has 35 bytes"),
            (words.block(6, &[&[0; 16]]), "a block of 28 bytes is too short for its content"),
            (words.block(6, &[&words.u32s(&[0, 0, 0, 61, 61]), &[0; 60]]), "too short for its content"),
            (words.block(3, &[&words.u32s(&[61]), &[0; 60]]), "too short for its content"),
            (words.block(1, &[&[0; 4]]), "too short for its content"),
            (words.enhanced(7, &frame(60), 60), "a packet of interface 7, of 1 in its section"),
            (words.block(0x0a0d_0d0a, &[&[0; 16]]), "a section without a byte order"),
            (
                [words.u32s(&[5, 16, 0]), words.u32s(&[20])].concat(),
                "a block begins with length 16 and ends with 20",
            ),
        ];
        for (block, phrase) in bad {
            let (found, end) = read(&[good.clone(), block].concat()[..]);
            let error = end.unwrap_err();
            assert_eq!(found.len(), 1, "{error}");
            let place = format!("c: at byte {}, after 1 packet: it is damaged: ", good.len());
            assert!(error.starts_with(&place) && error.contains(phrase), "{error}");
            assert!(error.ends_with("go on with what was read"), "{error}");
        }
    }
}

#[test]
fn interfaces_are_bounded() {
    let words = Words { big: false };
    let interface = words.block(1, &[&words.u16s(&[1, 0]), &words.u32s(&[0])]);
    let file = [words.section(), interface.repeat(65_536), words.enhanced(65_535, &frame(60), 60)].concat();
    assert_eq!(frames(&file), [frame(60)]);
    let (_, end) = read(&[file, interface].concat()[..]);
    assert!(end.unwrap_err().contains("more than 65536 interfaces"));
}

/// A length of almost 4 GiB costs neither memory nor, where the bytes are not there, time.
#[test]
fn a_block_of_any_length_is_passed_over() {
    let words = Words { big: false };
    let file = [words.section(), words.u32s(&[0x0bad, u32::MAX - 3]), vec![0; 100]].concat();
    let (_, end) = read(&file[..]);
    let error = end.unwrap_err();
    assert!(error.contains("it ends inside a block (100 of 4294967280 bytes are there)"), "{error}");
}

#[test]
fn a_reader_that_fails_is_no_damage() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    let (_, bytes, _) = captures().remove(0);
    for begins in [bytes[..100].to_vec(), gzip(&bytes)[..60].to_vec()] {
        let (_, end) = read(begins.as_slice().chain(Fails));
        assert!(end.unwrap_err().contains("cannot be read: the disk is gone; check"));
    }
}
