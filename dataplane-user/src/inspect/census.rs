//! Every carrier of a packet, read as the decision reads it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use keysteer_common::carrier::{self, Carrier};
use keysteer_common::config::{ANY_ROTATION, Config, FieldConfig, Ports, reads};
use keysteer_common::headers::{Headers, found};
use keysteer_common::inside::{Inside, within};
use keysteer_common::look::{facts_of, headers_of};
use keysteer_common::parse::transport::TCP;
use keysteer_common::shim;
use keysteer_common::slice::Frame;
use keysteer_common::vocabulary::Fault;

use super::values::Values;
use crate::options;
use crate::policy::mac_text;

/// Everything is looked for, where the standards have it.
const EVERYWHERE: Config = Config { reads: reads::ALL, ports: Ports::IANA, quic_length: 8, ..Config::ZERO };

/// Bytes of a connection id that are counted: its first.
pub(super) const ID_BYTES: u8 = 4;
/// Bytes of an option that are counted at most: its first.
const OPTION_BYTES: usize = 8;
/// Different options that are counted: those that are seen first.
const MOST_OPTIONS: usize = 64;
/// TCP's own options, which say nothing of whose flow it is: segment size, window, acknowledgements, timestamps.
const TCP_OWN: [u8; 5] = [2, 3, 4, 5, 8];

/// Positions and facts of a packet. Where what looks like a tunnel is cut off it is taken for none: its port is no proof.
pub(super) fn facts(frame: &Frame<'_>) -> (Headers, Inside) {
    let (headers, inside) = facts_of(frame, &EVERYWHERE);
    if headers.fault == Fault::TunnelCut as u8 {
        return (headers_of(frame), Inside::NONE);
    }
    (headers, inside)
}

/// An option: its carrier, which one ([`FieldConfig::which`]), and how many of its bytes are counted.
pub(super) type Opt = (Carrier, u32, u8);

/// An option of a packet, and the value of its first bytes.
pub(super) type OptionSeen = (Opt, u128);

/// The options of a packet, but TCP's own.
pub(super) fn options_of(frame: &[u8], headers: &Headers, inside: &Inside) -> Vec<OptionSeen> {
    let seen = |carrier: Carrier, which: u32, data: Range<usize>| {
        let data = frame.get(data).unwrap_or_default();
        let counted = data.get(..OPTION_BYTES).unwrap_or(data);
        let value = counted.iter().fold(0, |value, byte| value << 8 | u128::from(*byte));
        ((carrier, which, counted.len() as u8), value)
    };
    let mut all = Vec::new();
    if inside.has(within::GENEVE) {
        for ((class, kind), data) in options::geneve(frame, inside.tunnel.into()) {
            all.push(seen(Carrier::GeneveOption, u32::from(class) << 8 | u32::from(kind), data));
        }
    }
    if headers.protocol == TCP && headers.has(found::PORTS) && !headers.has(found::QUOTED) {
        for ((kind, id), data) in options::tcp(frame, headers.l4.into()) {
            if !TCP_OWN.contains(&kind) {
                all.push(seen(Carrier::TcpOption, u32::from(kind) << 16 | u32::from(id.unwrap_or(0)), data));
            }
        }
    }
    all
}

/// The values of each carrier.
#[derive(Clone, Debug)]
pub(super) struct Census {
    /// In the order of [`Carrier::ALL`]; of options, which there are.
    values: Vec<Values>,
    /// The data of options.
    options: BTreeMap<Opt, Values>,
}

impl Default for Census {
    fn default() -> Self {
        Self { values: vec![Values::default(); Carrier::ALL.len()], options: BTreeMap::new() }
    }
}

impl Census {
    /// Adds what a packet carries; `options` are those of [`options_of`].
    pub(super) fn add(
        &mut self,
        frame: &Frame<'_>,
        options: &[OptionSeen],
        headers: &Headers,
        inside: &Inside,
    ) {
        for (carrier, values) in Carrier::ALL.iter().zip(&mut self.values) {
            if let Some(value) = read(frame, headers, inside, *carrier) {
                values.add(value);
            }
        }
        for ((carrier, which, bytes), value) in options {
            if let Some(values) = values_of(&mut self.values, *carrier) {
                values.add((*which).into());
            }
            let option = (*carrier, *which, *bytes);
            if *bytes > 0 && (self.options.len() < MOST_OPTIONS || self.options.contains_key(&option)) {
                self.options.entry(option).or_default().add(*value);
            }
        }
    }

