//! A packet in words to its frame: what an operator knows of a flow, and what a carrier may be read from.
//! Checksums are left out: nothing in the packet path reads them.

use std::net::IpAddr;

use keysteer_common::parse::link::{ETHER_TYPE_IPV4, ETHER_TYPE_IPV6};
use keysteer_common::parse::transport::{ICMP, ICMPV6, SCTP, TCP, UDP};

/// A packet. Start from [`Packet::new`] and change what matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Ethernet source and destination.
    pub macs: [[u8; 6]; 2],
    /// VLAN tags, the outer first: id and priority.
    pub tags: Vec<(u16, u8)>,
    /// Where from.
    pub source: IpAddr,
    /// Where to; of the source's family.
    pub destination: IpAddr,
    /// DSCP, 6 bits.
    pub dscp: u8,
    /// IPv6 flow label, 20 bits.
    pub flow_label: u32,
    /// IANA number of what it carries.
    pub protocol: u8,
    /// Source and destination port, where the protocol has any.
    pub ports: (u16, u16),
    /// TCP flags.
    pub tcp_flags: u8,
    /// What stands between Ethernet and IP, and its EtherType: a label stack, or a service header.
    pub below: Option<(u16, Vec<u8>)>,
    /// TCP options, in whole words of four bytes, at most ten.
    pub tcp_options: Vec<u8>,
    /// What follows the transport header; the IP header, where the protocol has none that is known.
    pub payload: Vec<u8>,
    /// Bytes of the whole frame; as many as its headers take where not given.
    pub length: Option<usize>,
}

/// A packet that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Source and destination are of two families.
    #[error(
        "{source_address} and {destination} are of different families: give two IPv4 or two IPv6 addresses"
    )]
    Families {
        /// Where from.
        source_address: IpAddr,
        /// Where to.
        destination: IpAddr,
    },
    /// Something that only one family has.
    #[error("an IPv4 packet has no flow label: leave it out, or give IPv6 addresses")]
    FlowLabel,
    /// The frame cannot have this length.
    #[error("a frame of {length} bytes cannot be: its headers take {least}, and {most} is the most")]
    Length {
        /// The wanted length.
        length: usize,
        /// What the headers take.
        least: usize,
        /// The most.
        most: usize,
    },
}

/// TCP's flag of a segment that opens a flow.
pub const SYN: u8 = 0x02;

/// The flags of a TCP header by name, in the order of their bits.
pub const TCP_FLAGS: [&str; 8] = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"];

