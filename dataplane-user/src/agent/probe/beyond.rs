//! What a probe has beyond its outer headers: labels, a service header, a tunnel and the packet in it, options, a connection
//! id, a shim. Each field of a key adds its part; then all of it is put into the packet. What cannot be together is not made.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keysteer_common::carrier::Carrier;
use keysteer_common::config::ANY_ROTATION;
use keysteer_common::parse::transport::{TCP, UDP};
use keysteer_common::shim;

use crate::explain::flow::Packet;
use crate::policy::{Field, Policy, Spelling};

/// What carries the packet inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tunnel {
    Vxlan,
    Geneve,
    Gtpu,
    Gre,
    /// IP in IP.
    Ip,
}

/// A tunnel, and whether the packet inside is IPv4.
pub(super) type Way = (Option<Tunnel>, bool);

/// A frame of Ethernet in Geneve and GRE (RFC 8926, RFC 7637).
const BRIDGED: u16 = 0x6558;
/// A service header.
const NSH: u16 = 0x894f;
/// A label stack.
const MPLS: u16 = 0x8847;

/// The ways in which a packet can carry what a key asks for.
pub(super) fn ways(policy: &Policy, spelling: Spelling) -> Vec<Way> {
    let level = policy.level(spelling.level).into_iter();
    let fields = level.flat_map(|level| level.members.iter().filter_map(|at| level.schema.fields.get(*at)));
    let carriers: Vec<Carrier> = fields.map(|field| field.carrier).collect();
    let has = |wanted: &[Carrier]| carriers.iter().any(|carrier| wanted.contains(carrier));
    let inner = carriers.iter().any(|carrier| carrier.is_inner());
    let tunnels = if has(&[Carrier::VxlanVni, Carrier::VxlanPolicy]) {
        vec![Some(Tunnel::Vxlan)]
    } else if has(&[Carrier::GeneveVni, Carrier::GeneveOption]) {
        vec![Some(Tunnel::Geneve)]
    } else if has(&[Carrier::GtpuTeid]) {
        vec![Some(Tunnel::Gtpu)]
    } else if has(&[Carrier::GreKey]) {
        vec![Some(Tunnel::Gre)]
    } else if inner {
        [Tunnel::Vxlan, Tunnel::Geneve, Tunnel::Gtpu, Tunnel::Gre, Tunnel::Ip].map(Some).to_vec()
    } else {
        vec![None]
    };
    let families: &[bool] = if inner { &[true, false] } else { &[true] };
    tunnels.into_iter().flat_map(|tunnel| families.iter().map(move |v4| (tunnel, *v4))).collect()
}

/// What a packet has beyond its outer headers.
#[derive(Clone, Debug)]
pub(super) struct Beyond {
    tunnel: Option<Tunnel>,
    /// The packet inside, and whether a field is of it.
    inner: Packet,
    /// VNI, TEID or GRE key.
    id: u32,
    policy: Option<u16>,
    label: Option<u32>,
    /// Service path, and its context headers where a field is of them.
    service: Option<(u32, Option<u128>)>,
    /// Data of options, by class and type or by kind and experiment.
    options: BTreeMap<u32, Vec<u8>>,
    tcp: bool,
    connection: Option<Vec<u8>>,
    shim: Option<u64>,
}

impl Beyond {
    pub(super) fn new((tunnel, v4): Way) -> Self {
        // Of the blocks for documentation (RFC 5737, RFC 3849).
        let [source, destination]: [IpAddr; 2] = if v4 {
            [1, 2].map(|last| Ipv4Addr::new(192, 0, 2, last).into())
        } else {
            [1, 2].map(|last| Ipv6Addr::new(0x2001, 0xdb8, 0xfffe, 0, 0, 0, 0, last).into())
        };
        let mut inner = Packet::new(source, destination);
        inner.ports.1 = 443;
        Self {
            tunnel,
            inner,
            id: 1,
            policy: None,
            label: None,
            service: None,
            options: BTreeMap::new(),
            tcp: false,
            connection: None,
            shim: None,
        }
    }

