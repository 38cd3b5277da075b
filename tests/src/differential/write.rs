//! The inverse of extraction: a field's value put into a packet where its carrier is. Written from the
//! policy language's description of carriers, not from the code that reads them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use keysteer::policy::{Field, Policy};
use keysteer_common::carrier::Carrier;

use super::aim::{transport, within};
use super::{deep, nest};
use crate::dice::Dice;
use crate::frames::{Packet, Transport};

/// The family that a packet must be of to carry `value` in `field`; `None` where either will do.
pub(super) fn family_of(policy: &Policy, field: &Field, value: u128) -> Option<bool> {
    match field.carrier {
        Carrier::Ipv4Src | Carrier::Ipv4Dst => Some(true),
        Carrier::Ipv6Src | Carrier::Ipv6Dst | Carrier::Ipv6FlowLabel => Some(false),
        Carrier::EthernetType => Some(value == 0x0800),
        Carrier::IpSrc | Carrier::IpDst => {
            let families: Vec<bool> =
                prefixes(policy, field, value).map(|prefix| prefix.addr().is_ipv4()).collect();
            let first = families.first().copied()?;
            families.iter().all(|v4| *v4 == first).then_some(first)
        }
        _ => None,
    }
}

/// The prefixes that a field's table gives a number.
fn prefixes(policy: &Policy, field: &Field, value: u128) -> impl Iterator<Item = IpNet> {
    let table = field.table.and_then(|at| policy.tables.get(at));
    let prefixes = table.into_iter().flat_map(|table| &table.prefixes);
    prefixes.filter(move |(_, number)| u128::from(*number) == value).map(|(prefix, _)| *prefix)
}

/// The carrier of the packet inside a tunnel that this one is outside.
fn outside(carrier: Carrier) -> Option<Carrier> {
    let name = carrier.name().strip_prefix("inner.")?;
    Carrier::ALL.iter().copied().find(|carrier| carrier.name() == name)
}

/// Puts `value` where `field` is read. What the packet's family does not have is left out; of a packet inside a
/// tunnel the family is changed.
pub(super) fn write(packet: &mut Packet, policy: &Policy, field: &Field, value: u128, dice: &mut Dice) {
    match outside(field.carrier) {
        Some(carrier) => {
            let four = family_of(policy, &Field { carrier, ..field.clone() }, value);
            let packet = nest::inside(packet, four, dice);
            plainly(packet, policy, field, carrier, value, dice);
        }
        None if field.carrier.is_deep() => deep::write(packet, field, value, dice),
        None => plainly(packet, policy, field, field.carrier, value, dice),
    }
}

/// Puts `value` where `carrier` is in the packet itself.
fn plainly(
    packet: &mut Packet,
    policy: &Policy,
    field: &Field,
    carrier: Carrier,
    value: u128,
    dice: &mut Dice,
) {
    let v4 = packet.destination.is_ipv4();
    if field.table.is_some() {
        let of_family: Vec<IpNet> =
            prefixes(policy, field, value).filter(|prefix| prefix.addr().is_ipv4() == v4).collect();
        if let Some(prefix) = dice.pick(&of_family) {
            *address(packet, carrier) = within(*prefix, dice);
        }
        return;
    }
    let shift = u32::from(carrier.bits()) - u32::from(field.offset) - u32::from(field.bits);
    let put = |old: u128| (old & !(field.largest() << shift)) | value << shift;
    match carrier {
        Carrier::EthernetSrc => put_mac(&mut packet.macs[1], put),
        Carrier::EthernetDst => put_mac(&mut packet.macs[0], put),
        // The family decides it.
        Carrier::EthernetType => {}
        Carrier::VlanId => put_tag(packet, 0, |tci| tci & 0xf000 | put((tci & 0xfff).into()) as u16),
        Carrier::VlanInnerId => put_tag(packet, 1, |tci| tci & 0xf000 | put((tci & 0xfff).into()) as u16),
        Carrier::VlanPcp => put_tag(packet, 0, |tci| tci & 0x1fff | (put((tci >> 13).into()) as u16) << 13),
        Carrier::Ipv4Src | Carrier::Ipv4Dst | Carrier::Ipv6Src | Carrier::Ipv6Dst => {
            let address = address(packet, carrier);
            let of_four = carrier.family() == Some(true);
            match address {
                IpAddr::V4(bits) if of_four => {
                    *bits = Ipv4Addr::from_bits(put(bits.to_bits().into()) as u32);
                }
                IpAddr::V6(bits) if !of_four => *bits = Ipv6Addr::from_bits(put(bits.to_bits())),
                _ => {}
            }
        }
        // Only through a table, which is dealt with above.
        Carrier::IpSrc | Carrier::IpDst => {}
        Carrier::IpDscp => packet.dscp = put(packet.dscp.into()) as u8,
        Carrier::IpProtocol => packet.transport = transport(put(packet.protocol().into()) as u8, dice),
        Carrier::Ipv6FlowLabel => packet.label = put(packet.label.into()) as u32,
        Carrier::L4SrcPort => {
            with_ports(packet);
            packet.ports.0 = put(packet.ports.0.into()) as u16;
        }
        Carrier::L4DstPort => {
            with_ports(packet);
            packet.ports.1 = put(packet.ports.1.into()) as u16;
        }
        // Of those there are inside a tunnel the twin is written, the others are deep.
        _ => {}
    }
}

fn address(packet: &mut Packet, carrier: Carrier) -> &mut IpAddr {
    match carrier {
        Carrier::Ipv4Src | Carrier::Ipv6Src | Carrier::IpSrc => &mut packet.source,
        _ => &mut packet.destination,
    }
}

fn put_mac(mac: &mut [u8; 6], put: impl Fn(u128) -> u128) {
    let [a, b, c, d, e, f] = *mac;
    let old = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    let [.., a, b, c, d, e, f] = put(old.into()).to_be_bytes();
    *mac = [a, b, c, d, e, f];
}

/// Changes a tag, adding those that are missing.
fn put_tag(packet: &mut Packet, place: usize, put: impl Fn(u16) -> u16) {
    while packet.tags.len() <= place {
        packet.tags.push((0x8100, 0));
    }
    if let Some((_, tci)) = packet.tags.get_mut(place) {
        *tci = put(*tci);
    }
}

fn with_ports(packet: &mut Packet) {
    let has_ports = match &packet.transport {
        Transport::Icmp(_) | Transport::Other(_) => false,
        Transport::Tunnel(tunnel) => tunnel.port().is_some(),
        _ => true,
    };
    if !has_ports {
        packet.transport = Transport::Udp;
    }
}
