//! What a policy says of a frame, worked out from the policy itself by the plainest means: no tables, no
//! hashes, no index. Only where the headers are is taken from the parser, which has a target of its
//! own, and is compared with another project's dissector.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use keysteer::policy::{Field, Key, Policy, Schema, Spelling};
use keysteer_common::carrier::Carrier;
use keysteer_common::config::ANY_ROTATION;
use keysteer_common::headers::{Headers, found};
use keysteer_common::inside::{Inside, within};
use keysteer_common::parse::option::MAX_GENEVE_OPTIONS;
use keysteer_common::shim::{Signing, from_bytes, verify};
use keysteer_common::vocabulary::{Class, Fault};

use crate::carriers::SHIM_PORT;

/// `N` bytes of a frame; zeroes beyond its end.
pub(super) fn bytes<const N: usize>(frame: &[u8], at: usize) -> [u8; N] {
    frame.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

/// The address at a position.
pub(super) fn address(frame: &[u8], v4: bool, at: u16) -> IpAddr {
    let at = usize::from(at);
    if v4 { Ipv4Addr::from(bytes(frame, at)).into() } else { Ipv6Addr::from(bytes(frame, at)).into() }
}

/// What a policy says of a frame.
#[derive(Debug)]
pub(super) struct Expected<'p> {
    /// Its class.
    pub(super) class: Class,
    /// Which fields have a value, as bits; for frames that have a key.
    pub(super) present: u8,
    /// The canonical key.
    pub(super) key: u128,
    /// The registered key that it is.
    pub(super) entry: Option<&'p Key>,
    /// The registered key that it claims without right.
    pub(super) claimed: Option<&'p Key>,
    /// Which levels are looked up, as bits.
    pub(super) tried: u8,
    /// The level of the key, and its version of the schema.
    pub(super) level: u8,
    pub(super) version: u8,
}

impl<'p> Expected<'p> {
    fn plain(class: Class) -> Self {
        Self { class, present: 0, key: 0, entry: None, claimed: None, tried: 0, level: 0, version: 0 }
    }

    /// What `policy` says of `frame`, whose headers are `headers` and what is `inside`; signed keys are verified by
    /// `signing`.
    pub(super) fn of(
        policy: &'p Policy,
        signing: &Signing,
        frame: &[u8],
        headers: &Headers,
        inside: &Inside,
    ) -> Self {
        if !ours(policy, frame, headers) {
            return Self::plain(Class::Foreign);
        }
        if headers.fault != Fault::None as u8 {
            return Self::plain(Class::Malformed);
        }
        let mut expected = Self::plain(Class::Missing);
        let mut number = 0;
        for (at, schema) in policy.schemas.iter().enumerate() {
            let (mut present, mut whole) = (0, 0);
            for (index, field) in schema.fields.iter().enumerate() {
                if let Some(value) = value(policy, field, frame, headers, inside) {
                    present |= 1 << index;
                    whole |= field.placed(value & field.mask);
                }
            }
            for level in &schema.levels {
                let wanted = level.iter().fold(0_u8, |bits, field| bits | 1 << field);
                if present & wanted == wanted && expected.entry.is_none() {
                    expected.tried |= 1 << number;
                    let fields = level.iter().filter_map(|at| schema.fields.get(*at));
                    let key = fields.fold(0, |key, field| key | field.placed(field.value(whole)));
                    expected.entry = registered(policy, Spelling { level: number, key });
                    expected.level = number;
                }
                number += 1;
            }
            // What is noted is the version that decides, else the first that has anything.
            if at == 0 || expected.entry.is_some() || present != 0 && expected.present == 0 {
                (expected.present, expected.key) = (present, whole);
            }
            expected.version = schema.version;
            expected.class = match (expected.entry, expected.tried) {
                (Some(_), _) => Class::Assigned,
                (None, 0) => Class::Missing,
                (None, _) => Class::Unregistered,
            };
            if schema.is_signed() {
                expected.doubt(signing, schema, frame, headers, inside);
            }
            if matches!(expected.class, Class::Assigned | Class::Unauthenticated) {
                break;
            }
        }
        let source = address(frame, headers.has(found::IPV4), headers.source);
        let sources = expected.entry.and_then(|key| key.sources.as_ref());
        if sources.is_some_and(|nets| !nets.iter().any(|net| net.contains(&source))) {
            expected.class = Class::Unauthenticated;
            expected.claimed = expected.entry.take();
        }
        expected
    }
}