    /// The packet inside.
    pub(super) fn inner(&mut self) -> &mut Packet {
        &mut self.inner
    }

    /// Adds the value of a field.
    pub(super) fn set(&mut self, field: &Field, value: u128) -> Option<()> {
        if field.carrier.is_variable() && !field.signed {
            let data = match field.carrier {
                Carrier::QuicDcid => {
                    // As long as a server's ids that are long enough, and not shorter than what a client makes up.
                    let id = self.connection.get_or_insert_with(|| vec![0; 8]);
                    if field.which != ANY_ROTATION {
                        *id.first_mut()? |= (field.which as u8) << 5;
                    }
                    id
                }
                carrier => {
                    self.tcp |= carrier == Carrier::TcpOption;
                    self.options.entry(field.which).or_default()
                }
            };
            return place(data, field, value);
        }
        let bits = if field.signed { Carrier::ShimKey.bits() } else { field.carrier.bits() };
        let shift = bits.checked_sub(field.offset + u16::from(field.bits))?;
        let value = value.checked_shl(shift.into())?;
        let service = self.service.unwrap_or((1, None));
        match field.carrier {
            Carrier::MplsLabel => *self.label.get_or_insert(0) |= value as u32,
            Carrier::VxlanVni | Carrier::GeneveVni | Carrier::GreKey | Carrier::GtpuTeid => {
                self.id = value as u32;
            }
            Carrier::VxlanPolicy => self.policy = Some(value as u16),
            Carrier::NshSpi => self.service = Some((value as u32, service.1)),
            Carrier::NshContext => self.service = Some((service.0, Some(service.1.unwrap_or(0) | value))),
            Carrier::ShimKey => *self.shim.get_or_insert(0) |= value as u64,
            Carrier::GeneveOption => {
                self.options.insert(field.which, block(value as u64));
            }
            _ => return None,
        }
        Some(())
    }

    /// Puts everything into the packet; `None` where it cannot be together.
    pub(super) fn put_into(self, packet: &mut Packet, policy: &Policy) -> Option<()> {
        let ports = policy.carriers.ports;
        if let Some(label) = self.label {
            // The bottom of the stack, 64 hops.
            packet.below = Some((MPLS, (label << 12 | 0x1_40/* bottom, 64 hops */).to_be_bytes().to_vec()));
        }
        let outer_v4 = packet.destination.is_ipv4();
        if self.service.is_some() && self.tunnel.is_none() {
            if packet.below.is_some() {
                return None;
            }
            packet.below = Some((NSH, self.service_header(if outer_v4 { 1 } else { 2 })?));
        }
        if self.tcp {
            packet.protocol = TCP;
            packet.tcp_options = self.tcp_options()?;
        }
        if let Some(id) = &self.connection {
            // A long header of version 1 (RFC 9000): initial packets, whose id a client may have got from a server's retry.
            let length = u8::try_from(id.len()).ok()?;
            datagram(packet, ports.quic, [&[0xc0, 0, 0, 0, 1, length], id.as_slice(), &[0]].concat())?;
        }
        if let Some(key) = self.shim {
            let port = if ports.shim == 0 { packet.ports.1 } else { ports.shim };
            datagram(packet, port, block(key))?;
        }
        let Some(tunnel) = self.tunnel else { return Some(()) };
        let frame = self.inner.frame().ok()?;
        let ip = frame.get(14..)?.to_vec();
        let id = self.id.to_be_bytes();
        let vni = [id[1], id[2], id[3], 0];
        match tunnel {
            Tunnel::Vxlan if self.service.is_none() => {
                let [a, b] = self.policy.unwrap_or(0).to_be_bytes();
                let flags = if self.policy.is_some() { 0x88 } else { 0x08 };
                datagram(packet, ports.vxlan, [&[flags, 0, a, b], &vni[..], &frame].concat())
            }
            Tunnel::Geneve => {
                let options = self.geneve_options()?;
                let words = u8::try_from(options.len() / 4).ok().filter(|words| *words < 64)?;
                let (of, carried) = self.carried(frame)?;
                let [c, d] = of.to_be_bytes();
                datagram(packet, ports.geneve, [&[words, 0, c, d], &vni[..], &options, &carried].concat())
            }
            Tunnel::Gtpu if self.service.is_none() => {
                let [a, b] = u16::try_from(ip.len()).ok()?.to_be_bytes();
                datagram(packet, ports.gtpu, [&[0x30, 255, a, b], &id[..], &ip].concat())
            }
            Tunnel::Gre => {
                let (of, carried) = self.carried(frame)?;
                let [a, b] = of.to_be_bytes();
                after_ip(packet, 47, [&[0x20, 0, a, b], &id[..], &carried].concat())
            }
            Tunnel::Ip if self.service.is_none() => {
                after_ip(packet, if self.inner.source.is_ipv4() { 4 } else { 41 }, ip)
            }
            _ => None,
        }
    }

