//! What a policy says of a frame, worked out from the policy itself by the plainest means: no tables, no
//! hashes, no index. Only where the headers are is taken from the parser, which has a target of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use keysteer::policy::{Field, Key, Policy};
use keysteer_common::carrier::Carrier;
use keysteer_common::headers::{Headers, found};
use keysteer_common::vocabulary::{Class, Fault};

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
    /// Which levels are looked up, as bits.
    pub(super) tried: u8,
}

impl<'p> Expected<'p> {
    fn plain(class: Class) -> Self {
        Self { class, present: 0, key: 0, entry: None, tried: 0 }
    }

    /// What `policy` says of `frame`, whose headers are `headers`.
    pub(super) fn of(policy: &'p Policy, frame: &[u8], headers: &Headers) -> Self {
        if !ours(policy, frame, headers) {
            return Self::plain(Class::Foreign);
        }
        if headers.fault != Fault::None as u8 {
            return Self::plain(Class::Malformed);
        }
        let mut expected = Self::plain(Class::Missing);
        for (index, field) in policy.schema.fields.iter().enumerate() {
            if let Some(value) = value(policy, field, frame, headers) {
                expected.present |= 1 << index;
                expected.key |= field.placed(value);
            }
        }
        for (number, level) in policy.schema.levels.iter().enumerate() {
            let wanted = level.iter().fold(0_u8, |bits, field| bits | 1 << field);
            if expected.present & wanted != wanted || expected.entry.is_some() {
                continue;
            }
            expected.tried |= 1 << number;
            let fields = level.iter().filter_map(|at| policy.schema.fields.get(*at));
            let key = fields.fold(0, |key, field| key | field.placed(field.value(expected.key)));
            expected.entry =
                policy.keys.iter().find(|entry| usize::from(entry.level) == number && entry.key == key);
        }
        expected.class = match (expected.entry, expected.tried) {
            (Some(_), _) => Class::Assigned,
            (None, 0) => Class::Missing,
            (None, _) => Class::Unregistered,
        };
        expected
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
fn value(policy: &Policy, field: &Field, frame: &[u8], headers: &Headers) -> Option<u128> {
    if let Some(table) = field.table.and_then(|at| policy.tables.get(at)) {
        let v4 = headers.has(found::IPV4);
        let (at, family) = match field.carrier {
            Carrier::Ipv4Src => (headers.source, Some(true)),
            Carrier::Ipv4Dst => (headers.destination, Some(true)),
            Carrier::Ipv6Src => (headers.source, Some(false)),
            Carrier::Ipv6Dst => (headers.destination, Some(false)),
            Carrier::IpSrc => (headers.source, None),
            _ => (headers.destination, None),
        };
        if family.is_some_and(|family| family != v4) {
            return None;
        }
        return longest(table.prefixes.iter().copied(), address(frame, v4, at)).map(u128::from);
    }
    let whole = whole(field.carrier, frame, headers)?;
    Some(whole >> (field.carrier.bits() - field.offset - u16::from(field.bits)) & field.largest())
}

/// Everything that a carrier holds.
fn whole(carrier: Carrier, frame: &[u8], headers: &Headers) -> Option<u128> {
    let number = |bytes: &[u8]| bytes.iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
    let at = |bit: u16, position: u16, length: usize| {
        let position = usize::from(position);
        headers.has(bit).then(|| number(frame.get(position..position + length).unwrap_or_default()))
    };
    let (v4, v6) = (found::IPV4, found::IPV6);
    match carrier {
        Carrier::EthernetDst => at(0, 0, 6),
        Carrier::EthernetSrc => at(0, 6, 6),
        // What the tags are in front of.
        Carrier::EthernetType => at(0, headers.l3 - 2, 2),
        Carrier::VlanId => Some(at(found::VLAN, 14, 2)? & 0xfff),
        Carrier::VlanPcp => Some(at(found::VLAN, 14, 2)? >> 13),
        Carrier::VlanInnerId => Some(at(found::VLAN_INNER, 18, 2)? & 0xfff),
        Carrier::Ipv4Src => at(v4, headers.source, 4),
        Carrier::Ipv4Dst => at(v4, headers.destination, 4),
        Carrier::Ipv6Src => at(v6, headers.source, 16),
        Carrier::Ipv6Dst => at(v6, headers.destination, 16),
        Carrier::IpSrc | Carrier::IpDst => None,
        Carrier::IpDscp if headers.has(v4) => Some(at(v4, headers.l3 + 1, 1)? >> 2),
        Carrier::IpDscp => Some(at(v6, headers.l3, 2)? >> 6 & 0x3f),
        Carrier::IpProtocol => headers.has(found::PROTOCOL).then_some(headers.protocol.into()),
        Carrier::Ipv6FlowLabel => Some(at(v6, headers.l3, 4)? & 0xf_ffff),
        Carrier::L4SrcPort => headers.has(found::PORTS).then_some(headers.source_port.into()),
        Carrier::L4DstPort => headers.has(found::PORTS).then_some(headers.destination_port.into()),
        _ => None,
    }
}