/// The key that is registered there.
fn registered(policy: &Policy, spelling: Spelling) -> Option<&Key> {
    policy
        .keys
        .iter()
        .find(|key| (key.level, key.key) == (spelling.level, spelling.key) || key.also.contains(&spelling))
}

impl Expected<'_> {
    /// Where keys are signed, one without is not believed, and a wrong signature spoils everything.
    fn doubt(
        &mut self,
        signing: &Signing,
        schema: &Schema,
        frame: &[u8],
        headers: &Headers,
        inside: &Inside,
    ) {
        let v4 = headers.has(found::IPV4);
        let mapped = |at| {
            let bits = match address(frame, v4, at) {
                IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
                IpAddr::V6(address) => address.to_bits(),
            };
            [(bits >> 64) as u64, bits as u64]
        };
        let field = schema.fields.iter().find(|field| field.signed);
        let block = field.and_then(|field| block(field, frame, headers, inside));
        let right = block.is_some_and(|block| {
            let block: [[u8; 8]; 3] = std::array::from_fn(|at| bytes(block, at * 8));
            verify(&from_bytes(block), signing, 0, mapped(headers.source), mapped(headers.destination))
        });
        if block.is_some() && !right || block.is_none() && self.entry.is_some() {
            self.class = Class::Unauthenticated;
            self.claimed = self.entry.take();
        }
    }
}

/// Whether the frame is for a service of the scope.
fn ours(policy: &Policy, frame: &[u8], headers: &Headers) -> bool {
    let v4 = headers.has(found::IPV4);
    if headers.found & (found::IPV4 | found::IPV6) == 0 || headers.has(found::DISCOVERY) {
        return false;
    }
    // The frame's own destination, also where it quotes another packet.
    let destination = address(frame, v4, headers.l3 + if v4 { 16 } else { 24 });
    let nets = policy.scope.iter().map(|entry| (entry.prefix, entry.services.as_slice()));
    let Some(services) = longest(nets, destination) else {
        return false;
    };
    if services.is_empty() || !headers.has(found::PROTOCOL) {
        return true;
    }
    let port =
        (headers.has(found::PORTS) && !headers.has(found::FRAGMENT)).then_some(headers.destination_port);
    services.iter().any(|service| {
        let (low, high) = service.ports();
        service.protocol() == headers.protocol && port.is_none_or(|port| (low..=high).contains(&port))
    })
}

/// What the longest prefix around an address says.
pub(super) fn longest<T>(nets: impl Iterator<Item = (IpNet, T)>, address: IpAddr) -> Option<T> {
    nets.filter(|(net, _)| net.contains(&address))
        .max_by_key(|(net, _)| net.prefix_len())
        .map(|(_, said)| said)
}

/// A field's value in a frame.
fn value(policy: &Policy, field: &Field, frame: &[u8], headers: &Headers, inside: &Inside) -> Option<u128> {
    if let Some(table) = field.table.and_then(|at| policy.tables.get(at)) {
        let inner = field.carrier.is_inner();
        let (v4, there) = if inner {
            (inside.has(within::IPV4), inside.found & (within::IPV4 | within::IPV6) != 0)
        } else {
            (headers.has(found::IPV4), true)
        };
        let [source, destination] =
            if inner { [inside.source, inside.destination] } else { [headers.source, headers.destination] };
        if !there || field.carrier.family().is_some_and(|family| family != v4) {
            return None;
        }
        let at = if field.carrier.name().ends_with(".src") { source } else { destination };
        return longest(table.prefixes.iter().copied(), address(frame, v4, at)).map(u128::from);
    }
    if field.signed {
        return block(field, frame, headers, inside)?.get(8..16).map(number);
    }
    let (offset, bits) = (u32::from(field.offset), u32::from(field.bits));
    if field.carrier.is_variable() {
        let bytes = chosen(field, frame, headers, inside)?;
        // Bit by bit.
        let bit = |at: u32| Some(bytes.get(at as usize / 8)? >> (7 - at % 8) & 1);
        return (offset..offset + bits).try_fold(0, |value, at| Some(value << 1 | u128::from(bit(at)?)));
    }
    let whole = if field.carrier.is_deep() {
        deep(field.carrier, frame, inside)?
    } else {
        whole(field.carrier, frame, headers)?
    };
    Some(whole >> (u32::from(field.carrier.bits()) - offset - bits) & field.largest())
}