impl Packet {
    /// A TCP segment that opens a flow.
    pub fn new(source: IpAddr, destination: IpAddr) -> Self {
        Self {
            macs: [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]],
            tags: Vec::new(),
            source,
            destination,
            dscp: 0,
            flow_label: 0,
            protocol: TCP,
            ports: (49_152, 0),
            tcp_flags: SYN,
            below: None,
            tcp_options: Vec::new(),
            payload: Vec::new(),
            length: None,
        }
    }

    /// The frame.
    ///
    /// # Errors
    /// There can be no such packet.
    pub fn frame(&self) -> Result<Vec<u8>, PacketError> {
        let mut transport = self.transport();
        let mut frame = self.link();
        // What an IPv4 total length can say; IPv6 could say 40 more.
        let most = frame.len() + usize::from(u16::MAX);
        let least = frame.len() + self.ip(0)?.len() + transport.len();
        let length = self.length.unwrap_or(least);
        if !(least..=most).contains(&length) {
            return Err(PacketError::Length { length, least, most });
        }
        transport.resize(transport.len() + length - least, 0);
        let udp_length = low_half(transport.len());
        if let (UDP, Some(place)) = (self.protocol, transport.get_mut(4..6)) {
            place.copy_from_slice(&udp_length);
        }
        frame.extend(self.ip(transport.len())?);
        frame.extend(transport);
        Ok(frame)
    }

    fn link(&self) -> Vec<u8> {
        let [source, destination] = self.macs;
        let mut link = [destination, source].concat();
        for (id, pcp) in &self.tags {
            link.extend(0x8100_u16.to_be_bytes());
            link.extend((u16::from(*pcp) << 13 | id & 0xfff).to_be_bytes());
        }
        let ip = if self.source.is_ipv4() { ETHER_TYPE_IPV4 } else { ETHER_TYPE_IPV6 };
        let (ether_type, below) = self.below.as_ref().map_or((ip, [].as_slice()), |(of, below)| (*of, below));
        link.extend(ether_type.to_be_bytes());
        link.extend(below);
        link
    }

    /// The IP header before so many bytes of payload.
    fn ip(&self, payload: usize) -> Result<Vec<u8>, PacketError> {
        match (self.source, self.destination) {
            (IpAddr::V4(_), IpAddr::V4(_)) if self.flow_label != 0 => Err(PacketError::FlowLabel),
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let [high, low] = low_half(20 + payload);
                let mut ip =
                    vec![0x45, (self.dscp & 0x3f) << 2, high, low, 0, 0, 0x40, 0, 64, self.protocol, 0, 0];
                ip.extend(source.octets());
                ip.extend(destination.octets());
                Ok(ip)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let first = 6 << 28 | u32::from(self.dscp & 0x3f) << 22 | self.flow_label & 0xf_ffff;
                let mut ip = first.to_be_bytes().to_vec();
                ip.extend(low_half(payload));
                ip.extend([self.protocol, 64]);
                ip.extend(source.octets());
                ip.extend(destination.octets());
                Ok(ip)
            }
            (source_address, destination) => Err(PacketError::Families { source_address, destination }),
        }
    }

    /// The transport header, of a protocol that is not known none, and the payload.
    fn transport(&self) -> Vec<u8> {
        let words = 5 + self.tcp_options.len() as u8 / 4;
        let mut ports = self.ports.0.to_be_bytes().to_vec();
        ports.extend(self.ports.1.to_be_bytes());
        let mut transport = match self.protocol {
            // Sequence and acknowledgement numbers, words, flags, window, checksum, urgent pointer.
            TCP => [ports, vec![0, 0, 0, 1, 0, 0, 0, 0, words << 4, self.tcp_flags, 0xff, 0xff, 0, 0, 0, 0]]
                .concat(),
            UDP => [ports, vec![0, 8, 0, 0]].concat(),
            SCTP => [ports, vec![0; 8]].concat(),
            // Echo requests.
            ICMP => vec![8, 0, 0, 0, 0, 1, 0, 1],
            ICMPV6 => vec![128, 0, 0, 0, 0, 1, 0, 1],
            _ => Vec::new(),
        };
        if self.protocol == TCP {
            transport.extend(&self.tcp_options);
        }
        transport.extend(&self.payload);
        transport
    }
}

/// The low 16 bits, as headers have lengths. Callers have checked that there are no others.
fn low_half(length: usize) -> [u8; 2] {
    (length as u16).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(source: &str, destination: &str) -> Packet {
        Packet::new(source.parse().unwrap(), destination.parse().unwrap())
    }

    #[test]
    fn frames_have_what_was_said() {
        let frame = packet("10.1.0.1", "203.0.113.10").frame().unwrap();
        assert_eq!(frame.len(), 14 + 20 + 20);
        assert_eq!(frame[12..16], [0x08, 0x00, 0x45, 0]);
        assert_eq!(frame[16..18], 40_u16.to_be_bytes());
        assert_eq!(frame[47], SYN);

        let mut udp = packet("2001:db8::1", "2001:db8::2");
        (udp.protocol, udp.dscp, udp.flow_label, udp.length) = (UDP, 46, 0xabcde, Some(100));
        udp.tags = vec![(100, 5), (7, 0)];
        let frame = udp.frame().unwrap();
        assert_eq!(frame.len(), 100);
        assert_eq!(frame[12..22], [0x81, 0, 0xa0, 100, 0x81, 0, 0, 7, 0x86, 0xdd]);
        assert_eq!(frame[22..26], (6_u32 << 28 | 46 << 22 | 0xabcde).to_be_bytes());
        assert_eq!(frame[26..28], 38_u16.to_be_bytes());
        assert_eq!(frame[66..68], 38_u16.to_be_bytes());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let error = packet("10.1.0.1", "2001:db8::2").frame().unwrap_err();
        assert!(error.to_string().contains("different families"), "{error}");
        let mut v4 = packet("10.1.0.1", "10.1.0.2");
        v4.flow_label = 1;
        assert_eq!(v4.frame(), Err(PacketError::FlowLabel));
        for length in [53, 14 + 65_536, usize::MAX] {
            let mut packet = packet("10.1.0.1", "10.1.0.2");
            packet.length = Some(length);
            let error = packet.frame().unwrap_err();
            assert_eq!(error, PacketError::Length { length, least: 54, most: 14 + 65_535 });
        }
        let mut longest = packet("10.1.0.1", "10.1.0.2");
        longest.length = Some(14 + 65_535);
        assert_eq!(longest.frame().unwrap()[16..18], [0xff, 0xff]);
    }
}
