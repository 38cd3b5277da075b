//! Every carrier of a packet, read as the decision reads it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keysteer_common::carrier::{self, Carrier};
use keysteer_common::headers::{Headers, found};
use keysteer_common::slice::Frame;

use super::values::Values;
use crate::policy::mac_text;

/// The values of each carrier.
#[derive(Clone, Debug)]
pub(super) struct Census {
    /// In the order of [`Carrier::ALL`].
    values: Vec<Values>,
}

impl Default for Census {
    fn default() -> Self {
        Self { values: vec![Values::default(); Carrier::ALL.len()] }
    }
}

impl Census {
    /// Adds what a packet carries.
    pub(super) fn add(&mut self, frame: &Frame<'_>, headers: &Headers) {
        for (carrier, values) in Carrier::ALL.iter().zip(&mut self.values) {
            if let Some(value) = read(frame, headers, *carrier) {
                values.add(value);
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
}

/// The value of a carrier; an address that may be of either family as one of IPv6 (RFC 4291, IPv4-mapped).
pub(super) fn read(frame: &Frame<'_>, headers: &Headers, carrier: Carrier) -> Option<u128> {
    let v4 = headers.has(found::IPV4);
    let is_ip = v4 || headers.has(found::IPV6);
    let of_link = matches!(
        carrier,
        Carrier::EthernetSrc
            | Carrier::EthernetDst
            | Carrier::EthernetType
            | Carrier::VlanId
            | Carrier::VlanInnerId
            | Carrier::VlanPcp
    );
    if !is_ip && !of_link {
        return None;
    }
    let [high, low] = carrier::read(frame, headers, carrier as u8)?;
    let value = u128::from(high) << 64 | u128::from(low);
    Some(if carrier.needs_table() && v4 { mapped(Ipv4Addr::from_bits(low as u32).into()) } else { value })
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

/// A value as people, and policies, write it.
pub(super) fn text(carrier: Carrier, value: u128) -> String {
    match carrier {
        carrier if carrier.is_mac() => {
            let [.., a, b, c, d, e, f] = value.to_be_bytes();
            mac_text([a, b, c, d, e, f])
        }
        Carrier::EthernetType => format!("0x{value:04x}"),
        carrier if carrier.family() == Some(true) => Ipv4Addr::from_bits(value as u32).to_string(),
        carrier if carrier.family() == Some(false) => Ipv6Addr::from_bits(value).to_string(),
        carrier if carrier.needs_table() => address(value).to_string(),
        _ => value.to_string(),
    }
}