/// Bytes as a number.
fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte))
}

/// Everything that a carrier in the outer headers holds.
fn whole(carrier: Carrier, frame: &[u8], headers: &Headers) -> Option<u128> {
    let at = |bit: u16, position: u16, length: usize| {
        let position = usize::from(position);
        headers.has(bit).then(|| number(frame.get(position..position + length).unwrap_or_default()))
    };
    let (v4, v6) = (found::IPV4, found::IPV6);
    let tags = [found::VLAN, found::VLAN_INNER].iter().filter(|tag| headers.has(**tag)).count();
    match carrier {
        Carrier::EthernetDst => at(0, 0, 6),
        Carrier::EthernetSrc => at(0, 6, 6),
        // What the tags are in front of.
        Carrier::EthernetType => at(0, 12 + 4 * tags as u16, 2),
        Carrier::VlanId => Some(at(found::VLAN, 14, 2)? & 0xfff),
        Carrier::VlanPcp => Some(at(found::VLAN, 14, 2)? >> 13),
        Carrier::VlanInnerId => Some(at(found::VLAN_INNER, 18, 2)? & 0xfff),
        Carrier::Ipv4Src => at(v4, headers.source, 4),
        Carrier::Ipv4Dst => at(v4, headers.destination, 4),
        Carrier::Ipv6Src => at(v6, headers.source, 16),
        Carrier::Ipv6Dst => at(v6, headers.destination, 16),
        Carrier::IpDscp if headers.has(v4) => Some(at(v4, headers.l3 + 1, 1)? >> 2),
        Carrier::IpDscp => Some(at(v6, headers.l3, 2)? >> 6 & 0x3f),
        Carrier::IpProtocol => headers.has(found::PROTOCOL).then_some(headers.protocol.into()),
        Carrier::Ipv6FlowLabel => Some(at(v6, headers.l3, 4)? & 0xf_ffff),
        Carrier::L4SrcPort => headers.has(found::PORTS).then_some(headers.source_port.into()),
        Carrier::L4DstPort => headers.has(found::PORTS).then_some(headers.destination_port.into()),
        _ => None,
    }
}

/// Everything that a carrier beyond the outer headers holds.
fn deep(carrier: Carrier, frame: &[u8], inside: &Inside) -> Option<u128> {
    let at = |bits: u32, position: u16, length: usize| {
        let position = usize::from(position);
        inside.has(bits).then(|| number(frame.get(position..position + length).unwrap_or_default()))
    };
    let (v4, v6) = (within::IPV4, within::IPV6);
    match carrier {
        Carrier::MplsLabel => at(within::MPLS, 0, 0).map(|_| inside.label.into()),
        Carrier::VxlanVni => at(within::VXLAN, inside.tunnel + 4, 3),
        Carrier::VxlanPolicy => at(within::VXLAN_POLICY, inside.tunnel + 2, 2),
        Carrier::GeneveVni => at(within::GENEVE, inside.tunnel + 4, 3),
        Carrier::GreKey => at(within::GRE_KEY, inside.id, 4),
        Carrier::GtpuTeid => at(within::GTPU, inside.tunnel + 4, 4),
        Carrier::NshSpi => at(within::NSH, inside.nsh + 4, 3),
        Carrier::NshContext => at(within::NSH_CONTEXT, inside.nsh + 8, 16),
        Carrier::InnerEthernetDst => at(within::ETHERNET, inside.ethernet, 6),
        Carrier::InnerEthernetSrc => at(within::ETHERNET, inside.ethernet + 6, 6),
        Carrier::InnerIpv4Src => at(v4, inside.source, 4),
        Carrier::InnerIpv4Dst => at(v4, inside.destination, 4),
        Carrier::InnerIpv6Src => at(v6, inside.source, 16),
        Carrier::InnerIpv6Dst => at(v6, inside.destination, 16),
        Carrier::InnerIpDscp if inside.has(v4) => Some(at(v4, inside.l3 + 1, 1)? >> 2),
        Carrier::InnerIpDscp => Some(at(v6, inside.l3, 2)? >> 6 & 0x3f),
        Carrier::InnerIpProtocol => inside.has(within::PROTOCOL).then_some(inside.protocol.into()),
        Carrier::InnerL4SrcPort => inside.has(within::PORTS).then_some(inside.source_port.into()),
        Carrier::InnerL4DstPort => inside.has(within::PORTS).then_some(inside.destination_port.into()),
        _ => None,
    }
}

