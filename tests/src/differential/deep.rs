//! As `write`, for carriers beyond the outer headers: a packet that has no such thing is given one.

use keysteer::policy::Field;
use keysteer_common::carrier::Carrier;

use super::{nest, signed};
use crate::carriers::{GENEVE_OPTION, SHIM_PORT, TCP_OPTION, TCP_OPTION_PLAIN, geneve_options, tcp_options};
use crate::dice::Dice;
use crate::frames::{ACK, GeneveOption, Header, Inside, Nsh, Packet, Quic, Transport};

/// The first three bits of a connection id: the configuration that the policies here ask for.
const ROTATION: u8 = 2;

/// Puts `value` where `field` is read.
pub(super) fn write(packet: &mut Packet, field: &Field, value: u128, dice: &mut Dice) {
    match field.carrier {
        Carrier::MplsLabel => {
            packet.nsh = None;
            if packet.labels.is_empty() {
                packet.labels = (0..1 + dice.below(3)).map(|_| dice.any() as u32 & 0xf_ffff).collect();
            }
            if let Some(top) = packet.labels.first_mut() {
                *top = value as u32;
            }
        }
        Carrier::NshSpi => service(packet, dice, |nsh| nsh.spi = value as u32),
        Carrier::NshContext => service(packet, dice, |nsh| nsh.context = value),
        Carrier::VxlanVni | Carrier::VxlanPolicy => {
            let header = tunnel(packet, dice, nest::vxlan, |it| matches!(it, Header::Vxlan { .. }));
            if let Header::Vxlan { vni, policy } = header {
                match field.carrier {
                    Carrier::VxlanVni => *vni = value as u32,
                    _ => *policy = Some(value as u16),
                }
            }
        }
        Carrier::GeneveVni | Carrier::GeneveOption => {
            let signed = field.signed.then(|| signed::shim(packet, value as u64, dice));
            let header = tunnel(packet, dice, nest::geneve, |it| matches!(it, Header::Geneve { .. }));
            if let Header::Geneve { vni, options } = header {
                let ours = |kind: u16, class: u8| (kind, class) == GENEVE_OPTION;
                if field.carrier == Carrier::GeneveVni {
                    *vni = value as u32;
                } else if field.signed {
                    let (class, kind) = GENEVE_OPTION;
                    let data = signed.unwrap_or_default();
                    *options = geneve_options(dice.below(3), dice);
                    options.retain(|option| !ours(option.class, option.kind));
                    options.push(GeneveOption { class, kind, data });
                } else {
                    if !options.iter().any(|option| ours(option.class, option.kind)) {
                        *options = geneve_options(2, &mut Dice::new(1));
                    }
                    let option = options.iter_mut().find(|option| ours(option.class, option.kind));
                    option.into_iter().for_each(|option| put(&mut option.data, field, value));
                }
            }
        }
        Carrier::GreKey => {
            let header = tunnel(packet, dice, nest::gre, |it| matches!(it, Header::Gre { .. }));
            if let Header::Gre { key, .. } = header {
                *key = Some(value as u32);
            }
        }
        Carrier::GtpuTeid => {
            let header = tunnel(packet, dice, nest::gtpu, |it| matches!(it, Header::Gtpu(_)));
            if let Header::Gtpu(gtpu) = header {
                gtpu.teid = value as u32;
            }
        }
        Carrier::QuicDcid => connection_id(packet, field, value, dice),
        Carrier::TcpOption => {
            if !matches!(packet.transport, Transport::Tcp(_)) {
                packet.transport = Transport::Tcp(ACK);
            }
            packet.tcp_options = tcp_options(dice.below(4), dice);
            // Of the options that policies read, the experiment's data are behind its id.
            for (kind, data) in &mut packet.tcp_options {
                match data.get_mut(2..) {
                    Some(_) if *kind == TCP_OPTION_PLAIN => put(data, field, value),
                    Some(behind) if *kind == TCP_OPTION.0 => {
                        let mut behind = behind.to_vec();
                        put(&mut behind, field, value);
                        data.truncate(2);
                        data.extend(behind);
                    }
                    _ => {}
                }
            }
        }
        Carrier::ShimKey => {
            packet.transport = Transport::Datagram(signed::shim(packet, value as u64, dice));
            packet.ports.1 = SHIM_PORT;
        }
        _ => {}
    }
}

/// Writes a field's bits, counted from the first byte's highest, into bytes; there are enough afterwards.
fn put(bytes: &mut Vec<u8>, field: &Field, value: u128) {
    let (offset, bits) = (usize::from(field.offset), usize::from(field.bits));
    bytes.resize(bytes.len().max((offset + bits).div_ceil(8)), 0);
    for bit in 0..bits {
        let at = offset + bit;
        let one = value >> (bits - 1 - bit) & 1 == 1;
        if let Some(byte) = bytes.get_mut(at / 8) {
            let mask = 0x80 >> (at % 8);
            *byte = if one { *byte | mask } else { *byte & !mask };
        }
    }
}

/// The header of the packet's tunnel, which is made one of the kind that is asked for.
fn tunnel<'p>(
    packet: &'p mut Packet,
    dice: &mut Dice,
    make: fn(&mut Dice) -> Header,
    of_kind: fn(&Header) -> bool,
) -> &'p mut Header {
    let is = matches!(&packet.transport, Transport::Tunnel(tunnel) if of_kind(&tunnel.header));
    if !is {
        let header = make(dice);
        packet.carry(nest::around(header, dice));
    }
    match &mut packet.transport {
        Transport::Tunnel(tunnel) => &mut tunnel.header,
        _ => unreachable!("it has just been made a tunnel"),
    }
}

/// Changes the packet's service header, below IP or in a tunnel; there is one afterwards.
fn service(packet: &mut Packet, dice: &mut Dice, change: impl FnOnce(&mut Nsh)) {
    packet.labels.clear();
    if let Transport::Tunnel(tunnel) = &mut packet.transport {
        if let Inside::Nsh(nsh, _) = &mut tunnel.inside {
            packet.nsh = None;
            return change(nsh);
        }
        if packet.nsh.is_none()
            && !matches!(tunnel.header, Header::Vxlan { .. } | Header::Gtpu(_) | Header::Ip)
        {
            let inside = std::mem::replace(&mut tunnel.inside, Inside::Other(0, Vec::new()));
            let mut nsh = nest::service(dice);
            change(&mut nsh);
            tunnel.inside = Inside::Nsh(nsh, Box::new(inside));
            return;
        }
    }
    change(packet.nsh.get_or_insert_with(|| nest::service(dice)));
}

/// Makes the packet one of QUIC with a connection id, most often of the configuration that is read.
fn connection_id(packet: &mut Packet, field: &Field, value: u128, dice: &mut Dice) {
    let mut id: Vec<u8> = dice.wide().to_be_bytes().to_vec();
    // As many as a short header has, in the policies here.
    id.truncate(if dice.once_in(2) { 8 } else { 8 + dice.below(9) });
    if let (Some(first), false) = (id.first_mut(), dice.once_in(8)) {
        *first = ROTATION << 5 | *first & 0x1f;
    }
    put(&mut id, field, value);
    let long = id.len() != 8 || dice.once_in(2);
    packet.transport = Transport::Quic(if long { Quic::long(&id) } else { Quic::short(&id) });
    packet.ports.1 = 443;
}
