//! A carrier's value in a packet.

use network_types::eth::EthHdr;

use crate::access::{Packet, Pos, load_bytes, load_u16, load_u32, load_u128};
use crate::config::{ANY_ROTATION, FieldConfig, Ports};
use crate::headers::{Headers, found};
use crate::inside::{Inside, within};
use crate::parse::option;
use crate::parse::transport::{TCP, UDP};
use crate::parse::tunnel::in_datagram;
use crate::shim;

/// Carrier numbers as constants, so that [`read`] can match on the `u8` of the configuration.
mod number {
    use crate::carrier::Carrier as C;
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
    pub(super) const LAST_PLAIN: u8 = C::LAST_PLAIN as u8;
    pub(super) const MPLS_LABEL: u8 = C::MplsLabel as u8;
    pub(super) const VXLAN_VNI: u8 = C::VxlanVni as u8;
    pub(super) const VXLAN_POLICY: u8 = C::VxlanPolicy as u8;
    pub(super) const GENEVE_VNI: u8 = C::GeneveVni as u8;
    pub(super) const GENEVE_OPTION: u8 = C::GeneveOption as u8;
    pub(super) const GRE_KEY: u8 = C::GreKey as u8;
    pub(super) const GTPU_TEID: u8 = C::GtpuTeid as u8;
    pub(super) const NSH_SPI: u8 = C::NshSpi as u8;
    pub(super) const NSH_CONTEXT: u8 = C::NshContext as u8;
    pub(super) const QUIC_DCID: u8 = C::QuicDcid as u8;
    pub(super) const TCP_OPTION: u8 = C::TcpOption as u8;
    pub(super) const SHIM_KEY: u8 = C::ShimKey as u8;
    pub(super) const INNER_ETHERNET_SRC: u8 = C::InnerEthernetSrc as u8;
    pub(super) const INNER_ETHERNET_DST: u8 = C::InnerEthernetDst as u8;
    pub(super) const INNER_IPV4_SRC: u8 = C::InnerIpv4Src as u8;
    pub(super) const INNER_IPV4_DST: u8 = C::InnerIpv4Dst as u8;
    pub(super) const INNER_IPV6_SRC: u8 = C::InnerIpv6Src as u8;
    pub(super) const INNER_IPV6_DST: u8 = C::InnerIpv6Dst as u8;
    pub(super) const INNER_IP_SRC: u8 = C::InnerIpSrc as u8;
    pub(super) const INNER_IP_DST: u8 = C::InnerIpDst as u8;
    pub(super) const INNER_IP_DSCP: u8 = C::InnerIpDscp as u8;
    pub(super) const INNER_IP_PROTOCOL: u8 = C::InnerIpProtocol as u8;
    pub(super) const INNER_L4_SRC_PORT: u8 = C::InnerL4SrcPort as u8;
    pub(super) const INNER_L4_DST_PORT: u8 = C::InnerL4DstPort as u8;
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
        number::IP_DSCP if headers.found & (found::IPV4 | found::IPV6) != 0 => {
            dscp(packet, headers.l3, has(found::IPV4))
        }
        number::IP_PROTOCOL if has(found::PROTOCOL) => low(headers.protocol as u64),
        number::IPV6_FLOW_LABEL if has(found::IPV6) => {
            low((load_u32(packet, Pos::from_stored(headers.l3), 0)? & 0xf_ffff) as u64)
        }
        number::L4_SRC_PORT if has(found::PORTS) => low(headers.source_port as u64),
        number::L4_DST_PORT if has(found::PORTS) => low(headers.destination_port as u64),
        _ => None,
    }
}