/// The signed block that a field is read from: the data of an option, or the beginning of a payload at the port that
/// the policies here have it at.
fn block<'f>(field: &Field, frame: &'f [u8], headers: &Headers, inside: &Inside) -> Option<&'f [u8]> {
    let block = if field.carrier == Carrier::GeneveOption {
        chosen(field, frame, headers, inside).filter(|data| data.len() == 24)?
    } else {
        let ours = headers.protocol == 17
            && headers.has(found::PORTS)
            && !headers.has(found::QUOTED)
            && headers.destination_port == SHIM_PORT;
        let at = usize::from(headers.l4) + 8;
        frame.get(at..at + 24).filter(|_| ours && at + 24 <= usize::from(headers.end))?
    };
    (block.first()? >> 4 == 1).then_some(block)
}

/// The bytes of the option or the connection id that a field is taken from.
fn chosen<'f>(field: &Field, frame: &'f [u8], headers: &Headers, inside: &Inside) -> Option<&'f [u8]> {
    let from = |at: u16, length: usize| frame.get(usize::from(at)..usize::from(at) + length);
    match field.carrier {
        Carrier::QuicDcid if inside.has(within::QUIC) => {
            let id = from(inside.id, inside.id_length.into())?;
            let rotation = id.first().map(|first| u32::from(first >> 5));
            (field.which == ANY_ROTATION || rotation == Some(field.which)).then_some(id)
        }
        Carrier::GeneveOption if inside.has(within::GENEVE) => {
            let words = frame.get(usize::from(inside.tunnel))? & 0x3f;
            let mut options = from(inside.tunnel + 8, usize::from(words) * 4)?;
            for _ in 0..MAX_GENEVE_OPTIONS {
                let ([a, b, kind, length], rest) = options.split_first_chunk()?;
                let (data, rest) = rest.split_at_checked(usize::from(length & 0x1f) * 4)?;
                if number(&[*a, *b, *kind]) == field.which.into() {
                    return Some(data);
                }
                options = rest;
            }
            None
        }
        Carrier::TcpOption
            if headers.protocol == 6 && headers.has(found::PORTS) && !headers.has(found::QUOTED) =>
        {
            let length = usize::from(frame.get(usize::from(headers.l4) + 12)? >> 4) * 4;
            if usize::from(headers.l4) + length > usize::from(headers.end) {
                return None;
            }
            let mut options = from(headers.l4, length)?.get(20..)?;
            loop {
                match options {
                    [1, rest @ ..] => options = rest,
                    [0, ..] => return None,
                    [kind, length, ..] => {
                        let (option, rest) = options.split_at_checked((*length).into())?;
                        let data = option.get(2..)?;
                        // Kinds for experiments have an id before their data.
                        let (id, data) = match data {
                            [high, low, data @ ..] if *kind >= 253 => (number(&[*high, *low]) as u32, data),
                            _ => (0, data),
                        };
                        if u32::from(*kind) << 16 | id == field.which && (*kind < 253 || length >= &4) {
                            return Some(data);
                        }
                        options = rest;
                    }
                    _ => return None,
                }
            }
        }
        _ => None,
    }
}
