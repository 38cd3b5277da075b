//! The packets: small UDP datagrams that carry who sent them, which flow they are of, and their number.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keysteer_tests::frames::Packet;

use crate::world::uplink_mac;

/// Tenants that a policy can have keys of.
pub(crate) const TENANTS: u8 = 6;
/// Products; of the last one no policy ever has a key.
pub(crate) const PRODUCTS: u8 = 4;
/// Source ports of each tenant and product, and family.
const PORTS: u16 = 3;
/// Flows whose source no prefix has.
const STRANGERS: u8 = 4;

/// What a frame carries begins with this.
const MAGIC: [u8; 4] = *b"soak";
/// How long it is: magic, sender, flow, number.
const PAYLOAD: usize = 16;

/// A flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    /// The tenant that it belongs to, from 1; nobody, where it has none.
    pub(crate) tenant: Option<u8>,
    /// The product.
    pub(crate) product: u8,
    number: u8,
    port: u16,
    six: bool,
}

/// Every flow. Packet n of a sender is of flow n modulo their number.
pub(crate) fn all() -> Vec<Flow> {
    let mut flows = Vec::new();
    for six in [false, true] {
        for tenant in 1..=TENANTS {
            for product in 0..PRODUCTS {
                flows.extend((0..PORTS).map(|port| Flow {
                    tenant: Some(tenant),
                    product,
                    number: tenant,
                    port,
                    six,
                }));
            }
        }
        flows.extend((0..STRANGERS).map(|number| Flow { tenant: None, product: 0, number, port: 0, six }));
    }
    flows
}

impl Flow {
    /// A frame of this flow as `sender` sends it, without what it carries.
    pub(crate) fn frame(&self, sender: usize) -> Vec<u8> {
        let net = if self.tenant.is_some() { self.number } else { 200 + self.number };
        let (source, service): (IpAddr, IpAddr) = if self.six {
            let source = Ipv6Addr::new(0x2001, 0xdb8, net.into(), 0, 0, 0, 0, 1);
            (source.into(), Ipv6Addr::new(0x2001, 0xdb8, 0x10, 0, 0, 0, 0, 0x10).into())
        } else {
            (Ipv4Addr::new(10, net, 0, 1).into(), Ipv4Addr::new(203, 0, 113, 10).into())
        };
        let packet = Packet {
            macs: [uplink_mac(sender), [2, 0, 0, 0, 2, u8::try_from(sender).unwrap()]],
            dscp: self.product,
            ports: (40_000 + self.port, 7000),
            payload: PAYLOAD,
            ..Packet::new(source, service)
        };
        packet.bytes()
    }
}

/// Writes what a frame carries.
pub(crate) fn mark(frame: &mut [u8], sender: usize, flow: usize, number: u64) {
    let at = frame.len() - PAYLOAD;
    let (magic, rest) = frame[at..].split_at_mut(MAGIC.len());
    magic.copy_from_slice(&MAGIC);
    rest[..2].copy_from_slice(&u16::try_from(sender).unwrap().to_be_bytes());
    rest[2..4].copy_from_slice(&u16::try_from(flow).unwrap().to_be_bytes());
    rest[4..].copy_from_slice(&number.to_be_bytes());
}

/// What a frame carries: sender, flow, number.
pub(crate) fn read(frame: &[u8]) -> Option<(usize, usize, u64)> {
    let payload = frame.get(frame.len().checked_sub(PAYLOAD)?..)?;
    let (magic, rest) = payload.split_first_chunk::<4>()?;
    let (sender, rest) = rest.split_first_chunk::<2>()?;
    let (flow, rest) = rest.split_first_chunk::<2>()?;
    let (number, _) = rest.split_first_chunk::<8>()?;
    let small = |bytes: &[u8; 2]| usize::from(u16::from_be_bytes(*bytes));
    (*magic == MAGIC).then(|| (small(sender), small(flow), u64::from_be_bytes(*number)))
}

/// What of a frame no hop may change: everything between the hardware addresses and what it carries.
pub(crate) fn unchanged(frame: &[u8]) -> &[u8] {
    frame.get(12..frame.len().saturating_sub(PAYLOAD)).unwrap_or_default()
}