    /// What a tunnel carries that says by an EtherType what it is: a frame, in a service header where there is one.
    fn carried(&self, frame: Vec<u8>) -> Option<(u16, Vec<u8>)> {
        match self.service {
            None => Some((BRIDGED, frame)),
            Some(_) => Some((NSH, [self.service_header(3)?, frame].concat())),
        }
    }

    /// A service header (RFC 8300) before such a packet.
    fn service_header(&self, next: u8) -> Option<Vec<u8>> {
        let (path, context) = self.service?;
        let (words, kind) = if context.is_some() { (6, 1) } else { (2, 2) };
        let mut header = vec![0x0f, 0xc0 | words, kind, next];
        header.extend((path << 8 | 255).to_be_bytes());
        header.extend(context.into_iter().flat_map(u128::to_be_bytes));
        Some(header)
    }

    /// Options as RFC 8926 has them.
    fn geneve_options(&self) -> Option<Vec<u8>> {
        let mut options = Vec::new();
        for (which, data) in &self.options {
            let words = u32::try_from(data.len().div_ceil(4)).ok().filter(|words| *words < 32)?;
            options.extend((which << 8 | words).to_be_bytes());
            options.extend(data);
            options.resize(options.len().next_multiple_of(4), 0);
        }
        Some(options)
    }

    /// Options as RFC 9293 and RFC 6994 have them.
    fn tcp_options(&self) -> Option<Vec<u8>> {
        let mut options = Vec::new();
        for (which, data) in &self.options {
            let [_, kind, id @ ..] = which.to_be_bytes();
            let id = if kind >= 253 { id.as_slice() } else { &[] };
            options.extend([kind, u8::try_from(2 + id.len() + data.len()).ok()?]);
            options.extend(id);
            options.extend(data);
        }
        options.resize(options.len().next_multiple_of(4), 0);
        (options.len() <= 40).then_some(options)
    }
}

/// Puts a field's value at its bits of data that grow as far as they must.
fn place(data: &mut Vec<u8>, field: &Field, value: u128) -> Option<()> {
    let bits = usize::from(field.bits);
    let end = usize::from(field.offset) + bits;
    if data.len() < end.div_ceil(8) {
        data.resize(end.div_ceil(8), 0);
    }
    for bit in (0..bits).filter(|bit| value >> bit & 1 == 1) {
        let at = end - 1 - bit;
        *data.get_mut(at / 8)? |= 0x80 >> (at % 8);
    }
    Some(())
}

/// A signed block that nobody has signed: what it says is read, and not believed.
fn block(key: u64) -> Vec<u8> {
    shim::to_bytes([u64::from(shim::VERSION) << 60, key, 0]).to_vec()
}

/// Makes the packet a datagram to a port; `None` where it is something else already.
fn datagram(packet: &mut Packet, port: u16, payload: Vec<u8>) -> Option<()> {
    packet.ports.1 = port;
    after_ip(packet, UDP, payload)
}

fn after_ip(packet: &mut Packet, protocol: u8, payload: Vec<u8>) -> Option<()> {
    if !packet.payload.is_empty() || !packet.tcp_options.is_empty() {
        return None;
    }
    packet.protocol = protocol;
    packet.payload = payload;
    Some(())
}
