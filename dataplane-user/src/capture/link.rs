//! Link types (the registry of tcpdump.org, "Link-layer header types"): which can be steered, and the names of
//! those that cannot.

use std::ops::Range;

/// Bytes of an Ethernet header.
pub(super) const HEADER: usize = 14;

/// The Ethernet addresses that a packet without any is given, local and obviously made up: from
/// 02:00:00:00:00:01 to 02:00:00:00:00:02.
const ADDRESSES: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
/// For local experiments (IEEE 802): stands for whatever is no IP.
const OTHER: [u8; 2] = [0x88, 0xb5];

/// What packets begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// An Ethernet header (`EN10MB`).
    Ethernet,
    /// An IP header of either version (`RAW`).
    Raw,
    /// An IPv4 header (`IPV4`).
    Ipv4,
    /// An IPv6 header (`IPV6`).
    Ipv6,
    /// Four bytes of address family in the byte order of the machine that captured (`NULL`), or in network byte
    /// order (`LOOP`), then the packet.
    Family,
}

impl Link {
    /// The link type with this number.
    ///
    /// # Errors
    /// It is not supported: its name and number.
    pub fn from_number(number: u16) -> Result<Self, String> {
        match number {
            1 => Ok(Self::Ethernet),
            // 12 and 14 are what systems call RAW themselves, and some programs write.
            12 | 14 | 101 => Ok(Self::Raw),
            228 => Ok(Self::Ipv4),
            229 => Ok(Self::Ipv6),
            0 | 108 => Ok(Self::Family),
            other => Err(match NAMES.iter().find(|(number, _)| *number == other) {
                Some((_, name)) => format!("{name} ({other})"),
                None => other.to_string(),
            }),
        }
    }

    /// Makes an Ethernet frame of what is in `bytes` after room for an Ethernet header: where it is.
    pub(super) fn frame(self, bytes: &mut [u8]) -> Range<usize> {
        let packet = bytes.get(HEADER..).unwrap_or_default();
        let version = packet.first().map(|byte| byte >> 4);
        let (ether_type, start) = match self {
            Self::Ethernet => return HEADER..bytes.len(),
            Self::Raw => (if version == Some(6) { IPV6 } else { IPV4 }, 0),
            Self::Ipv4 => (IPV4, 0),
            Self::Ipv6 => (IPV6, 0),
            Self::Family => match packet.first_chunk::<4>() {
                Some(family) => (ether_type(*family), family.len()),
                None => (OTHER, packet.len()),
            },
        };
        let end = bytes.len();
        if let Some(header) = bytes.get_mut(start..start + HEADER) {
            let (addresses, kind) = header.split_at_mut(ADDRESSES.len());
            addresses.copy_from_slice(&ADDRESSES);
            kind.copy_from_slice(&ether_type);
        }
        start..end
    }
}

/// The Ethernet type for an address family in either byte order. IPv6's number is different in Linux (10), the
/// BSDs (24, 28) and macOS (30).
fn ether_type(family: [u8; 4]) -> [u8; 2] {
    match u32::from_be_bytes(family).min(u32::from_le_bytes(family)) {
        2 => IPV4,
        10 | 24 | 28 | 30 => IPV6,
        _ => OTHER,
    }
}

/// Names of link types that are not supported, as far as people meet them.
const NAMES: [(u16, &str); 31] = [
    (3, "AX25"),
    (6, "IEEE802_5"),
    (7, "ARCNET_BSD"),
    (8, "SLIP"),
    (9, "PPP"),
    (10, "FDDI"),
    (50, "PPP_HDLC"),
    (51, "PPP_ETHER"),
    (100, "ATM_RFC1483"),
    (104, "C_HDLC"),
    (105, "IEEE802_11"),
    (107, "FRELAY"),
    (113, "LINUX_SLL"),
    (117, "PFLOG"),
    (119, "IEEE802_11_PRISM"),
    (122, "IP_OVER_FC"),
    (127, "IEEE802_11_RADIOTAP"),
    (139, "MTP2_WITH_PHDR"),
    (147, "USER0"),
    (163, "IEEE802_11_AVS"),
    (189, "USB_LINUX"),
    (192, "PPI"),
    (195, "IEEE802_15_4_WITHFCS"),
    (201, "BLUETOOTH_HCI_H4_WITH_PHDR"),
    (220, "USB_LINUX_MMAPPED"),
    (227, "CAN_SOCKETCAN"),
    (239, "NFLOG"),
    (249, "USBPCAP"),
    (253, "NETLINK"),
    (276, "LINUX_SLL2"),
    (283, "DSA_TAG_DSA"),
];
