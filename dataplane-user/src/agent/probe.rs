//! Frames that prove a generation before it is committed: at least one for each class, level, target and way to a shard
//! that the policy has, as far as frames can be made for it. What each must meet is what the host engine decides.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keysteer_common::carrier::Carrier;
use keysteer_common::parse::transport::{TCP, UDP};

use crate::engine::Engine;
use crate::explain::flow::Packet;
use crate::image::Image;
use crate::policy::{Destination, Field, Key, Policy, Spelling};

use beyond::{Beyond, Way};

mod beyond;
#[cfg(test)]
mod tests;

/// The interface that probes arrive on, in either home: the loopback.
const INGRESS: u32 = 1;

/// How many keys are tried; those that show nothing new are left out.
const KEYS: usize = 2_048;

/// What a frame shows.
type Shown = (u8, u8, u8, u16, u8);

/// The frames, as few as show all that could be shown.
pub(super) fn frames(policy: &Policy, image: &Image) -> Vec<Vec<u8>> {
    let mut shown = BTreeSet::new();
    let mut frames = Vec::new();
    // Nobody asks what it counted.
    let mut engine = Engine::counting(image, 0);
    let mut offer = |packet: &Packet, change: &dyn Fn(&mut Vec<u8>)| {
        // What cannot be made proves nothing.
        let Ok(mut frame) = packet.frame() else { return };
        change(&mut frame);
        let decided = engine.decide(&mut frame.clone(), INGRESS);
        let decision = decided.work.record.decision;
        let what: Shown = (decision.class, decision.level, decision.verdict, decision.shard, decision.reason);
        if shown.insert(what) {
            frames.push(frame);
        }
    };
    let places = places(policy);
    let whole = |_: &mut Vec<u8>| {};
    // Nobody's: neither address is ours.
    offer(&Packet::new(Ipv4Addr::LOCALHOST.into(), Ipv4Addr::BROADCAST.into()), &whole);
    for place in &places {
        let packet = place.packet();
        offer(&packet, &whole);
        // The end of the transport header is cut off.
        offer(&packet, &|frame| frame.truncate(frame.len().saturating_sub(4)));
        if packet.source.is_ipv4() {
            // A later fragment: at an offset, and the last.
            offer(&packet, &|frame| {
                if let Some(offset) = frame.get_mut(20..22) {
                    offset.copy_from_slice(&[0, 185]);
                }
            });
        }
    }
    let step = policy.keys.len().div_ceil(KEYS).max(1);
    // By every version of the schema that has a key, once each.
    let spellings = policy.keys.iter().step_by(step).flat_map(|key| {
        let first = Spelling { level: key.level, key: key.key };
        let mut all: Vec<Spelling> = std::iter::once(first).chain(key.also.iter().copied()).collect();
        all.dedup_by_key(|it| it.level);
        all.into_iter().map(move |spelling| (key, spelling))
    });
    for (key, spelling) in spellings {
        for place in &places {
            for packet in beyond::ways(policy, spelling)
                .iter()
                .filter_map(|way| with_key(policy, place, (key, spelling), *way))
            {
                for port in [49_152, 49_153, 50_001] {
                    let mut packet = packet.clone();
                    if packet.ports.0 == 49_152 {
                        packet.ports.0 = port;
                    }
                    offer(&packet, &whole);
                }
            }
        }
    }
    frames
}

/// Something in scope.
struct Place {
    destination: IpAddr,
    protocol: u8,
    port: u16,
}

impl Place {
    fn packet(&self) -> Packet {
        let source: IpAddr = match self.destination {
            // Of the blocks for documentation (RFC 5737, RFC 3849).
            IpAddr::V4(_) => Ipv4Addr::new(198, 51, 100, 7).into(),
            IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 7).into(),
        };
        let mut packet = Packet::new(source, self.destination);
        packet.protocol = self.protocol;
        packet.ports.1 = self.port;
        packet
    }
}

/// How many places in scope are tried.
const PLACES: usize = 8;

/// Places in scope, of either family.
fn places(policy: &Policy) -> Vec<Place> {
    let place = |destination: &Destination| {
        let services = &destination.services;
        let service =
            services.iter().find(|service| matches!(service.protocol(), TCP | UDP)).or(services.first());
        let (protocol, port) =
            service.map_or((TCP, 443), |service| (service.protocol(), service.ports().0.max(1)));
        Place { destination: destination.prefix.addr(), protocol, port }
    };
    let of = |v4: bool| policy.scope.iter().filter(move |it| it.prefix.addr().is_ipv4() == v4).take(PLACES);
    of(true).chain(of(false)).map(place).collect()
}

