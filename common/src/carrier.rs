//! Carriers: the places in a packet that hold bits of a key.
//!
//! The names are part of the policy language; the numbers are part of the ABI and append-only.

use network_types::eth::EthHdr;

use crate::access::{Packet, Pos, load_u16, load_u32, load_u128};
use crate::headers::{Headers, found};

/// A place in a packet that holds bits of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Carrier {
    /// `ethernet.src`, 48 bits.
    EthernetSrc = 1,
    /// `ethernet.dst`, 48 bits.
    EthernetDst = 2,
    /// `ethernet.type`, 16 bits, after VLAN tags.
    EthernetType = 3,
    /// `vlan.id`, 12 bits of the outer tag.
    VlanId = 4,
    /// `vlan.inner_id`, 12 bits of the second tag.
    VlanInnerId = 5,
    /// `vlan.pcp`, 3 bits of the outer tag.
    VlanPcp = 6,
    /// `ipv4.src`, 32 bits.
    Ipv4Src = 7,
    /// `ipv4.dst`, 32 bits.
    Ipv4Dst = 8,
    /// `ipv6.src`, 128 bits.
    Ipv6Src = 9,
    /// `ipv6.dst`, 128 bits.
    Ipv6Dst = 10,
    /// `ip.src`, an address of either family, only through a prefix table.
    IpSrc = 11,
    /// `ip.dst`, an address of either family, only through a prefix table.
    IpDst = 12,
    /// `ip.dscp`, 6 bits (RFC 2474).
    IpDscp = 13,
    /// `ip.protocol`, 8 bits: the transport protocol after IPv6 extension headers.
    IpProtocol = 14,
    /// `ipv6.flow_label`, 20 bits (RFC 6437).
    Ipv6FlowLabel = 15,
    /// `l4.src_port`, 16 bits of TCP, UDP or SCTP.
    L4SrcPort = 16,
    /// `l4.dst_port`, 16 bits of TCP, UDP or SCTP.
    L4DstPort = 17,
}

impl Carrier {
    /// Every carrier, in numeric order.
    pub const ALL: &[Self] = &[
        Self::EthernetSrc,
        Self::EthernetDst,
        Self::EthernetType,
        Self::VlanId,
        Self::VlanInnerId,
        Self::VlanPcp,
        Self::Ipv4Src,
        Self::Ipv4Dst,
        Self::Ipv6Src,
        Self::Ipv6Dst,
        Self::IpSrc,
        Self::IpDst,
        Self::IpDscp,
        Self::IpProtocol,
        Self::Ipv6FlowLabel,
        Self::L4SrcPort,
        Self::L4DstPort,
    ];

    /// The name in the policy language.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EthernetSrc => "ethernet.src",
            Self::EthernetDst => "ethernet.dst",
            Self::EthernetType => "ethernet.type",
            Self::VlanId => "vlan.id",
            Self::VlanInnerId => "vlan.inner_id",
            Self::VlanPcp => "vlan.pcp",
            Self::Ipv4Src => "ipv4.src",
            Self::Ipv4Dst => "ipv4.dst",
            Self::Ipv6Src => "ipv6.src",
            Self::Ipv6Dst => "ipv6.dst",
            Self::IpSrc => "ip.src",
            Self::IpDst => "ip.dst",
            Self::IpDscp => "ip.dscp",
            Self::IpProtocol => "ip.protocol",
            Self::Ipv6FlowLabel => "ipv6.flow_label",
            Self::L4SrcPort => "l4.src_port",
            Self::L4DstPort => "l4.dst_port",
        }
    }

    /// How many bits it holds. For `ip.src` and `ip.dst` those of the longer family.
    pub const fn bits(self) -> u8 {
        match self {
            Self::EthernetSrc | Self::EthernetDst => 48,
            Self::EthernetType | Self::L4SrcPort | Self::L4DstPort => 16,
            Self::VlanId | Self::VlanInnerId => 12,
            Self::VlanPcp => 3,
            Self::Ipv4Src | Self::Ipv4Dst => 32,
            Self::Ipv6Src | Self::Ipv6Dst | Self::IpSrc | Self::IpDst => 128,
            Self::IpDscp => 6,
            Self::IpProtocol => 8,
            Self::Ipv6FlowLabel => 20,
        }
    }

    /// Whether it is an address that a prefix table can translate.
    pub const fn is_address(self) -> bool {
        matches!(
            self,
            Self::Ipv4Src | Self::Ipv4Dst | Self::Ipv6Src | Self::Ipv6Dst | Self::IpSrc | Self::IpDst
        )
    }

    /// Whether it can only be used through a prefix table (its width depends on the family).
    pub const fn needs_table(self) -> bool {
        matches!(self, Self::IpSrc | Self::IpDst)
    }
}

