//! Packets described in words, and their bytes.
//!
//! ```text
//!  frames      a packet: link, IP, transport                      (what most tests need)
//!  tunnel      what may be inside one: VXLAN, Geneve, GTP-U, GRE, NSH, IP in IP
//!  quic        QUIC headers
//!  checksum    of the Internet, for whoever looks: nothing in the packet path reads them
//! ```
//! The bytes are written from the standards, not from the code that reads them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use checksum::{checksum, of_transport};

mod checksum;
mod quic;
#[cfg(test)]
mod tests;
mod tunnel;

pub use quic::Quic;
pub use tunnel::{GeneveOption, Gtpu, Header, Inside, Nsh, Tunnel};

/// A packet, as a description. Start from [`Packet::new`] and change what matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Ethernet destination and source.
    pub macs: [[u8; 6]; 2],
    /// VLAN tags, outermost first: EtherType and tag control information.
    pub tags: Vec<(u16, u16)>,
    /// MPLS labels behind them, outermost first (RFC 3032); the last has the bottom-of-stack bit.
    pub labels: Vec<u32>,
    /// A network service header between the link and the IP packet (RFC 8300).
    pub nsh: Option<Nsh>,
    /// Where from. Both addresses must be of one family.
    pub source: IpAddr,
    /// Where to.
    pub destination: IpAddr,
    /// Six bits.
    pub dscp: u8,
    /// Congestion: two bits (RFC 3168).
    pub ecn: u8,
    /// Twenty bits, IPv6 only.
    pub label: u32,
    /// IPv4 options, in words of four bytes, at most 10.
    pub options: u8,
    /// IPv6 extension headers: their number and how many units they have beyond the least. A fragment's
    /// header comes last unless it is among them; what is behind it is in the first fragment alone.
    pub extensions: Vec<(u8, u8)>,
    /// The segment list of a segment routing header (RFC 8754), as it is written: the last segment first. The
    /// first routing header is one where there are any; where there is none, one is added.
    pub segments: Vec<Ipv6Addr>,
    /// Which of the segments is active. The packet's destination is not changed by it.
    pub segments_left: u8,
    /// Whether it is a fragment: its offset in eight bytes, and whether more follow.
    pub fragment: Option<(u16, bool)>,
    /// What it carries.
    pub transport: Transport,
    /// TCP options: kind and what follows the length. Kinds 0 and 1 are one byte (RFC 9293). What would not fit
    /// the header is left out.
    pub tcp_options: Vec<(u8, Vec<u8>)>,
    /// Source and destination port, where the transport has any.
    pub ports: (u16, u16),
    /// Bytes after the transport header.
    pub payload: usize,
    /// Of the transport header and the payload, only so many bytes are there; the IP length agrees.
    pub kept: Option<usize>,
}

/// What a packet carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, with these flags.
    Tcp(u8),
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// ICMP of the packet's family, no error, of this type.
    Icmp(u8),
    /// An ICMP error of this type, which quotes a packet.
    Error(u8, Box<Packet>),
    /// Any other protocol.
    Other(u8),
    /// A tunnel's header, and the packet in it.
    Tunnel(Box<Tunnel>),
    /// QUIC over UDP.
    Quic(Quic),
    /// UDP whose payload begins with these bytes.
    Datagram(Vec<u8>),
}

/// TCP's flag of a segment that opens.
pub const SYN: u8 = 0x02;
/// TCP's flag of all others.
pub const ACK: u8 = 0x10;
/// The routing extension header.
pub const ROUTING: u8 = 43;
/// The extension header of fragments.
pub const FRAGMENT: u8 = 44;
/// The authentication header, whose length is counted in four bytes.
pub const AUTHENTICATION: u8 = 51;

