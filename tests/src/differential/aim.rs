//! Packets made from a policy: for a destination in its scope, with the values of one of its keys, or
//! nearly so; plain or with every header that a packet may have in between.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use keysteer::policy::{Field, Policy, Target};
use keysteer_common::tables::Service;

use super::nest;
use super::write::{family_of, write};
use crate::carriers::{SHIM_PORT, shim, tcp_options};
use crate::dice::Dice;
use crate::frames::{ACK, AUTHENTICATION, FRAGMENT, Packet, Quic, SYN, Transport};

/// A packet for a policy.
pub(super) fn packet(policy: &Policy, dice: &mut Dice) -> Packet {
    let key = if dice.once_in(8) { None } else { dice.pick(&policy.keys) };
    let mut wanted: Vec<(&Field, u128)> = Vec::new();
    if let Some(key) = key
        && let Some(level) = policy.level(key.level)
    {
        let fields = level.members.iter().filter_map(|at| level.schema.fields.get(*at));
        wanted.extend(fields.map(|field| (field, field.value(key.key))));
    }
    if dice.once_in(10)
        && let at = dice.below(wanted.len())
        && let Some((field, value)) = wanted.get_mut(at)
    {
        // Nearly the key.
        *value = (*value ^ 1 << dice.below(usize::from(field.bits))) & field.largest();
    }
    let v4 = family(policy, &wanted, dice);
    let mut packet = towards_scope(policy, v4, dice);
    dress(&mut packet, dice);
    if is_deep(policy) {
        deepen(&mut packet, dice);
    }
    if policy.datagrams.is_some() && dice.once_in(3) {
        fragment_few(policy, &mut packet, v4, dice);
    }
    // What the key does not say may be anything; a value of another key is the most interesting.
    for field in policy.schemas.iter().flat_map(|schema| &schema.fields) {
        if let Some(other) = dice.pick(&policy.keys)
            && dice.once_in(4)
        {
            write(&mut packet, policy, field, field.value(other.key), dice);
        }
    }
    for (field, value) in wanted {
        write(&mut packet, policy, field, value, dice);
    }
    // From where the key may be used, or another.
    let whose = if dice.once_in(4) { dice.pick(&policy.keys) } else { key };
    if let Some(sources) = whose.and_then(|key| key.sources.as_ref())
        && !dice.once_in(8)
    {
        let of_family: Vec<&IpNet> = sources.iter().filter(|net| net.addr().is_ipv4() == v4).collect();
        if let Some(net) = dice.pick(&of_family) {
            packet.source = within(**net, dice);
        }
    }
    // Errors are translated in more places than others are.
    if dice.once_in(if translates(policy) { 4 } else { 12 }) {
        let kind = if v4 { dice.one([3, 4, 5, 11, 12]) } else { dice.one([1, 2, 3, 4]) };
        let router = if v4 { any4(dice) } else { any6(dice) };
        packet = packet.error(router, kind);
    }
    packet
}

/// Makes it a fragment of one of few datagrams, so that its first one has been before: fewer than any policy here
/// remembers, as the kernel forgets others than those that are oldest.
fn fragment_few(policy: &Policy, packet: &mut Packet, v4: bool, dice: &mut Dice) {
    let end = dice.below(8) as u8;
    packet.source = if v4 {
        Ipv4Addr::new(10, 1, 2, end).into()
    } else {
        Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, end.into()).into()
    };
    let mut scope = policy.scope.iter().map(|entry| entry.prefix);
    if let Some(prefix) = scope.find(|prefix| prefix.addr().is_ipv4() == v4) {
        packet.destination = prefix.network();
    }
    packet.extensions.retain(|(number, _)| *number != FRAGMENT);
    packet.fragment = Some(dice.one([(0, true), (185, true), (185, false)]));
}

/// Whether a policy reads more than the outer headers.
fn is_deep(policy: &Policy) -> bool {
    policy.schemas.iter().flat_map(|schema| &schema.fields).any(|field| field.carrier.is_deep())
}

/// Whether shards of it are reached by translation.
fn translates(policy: &Policy) -> bool {
    policy.shards.iter().any(|shard| matches!(shard.target, Target::Interface { nat: Some(_), .. }))
}

/// Adds what only some policies look into: labels, service headers, tunnels, options, segments.
fn deepen(packet: &mut Packet, dice: &mut Dice) {
    match dice.below(12) {
        0..4 => packet.carry(nest::tunnel(dice)),
        4 => {
            let id = [dice.wide().to_be_bytes(), dice.wide().to_be_bytes()].concat();
            let length = dice.below(21);
            let id = id.get(..length).unwrap_or(&id);
            packet.transport =
                Transport::Quic(if dice.once_in(2) { Quic::long(id) } else { Quic::short(id) });
            packet.ports.1 = 443;
        }
        5 => {
            packet.transport = Transport::Tcp(ACK);
            packet.tcp_options = tcp_options(dice.below(4), dice);
        }
        6 => {
            packet.transport = Transport::Datagram(shim(dice));
            packet.ports.1 = SHIM_PORT;
        }
        _ => {}
    }
    if dice.once_in(30) {
        packet.labels = (0..1 + dice.below(10)).map(|_| dice.any() as u32 & 0xf_ffff).collect();
    } else if dice.once_in(30) {
        packet.nsh = Some(nest::service(dice));
    }
    if dice.once_in(8)
        && let IpAddr::V6(active) = packet.destination
    {
        packet.segments = vec![active; 1 + dice.below(3)];
    }
}