/// Carrier numbers as constants, so that [`read`] can match on the `u8` of the configuration.
mod number {
    use super::Carrier as C;
    pub(super) const ETHERNET_SRC: u8 = C::EthernetSrc as u8;
    pub(super) const ETHERNET_DST: u8 = C::EthernetDst as u8;
    pub(super) const ETHERNET_TYPE: u8 = C::EthernetType as u8;
    pub(super) const VLAN_ID: u8 = C::VlanId as u8;
    pub(super) const VLAN_INNER_ID: u8 = C::VlanInnerId as u8;
    pub(super) const VLAN_PCP: u8 = C::VlanPcp as u8;
    pub(super) const IPV4_SRC: u8 = C::Ipv4Src as u8;
    pub(super) const IPV4_DST: u8 = C::Ipv4Dst as u8;
    pub(super) const IPV6_SRC: u8 = C::Ipv6Src as u8;
    pub(super) const IPV6_DST: u8 = C::Ipv6Dst as u8;
    pub(super) const IP_SRC: u8 = C::IpSrc as u8;
    pub(super) const IP_DST: u8 = C::IpDst as u8;
    pub(super) const IP_DSCP: u8 = C::IpDscp as u8;
    pub(super) const IP_PROTOCOL: u8 = C::IpProtocol as u8;
    pub(super) const IPV6_FLOW_LABEL: u8 = C::Ipv6FlowLabel as u8;
    pub(super) const L4_SRC_PORT: u8 = C::L4SrcPort as u8;
    pub(super) const L4_DST_PORT: u8 = C::L4DstPort as u8;
}

/// `value` in the low bits of a 128-bit number.
#[inline(always)]
fn low(value: u64) -> Option<[u64; 2]> {
    Some([0, value])
}

/// A MAC address as a number.
#[inline(always)]
fn mac<P: Packet>(packet: &P, d: usize) -> Option<[u64; 2]> {
    let b = packet.load::<[u8; 6]>(Pos::START, d)?;
    let high = u16::from_be_bytes([b[0], b[1]]);
    let rest = u32::from_be_bytes([b[2], b[3], b[4], b[5]]);
    low((high as u64) << 32 | rest as u64)
}

/// The whole value of `carrier` in this packet, right-aligned in 128 bits, most significant half
/// first; `None` where the packet has no such thing. A carrier that both families have (`ip.src`)
/// gives an IPv4 address in the low 32 bits.
#[inline(always)]
pub fn read<P: Packet>(packet: &P, headers: &Headers, carrier: u8) -> Option<[u64; 2]> {
    let has = |bits| headers.has(bits);
    match carrier {
        number::ETHERNET_SRC => mac(packet, core::mem::offset_of!(EthHdr, src_addr)),
        number::ETHERNET_DST => mac(packet, core::mem::offset_of!(EthHdr, dst_addr)),
        number::ETHERNET_TYPE => low(headers.ether_type as u64),
        number::VLAN_ID if has(found::VLAN) => low((headers.outer_tci & 0xfff) as u64),
        number::VLAN_INNER_ID if has(found::VLAN_INNER) => low((headers.inner_tci & 0xfff) as u64),
        number::VLAN_PCP if has(found::VLAN) => low((headers.outer_tci >> 13) as u64),
        number::IPV4_SRC if has(found::IPV4) => address4(packet, headers.source),
        number::IPV4_DST if has(found::IPV4) => address4(packet, headers.destination),
        number::IPV6_SRC if has(found::IPV6) => address6(packet, headers.source),
        number::IPV6_DST if has(found::IPV6) => address6(packet, headers.destination),
        number::IP_SRC => address(packet, headers, headers.source),
        number::IP_DST => address(packet, headers, headers.destination),
        number::IP_DSCP if headers.found & (found::IPV4 | found::IPV6) != 0 => dscp(packet, headers),
        number::IP_PROTOCOL if has(found::PROTOCOL) => low(headers.protocol as u64),
        number::IPV6_FLOW_LABEL if has(found::IPV6) => {
            low((load_u32(packet, Pos::from_stored(headers.l3), 0)? & 0xf_ffff) as u64)
        }
        number::L4_SRC_PORT if has(found::PORTS) => low(headers.source_port as u64),
        number::L4_DST_PORT if has(found::PORTS) => low(headers.destination_port as u64),
        _ => None,
    }
}

/// The DSCP of the outer IP header.
#[inline(always)]
fn dscp<P: Packet>(packet: &P, headers: &Headers) -> Option<[u64; 2]> {
    let first = load_u16(packet, Pos::from_stored(headers.l3), 0)?;
    // IPv4: version and length, 8 bits, then the DSCP. IPv6: version 4 bits, then the traffic class, whose top
    // six bits are the DSCP.
    let dscp = if headers.has(found::IPV4) { (first >> 2) & 0x3f } else { (first >> 6) & 0x3f };
    low(dscp as u64)
}

#[inline(always)]
fn address4<P: Packet>(packet: &P, at: u16) -> Option<[u64; 2]> {
    low(load_u32(packet, Pos::from_stored(at), 0)? as u64)
}

#[inline(always)]
fn address6<P: Packet>(packet: &P, at: u16) -> Option<[u64; 2]> {
    load_u128(packet, Pos::from_stored(at), 0)
}

#[inline(always)]
fn address<P: Packet>(packet: &P, headers: &Headers, at: u16) -> Option<[u64; 2]> {
    if headers.has(found::IPV4) { address4(packet, at) } else { address6(packet, at) }
}
