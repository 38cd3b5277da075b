//! Tunnel headers and what is in them.

use super::Packet;

/// Ethernet in GRE, Geneve or NSH (RFC 1701, RFC 8926).
const ETHERNET: u16 = 0x6558;
/// The network service header (RFC 8300).
const NSH: u16 = 0x894f;

/// A tunnel's header and what is inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Which tunnel.
    pub header: Header,
    /// What is in it.
    pub inside: Inside,
}

/// A tunnel's header. Those over UDP are found by the destination port of the packet around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// VXLAN (RFC 7348), with a group policy (draft-smith-vxlan-group-policy) or without.
    Vxlan {
        /// 24 bits.
        vni: u32,
        /// The group policy's id.
        policy: Option<u16>,
    },
    /// Geneve (RFC 8926).
    Geneve {
        /// 24 bits.
        vni: u32,
        /// In their order.
        options: Vec<GeneveOption>,
    },
    /// GRE (RFC 2784, RFC 2890).
    Gre {
        /// With a checksum, which is zero, and its reserved half.
        checksum: bool,
        /// The key.
        key: Option<u32>,
        /// The sequence number.
        sequence: Option<u32>,
    },
    /// GTP-U (3GPP TS 29.281), a G-PDU.
    Gtpu(Gtpu),
    /// None: IP in IP (RFC 2003, RFC 2473, RFC 4213).
    Ip,
}

/// An option of Geneve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneveOption {
    /// Who defines the type.
    pub class: u16,
    /// Its highest bit says that it is critical.
    pub kind: u8,
    /// At most 31 words of four bytes.
    pub data: Vec<u8>,
}

/// What a GTP-U header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gtpu {
    /// The tunnel endpoint's id.
    pub teid: u32,
    /// The sequence number.
    pub sequence: Option<u16>,
    /// Extension headers: type and content, which is padded to four bytes with its length and the next type.
    pub extensions: Vec<(u8, Vec<u8>)>,
}

/// A network service header of metadata type 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nsh {
    /// The service path, 24 bits.
    pub spi: u32,
    /// The place on it.
    pub index: u8,
    /// Context.
    pub context: u128,
}

/// What a tunnel carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inside {
    /// An IP packet.
    Ip(Packet),
    /// An Ethernet frame.
    Ethernet(Packet),
    /// An IP packet or an Ethernet frame behind a network service header.
    Nsh(Nsh, Box<Inside>),
    /// Something else, by its EtherType.
    Other(u16, Vec<u8>),
}

impl Nsh {
    /// The header (RFC 8300, section 2) in front of what is `inside`, of this EtherType.
    pub(super) fn around(self, ether_type: u16, inside: &[u8]) -> Vec<u8> {
        let next = match ether_type {
            0x0800 => 1,
            0x86dd => 2,
            ETHERNET => 3,
            _ => 0xfe,
        };
        // A time to live of 63, six words.
        let mut bytes = vec![0x0f, 0xc6, 1, next];
        bytes.extend((self.spi << 8 | u32::from(self.index)).to_be_bytes());
        bytes.extend(self.context.to_be_bytes());
        bytes.extend(inside);
        bytes
    }
}

impl Inside {
    /// Its EtherType and its bytes.
    fn parts(&self) -> (u16, Vec<u8>) {
        match self {
            Self::Ip(packet) => (packet.ether_type(), packet.ip()),
            Self::Ethernet(packet) => (ETHERNET, packet.bytes()),
            Self::Nsh(nsh, inside) => {
                let (ether_type, bytes) = inside.parts();
                (NSH, nsh.around(ether_type, &bytes))
            }
            Self::Other(ether_type, bytes) => (*ether_type, bytes.clone()),
        }
    }

    /// The packet inside, whatever is around it.
    pub fn packet_mut(&mut self) -> Option<&mut Packet> {
        match self {
            Self::Ip(packet) | Self::Ethernet(packet) => Some(packet),
            Self::Nsh(_, inside) => inside.packet_mut(),
            Self::Other(..) => None,
        }
    }
}

