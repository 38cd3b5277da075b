//! What the carriers of tunnels, options and connection ids need: which one, which bits of it, which ports, and what
//! fragments meet that do not have them.

use std::fmt;

use keysteer_common::carrier::Carrier;
use keysteer_common::config::ANY_ROTATION;

use crate::policy::document::{Document, RawField, RawOption, SECTIONS};
use crate::policy::model::{Carriers, Field};

use super::Checker;

/// TCP's kinds for experiments (RFC 4727), which have an id (RFC 6994).
const EXPERIMENTS: [u32; 2] = [253, 254];

/// Bits of the data of an option for experiments, at most: its id takes 16 of the others'.
const EXPERIMENT_BITS: u16 = Carrier::TcpOption.bits() - 16;

/// Bytes that a field reads at most.
const READ_BYTES: u32 = 16;

/// Which one of its carriers a field reads, and whether that is a signed block.
pub(super) fn which(
    checker: &mut Checker<'_>,
    raw: &RawField<'_>,
    carrier: Carrier,
    path: &dyn Fn(&str) -> String,
) -> Option<(u32, bool)> {
    let name = carrier.name();
    let signed = raw.signed.as_ref().map(|signed| signed.value);
    if let Some(given) = &raw.signed {
        let problem = match (carrier, given.value) {
            (Carrier::ShimKey, false) => "a shim is always signed: leave this out",
            (Carrier::ShimKey | Carrier::GeneveOption, _) | (_, false) => "",
            (_, true) => "only shim.key and geneve.option can be signed",
        };
        if !problem.is_empty() {
            checker.error(given.at, path("signed"), problem);
            return None;
        }
    }
    if let Some(rotation) = raw.rotation.as_ref().filter(|_| carrier != Carrier::QuicDcid) {
        checker.error(rotation.at, path("rotation"), format!("only quic.dcid has rotations, not {name}"));
        return None;
    }
    let given = raw.option.as_ref().map(|option| (option.value, option.at));
    let which = match (carrier, given) {
        (Carrier::GeneveOption, Some((RawOption::Geneve(class, kind), _))) => class << 8 | kind,
        (Carrier::TcpOption, Some((RawOption::Tcp(kind, experiment), at))) => {
            let problem = match experiment {
                None if EXPERIMENTS.contains(&kind) => {
                    format!(
                        "kind {kind} is for experiments: say which by its id, {{kind: {kind}, experiment: ...}}"
                    )
                }
                Some(_) if !EXPERIMENTS.contains(&kind) => {
                    format!("only kinds 253 and 254 are for experiments and have an id, not kind {kind}")
                }
                _ => String::new(),
            };
            if !problem.is_empty() {
                checker.error(at, path("option"), problem);
                return None;
            }
            kind << 16 | experiment.unwrap_or(0)
        }
        (Carrier::GeneveOption | Carrier::TcpOption, given) => {
            let wanted = if carrier == Carrier::TcpOption {
                "option: {kind}, or {kind, experiment} for kinds 253 and 254"
            } else {
                "option: {class, type}"
            };
            let at = given.map_or(raw.from.at, |(_, at)| at);
            checker.error(
                at,
                path("option"),
                format!("{name} needs to know which option it is: give {wanted}"),
            );
            return None;
        }
        (_, Some((_, at))) => {
            let problem = format!("only geneve.option and tcp.option are options, not {name}");
            checker.error(at, path("option"), problem);
            return None;
        }
        (Carrier::QuicDcid, None) => raw.rotation.as_ref().map_or(ANY_ROTATION, |rotation| rotation.value),
        (_, None) => 0,
    };
    Some((which, carrier == Carrier::ShimKey || signed == Some(true)))
}

/// First bit and number of bits that a field without a table takes of its carrier.
pub(super) fn range(
    checker: &mut Checker<'_>,
    raw: &RawField<'_>,
    carrier: Carrier,
    signed: bool,
    path: &dyn Fn(&str) -> String,
) -> Option<(u16, u8)> {
    let name = carrier.name();
    let signed_option = carrier == Carrier::GeneveOption && signed;
    let Some(range) = &raw.bits else {
        if carrier.is_variable() && !signed {
            let problem = format!(
                "{name} is as long as its sender makes it: say which bits of it, bits: {{offset, length}}"
            );
            checker.error(raw.from.at, path("bits"), problem);
            return None;
        }
        let bits = if signed { Carrier::ShimKey.bits() } else { carrier.bits() };
        return Some((0, u8::try_from(bits).ok()?));
    };
    if signed_option {
        let problem = "the value of a signed option is its key, whole: leave this out";
        checker.error(range.at, path("bits"), problem);
        return None;
    }
    let (offset, length) = range.value;
    let size = match raw.option.as_ref().map(|option| option.value) {
        Some(RawOption::Tcp(_, Some(_))) => EXPERIMENT_BITS,
        _ => carrier.bits(),
    };
    let last = offset + length - 1;
    let problem = if offset + length > u32::from(size) {
        let most = if carrier.is_variable() { "that there can be " } else { "" };
        format!("bits {offset} to {last} are beyond the {size} bits {most}of {name}")
    } else if carrier.is_variable() && last / 8 - offset / 8 >= READ_BYTES {
        format!(
            "bits {offset} to {last} are in {} bytes, and {READ_BYTES} can be read: take fewer, or begin with a byte",
            last / 8 - offset / 8 + 1
        )
    } else {
        return Some((u16::try_from(offset).ok()?, u8::try_from(length).ok()?));
    };
    checker.error(range.at, path("bits"), problem);
    None
}

