//! The rows: a frame, what varies in it, and the way that every packet must take.

use keysteer_common::program::Hook;
use keysteer_common::vocabulary::{Class, Reason, Verdict};

use crate::frames::{HEADER4, PORT4, PORT6, SERVICE4, SERVICE6, SOURCE4, SOURCE6, arp, ipv4, ipv6, tagged};
use crate::proof::{ANY, Way};
use crate::{back, carriers, translation};

/// What the wrapper changes from packet to packet; see `dataplane-ebpf/src/bin/bench.rs`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Variation {
    pub(crate) word_offset: u32,
    pub(crate) word_base: u32,
    pub(crate) word_mask: u32,
    pub(crate) port_offset: u32,
    pub(crate) port_mask: u32,
    pub(crate) port_shift: u32,
}

impl Variation {
    /// The same packet again and again.
    pub(crate) const NONE: Self =
        Self { word_offset: 0, word_base: 0, word_mask: 0, port_offset: 0, port_mask: 0, port_shift: 0 };

    /// As the wrapper's constant.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let words = [
            self.word_offset,
            self.word_base,
            self.word_mask,
            self.port_offset,
            1024,
            self.port_mask,
            self.port_shift,
            0x9e37_79b1,
        ];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
        bytes.extend([0; 4]);
        bytes
    }
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) frame: Vec<u8>,
    pub(crate) variation: Variation,
    pub(crate) way: Way,
    pub(crate) budget: Option<f64>,
    /// Where it is measured.
    pub(crate) hook: Hook,
    /// Of how many frames the packet is, at TC.
    pub(crate) segments: u32,
    /// What the first packet must be afterwards, where the row is about what is written into it.
    pub(crate) becomes: Option<Vec<u8>>,
}

const FOREIGN: Way =
    Way::Arrives { class: Class::Foreign, verdict: Verdict::Pass, reason: Reason::OutOfScope, keys: 0 };

pub(crate) const fn steered(keys: usize) -> Way {
    Way::Arrives { class: Class::Assigned, verdict: Verdict::NextHop, reason: Reason::Steered, keys }
}

/// `addresses` sources, a power of two, times `ports` ports.
pub(crate) const fn flows4(addresses: u32, ports: u32) -> Variation {
    Variation {
        word_offset: SOURCE4,
        word_base: 0x0a00_0000,
        word_mask: addresses - 1,
        port_offset: PORT4,
        port_mask: ports - 1,
        port_shift: addresses.trailing_zeros(),
    }
}

pub(crate) fn row(name: &'static str, frame: Vec<u8>, variation: Variation, way: Way) -> Row {
    Row { name, frame, variation, way, budget: None, hook: Hook::Xdp, segments: 1, becomes: None }
}

/// A row at TC, of packets of so many segments.
fn at_tc(segments: u32, row: Row) -> Row {
    Row { hook: Hook::Tc, segments, ..row }
}

pub(crate) fn budget(row: Row, nanoseconds: f64) -> Row {
    Row { budget: Some(nanoseconds), ..row }
}

/// The segment that opens a frame's flow.
fn syn(mut frame: Vec<u8>) -> Vec<u8> {
    frame[HEADER4 as usize + 20 + 13] = 2;
    frame
}