impl Tunnel {
    /// The IP protocol that carries it.
    pub(super) fn protocol(&self) -> u8 {
        match (&self.header, &self.inside) {
            (Header::Gre { .. }, _) => 47,
            (Header::Ip, Inside::Ip(packet)) if packet.destination.is_ipv4() => 4,
            (Header::Ip, Inside::Ip(_)) => 41,
            // Ethernet in IP (RFC 8986).
            (Header::Ip, Inside::Ethernet(_)) => 143,
            (Header::Ip, _) => 59,
            _ => 17,
        }
    }

    /// The destination port that it is found by, where it is over UDP.
    pub fn port(&self) -> Option<u16> {
        match self.header {
            Header::Vxlan { .. } => Some(4789),
            Header::Geneve { .. } => Some(6081),
            Header::Gtpu(_) => Some(2152),
            Header::Gre { .. } | Header::Ip => None,
        }
    }

    /// The header and what is inside.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let (ether_type, inside) = self.inside.parts();
        let mut bytes = match &self.header {
            Header::Vxlan { vni, policy } => {
                let flags = if policy.is_some() { 0x88 } else { 0x08 };
                let [high, low] = policy.unwrap_or_default().to_be_bytes();
                [&[flags, 0, high, low], &(vni << 8).to_be_bytes()[..]].concat()
            }
            Header::Geneve { vni, options } => geneve(*vni, options, ether_type),
            Header::Gre { checksum, key, sequence } => {
                let bit = |set: bool, bit: u16| if set { bit } else { 0 };
                let flags =
                    bit(*checksum, 0x8000) | bit(key.is_some(), 0x2000) | bit(sequence.is_some(), 0x1000);
                let mut bytes = [flags.to_be_bytes(), ether_type.to_be_bytes()].concat();
                bytes.extend(checksum.then_some([0; 4]).into_iter().flatten());
                bytes.extend([*key, *sequence].into_iter().flatten().flat_map(u32::to_be_bytes));
                if *checksum {
                    // Over the header and the payload (RFC 2784, section 2.5).
                    let sum = super::checksum(&[&bytes[..], &inside].concat());
                    bytes[4..6].copy_from_slice(&sum.to_be_bytes());
                }
                bytes
            }
            Header::Gtpu(gtpu) => gtpu.bytes(inside.len()),
            Header::Ip => Vec::new(),
        };
        bytes.extend(inside);
        bytes
    }
}

fn geneve(vni: u32, options: &[GeneveOption], ether_type: u16) -> Vec<u8> {
    let mut after = Vec::new();
    for GeneveOption { class, kind, data } in options {
        let words = data.len().div_ceil(4) & 0x1f;
        after.extend(class.to_be_bytes());
        after.extend([*kind, words as u8]);
        after.extend(data);
        after.resize(after.len().next_multiple_of(4), 0);
    }
    // The option length has six bits, in words; a critical option is announced.
    let critical = options.iter().any(|option| option.kind & 0x80 != 0);
    let mut bytes = vec![(after.len() / 4) as u8 & 0x3f, u8::from(critical) << 6];
    bytes.extend(ether_type.to_be_bytes());
    bytes.extend((vni << 8).to_be_bytes());
    bytes.extend(after);
    bytes
}

impl Gtpu {
    /// The header (section 5.1) of a G-PDU that has `inside` bytes behind it.
    fn bytes(&self, inside: usize) -> Vec<u8> {
        let mut after = Vec::new();
        let flags = u8::from(!self.extensions.is_empty()) << 2 | u8::from(self.sequence.is_some()) << 1;
        if flags != 0 {
            after.extend(self.sequence.unwrap_or_default().to_be_bytes());
            after.push(0);
            after.push(self.extensions.first().map_or(0, |(kind, _)| *kind));
        }
        for (at, (_, content)) in self.extensions.iter().enumerate() {
            let words = (content.len() + 2).div_ceil(4);
            after.push(words as u8);
            after.extend(content);
            after.resize(after.len() + words * 4 - content.len() - 2, 0);
            after.push(self.extensions.get(at + 1).map_or(0, |(kind, _)| *kind));
        }
        let length = ((after.len() + inside) as u16).to_be_bytes();
        let mut bytes = vec![0x30 | flags, 0xff, length[0], length[1]];
        bytes.extend(self.teid.to_be_bytes());
        bytes.extend(after);
        bytes
    }
}