    /// The values of a carrier.
    pub(super) fn of(&self, carrier: Carrier) -> Option<&Values> {
        Carrier::ALL.iter().zip(&self.values).find_map(|(at, values)| (*at == carrier).then_some(values))
    }

    /// Every carrier with its values.
    pub(super) fn all(&self) -> impl Iterator<Item = (Carrier, &Values)> {
        Carrier::ALL.iter().copied().zip(&self.values)
    }

    /// Every option with the values of its first bytes.
    pub(super) fn options(&self) -> impl Iterator<Item = (Opt, &Values)> {
        self.options.iter().map(|(option, values)| (*option, values))
    }
}

fn values_of(values: &mut [Values], carrier: Carrier) -> Option<&mut Values> {
    Carrier::ALL.iter().zip(values).find_map(|(at, values)| (*at == carrier).then_some(values))
}

/// The value of a carrier, but of an option; an address that may be of either family as one of IPv6 (RFC 4291,
/// IPv4-mapped).
pub(super) fn read(frame: &Frame<'_>, headers: &Headers, inside: &Inside, carrier: Carrier) -> Option<u128> {
    let is_ip = headers.has(found::IPV4) || headers.has(found::IPV6);
    let of_link = matches!(
        carrier,
        Carrier::EthernetSrc
            | Carrier::EthernetDst
            | Carrier::EthernetType
            | Carrier::VlanId
            | Carrier::VlanInnerId
            | Carrier::VlanPcp
            | Carrier::MplsLabel
            | Carrier::NshSpi
            | Carrier::NshContext
    );
    if !is_ip && !of_link || matches!(carrier, Carrier::GeneveOption | Carrier::TcpOption) {
        return None;
    }
    let field = FieldConfig {
        carrier: carrier as u8,
        length: if carrier == Carrier::QuicDcid { ID_BYTES } else { 0 },
        which: ANY_ROTATION,
        ..FieldConfig::default()
    };
    let mut inside = *inside;
    let [high, low] = carrier::read_deep(frame, headers, &mut inside, &EVERYWHERE.ports, &field)?;
    if carrier == Carrier::ShimKey && !is_shim(frame, &inside) {
        return None;
    }
    let v4 = if carrier.is_inner() { inside.has(within::IPV4) } else { headers.has(found::IPV4) };
    let value = u128::from(high) << 64 | u128::from(low);
    Some(if carrier.needs_table() && v4 { mapped(Ipv4Addr::from_bits(low as u32).into()) } else { value })
}

/// Whether what could be a shim has only flags that there are, and zeroes where it must: any port may have one, and
/// by chance hardly anything looks like it.
fn is_shim(frame: &Frame<'_>, inside: &Inside) -> bool {
    use keysteer_common::access::{Packet as _, Pos};
    let head = frame.load::<[u8; 8]>(Pos::from_stored(inside.signed), 0);
    head.is_some_and(|[first, _, _, _, reserved @ ..]| {
        first >> 4 == shim::VERSION && first & 0xf & !shim::flag::ALL == 0 && reserved == [0; 4]
    })
}

/// An address of either family as a number.
pub(super) fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address behind such a number.
pub(super) fn address(value: u128) -> IpAddr {
    Ipv6Addr::from_bits(value).to_canonical()
}

/// A value as people, and policies, write it; of an option, which one it is.
pub(super) fn text(carrier: Carrier, value: u128) -> String {
    match carrier {
        carrier if carrier.is_mac() => {
            let [.., a, b, c, d, e, f] = value.to_be_bytes();
            mac_text([a, b, c, d, e, f])
        }
        Carrier::EthernetType => format!("0x{value:04x}"),
        Carrier::QuicDcid => format!("0x{value:08x}"),
        Carrier::NshContext => format!("0x{value:032x}"),
        Carrier::ShimKey => format!("0x{value:016x}"),
        Carrier::GeneveOption => format!("class {} type {}", value >> 8, value & 0xff),
        Carrier::TcpOption if value >> 16 >= 253 => {
            format!("kind {} experiment {}", value >> 16, value & 0xffff)
        }
        Carrier::TcpOption => format!("kind {}", value >> 16),
        carrier if carrier.family() == Some(true) => Ipv4Addr::from_bits(value as u32).to_string(),
        carrier if carrier.family() == Some(false) => Ipv6Addr::from_bits(value).to_string(),
        carrier if carrier.needs_table() => address(value).to_string(),
        _ => value.to_string(),
    }
}

/// Data of an option, as policies write them.
pub(super) fn data_text((_, _, bytes): Opt, value: u128) -> String {
    format!("0x{value:0digits$x}", digits = usize::from(bytes) * 2)
}
