//! Findings to a proposal: what is ours, which field tells tenants apart, and which refines it.
//!
//! The tenant is, of these, the first that tells at least two apart:
//! 1. a tunnel's identifier, a label or an option, where nearly every packet to a service has it: somebody has sorted them already;
//! 2. `vlan.id`, likewise;
//! 3. `ip.src` through a prefix table, of the widest networks that there are two of;
//! 4. `ip.dst` through a prefix table, where there are several services' addresses;
//!
//! and else `ip.src` all the same, because traffic of one tenant is how most services begin. The product is `ip.dscp`
//! or `l4.dst_port`, where it takes a few values, none of them nearly always.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use keysteer_common::carrier::Carrier;

use super::census::{Census, address};
use super::services::{Service, Services};
use super::tunnels;

/// The most tenants that are proposed.
const MOST_TENANTS: usize = 16;
/// The most values that a product has.
const MOST_PRODUCTS: u64 = 16;
/// Part of the packets to services that must carry a field.
pub(super) const NEARLY_ALL: f64 = 0.95;
/// Part of them that one value of a product may have.
const NEARLY_ALWAYS: f64 = 0.98;
/// Part of them that a service must have to be in the scope.
const WORTH_A_LINE: f64 = 0.01;
/// The most addresses of a scope, and the most services of one.
const MOST_ADDRESSES: usize = 16;
const MOST_SERVICES: usize = 16;

/// How wide networks may be, the widest first, and which it is where no width tells two apart.
const WIDTHS_4: ([u8; 4], u8) = ([8, 16, 24, 32], 16);
const WIDTHS_6: ([u8; 5], u8) = ([32, 40, 48, 64, 128], 48);

/// A proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Addresses and what of them is ours; no services: everything.
    pub(super) scope: Vec<(Vec<IpAddr>, Vec<String>)>,
    /// What the tenant is read from.
    pub(super) from: Carrier,
    /// What else the field says: which option, and which bits of it.
    pub(super) more: String,
    /// Networks that are told apart, with their labels; empty where the tenant is a number.
    pub(super) prefixes: Vec<(IpNet, String)>,
    /// Names of keys, and the tenant of each as `match` has it.
    pub(super) tenants: Vec<(String, String)>,
    /// What the product is read from, and its values, the most common first.
    pub(super) product: Option<(Carrier, Vec<u128>)>,
    /// Why this tenant.
    pub(super) tenant_because: String,
    /// Why this product.
    pub(super) product_because: Option<String>,
}

impl Plan {
    /// What was chosen, and why.
    pub(super) fn because(&self) -> Vec<String> {
        let scope = if self.scope.is_empty() {
            "scope: everything, because no packet was recognised as one to a service".to_owned()
        } else {
            let addresses: usize = self.scope.iter().map(|(addresses, _)| addresses.len()).sum();
            format!(
                "scope: the services that were asked most, at {}",
                counted(addresses, "address", "addresses")
            )
        };
        let mut because = vec![scope, format!("tenant: {}", self.tenant_because)];
        because.extend(self.product_because.as_ref().map(|why| format!("product: {why}")));
        because
    }
}

/// A number of things.
pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Proposes, from what packets to services carry, or where there are none from what all do.
pub(super) fn plan(asked: &Census, all: &Census, services: &Services) -> Plan {
    let scope = scope(services);
    let census = if scope.is_empty() { all } else { asked };
    let tenant = tenant(census);
    let product = product(census, tenant.from);
    Plan {
        scope,
        from: tenant.from,
        more: tenant.more,
        prefixes: tenant.prefixes,
        tenants: tenant.keys,
        tenant_because: tenant.because,
        product_because: product.as_ref().map(|(_, _, because)| because.clone()),
        product: product.map(|(carrier, values, _)| (carrier, values)),
    }
}

/// A service as a scope has it; none where a scope cannot say it.
pub(super) fn service_text(service: Service) -> Option<String> {
    match service.protocol {
        1 => Some("icmp".to_owned()),
        58 => Some("icmpv6".to_owned()),
        6 => Some(format!("tcp/{}", service.at.1)),
        17 => Some(format!("udp/{}", service.at.1)),
        132 => Some(format!("sctp/{}", service.at.1)),
        _ => None,
    }
}

