//! Link types.

use super::write::{ORDERS, Words, frame};
use super::*;
use crate::capture::Link;

/// What a packet without an Ethernet header is given.
fn wrapped(ether_type: [u8; 2], packet: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], &ether_type, packet].concat()
}

#[test]
fn raw_ip_is_given_an_ethernet_header() {
    const IPV4: [u8; 2] = [0x08, 0x00];
    const IPV6: [u8; 2] = [0x86, 0xdd];
    const OTHER: [u8; 2] = [0x88, 0xb5];
    let (v4, v6) = ([0x45; 20], [0x60; 40]);
    let by_family = |family: [u8; 4], packet: &[u8]| [&family[..], packet].concat();
    let cases: Vec<(u32, Vec<u8>, Vec<u8>)> = vec![
        (101, v4.to_vec(), wrapped(IPV4, &v4)),
        (101, v6.to_vec(), wrapped(IPV6, &v6)),
        (12, v6.to_vec(), wrapped(IPV6, &v6)),
        (14, v4.to_vec(), wrapped(IPV4, &v4)),
        (101, Vec::new(), wrapped(IPV4, &[])),
        (228, v4.to_vec(), wrapped(IPV4, &v4)),
        (229, v6.to_vec(), wrapped(IPV6, &v6)),
        // What a link promises is believed; that it is not so is for the parser to find.
        (228, v6.to_vec(), wrapped(IPV4, &v6)),
        (0, by_family([2, 0, 0, 0], &v4), wrapped(IPV4, &v4)),
        (0, by_family([0, 0, 0, 2], &v4), wrapped(IPV4, &v4)),
        (108, by_family([0, 0, 0, 2], &v4), wrapped(IPV4, &v4)),
        (0, by_family([24, 0, 0, 0], &v6), wrapped(IPV6, &v6)),
        (0, by_family([28, 0, 0, 0], &v6), wrapped(IPV6, &v6)),
        (0, by_family([0, 0, 0, 30], &v6), wrapped(IPV6, &v6)),
        (0, by_family([0, 0, 0, 10], &v6), wrapped(IPV6, &v6)),
        (0, by_family([0, 0, 0, 16], &v4), wrapped(OTHER, &v4)),
        (0, vec![2, 0], wrapped(OTHER, &[])),
    ];
    for words in ORDERS {
        for (link, packet, wanted) in &cases {
            let pcap = [words.pcap(0xa1b2_c3d4, *link), words.record(packet, packet.len())].concat();
            assert_eq!(frames(&pcap), [wanted.as_slice()], "link {link}, {packet:02x?}");
            let interface = words.interface(*link as u16, 0);
            let pcapng = [words.section(), interface, words.enhanced(0, packet, packet.len())].concat();
            assert_eq!(frames(&pcapng), [wanted.as_slice()], "link {link}, {packet:02x?}");
        }
    }
}

#[test]
fn a_long_packet_leaves_nothing_to_the_next() {
    let words = Words { big: false };
    let file = [
        words.pcap(0xa1b2_c3d4, 0),
        words.record(&[&[2, 0, 0, 0][..], &[0x45; 900]].concat(), 904),
        words.record(&[2, 0, 0, 0, 0x46], 5),
        words.record(&[&[30, 0, 0, 0][..], &[0x60; 60]].concat(), 64),
    ]
    .concat();
    let wanted =
        [wrapped([8, 0], &[0x45; 900]), wrapped([8, 0], &[0x46]), wrapped([0x86, 0xdd], &[0x60; 60])];
    assert_eq!(frames(&file), wanted);
}

#[test]
fn other_links_are_refused_by_name() {
    let words = Words { big: false };
    for (link, name) in [(113, "LINUX_SLL (113)"), (105, "IEEE802_11 (105)"), (4711, "4711")] {
        let error = refused(&words.pcap(0xa1b2_c3d4, link)).to_string();
        let wanted = format!(
            "c: at byte 0, after 0 packets: it is of link type {name}, which is not supported; record on one \
             Ethernet or IP interface: tcpdump -i INTERFACE -s 0 -w FILE"
        );
        assert_eq!(error.replace("c: it", "c: at byte 0, after 0 packets: it"), wanted);
    }
    // In a capture of several interfaces it is refused when it has a packet.
    let sound =
        [words.section(), words.interface(1, 0), words.interface(276, 0), words.enhanced(0, &frame(60), 60)]
            .concat();
    assert_eq!(frames(&sound), [frame(60)]);
    let (found, end) = read(&[sound.clone(), words.enhanced(1, &frame(60), 60)].concat()[..]);
    let wanted = format!(
        "c: at byte {}, after 1 packet: interface 1 is of link type LINUX_SLL2 (276), which is not supported; \
         record on one Ethernet or IP interface: tcpdump -i INTERFACE -s 0 -w FILE",
        sound.len()
    );
    assert_eq!((found.len(), end.unwrap_err()), (1, wanted));
}

/// Bits above the link type, such as how much check sequence frames have, are not part of it.
#[test]
fn the_link_type_is_the_lower_half() {
    let words = Words { big: true };
    let file = [words.pcap(0xa1b2_c3d4, 0x2400_0001), words.record(&frame(64), 64)].concat();
    assert_eq!(frames(&file), [frame(64)]);
    assert_eq!(Link::from_number(1), Ok(Link::Ethernet));
}