/// Whether the packet is IPv4: as the key's fields demand, else as the scope has it.
fn family(policy: &Policy, wanted: &[(&Field, u128)], dice: &mut Dice) -> bool {
    let demanded = wanted.iter().find_map(|(field, value)| family_of(policy, field, *value));
    let of_scope = || policy.scope.iter().map(|destination| destination.prefix.addr().is_ipv4());
    let any = dice.once_in(2);
    demanded.unwrap_or(if of_scope().any(|v4| v4 == any) { any } else { !any })
}

/// A packet for a service of the scope, or for one beside it.
fn towards_scope(policy: &Policy, v4: bool, dice: &mut Dice) -> Packet {
    let family: Vec<_> = policy.scope.iter().filter(|entry| entry.prefix.addr().is_ipv4() == v4).collect();
    let entry = dice.pick(&family);
    let source = if v4 { any4(dice) } else { any6(dice) };
    let destination = match entry {
        Some(entry) if !dice.once_in(30) => within(entry.prefix, dice),
        _ if v4 => any4(dice),
        _ => any6(dice),
    };
    let mut packet = Packet::new(source, destination);
    packet.ports.0 = dice.any() as u16;
    match entry.and_then(|entry| dice.pick(&entry.services)) {
        Some(service) => serve(&mut packet, *service, dice),
        None => {
            let protocol = dice.one([6, 6, 17, 17, 132, 1, 58, 47, 50]);
            let ports = dice.one([80, 443, 53, 2905, 65_535, 0]);
            serve(&mut packet, Service::new(protocol, ports, ports), dice);
        }
    }
    packet
}

/// Makes the packet one for a service, at or just beyond the edges of its ports as often as inside.
fn serve(packet: &mut Packet, service: Service, dice: &mut Dice) {
    let (low, high) = service.ports();
    let inside = low.wrapping_add(dice.below(usize::from(high - low) + 1) as u16);
    packet.ports.1 = match dice.below(20) {
        0..4 => low,
        4..8 => high,
        8 => low.wrapping_sub(1),
        9 => high.wrapping_add(1),
        _ => inside,
    };
    packet.transport = transport(service.protocol(), dice);
}

/// A transport of this protocol.
pub(super) fn transport(protocol: u8, dice: &mut Dice) -> Transport {
    match protocol {
        6 => Transport::Tcp(dice.one([SYN, ACK, ACK, SYN | ACK, 0, 0xff])),
        17 => Transport::Udp,
        132 => Transport::Sctp,
        // Echo, and now and then neighbour discovery (as ICMP these types mean nothing).
        1 | 58 => Transport::Icmp(dice.one([0, 8, 8, 128, 128, 129, 135, 143, 200])),
        other => Transport::Other(other),
    }
}

/// Adds what packets have besides: tags, options, extension headers, fragments, payload.
pub(super) fn dress(packet: &mut Packet, dice: &mut Dice) {
    packet.dscp = dice.one([0, 0, 10, 34, 46, 63]);
    packet.ecn = dice.one([0, 0, 1, 2, 3]);
    packet.label = dice.any() as u32 & 0xf_ffff;
    if dice.once_in(3) {
        for _ in 0..1 + dice.below(2) {
            packet.tags.push((dice.one([0x8100, 0x88a8, 0x9100]), dice.any() as u16));
        }
    }
    if dice.once_in(6) {
        packet.options = 1 + dice.below(10) as u8;
    }
    if dice.once_in(5) {
        for _ in 0..1 + dice.below(8) {
            let long = if dice.once_in(40) { 255 } else { dice.below(3) as u8 };
            packet.extensions.push((dice.one([0, 43, AUTHENTICATION, 60, 135]), long));
        }
    }
    if dice.once_in(10) {
        packet.fragment = Some(dice.one([(0, true), (0, true), (185, true), (185, false), (0, false)]));
        if dice.once_in(2) {
            // Anywhere among the extension headers.
            packet.extensions.insert(dice.below(packet.extensions.len() + 1), (FRAGMENT, 0));
        }
    }
    if dice.once_in(25) {
        packet.kept = Some(dice.below(24));
    }
    packet.payload = match dice.below(300) {
        0 => 3_000 + dice.below(6_000),
        1..10 => 1_400,
        _ => dice.below(120),
    };
}

/// An address within a prefix, its first and its last as often as others.
pub(super) fn within(prefix: IpNet, dice: &mut Dice) -> IpAddr {
    match (dice.below(6), prefix) {
        (0, prefix) => prefix.network(),
        (1, prefix) => prefix.broadcast(),
        (_, IpNet::V4(net)) => {
            let host = net.hostmask().to_bits() & dice.any() as u32;
            Ipv4Addr::from_bits(net.network().to_bits() | host).into()
        }
        (_, IpNet::V6(net)) => {
            let host = net.hostmask().to_bits() & dice.wide();
            Ipv6Addr::from_bits(net.network().to_bits() | host).into()
        }
    }
}

fn any4(dice: &mut Dice) -> IpAddr {
    Ipv4Addr::from_bits(dice.any() as u32).into()
}

fn any6(dice: &mut Dice) -> IpAddr {
    Ipv6Addr::from_bits(dice.wide()).into()
}
