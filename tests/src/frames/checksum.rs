//! The Internet checksum (RFC 1071).

use std::net::IpAddr;

/// The checksum of these bytes, whose own field is zero.
pub(super) fn checksum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u64::from));
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

/// Writes the checksum of a whole TCP segment, UDP datagram or ICMP message into its place.
pub(super) fn of_transport(upper: &mut [u8], protocol: u8, source: IpAddr, destination: IpAddr) {
    let at = match protocol {
        6 => 16,
        17 => 6,
        1 | 58 => 2,
        _ => return,
    };
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    // The pseudo header (RFC 9293, RFC 8200 section 8.1), which ICMP of IPv4 does not have.
    let mut summed = Vec::new();
    if protocol != 1 {
        summed.extend([octets(source), octets(destination)].concat());
        summed.extend((upper.len() as u32).to_be_bytes());
        summed.extend([0, 0, 0, protocol]);
    }
    summed.extend(&*upper);
    let sum = match checksum(&summed) {
        // Zero says that there is none (RFC 768).
        0 if protocol == 17 => 0xffff,
        sum => sum,
    };
    if let Some(place) = upper.get_mut(at..at + 2) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
}