/// The services that are worth a line, addresses with the same ones together.
fn scope(services: &Services) -> Vec<(Vec<IpAddr>, Vec<String>)> {
    let least = (services.packets() as f64 * WORTH_A_LINE).ceil() as u64;
    let mut by_address: Vec<(IpAddr, Vec<String>)> = Vec::new();
    for (service, asked) in services.busiest() {
        if asked.count.packets < least {
            break;
        }
        let at = address(service.at.0);
        let text = service_text(service).unwrap_or_else(|| "any".to_owned());
        if let Some((_, texts)) = by_address.iter_mut().find(|(known, _)| *known == at) {
            texts.push(text);
        } else if by_address.len() < MOST_ADDRESSES {
            by_address.push((at, vec![text]));
        }
    }
    let mut scope: Vec<(Vec<IpAddr>, Vec<String>)> = Vec::new();
    for (at, mut texts) in by_address {
        texts.sort();
        texts.dedup();
        if texts.len() > MOST_SERVICES || texts.iter().any(|text| text == "any") {
            texts = vec!["any".to_owned()];
        }
        match scope.iter_mut().find(|(_, known)| *known == texts) {
            Some((addresses, _)) => addresses.push(at),
            None => scope.push((vec![at], texts)),
        }
    }
    scope
}

/// A field that tells tenants apart.
pub(super) struct Tenant {
    pub(super) from: Carrier,
    pub(super) more: String,
    pub(super) prefixes: Vec<(IpNet, String)>,
    pub(super) keys: Vec<(String, String)>,
    pub(super) because: String,
}

fn tenant(census: &Census) -> Tenant {
    let sources = networks(census, Carrier::IpSrc);
    let several = |networks: &Vec<IpNet>| networks.len() > 1;
    if let Some(tenant) = tunnels::tenant(census).or_else(|| vlans(census, sources.is_empty())) {
        return tenant;
    }
    let destinations = Some(networks(census, Carrier::IpDst)).filter(|_| !several(&sources)).filter(several);
    let (from, networks, what) = match destinations {
        Some(destinations) => (Carrier::IpDst, destinations, "are asked"),
        None => (Carrier::IpSrc, sources, "ask"),
    };
    let name = from.name();
    if networks.is_empty() {
        // Nothing speaks IP; some field there must be, and this one every packet in the scope has.
        return Tenant {
            from: Carrier::IpDscp,
            more: String::new(),
            prefixes: Vec::new(),
            keys: vec![("default".to_owned(), "0".to_owned())],
            because: "ip.dscp, for want of anything better: there is no IP in this traffic".to_owned(),
        };
    }
    let label = |network: &IpNet| format!("net-{}-{}", network.addr(), network.prefix_len());
    let through = format!("{name} through a prefix table");
    let because = match networks.len() {
        // Several addresses of services would have been told apart.
        1 => format!("{through}: one network asks, so there is one tenant so far"),
        MOST_TENANTS.. => format!("{through}: of the networks that {what}, the {MOST_TENANTS} busiest"),
        several => format!("{through}: {several} networks {what}"),
    };
    Tenant {
        from,
        more: String::new(),
        keys: networks.iter().map(|network| (label(network), label(network))).collect(),
        prefixes: networks.iter().map(|network| (*network, label(network))).collect(),
        because,
    }
}

/// Tenants by VLAN, where that tells some apart, or where there is nothing else.
fn vlans(census: &Census, only: bool) -> Option<Tenant> {
    let values = census.of(Carrier::VlanId)?;
    let packets = census.of(Carrier::EthernetType)?.seen();
    let tagged = values.seen() as f64 / packets.max(1) as f64;
    if values.seen() == 0 || !(only || (values.distinct() > 1 && tagged >= NEARLY_ALL)) {
        return None;
    }
    let keys = values.top(MOST_TENANTS).into_iter().map(|(id, _)| (format!("vlan-{id}"), id.to_string()));
    Some(Tenant {
        from: Carrier::VlanId,
        more: String::new(),
        prefixes: Vec::new(),
        keys: keys.collect(),
        because: format!(
            "vlan.id: {:.0} % of the packets have a tag, of {}",
            tagged * 100.0,
            counted(values.distinct() as usize, "VLAN", "VLANs")
        ),
    })
}