/// [`read`], of any carrier: what the deep program calls. Of a carrier of many bytes the value is of the bytes that the field
/// asks for. Of a signed block it is the key; [`Inside::signed`] then says where the block is.
#[inline(always)]
pub fn read_deep<P: Packet>(
    packet: &P,
    headers: &Headers,
    inside: &mut Inside,
    ports: &Ports,
    field: &FieldConfig,
) -> Option<[u64; 2]> {
    if field.carrier <= number::LAST_PLAIN {
        return read(packet, headers, field.carrier);
    }
    let has = |bits| inside.found & bits == bits;
    let (at, d, length) = match field.carrier {
        number::MPLS_LABEL if has(within::MPLS) => return low(inside.label as u64),
        number::VXLAN_VNI if has(within::VXLAN) => return upper24(packet, inside.id, 0),
        number::VXLAN_POLICY if has(within::VXLAN_POLICY) => (inside.tunnel, 2, 2),
        number::GENEVE_VNI if has(within::GENEVE) => return upper24(packet, inside.id, 0),
        number::GENEVE_OPTION if has(within::GENEVE) => {
            option::geneve(packet, inside, field.which);
            return of_option(packet, inside, field);
        }
        number::GRE_KEY if has(within::GRE_KEY) => (inside.id, 0, 4),
        number::GTPU_TEID if has(within::GTPU) => (inside.id, 0, 4),
        number::NSH_SPI if has(within::NSH) => return upper24(packet, inside.nsh, 4),
        number::NSH_CONTEXT if has(within::NSH_CONTEXT) => (inside.nsh, 8, 16),
        number::QUIC_DCID if has(within::QUIC) => return connection_id(packet, inside, field),
        number::TCP_OPTION
            if headers.protocol == TCP && headers.found & (found::PORTS | found::QUOTED) == found::PORTS =>
        {
            option::tcp(packet, headers, inside, field.which);
            return of_option(packet, inside, field);
        }
        number::SHIM_KEY if headers.protocol == UDP && headers.has(found::PORTS) => {
            return shim_key(packet, headers, inside, ports);
        }
        number::INNER_ETHERNET_SRC if has(within::ETHERNET) => (inside.ethernet, 6, 6),
        number::INNER_ETHERNET_DST if has(within::ETHERNET) => (inside.ethernet, 0, 6),
        number::INNER_IPV4_SRC if has(within::IPV4) => (inside.source, 0, 4),
        number::INNER_IPV4_DST if has(within::IPV4) => (inside.destination, 0, 4),
        number::INNER_IPV6_SRC if has(within::IPV6) => (inside.source, 0, 16),
        number::INNER_IPV6_DST if has(within::IPV6) => (inside.destination, 0, 16),
        number::INNER_IP_SRC if has(within::IPV4) => (inside.source, 0, 4),
        number::INNER_IP_SRC if has(within::IPV6) => (inside.source, 0, 16),
        number::INNER_IP_DST if has(within::IPV4) => (inside.destination, 0, 4),
        number::INNER_IP_DST if has(within::IPV6) => (inside.destination, 0, 16),
        number::INNER_IP_DSCP if inside.found & (within::IPV4 | within::IPV6) != 0 => {
            return dscp(packet, inside.l3, has(within::IPV4));
        }
        number::INNER_IP_PROTOCOL if has(within::PROTOCOL) => return low(inside.protocol as u64),
        number::INNER_L4_SRC_PORT if has(within::PORTS) => return low(inside.source_port as u64),
        number::INNER_L4_DST_PORT if has(within::PORTS) => return low(inside.destination_port as u64),
        _ => return None,
    };
    load_bytes(packet, Pos::from_stored(at), d, length)
}

/// Three bytes, of four that are there.
#[inline(always)]
fn upper24<P: Packet>(packet: &P, at: u16, d: usize) -> Option<[u64; 2]> {
    low((load_u32(packet, Pos::from_stored(at), d)? >> 8) as u64)
}

/// The bytes that a field takes of the option that was found last.
#[inline(always)]
fn of_option<P: Packet>(packet: &P, inside: &mut Inside, field: &FieldConfig) -> Option<[u64; 2]> {
    if field.signed != 0 {
        if inside.option_length as usize != shim::LEN {
            return None;
        }
        let option = inside.option;
        return signed(packet, inside, option);
    }
    if field.from as u16 + field.length as u16 > inside.option_length {
        return None;
    }
    load_bytes(packet, Pos::from_stored(inside.option), field.from as usize, field.length)
}

/// The key of the signed block at `at`.
#[inline(always)]
fn signed<P: Packet>(packet: &P, inside: &mut Inside, at: u16) -> Option<[u64; 2]> {
    let [head, key, _] = shim::from_bytes(packet.load::<[[u8; 8]; 3]>(Pos::from_stored(at), 0)?);
    if head >> 60 != shim::VERSION as u64 {
        return None;
    }
    inside.signed = at;
    low(key)
}

/// The key of the shim that a UDP datagram's payload begins with.
#[inline(always)]
fn shim_key<P: Packet>(
    packet: &P,
    headers: &Headers,
    inside: &mut Inside,
    ports: &Ports,
) -> Option<[u64; 2]> {
    if headers.has(found::QUOTED) || ports.shim != 0 && headers.destination_port != ports.shim {
        return None;
    }
    let payload = Pos::from_stored(headers.l4).plus::<8>();
    if !in_datagram(headers, payload, shim::LEN) {
        return None;
    }
    signed(packet, inside, payload.store())
}

/// The bytes that a field takes of a connection id, if the id is of its configuration (draft-ietf-quic-load-balancers).
#[inline(always)]
fn connection_id<P: Packet>(packet: &P, inside: &Inside, field: &FieldConfig) -> Option<[u64; 2]> {
    let at = Pos::from_stored(inside.id);
    if field.from as u16 + field.length as u16 > inside.id_length {
        return None;
    }
    if field.which != ANY_ROTATION {
        let [first] = packet.load::<[u8; 1]>(at, 0)?;
        if first as u32 >> 5 != field.which {
            return None;
        }
    }
    load_bytes(packet, at, field.from as usize, field.length)
}

/// The DSCP of the IP header at `l3`.
#[inline(always)]
fn dscp<P: Packet>(packet: &P, l3: u16, v4: bool) -> Option<[u64; 2]> {
    let first = load_u16(packet, Pos::from_stored(l3), 0)?;
    // IPv4: version and length, 8 bits, then the DSCP. IPv6: version 4 bits, then the traffic class, whose top
    // six bits are the DSCP.
    let dscp = if v4 { (first >> 2) & 0x3f } else { (first >> 6) & 0x3f };
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