/// A packet to a place with the fields of a key, those beyond the outer headers in this way; `None` where it cannot carry them.
fn with_key(policy: &Policy, place: &Place, (key, spelling): (&Key, Spelling), way: Way) -> Option<Packet> {
    let mut packet = place.packet();
    // From where the key may be used, unless one of its fields says from where.
    let mut sources = key.sources.iter().flat_map(|sources| sources.iter());
    if let Some(source) = sources.find(|source| source.addr().is_ipv4() == packet.destination.is_ipv4()) {
        packet.source = source.addr();
    }
    let mut beyond = Beyond::new(way);
    let level = policy.level(spelling.level)?;
    for at in level.members {
        let field = level.schema.fields.get(*at)?;
        let value = field.value(spelling.key);
        match outer(field.carrier) {
            Some(carrier) => set(policy, beyond.inner(), field, carrier, value)?,
            None if field.carrier.is_deep() => beyond.set(field, value)?,
            None => set(policy, &mut packet, field, field.carrier, value)?,
        }
    }
    beyond.put_into(&mut packet, policy)?;
    Some(packet)
}

/// What a carrier of the packet inside a tunnel is called outside of it.
fn outer(carrier: Carrier) -> Option<Carrier> {
    let name = carrier.name().strip_prefix("inner.")?;
    Carrier::ALL.iter().copied().find(|carrier| carrier.name() == name)
}

fn set(policy: &Policy, packet: &mut Packet, field: &Field, carrier: Carrier, value: u128) -> Option<()> {
    if let Some(table) = field.table.and_then(|at| policy.tables.get(at)) {
        let family = |net: &&(ipnet::IpNet, u32)| net.0.addr().is_ipv4() == packet.destination.is_ipv4();
        // The most specific first: a broader prefix may hold a narrower one of another label at its first address.
        let mut prefixes: Vec<_> =
            table.prefixes.iter().filter(|(_, number)| u128::from(*number) == value).filter(family).collect();
        prefixes.sort_by_key(|(net, _)| std::cmp::Reverse(net.prefix_len()));
        let address = prefixes.first()?.0.addr();
        match carrier {
            Carrier::IpSrc | Carrier::Ipv4Src | Carrier::Ipv6Src => packet.source = address,
            _ => packet.destination = address,
        }
        return Some(());
    }
    let shift = u32::from(carrier.bits().checked_sub(field.offset + u16::from(field.bits))?);
    let value = value.checked_shl(shift)?;
    match carrier {
        Carrier::EthernetSrc => packet.macs[0] = mac(value),
        Carrier::EthernetDst => packet.macs[1] = mac(value),
        Carrier::VlanId => tag(packet, 0).0 = value as u16,
        Carrier::VlanInnerId => tag(packet, 1).0 = value as u16,
        Carrier::VlanPcp => tag(packet, 0).1 = value as u8,
        Carrier::Ipv4Src if packet.source.is_ipv4() => {
            packet.source = Ipv4Addr::from_bits(value as u32).into();
        }
        Carrier::Ipv4Dst if packet.source.is_ipv4() => {
            packet.destination = Ipv4Addr::from_bits(value as u32).into();
        }
        Carrier::Ipv6Src if packet.source.is_ipv6() => packet.source = Ipv6Addr::from_bits(value).into(),
        Carrier::Ipv6Dst if packet.source.is_ipv6() => packet.destination = Ipv6Addr::from_bits(value).into(),
        Carrier::IpDscp => packet.dscp = value as u8,
        Carrier::IpProtocol => packet.protocol = value as u8,
        Carrier::Ipv6FlowLabel if packet.source.is_ipv6() => packet.flow_label = value as u32,
        Carrier::L4SrcPort => packet.ports.0 = value as u16,
        Carrier::L4DstPort => packet.ports.1 = value as u16,
        _ => return None,
    }
    Some(())
}

fn mac(value: u128) -> [u8; 6] {
    let [_, _, mac @ ..] = (value as u64).to_be_bytes();
    mac
}

fn tag(packet: &mut Packet, at: usize) -> &mut (u16, u8) {
    while packet.tags.len() <= at {
        packet.tags.push((1, 0));
    }
    &mut packet.tags[at]
}