/// The networks that addresses are of: the widest that tell some apart, where one of them does not have most of the
/// packets; the busiest first.
fn networks(census: &Census, carrier: Carrier) -> Vec<IpNet> {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for (value, packets) in census.of(carrier).into_iter().flat_map(|values| values.all()) {
        match address(value) {
            it @ IpAddr::V4(_) => v4.push((it, packets)),
            it @ IpAddr::V6(_) => v6.push((it, packets)),
        }
    }
    let mut networks = of_family(&v4, &WIDTHS_4.0, WIDTHS_4.1);
    networks.extend(of_family(&v6, &WIDTHS_6.0, WIDTHS_6.1));
    networks.sort_unstable_by_key(|(network, packets)| (std::cmp::Reverse(*packets), *network));
    networks.into_iter().map(|(network, _)| network).take(MOST_TENANTS).collect()
}

/// Addresses of one family in networks of the first of `widths` that tells two apart, or of width `otherwise`. A
/// network that has more than half of the packets may be several tenants', and is divided further.
fn of_family(addresses: &[(IpAddr, u64)], widths: &[u8], otherwise: u8) -> Vec<(IpNet, u64)> {
    let mut all = widths.iter().map(|width| of_width(addresses, *width));
    let told = all.find(|networks| networks.len() > 1);
    let Some(mut told) = told else {
        return of_width(addresses, otherwise).into_iter().collect();
    };
    let packets: u64 = told.values().sum();
    while let Some((most, _)) = told.iter().find(|(_, of)| **of * 2 > packets) {
        let most = *most;
        let within: Vec<_> =
            addresses.iter().filter(|(address, _)| most.contains(address)).copied().collect();
        // A single host is no network.
        let narrower = (most.prefix_len() + 1)..most.max_prefix_len();
        let widths = widths.iter().filter(|width| narrower.contains(width));
        let divided = widths.map(|width| of_width(&within, *width)).find(|parts| parts.len() > 1);
        let Some(parts) = divided.filter(|parts| told.len() - 1 + parts.len() <= MOST_TENANTS) else {
            break;
        };
        told.remove(&most);
        told.extend(parts);
    }
    told.into_iter().collect()
}

/// Addresses of one family in networks of one width.
fn of_width(addresses: &[(IpAddr, u64)], width: u8) -> BTreeMap<IpNet, u64> {
    let mut networks: BTreeMap<IpNet, u64> = BTreeMap::new();
    for (address, packets) in addresses {
        if let Ok(network) = IpNet::new(*address, width) {
            *networks.entry(network.trunc()).or_default() += packets;
        }
    }
    networks
}

/// A field that refines the tenant: its carrier, values and reason.
fn product(census: &Census, tenant: Carrier) -> Option<(Carrier, Vec<u128>, String)> {
    let packets = census.of(Carrier::EthernetType)?.seen() as f64;
    [Carrier::IpDscp, Carrier::L4DstPort].into_iter().filter(|carrier| *carrier != tenant).find_map(
        |carrier| {
            let values = census.of(carrier)?;
            let seen = values.seen() as f64;
            let few = (2..=MOST_PRODUCTS).contains(&values.distinct());
            let (_, most) = values.top(1).first().copied()?;
            if !few || seen < packets * NEARLY_ALL || most as f64 > seen * NEARLY_ALWAYS {
                return None;
            }
            let because = format!("{} has {} values", carrier.name(), values.distinct());
            let common = values.top(MOST_PRODUCTS as usize);
            Some((carrier, common.into_iter().map(|(value, _)| value).collect(), because))
        },
    )
}
