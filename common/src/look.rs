//! Parse and scope: what is in a frame, and whether it is ours.

use crate::access::{Packet, PacketMut};
use crate::config::{Config, reads};
use crate::headers::{Headers, found};
use crate::inside::{Inside, kind, within};
use crate::parse::{below, inner, link, network, transport, tunnel};
use crate::scope;
use crate::tables::Tables;

/// Parse, scope.
#[inline(always)]
pub(crate) fn is_ours<const DEEP: bool, P: PacketMut, T: Tables>(
    packet: &P,
    tables: &T,
    headers: &mut Headers,
    inside: &mut Inside,
    bytes: &mut u64,
) -> bool {
    let (l3, v4) = match link::parse(packet, headers) {
        Some(l3) => (l3, headers.ether_type == link::ETHER_TYPE_IPV4),
        None if DEEP => match below::parse(packet, tables.config(), headers, inside) {
            Some(below) => below,
            None => return false,
        },
        None => return false,
    };
    let Some(destination) = network::parse(packet, headers, bytes, l3, v4) else {
        return false;
    };
    let set = scope::destination(tables, destination);
    if set == 0 {
        return false;
    }
    transport::parse(packet, headers);
    scope::service(tables, headers, set)
}

/// Parses what is beyond the outer headers, as far as the policy reads it.
#[inline(always)]
pub(crate) fn look_inside<P: Packet>(
    packet: &P,
    config: &Config,
    headers: &mut Headers,
    inside: &mut Inside,
) {
    if config.reads == 0 || headers.is_broken() || headers.has(found::LATER) {
        return;
    }
    // A service header before IP is the tunnel.
    if !inside.has(within::NSH) {
        tunnel::parse(packet, config, headers, inside);
    }
    if config.reads & reads::INNER != 0 && !headers.is_broken() && inside.kind != kind::NOTHING {
        inner::parse(packet, headers, inside);
    }
}

/// The positions and facts of a frame, without tables: the parsing stages alone, for tools.
pub fn headers_of<P: PacketMut>(packet: &P) -> Headers {
    facts_of(packet, &Config::ZERO).0
}

/// [`headers_of`], with what is beyond the outer headers as far as `config` reads it.
pub fn facts_of<P: PacketMut>(packet: &P, config: &Config) -> (Headers, Inside) {
    let (mut headers, mut inside) = (Headers::NONE, Inside::NONE);
    let begins = match link::parse(packet, &mut headers) {
        Some(l3) => Some((l3, headers.ether_type == link::ETHER_TYPE_IPV4)),
        None => below::parse(packet, config, &headers, &mut inside),
    };
    if let Some((l3, v4)) = begins
        && network::parse(packet, &mut headers, &mut 0, l3, v4).is_some()
    {
        transport::parse(packet, &mut headers);
        look_inside(packet, config, &mut headers, &mut inside);
    }
    (headers, inside)
}