/// Whether a carrier is found by what a section of `spec.carriers` says.
fn uses(carrier: Carrier, section: &str) -> bool {
    match section {
        "vxlan" => matches!(carrier, Carrier::VxlanVni | Carrier::VxlanPolicy) || carrier.is_inner(),
        "geneve" => matches!(carrier, Carrier::GeneveVni | Carrier::GeneveOption) || carrier.is_inner(),
        "gtpu" => carrier == Carrier::GtpuTeid || carrier.is_inner(),
        "quic" => carrier == Carrier::QuicDcid,
        _ => carrier == Carrier::ShimKey,
    }
}

/// The ports and lengths of tunnels and connection ids, for these fields.
pub(super) fn carriers(checker: &mut Checker<'_>, document: &Document<'_>, fields: &[Field]) -> Carriers {
    let raw = &document.carriers;
    let mut found = Carriers::default();
    for (name, port) in &raw.ports {
        // The reader lets no other pass.
        let Ok(port) = u16::try_from(port.value) else { continue };
        let ports = &mut found.ports;
        match *name {
            "vxlan" => ports.vxlan = port,
            "geneve" => ports.geneve = port,
            "gtpu" => ports.gtpu = port,
            "quic" => ports.quic = port,
            _ => ports.shim = port,
        }
    }
    if let Some(length) = raw.quic_length.as_ref().and_then(|length| u8::try_from(length.value).ok()) {
        found.quic_length = length;
    }
    let is_used = |section: &str| fields.iter().any(|field| uses(field.carrier, section));
    for section in raw.sections.iter().filter(|section| !is_used(section.value)) {
        let field = format_args!("spec.carriers.{}", section.value);
        checker.warn(section.at, field, "no field uses the carrier, so this says nothing");
    }
    let ports = found.ports;
    let by_section = [ports.vxlan, ports.geneve, ports.gtpu, ports.quic, ports.shim];
    let given = |name: &str| raw.ports.iter().find(|(section, _)| *section == name).map(|(_, port)| port.at);
    let counts = |name: &str| is_used(name) || given(name).is_some();
    let all: Vec<(&str, u16)> =
        SECTIONS.into_iter().zip(by_section).filter(|(name, port)| *port != 0 && counts(name)).collect();
    for (nth, (name, port)) in all.iter().enumerate() {
        for (other, _) in all.iter().take(nth).filter(|(_, other)| other == port) {
            let (at, field, other) = match (given(name), given(other)) {
                (Some(at), _) => (at, name, other),
                (None, Some(at)) => (at, other, name),
                (None, None) => continue,
            };
            checker.error(
                at,
                format_args!("spec.carriers.{field}.port"),
                format!("port {port} is that of {other} too, and a datagram is one or the other: give each its own"),
            );
        }
    }
    short_ids(checker, document, fields, found.quic_length);
    found
}

/// Warns of bits of a connection id that packets with a short header, which most are, never have.
fn short_ids(checker: &mut Checker<'_>, document: &Document<'_>, fields: &[Field], length: u8) {
    for field in fields.iter().filter(|field| field.carrier == Carrier::QuicDcid) {
        if field.offset + u16::from(field.bits) > u16::from(length) * 8 {
            let at = document.carriers.quic_length.as_ref().map_or(document.schemas.at, |length| length.at);
            checker.warn(
                at,
                "spec.carriers.quic.shortHeaderLength",
                format!(
                    "field \"{}\" reads beyond the {length} bytes of connection ids in short headers, so an established connection never has it",
                    field.name
                ),
            );
        }
    }
}

/// Warns where fragments are spoken of and every fragment has all fields.
pub(super) fn fragments(checker: &mut Checker<'_>, document: &Document<'_>, fields: &[Field]) {
    let Some(fragments) = &document.fragments else { return };
    if !fields.iter().any(|field| field.carrier.is_behind_fragmentation()) {
        let field: &dyn fmt::Display = &"spec.fragments";
        checker.warn(
            fragments.at,
            field,
            "every fragment has all fields of the schema, so this says nothing",
        );
    }
}