/// The rows measured with a configuration of [`crate::policies`].
pub(crate) fn of(configuration: &str) -> Vec<Row> {
    let udp = || ipv4(17, SERVICE4, 0);
    let tcp = || ipv4(6, SERVICE4, 0);
    let elsewhere = [198, 51, 100, 1];
    let mut elsewhere6 = SERVICE6;
    elsewhere6[1] = 2;
    match configuration {
        "1,024 keys at TC" => vec![
            at_tc(1, row("one hot flow at TC", udp(), Variation::default(), steered(1))),
            at_tc(1, row("65,536 flows of 1,024 keys at TC", udp(), flows4(1024, 64), steered(1024))),
            at_tc(44, row("a packet of 44 segments at TC", tcp(), Variation::default(), steered(1))),
            at_tc(1, row("foreign TCP at TC", ipv4(6, elsewhere, 0), Variation::NONE, FOREIGN)),
        ],
        "1,024 keys" => vec![
            row("one hot flow", udp(), Variation::default(), steered(1)),
            budget(row("65,536 flows of 1,024 keys", udp(), flows4(1024, 64), steered(1024)), 25.0),
            budget(row("the same, TCP", tcp(), flows4(1024, 64), steered(1024)), 25.0),
            budget(
                // Ports run through all values, and the wrapper's numbers through 2^32: no flow is seen twice
                // in a measurement, and there is nothing that could remember one.
                row("new flows", udp(), flows4(1024, 65_536), steered(1024)),
                25.0,
            ),
            row(
                "unregistered, spread over the pool",
                ipv4(17, SERVICE4, 0),
                Variation { word_base: 0xc000_0000, ..flows4(1024, 64) },
                Way::Arrives {
                    class: Class::Unregistered,
                    verdict: Verdict::NextHop,
                    reason: Reason::Steered,
                    keys: 0,
                },
            ),
        ],
        "65,536 keys" => {
            vec![budget(row("65,536 flows of 65,536 keys", udp(), flows4(65_536, 1), steered(65_536)), 55.0)]
        }
        "1,048,576 keys" => {
            vec![row("1,048,576 keys", udp(), flows4(1 << 20, 1), steered(ANY))]
        }
        "1,024 keys that move" => {
            vec![budget(row("a moving key's flows stay", tcp(), flows4(1024, 64), steered(1024)), 60.0)]
        }
        "moving, 65,536 pins" => vec![budget(
            row("flows that opened meanwhile", syn(tcp()), flows4(1024, 64), steered(1024)),
            60.0,
        )],
        "levels" => vec![
            row("most specific level", ipv4(17, SERVICE4, 34), flows4(1024, 64), steered(1024)),
            row("second-level fall-back", ipv4(17, SERVICE4, 12), flows4(1024, 64), steered(1024)),
        ],
        "classes" => vec![
            row(
                "unregistered, dropped",
                udp(),
                Variation { word_base: 0x0b00_0000, ..flows4(1024, 64) },
                Way::Arrives {
                    class: Class::Unregistered,
                    verdict: Verdict::Drop,
                    reason: Reason::ClassDrop,
                    keys: 0,
                },
            ),
            row(
                "missing, passed",
                udp(),
                Variation { word_base: 0xc000_0000, ..flows4(1024, 64) },
                Way::Arrives {
                    class: Class::Missing,
                    verdict: Verdict::Pass,
                    reason: Reason::ClassPass,
                    keys: 0,
                },
            ),
        ],
        "16 probes" => vec![row("a key at the 16th probe", udp(), Variation::default(), steered(1))],
        "1,024 prefixes" => {
            vec![budget(row("1,024 source prefixes", udp(), flows4(1 << 24, 1), steered(ANY)), 45.0)]
        }
        "100,000 prefixes" => {
            vec![row("100,000 source prefixes", udp(), flows4(1 << 24, 1), steered(ANY))]
        }
        "IPv6" => vec![row(
            "IPv6, 65,536 flows of 1,024 keys",
            ipv6(SERVICE6),
            Variation {
                word_offset: SOURCE6,
                word_mask: 1023,
                port_offset: PORT6,
                port_mask: 63,
                port_shift: 10,
                ..Variation::default()
            },
            steered(1024),
        )],
        "VLAN" => vec![row(
            "VLAN, 1,024 keys",
            tagged(&udp(), 0),
            Variation {
                word_offset: 14 - 2,
                word_base: 0x8100_0000,
                word_mask: 1023,
                port_offset: PORT4 + 4,
                port_mask: 63,
                port_shift: 10,
            },
            steered(1024),
        )],
        "width 4" => vec![row("width 4, 65,536 flows of 1,024 keys", udp(), flows4(1024, 64), steered(1024))],
        "scope of 64" => vec![
            budget(row("foreign ARP", arp(), Variation::default(), FOREIGN), 8.0),
            budget(
                row("foreign TCP over IPv4, 64 prefixes", ipv4(6, elsewhere, 0), flows4(1024, 64), FOREIGN),
                8.0,
            ),
            budget(
                row("foreign UDP over IPv6, 64 prefixes", ipv6(elsewhere6), Variation::default(), FOREIGN),
                8.0,
            ),
        ],
        "scope of 1,000" => vec![
            budget(
                row(
                    "foreign TCP over IPv4, 1,000 prefixes",
                    ipv4(6, elsewhere, 0),
                    flows4(1024, 64),
                    FOREIGN,
                ),
                8.0,
            ),
            budget(
                row("foreign UDP over IPv6, 1,000 prefixes", ipv6(elsewhere6), Variation::default(), FOREIGN),
                8.0,
            ),
        ],
        "target pass" => vec![target("target pass", Verdict::Pass, Reason::Steered)],
        "target drop" => vec![target("target drop", Verdict::Drop, Reason::TargetDrop)],
        "target cpu" => vec![target("target cpu", Verdict::Cpu, Reason::Steered)],
        "target interface" => vec![target("target interface", Verdict::Interface, Reason::Steered)],
        "target next hop" => {
            vec![target("target next hop, same interface", Verdict::NextHop, Reason::Steered)]
        }
        "observe" => vec![target("observe", Verdict::Observe, Reason::Steered)],
        "denied" => vec![target("denied key", Verdict::Drop, Reason::Denied)],
        other => [carriers::rows(other), back::rows(other), translation::rows(other)].concat(),
    }
}

fn target(name: &'static str, verdict: Verdict, reason: Reason) -> Row {
    let way = Way::Arrives { class: Class::Assigned, verdict, reason, keys: 1 };
    row(name, ipv4(17, SERVICE4, 0), Variation::default(), way)
}
