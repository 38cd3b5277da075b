//! Whether a tunnel's identifier, or an option, tells traffic apart.

use keysteer_common::carrier::Carrier;

use super::census::{Census, Opt, data_text, text};
use super::propose::{NEARLY_ALL, Tenant, counted};
use super::values::Values;

/// Identifiers, in the order that they are asked in, and what keys are called by them.
const IDENTIFIERS: [(Carrier, &str); 5] = [
    (Carrier::VxlanVni, "vni"),
    (Carrier::GeneveVni, "vni"),
    (Carrier::GreKey, "gre"),
    (Carrier::GtpuTeid, "teid"),
    (Carrier::NshSpi, "path"),
];

/// The most tenants that are proposed of numbers: they take a line each.
const MOST_NUMBERS: usize = 64;

/// The most values of an option that are taken for tenants: more are likely to be something of each flow.
const MOST_VALUES: u64 = 1_024;

/// The part of all packets that have a value, where nearly all do and there are so many.
fn tells(census: &Census, values: &Values, least: u64) -> Option<f64> {
    let packets = census.of(Carrier::EthernetType)?.seen();
    let part = values.seen() as f64 / packets.max(1) as f64;
    (values.distinct() >= least && part >= NEARLY_ALL).then_some(part)
}

/// The carrier that a policy must read to see the packets at all: that of labels or of service headers, where nearly all
/// are behind those.
pub(super) fn reads(census: &Census) -> Option<Carrier> {
    let packets = census.of(Carrier::EthernetType)?.seen() as f64;
    [Carrier::MplsLabel, Carrier::NshSpi].into_iter().find(|carrier| {
        census.of(*carrier).is_some_and(|values| values.seen() as f64 >= packets * NEARLY_ALL)
    })
}

/// Tenants by the first identifier that tells them apart, else by an option. What the packets are behind is read in any case.
pub(super) fn tenant(census: &Census) -> Option<Tenant> {
    if let Some(behind) = reads(census).filter(|carrier| census.of(*carrier).is_some_and(|it| it.seen() > 0))
    {
        let name = if behind == Carrier::MplsLabel { "label" } else { "path" };
        return identifier(census, behind, name, 1);
    }
    let several = |(carrier, name): &(Carrier, &str)| identifier(census, *carrier, name, 2);
    IDENTIFIERS.iter().find_map(several).or_else(|| {
        let mut options = census.options().filter(|(_, values)| values.distinct() <= MOST_VALUES);
        options.find_map(|(option, values)| by_option(census, option, values))
    })
}

fn identifier(census: &Census, carrier: Carrier, name: &str, least: u64) -> Option<Tenant> {
    let values = census.of(carrier)?;
    let part = tells(census, values, least)?;
    let keys = values.top(MOST_NUMBERS).into_iter();
    Some(Tenant {
        from: carrier,
        more: String::new(),
        prefixes: Vec::new(),
        keys: keys.map(|(id, _)| (format!("{name}-{id}"), text(carrier, id))).collect(),
        because: format!(
            "{}: {:.0} % of the packets have it, with {}",
            carrier.name(),
            part * 100.0,
            counted(values.distinct() as usize, "value", "values")
        ),
    })
}

fn by_option(census: &Census, option: Opt, values: &Values) -> Option<Tenant> {
    let part = tells(census, values, 2)?;
    let (carrier, which, bytes) = option;
    let said = text(carrier, which.into());
    let written = match carrier {
        Carrier::GeneveOption => format!("class: {}, type: {}", which >> 8, which & 0xff),
        _ if which >> 16 >= 253 => format!("kind: {}, experiment: {}", which >> 16, which & 0xffff),
        _ => format!("kind: {}", which >> 16),
    };
    let keys = values.top(MOST_NUMBERS).into_iter().map(|(value, _)| data_text(option, value));
    Some(Tenant {
        from: carrier,
        more: format!(", option: {{{written}}}, bits: {{offset: 0, length: {}}}", u16::from(bytes) * 8),
        prefixes: Vec::new(),
        keys: keys.map(|value| (format!("option-{value}"), value)).collect(),
        because: format!(
            "{} {said}: {:.0} % of the packets have it, with {}",
            carrier.name(),
            part * 100.0,
            counted(values.distinct() as usize, "value", "values")
        ),
    })
}
