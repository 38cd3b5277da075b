//! The frames that rows begin with: 60 bytes for IPv4, 74 for IPv6, as small as they get.

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/// Offset of the IPv4 source address, and of the source port behind it.
pub(crate) const SOURCE4: u32 = 26;
pub(crate) const PORT4: u32 = 34;
/// The same for IPv6: the second word of the source address, where tenants differ.
pub(crate) const SOURCE6: u32 = 26;
pub(crate) const PORT6: u32 = 54;

fn frame(ether_type: u16, rest: &[u8], length: usize) -> Vec<u8> {
    let mut frame = MACS.to_vec();
    frame.extend(ether_type.to_be_bytes());
    frame.extend(rest);
    frame.resize(length, 0);
    frame
}

/// An IPv4 packet of 46 bytes from 10.0.0.0.
pub(crate) fn ipv4(protocol: u8, destination: [u8; 4], dscp: u8) -> Vec<u8> {
    let mut ip = vec![0x45, dscp << 2, 0, 46, 0, 1, 0, 0, 60, protocol, 0, 0, 10, 0, 0, 0];
    ip.extend(destination);
    ip.extend(match protocol {
        6 => vec![4, 0, 1, 0xbb, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0],
        _ => vec![4, 0, 1, 0xbb, 0, 26, 0, 0],
    });
    frame(0x0800, &ip, 60)
}

/// An IPv6 UDP packet of 60 bytes from 2001:db8::.
pub(crate) fn ipv6(destination: [u8; 16]) -> Vec<u8> {
    let mut ip = vec![0x60, 0, 0, 0, 0, 20, 17, 60];
    ip.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    ip.extend(destination);
    ip.extend([4, 0, 1, 0xbb, 0, 20, 0, 0]);
    frame(0x86dd, &ip, 74)
}

/// An ARP request.
pub(crate) fn arp() -> Vec<u8> {
    frame(0x0806, &[0, 1, 8, 0, 6, 4, 0, 1], 60)
}

/// The frame with an 802.1Q tag.
pub(crate) fn tagged(frame: &[u8], vlan: u16) -> Vec<u8> {
    let mut tagged = frame[..12].to_vec();
    tagged.extend([0x81, 0]);
    tagged.extend(vlan.to_be_bytes());
    tagged.extend(&frame[12..]);
    tagged
}

/// The service's address.
pub(crate) const SERVICE4: [u8; 4] = [203, 0, 113, 10];
/// The same for IPv6.
pub(crate) const SERVICE6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10];