impl Packet {
    /// A UDP datagram with eight bytes of payload.
    pub fn new(source: impl Into<IpAddr>, destination: impl Into<IpAddr>) -> Self {
        Self {
            macs: [[2, 0, 0, 0, 9, 1], [2, 0, 0, 0, 9, 2]],
            tags: Vec::new(),
            labels: Vec::new(),
            nsh: None,
            source: source.into(),
            destination: destination.into(),
            dscp: 0,
            ecn: 0,
            label: 0,
            options: 0,
            extensions: Vec::new(),
            segments: Vec::new(),
            segments_left: 0,
            fragment: None,
            transport: Transport::Udp,
            tcp_options: Vec::new(),
            ports: (40_000, 443),
            payload: 8,
            kept: None,
        }
    }

    /// A tunnel between two addresses, found by its usual port.
    pub fn tunnel(source: &str, destination: &str, header: Header, inside: Inside) -> Self {
        let mut packet = Self { payload: 0, ..Self::between(source, destination) };
        packet.carry(Tunnel { header, inside });
        packet
    }

    /// Makes it one that carries a tunnel, found by its usual port.
    pub fn carry(&mut self, tunnel: Tunnel) {
        self.ports.1 = tunnel.port().unwrap_or(self.ports.1);
        self.transport = Transport::Tunnel(Box::new(tunnel));
    }

    /// Between addresses in text. What is no address becomes `::`.
    pub fn between(source: &str, destination: &str) -> Self {
        let address = |text: &str| text.parse().unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        Self::new(address(source), address(destination))
    }

    /// The answer to it. A tunnel's goes to the same port, with an answer in it.
    #[must_use]
    pub fn turned(&self) -> Self {
        let mut answer = Self { source: self.destination, destination: self.source, ..self.clone() };
        if let Transport::Tunnel(tunnel) = &mut answer.transport {
            if let Some(inner) = tunnel.inside.packet_mut() {
                *inner = inner.turned();
            }
        } else {
            answer.ports = (self.ports.1, self.ports.0);
        }
        answer
    }

    /// The ICMP error of `kind` that a router at `router` sends about the answer to this packet; it
    /// arrives where the packet arrives.
    #[must_use]
    pub fn error(&self, router: IpAddr, kind: u8) -> Self {
        let quoted = Box::new(self.turned());
        Self {
            source: router,
            extensions: Vec::new(),
            segments: Vec::new(),
            fragment: None,
            options: 0,
            kept: None,
            transport: Transport::Error(kind, quoted),
            ..self.clone()
        }
    }

    /// The whole Ethernet frame.
    pub fn bytes(&self) -> Vec<u8> {
        let mut frame = self.macs.concat();
        let mut types: Vec<u16> = self.tags.iter().map(|(tpid, _)| *tpid).collect();
        types.push(match (&self.labels[..], self.nsh) {
            ([_, ..], _) => 0x8847,
            ([], Some(_)) => 0x894f,
            ([], None) => self.ether_type(),
        });
        for (at, ether_type) in types.iter().enumerate() {
            if let Some((_, tci)) = at.checked_sub(1).and_then(|before| self.tags.get(before)) {
                frame.extend(tci.to_be_bytes());
            }
            frame.extend(ether_type.to_be_bytes());
        }
        for (at, label) in self.labels.iter().enumerate() {
            let bottom = u32::from(at + 1 == self.labels.len());
            frame.extend(((label & 0xf_ffff) << 12 | bottom << 8 | 64).to_be_bytes());
        }
        let ip = self.ip();
        frame.extend(match self.nsh {
            // Behind labels nothing says that it is one.
            Some(nsh) if self.labels.is_empty() => nsh.around(self.ether_type(), &ip),
            _ => ip,
        });
        frame
    }

    /// The `EtherType` of its family.
    pub fn ether_type(&self) -> u16 {
        if self.destination.is_ipv4() { 0x0800 } else { 0x86dd }
    }

