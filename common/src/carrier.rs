//! Carriers: the places in a packet that hold bits of a key.
//!
//! The names are part of the policy language; the numbers are part of the ABI and append-only. Those up to
//! [`Carrier::LAST_PLAIN`] are in the headers that every program parses; the others are read by the deep program alone
//! ([`crate::program`]).

mod read;

pub use read::{read, read_deep};

/// Declares the carriers: each with its number, its name, and how many bits it holds at most.
macro_rules! carriers {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $name:literal $bits:literal,)*) => {
        /// A place in a packet that holds bits of a key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Carrier { $($(#[$doc])* $variant = $number,)* }

        impl Carrier {
            /// Every carrier, in numeric order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in the policy language.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// How many bits it holds: of `ip.src` and its like those of the longer family, of a carrier whose length
            /// varies the most there can be.
            pub const fn bits(self) -> u16 {
                match self { $(Self::$variant => $bits),* }
            }

            /// The carrier with this number, if there is one.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

carriers! {
    /// The sender's MAC address.
    EthernetSrc = 1 "ethernet.src" 48,
    /// The receiver's MAC address.
    EthernetDst = 2 "ethernet.dst" 48,
    /// The EtherType, after VLAN tags.
    EthernetType = 3 "ethernet.type" 16,
    /// The outer tag's VLAN (IEEE 802.1Q).
    VlanId = 4 "vlan.id" 12,
    /// The second tag's VLAN (IEEE 802.1ad).
    VlanInnerId = 5 "vlan.inner_id" 12,
    /// The outer tag's priority.
    VlanPcp = 6 "vlan.pcp" 3,
    /// Source address (RFC 791).
    Ipv4Src = 7 "ipv4.src" 32,
    /// Destination address.
    Ipv4Dst = 8 "ipv4.dst" 32,
    /// Source address (RFC 8200).
    Ipv6Src = 9 "ipv6.src" 128,
    /// Destination address; of a packet with a segment routing header the active segment (RFC 8986), whose last bits are its argument.
    Ipv6Dst = 10 "ipv6.dst" 128,
    /// Source address of either family, only through a prefix table.
    IpSrc = 11 "ip.src" 128,
    /// Destination address of either family, only through a prefix table.
    IpDst = 12 "ip.dst" 128,
    /// Differentiated services code point (RFC 2474).
    IpDscp = 13 "ip.dscp" 6,
    /// The transport protocol, after extension headers.
    IpProtocol = 14 "ip.protocol" 8,
    /// Flow label (RFC 6437).
    Ipv6FlowLabel = 15 "ipv6.flow_label" 20,
    /// Source port of TCP, UDP or SCTP.
    L4SrcPort = 16 "l4.src_port" 16,
    /// Destination port of TCP, UDP or SCTP.
    L4DstPort = 17 "l4.dst_port" 16,
    /// The label on top of the stack (RFC 3032).
    MplsLabel = 18 "mpls.label" 20,
    /// Network identifier (RFC 7348).
    VxlanVni = 19 "vxlan.vni" 24,
    /// Group policy id (draft-smith-vxlan-group-policy).
    VxlanPolicy = 20 "vxlan.policy" 16,
    /// Virtual network identifier (RFC 8926).
    GeneveVni = 21 "geneve.vni" 24,
    /// The data of the option with a class and a type (RFC 8926).
    GeneveOption = 22 "geneve.option" 992,
    /// The key (RFC 2890).
    GreKey = 23 "gre.key" 32,
    /// Tunnel endpoint identifier (3GPP TS 29.281).
    GtpuTeid = 24 "gtpu.teid" 32,
    /// Service path identifier (RFC 8300).
    NshSpi = 25 "nsh.spi" 24,
    /// The fixed context headers of metadata type 1 (RFC 8300).
    NshContext = 26 "nsh.context" 128,
    /// Destination connection id (RFC 9000).
    QuicDcid = 27 "quic.dcid" 160,
    /// The data of the option of a kind, behind its experiment id where it has one (RFC 9293, RFC 6994).
    TcpOption = 28 "tcp.option" 304,
    /// The key of the shim that begins a UDP payload ([`crate::shim`]).
    ShimKey = 29 "shim.key" 64,
    /// Source MAC address of the frame inside a tunnel.
    InnerEthernetSrc = 30 "inner.ethernet.src" 48,
    /// Destination MAC address of the frame inside a tunnel.
    InnerEthernetDst = 31 "inner.ethernet.dst" 48,
    /// `ipv4.src` of the packet inside a tunnel.
    InnerIpv4Src = 32 "inner.ipv4.src" 32,
    /// `ipv4.dst` of the packet inside a tunnel.
    InnerIpv4Dst = 33 "inner.ipv4.dst" 32,
    /// `ipv6.src` of the packet inside a tunnel.
    InnerIpv6Src = 34 "inner.ipv6.src" 128,
    /// `ipv6.dst` of the packet inside a tunnel.
    InnerIpv6Dst = 35 "inner.ipv6.dst" 128,
    /// `ip.src` of the packet inside a tunnel.
    InnerIpSrc = 36 "inner.ip.src" 128,
    /// `ip.dst` of the packet inside a tunnel.
    InnerIpDst = 37 "inner.ip.dst" 128,
    /// `ip.dscp` of the packet inside a tunnel.
    InnerIpDscp = 38 "inner.ip.dscp" 6,
    /// `ip.protocol` of the packet inside a tunnel.
    InnerIpProtocol = 39 "inner.ip.protocol" 8,
    /// `l4.src_port` of the packet inside a tunnel.
    InnerL4SrcPort = 40 "inner.l4.src_port" 16,
    /// `l4.dst_port` of the packet inside a tunnel.
    InnerL4DstPort = 41 "inner.l4.dst_port" 16,
}

impl Carrier {
    /// The last of those that need no deep program.
    pub const LAST_PLAIN: Self = Self::L4DstPort;

    /// Whether it is an address that a prefix table can translate.
    pub const fn is_address(self) -> bool {
        self.family().is_some() || self.needs_table()
    }

    /// Whether it can only be used through a prefix table (its width depends on the family).
    pub const fn needs_table(self) -> bool {
        matches!(self, Self::IpSrc | Self::IpDst | Self::InnerIpSrc | Self::InnerIpDst)
    }

    /// Whether its length is the packet's choice: a field takes a range of its bits.
    pub const fn is_variable(self) -> bool {
        matches!(self, Self::GeneveOption | Self::QuicDcid | Self::TcpOption)
    }

    /// Of an IP address of one family, whether it is IPv4's.
    pub const fn family(self) -> Option<bool> {
        match self {
            Self::Ipv4Src | Self::Ipv4Dst | Self::InnerIpv4Src | Self::InnerIpv4Dst => Some(true),
            Self::Ipv6Src | Self::Ipv6Dst | Self::InnerIpv6Src | Self::InnerIpv6Dst => Some(false),
            _ => None,
        }
    }

    /// Whether it is a MAC address.
    pub const fn is_mac(self) -> bool {
        matches!(
            self,
            Self::EthernetSrc | Self::EthernetDst | Self::InnerEthernetSrc | Self::InnerEthernetDst
        )
    }

    /// Whether it is of the packet inside a tunnel.
    pub const fn is_inner(self) -> bool {
        self as u8 >= Self::InnerEthernetSrc as u8
    }

    /// Whether only the deep program reads it.
    pub const fn is_deep(self) -> bool {
        self as u8 > Self::LAST_PLAIN as u8
    }

    /// Whether it is in what only a datagram's first fragment has.
    pub const fn is_behind_fragmentation(self) -> bool {
        matches!(
            self,
            Self::L4SrcPort
                | Self::L4DstPort
                | Self::VxlanVni
                | Self::VxlanPolicy
                | Self::GeneveVni
                | Self::GeneveOption
                | Self::GreKey
                | Self::GtpuTeid
                | Self::QuicDcid
                | Self::TcpOption
                | Self::ShimKey
        ) || self.is_inner()
    }
}
