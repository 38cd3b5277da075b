//! Tunnels of every kind, with any packet in them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::aim::{dress, transport};
use crate::carriers::{extensions_of, geneve_options};
use crate::dice::Dice;
use crate::frames::{Gtpu, Header, Inside, Nsh, Packet, Transport, Tunnel};

/// A tunnel of any kind.
pub(super) fn tunnel(dice: &mut Dice) -> Tunnel {
    let header = match dice.below(6) {
        0 => vxlan(dice),
        1 => geneve(dice),
        2 => gtpu(dice),
        3 | 4 => gre(dice),
        _ => Header::Ip,
    };
    around(header, dice)
}

/// With this header, and anything that may follow it.
pub(super) fn around(header: Header, dice: &mut Dice) -> Tunnel {
    let packet = inner(dice);
    let inside = match header {
        Header::Vxlan { .. } => Inside::Ethernet(packet),
        Header::Gtpu(_) => Inside::Ip(packet),
        Header::Ip if dice.once_in(4) => Inside::Ethernet(packet),
        Header::Ip => Inside::Ip(packet),
        Header::Geneve { .. } | Header::Gre { .. } => match dice.below(10) {
            0 => Inside::Nsh(service(dice), Box::new(Inside::Ethernet(packet))),
            1 => Inside::Nsh(service(dice), Box::new(Inside::Ip(packet))),
            2 => Inside::Other(dice.one([0x0806, 0x8847, 0x88be]), vec![0x45; 30]),
            3..6 => Inside::Ethernet(packet),
            _ => Inside::Ip(packet),
        },
    };
    Tunnel { header, inside }
}

pub(super) fn vxlan(dice: &mut Dice) -> Header {
    Header::Vxlan { vni: dice.any() as u32 & 0xff_ffff, policy: dice.once_in(2).then(|| dice.any() as u16) }
}

pub(super) fn geneve(dice: &mut Dice) -> Header {
    let options = match dice.below(5) {
        0 => Vec::new(),
        1 => vec![crate::frames::GeneveOption { class: 1, kind: 3, data: vec![7; 4] }; 1 + dice.below(20)],
        before => geneve_options(before - 2, dice),
    };
    Header::Geneve { vni: dice.any() as u32 & 0xff_ffff, options }
}

pub(super) fn gtpu(dice: &mut Dice) -> Header {
    Header::Gtpu(Gtpu {
        teid: dice.any() as u32,
        sequence: dice.once_in(2).then_some(9),
        extensions: match dice.below(8) {
            // More than anybody follows.
            0 => vec![(0x40, vec![0, 1]); 1 + dice.below(7)],
            number => extensions_of(number % 4),
        },
    })
}

pub(super) fn gre(dice: &mut Dice) -> Header {
    Header::Gre {
        checksum: dice.once_in(2),
        key: dice.once_in(2).then(|| dice.any() as u32),
        sequence: dice.once_in(2).then(|| dice.any() as u32),
    }
}

pub(super) fn service(dice: &mut Dice) -> Nsh {
    Nsh { spi: dice.any() as u32 & 0xff_ffff, index: dice.any() as u8, context: dice.wide() }
}

/// A packet of a family.
fn of_family(four: bool, dice: &mut Dice) -> [IpAddr; 2] {
    std::array::from_fn(|_| {
        if four {
            Ipv4Addr::from_bits(dice.any() as u32).into()
        } else {
            Ipv6Addr::from_bits(dice.wide()).into()
        }
    })
}

/// Any packet without a tunnel.
fn inner(dice: &mut Dice) -> Packet {
    let four = dice.once_in(2);
    let [source, destination] = of_family(four, dice);
    let protocol = dice.one([6, 6, 17, 17, 132, 1, 58, 47]);
    let mut packet = Packet::new(source, destination);
    packet.ports = (dice.any() as u16, dice.one([80, 443, 53, 4789, 6081]));
    packet.transport = transport(protocol, dice);
    dress(&mut packet, dice);
    packet
}

/// The packet inside the packet's tunnel, of the family that is asked for. There is one afterwards.
pub(super) fn inside<'p>(packet: &'p mut Packet, four: Option<bool>, dice: &mut Dice) -> &'p mut Packet {
    let has = match &mut packet.transport {
        Transport::Tunnel(tunnel) => tunnel.inside.packet_mut().is_some(),
        _ => false,
    };
    if !has {
        let mut tunnel = tunnel(dice);
        if tunnel.inside.packet_mut().is_none() {
            tunnel.inside = Inside::Ip(inner(dice));
        }
        packet.carry(tunnel);
    }
    let inside = match &mut packet.transport {
        Transport::Tunnel(tunnel) => tunnel.inside.packet_mut(),
        _ => None,
    };
    let inside = inside.expect("it has just been given one");
    if let Some(four) = four
        && inside.destination.is_ipv4() != four
    {
        [inside.source, inside.destination] = of_family(four, dice);
    }
    inside
}