    /// The IP packet.
    pub fn ip(&self) -> Vec<u8> {
        let upper = self.upper();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => self.ipv4(source, destination, &upper),
            (source, destination) => self.ipv6(v6(source), v6(destination), &upper),
        }
    }

    fn ipv4(&self, source: Ipv4Addr, destination: Ipv4Addr, upper: &[u8]) -> Vec<u8> {
        let words = 5 + self.options.min(10);
        let length = (usize::from(words) * 4 + upper.len()).to_be_bytes();
        let (offset, more) = self.fragment.unwrap_or_default();
        let fragment = (offset & 0x1fff | if more { 0x2000 } else { 0 }).to_be_bytes();
        let mut ip = vec![0x40 | words, self.dscp << 2 | self.ecn & 3, length[6], length[7], 0, 1];
        ip.extend(fragment);
        ip.extend([64, self.protocol(), 0, 0]);
        ip.extend(source.octets());
        ip.extend(destination.octets());
        // No operation (RFC 791).
        ip.extend(vec![1; usize::from(words - 5) * 4]);
        let sum = checksum(&ip).to_be_bytes();
        ip[10..12].copy_from_slice(&sum);
        ip.extend(upper);
        ip
    }

    fn ipv6(&self, source: Ipv6Addr, destination: Ipv6Addr, upper: &[u8]) -> Vec<u8> {
        let mut chain = self.extensions.clone();
        if !self.segments.is_empty() && !chain.iter().any(|(number, _)| *number == ROUTING) {
            chain.push((ROUTING, 0));
        }
        if !chain.iter().any(|(number, _)| *number == FRAGMENT) {
            chain.extend(self.fragment.map(|_| (FRAGMENT, 0)));
        }
        let mut follows: Vec<u8> = chain.iter().map(|(number, _)| *number).collect();
        follows.push(self.protocol());
        let mut rest = Vec::new();
        let mut routed = self.segments.is_empty();
        for ((number, units), next) in chain.iter().zip(follows.iter().skip(1)) {
            if *number == ROUTING && !routed {
                rest.extend(self.segment_routing(*next));
                routed = true;
            } else {
                rest.extend(self.extension(*number, *units, *next));
            }
            if *number == FRAGMENT && self.fragment.is_some_and(|(offset, _)| offset != 0) {
                break;
            }
        }
        rest.extend(upper);
        let length = rest.len().to_be_bytes();
        let class = self.dscp << 2 | self.ecn & 3;
        let first = 6 << 28 | u32::from(class) << 20 | self.label & 0xf_ffff;
        let mut ip = first.to_be_bytes().to_vec();
        ip.extend([length[6], length[7], follows.first().copied().unwrap_or(59), 64]);
        ip.extend(source.octets());
        ip.extend(destination.octets());
        ip.extend(rest);
        ip
    }

    /// A segment routing header (RFC 8754, section 2).
    fn segment_routing(&self, next: u8) -> Vec<u8> {
        let segments = self.segments.len();
        let last = u8::try_from(segments.saturating_sub(1)).unwrap_or(u8::MAX);
        let mut header = vec![next, last * 2 + 2, 4, self.segments_left, last, 0, 0, 0];
        header.extend(self.segments.iter().flat_map(|segment| segment.octets()));
        header
    }

    fn extension(&self, number: u8, units: u8, next: u8) -> Vec<u8> {
        let mut header = vec![next, units];
        match number {
            FRAGMENT => {
                let (offset, more) = self.fragment.unwrap_or_default();
                header.extend((offset << 3 | u16::from(more)).to_be_bytes());
                header.extend([0, 0, 0, 9]);
            }
            AUTHENTICATION => header.resize((usize::from(units) + 2) * 4, 0),
            // Options that are padding: a routing header of a type that nobody knows, with nothing left.
            _ => header.resize((usize::from(units) + 1) * 8, 0),
        }
        header
    }

    /// The number of what it carries.
    pub fn protocol(&self) -> u8 {
        match &self.transport {
            Transport::Tcp(_) => 6,
            Transport::Udp | Transport::Quic(_) | Transport::Datagram(_) => 17,
            Transport::Tunnel(tunnel) => tunnel.protocol(),
            Transport::Sctp => 132,
            Transport::Icmp(_) | Transport::Error(..) if self.destination.is_ipv4() => 1,
            Transport::Icmp(_) | Transport::Error(..) => 58,
            Transport::Other(number) => *number,
        }
    }

    /// What follows the IP header. A later fragment has payload alone.
    fn upper(&self) -> Vec<u8> {
        let mut upper = self.whole_upper();
        upper.truncate(self.kept.unwrap_or(usize::MAX));
        upper
    }

    fn whole_upper(&self) -> Vec<u8> {
        let mut payload = vec![0x5a; self.payload];
        if self.fragment.is_some_and(|(offset, _)| offset != 0) {
            return payload;
        }
        if self.transport == Transport::Sctp
            && let Some(header) = payload.get_mut(..4)
        {
            // A chunk of padding (RFC 4820).
            let [.., high, low] = self.payload.to_be_bytes();
            header.copy_from_slice(&[0x84, 0, high, low]);
        }
        let mut upper = match &self.transport {
            Transport::Tcp(flags) => self.tcp(*flags),
            Transport::Udp => self.udp(&[]),
            Transport::Quic(quic) => self.udp(&quic.bytes(self.payload)),
            Transport::Datagram(bytes) => self.udp(bytes),
            Transport::Tunnel(tunnel) if tunnel.protocol() == 17 => self.udp(&tunnel.bytes()),
            Transport::Tunnel(tunnel) => tunnel.bytes(),
            Transport::Sctp => [self.ports().as_slice(), &[0; 8]].concat(),
            Transport::Icmp(kind) => vec![*kind, 0, 0, 0, 0, 7, 0, 1],
            Transport::Error(kind, quoted) => [vec![*kind, 1, 0, 0, 0, 0, 0, 0], quoted.ip()].concat(),
            Transport::Other(_) => Vec::new(),
        };
        upper.extend(payload);
        of_transport(&mut upper, self.protocol(), self.source, self.destination);
        if self.protocol() == 17
            && self.destination.is_ipv4()
            && matches!(self.transport, Transport::Tunnel(_))
            && let Some(sum) = upper.get_mut(6..8)
        {
            // As tunnels send it (RFC 7348, section 4.1; RFC 8926, section 3.3).
            sum.copy_from_slice(&[0; 2]);
        }
        upper
    }

    fn ports(&self) -> [u8; 4] {
        let [[a, b], [c, d]] = [self.ports.0, self.ports.1].map(u16::to_be_bytes);
        [a, b, c, d]
    }

    /// A UDP header and what follows it, but for the payload.
    fn udp(&self, data: &[u8]) -> Vec<u8> {
        let length = (8 + data.len() + self.payload).to_be_bytes();
        [self.ports().as_slice(), &[length[6], length[7], 0, 0], data].concat()
    }

    /// A TCP header with its options, padded to whole words.
    fn tcp(&self, flags: u8) -> Vec<u8> {
        let mut options = Vec::new();
        for (kind, data) in &self.tcp_options {
            let option = match kind {
                0 | 1 => vec![*kind],
                _ => [vec![*kind, u8::try_from(data.len() + 2).unwrap_or(u8::MAX)], data.clone()].concat(),
            };
            if options.len() + option.len() <= 40 {
                options.extend(option);
            }
        }
        options.resize(options.len().next_multiple_of(4), 0);
        let words = u8::try_from(5 + options.len() / 4).unwrap_or(15) << 4;
        let fixed = [0, 0, 0, 1, 0, 0, 0, 2, words, flags, 0xff, 0xff, 0, 0, 0, 0];
        [self.ports().as_slice(), &fixed, &options].concat()
    }
}

/// An address as IPv6; an IPv4 one, which only a wrong description mixes in, mapped.
fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}
