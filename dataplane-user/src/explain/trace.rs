//! One frame through the decision, and through the single stages for what the decision does not keep. The
//! only file of this room that knows how `common` records a decision; the others know [`Trace`].

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keysteer_common::carrier::{self, Carrier};
use keysteer_common::config::{FieldConfig, SchemaConfig};
use keysteer_common::forward::Action;
use keysteer_common::headers::{FIELDS, Headers, NO_LEVEL, NO_SHARD, NO_SLOT, Record, SCHEMAS, Work, found};
use keysteer_common::inside::{Inside, within};
use keysteer_common::look::facts_of;
use keysteer_common::scope;
use keysteer_common::slice::Frame;
use keysteer_common::vocabulary::{Class, Fault, Reason, Verdict};

use super::inside;
use super::types::{Ethernet, Flow, Ip, Parse, Transport, Vlan};
use crate::engine::{Decided, Engine};
use crate::image::{Image, Names};
use crate::policy::{mac_text, protocol_text};

/// What was found in a frame and decided about it.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) parse: Parse,
    pub(super) link: Link,
    /// What is beyond the outer headers.
    pub(super) inside: Inside,
    /// A fragment other than the first.
    pub(super) later: bool,
    /// Neighbour or listener discovery.
    pub(super) discovery: bool,
    /// The protocol and, where it has them and is no fragment, the destination port of its flow; none where not even the
    /// protocol is known.
    pub(super) wanted: Option<(u8, Option<u16>)>,
    /// The number of its destination's service set; 0: not in the scope.
    pub(super) set: u32,
    /// Whether it is for a service of that set.
    pub(super) in_service: bool,
    /// Of each version of the schema what it reads, in the order that they are tried.
    pub(super) readings: Vec<Vec<Reading>>,
    /// Index of the version that decided; without a key the first that a field was found of, else the first.
    pub(super) schema: usize,
    pub(super) class: Class,
    pub(super) key_id: u32,
    /// The key that it claims without right.
    pub(super) claimed: u32,
    /// The level that decided, numbered over all versions.
    pub(super) level: Option<usize>,
    pub(super) shard: Option<u16>,
    /// Index into the slots, where one was read; of a key of width 1 its entry has the shard.
    pub(super) slot: Option<u32>,
    /// The flow hash; meaningful when a shard was looked for among several.
    pub(super) flow: u32,
    pub(super) verdict: Verdict,
    pub(super) reason: Reason,
    pub(super) action: Action,
    /// The frame afterwards.
    pub(super) after: Vec<u8>,
}

/// What the link layer carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// No IP.
    Other,
    /// IP whose header cannot be read or believed, or not even an Ethernet header.
    Unreadable,
    /// IP to this destination.
    Ip(IpAddr),
}

/// A field of the schema in the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// What the frame has at its carrier, cut to the field's bits, before any table.
    pub(super) raw: Option<u128>,
    /// Whether `raw`, where it is an address, is one of IPv4.
    pub(super) v4: bool,
    /// Its value in the key: `raw`, or the label's number behind a table.
    pub(super) value: Option<u128>,
}

/// Follows a frame that arrives on interface `ingress`, where the exits of the shards `lost` have gone.
pub(super) fn trace(image: &Image, names: &Names, lost: &[u16], frame: &[u8], ingress: u32) -> Trace {
    let mut engine = Engine::new(image);
    lost.iter().for_each(|shard| engine.lose_exit(*shard));
    let mut after = frame.to_vec();
    let Decided { action, work } = engine.decide(&mut after, ingress);
    let decision = work.record.decision;

    let mut bytes = frame.to_vec();
    let packet = Frame::new(&mut bytes, ingress);
    let (headers, inside) = facts_of(&packet, &image.config);
    let link = link(frame, &headers);
    let set = match link {
        Link::Ip(destination) => image.find_prefix(&image.config.scope, destination),
        _ => 0,
    };
    let ports = headers.has(found::PORTS) && !headers.has(found::FRAGMENT);
    Trace {
        parse: Parse {
            beyond: inside::found(frame, &headers, &inside, &image.config),
            ..parse(frame, &packet, &headers)
        },
        later: headers.has(found::LATER),
        link,
        discovery: headers.has(found::DISCOVERY),
        wanted: headers
            .has(found::PROTOCOL)
            .then_some((headers.protocol, ports.then_some(headers.destination_port))),
        set,
        in_service: set != 0 && scope::service(image, &headers, set),
        readings: readings(image, names, &Seen { frame, ingress, headers: &headers, inside, work: &work }),
        inside,
        // The engine writes nothing but numbers of the vocabulary.
        class: Class::from_number(decision.class).unwrap_or(Class::Foreign),
        key_id: decision.key_id,
        claimed: decision.claimed,
        schema: usize::from(decision.schema),
        level: (decision.level != NO_LEVEL).then_some(usize::from(decision.level)),
        shard: (decision.shard != NO_SHARD).then_some(decision.shard),
        slot: (decision.slot != NO_SLOT).then_some(decision.slot),
        flow: decision.flow,
        verdict: Verdict::from_number(decision.verdict).unwrap_or(Verdict::Pass),
        reason: Reason::from_number(decision.reason).unwrap_or(Reason::OutOfScope),
        action,
        after,
    }
}

/// EtherTypes of IPv4 and IPv6, and what parsing leaves where it could not read any.
const MEANT_FOR_IP: [u16; 3] = [0x0800, 0x86dd, 0];

fn link(frame: &[u8], headers: &Headers) -> Link {
    let at = usize::from(headers.l3);
    let destination = if headers.has(found::IPV4) {
        address(frame, at + 16, true)
    } else if headers.has(found::IPV6) {
        address(frame, at + 24, false)
    } else {
        None
    };
    match destination {
        Some(destination) => Link::Ip(destination),
        None if MEANT_FOR_IP.contains(&headers.ether_type) => Link::Unreadable,
        None => Link::Other,
    }
}

/// The address of a family at a position.
fn address(frame: &[u8], at: usize, v4: bool) -> Option<IpAddr> {
    let bytes = frame.get(at..)?;
    if v4 {
        Some(Ipv4Addr::from(*bytes.first_chunk::<4>()?).into())
    } else {
        Some(Ipv6Addr::from(*bytes.first_chunk::<16>()?).into())
    }
}

fn parse(frame: &[u8], packet: &Frame<'_>, headers: &Headers) -> Parse {
    let mut parse = Parse { ethernet: ethernet(frame, headers), ..Parse::default() };
    // A tag begins with its own EtherType, at the place of the untagged frame's.
    for (bit, at, tci) in [(found::VLAN, 12, headers.outer_tci), (found::VLAN_INNER, 16, headers.inner_tci)] {
        if headers.has(bit) {
            parse.vlans.push(Vlan { at, id: tci & 0xfff, pcp: (tci >> 13) as u8 });
        }
    }
    parse.ip = ip(frame, packet, headers);
    let Some(ip) = &parse.ip else { return parse };
    if headers.is_broken() {
        parse.fault = Fault::from_number(headers.fault).map(|fault| fault.name().to_owned());
    }
    if !headers.has(found::PROTOCOL) {
        return parse;
    }
    let quoted = headers.has(found::QUOTED);
    let [source_port, destination_port] =
        [headers.source_port, headers.destination_port].map(|port| headers.has(found::PORTS).then_some(port));
    let flow = protocol_text(headers.protocol);
    parse.transport = Some(if quoted {
        // The headers say what is quoted; what quotes it is an ICMP of its family.
        let icmp = protocol_text(if ip.version == 4 { 1 } else { 58 });
        let at = usize::from(headers.l4);
        Transport { at, protocol: icmp, source_port: None, destination_port: None, opens: false }
    } else {
        Transport {
            at: usize::from(headers.l4),
            protocol: flow.clone(),
            source_port,
            destination_port,
            opens: headers.has(found::OPENS),
        }
    });
    if quoted {
        let at = |at: u16| address(frame, usize::from(at), ip.version == 4).map(|it| it.to_string());
        if let (Some(source), Some(destination)) = (at(headers.source), at(headers.destination)) {
            parse.quoted = Some(Flow { source, destination, protocol: flow, source_port, destination_port });
        }
    }
    parse
}

fn ethernet(frame: &[u8], headers: &Headers) -> Option<Ethernet> {
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, _, _] = *frame.first_chunk::<14>()?;
    Some(Ethernet {
        source: mac_text([s0, s1, s2, s3, s4, s5]),
        destination: mac_text([d0, d1, d2, d3, d4, d5]),
        ether_type: headers.ether_type,
    })
}

fn ip(frame: &[u8], packet: &Frame<'_>, headers: &Headers) -> Option<Ip> {
    let v4 = headers.has(found::IPV4);
    if !v4 && !headers.has(found::IPV6) {
        return None;
    }
    let at = usize::from(headers.l3);
    let (source, destination) = if v4 { (at + 12, at + 16) } else { (at + 8, at + 24) };
    let dscp = carrier::read(packet, headers, Carrier::IpDscp as u8);
    let label = carrier::read(packet, headers, Carrier::Ipv6FlowLabel as u8);
    Some(Ip {
        at,
        version: if v4 { 4 } else { 6 },
        source: address(frame, source, v4)?.to_string(),
        destination: address(frame, destination, v4)?.to_string(),
        dscp: dscp.map_or(0, |[_, dscp]| (dscp & 0x3f) as u8),
        flow_label: label.and_then(|[_, label]| u32::try_from(label).ok()),
        fragment: headers.has(found::FRAGMENT),
    })
}

/// A frame, and what the decision left of it.
struct Seen<'f> {
    frame: &'f [u8],
    ingress: u32,
    headers: &'f Headers,
    inside: Inside,
    work: &'f Work,
}

/// What each version of the schema reads in a frame: of the one that decided what the decision read, of any other what it
/// would read if it were the only one.
fn readings(image: &Image, names: &Names, seen: &Seen<'_>) -> Vec<Vec<Reading>> {
    let decided = usize::from(seen.work.record.decision.schema);
    let record = |at: usize| if at == decided { seen.work.record } else { alone(image, seen, at) };
    (0..names.schemas.len()).map(|at| fields(image, names, seen, at, &record(at))).collect()
}

/// What is recorded of a frame where version `at` of the schema is the only one.
fn alone(image: &Image, seen: &Seen<'_>, at: usize) -> Record {
    let mut alone = image.clone();
    let (from, config) = (&image.config, &mut alone.config);
    config.fields = [[FieldConfig::default(); FIELDS]; SCHEMAS];
    config.schemas = [SchemaConfig::default(); SCHEMAS];
    let ([fields, ..], [schema, ..]) = (&mut config.fields, &mut config.schemas);
    *fields = from.fields.get(at).copied().unwrap_or_default();
    *schema = from.schemas.get(at).copied().unwrap_or_default();
    for interface in &mut config.interfaces {
        interface.allowed = [interface.allowed.get(at).copied().unwrap_or_default(), 0, 0, 0];
        interface.verify = interface.verify >> (at & 7) & 1;
    }
    let mut bytes = seen.frame.to_vec();
    Engine::counting(&alone, 0).decide(&mut bytes, seen.ingress).work.record
}

/// What version `at` of the schema, of which `record` is left, read of each field.
fn fields(image: &Image, names: &Names, seen: &Seen<'_>, at: usize, record: &Record) -> Vec<Reading> {
    let (headers, mut inside) = (seen.headers, seen.inside);
    let mut bytes = seen.frame.to_vec();
    let packet = Frame::new(&mut bytes, seen.ingress);
    let whole = |[high, low]: [u64; 2]| u128::from(high) << 64 | u128::from(low);
    let configs = image.config.fields.get(at).into_iter().flatten();
    let infos = names.schemas.get(at).into_iter().flat_map(|schema| &schema.fields);
    let readings = configs.zip(record.fields).zip(infos).zip(0_u32..);
    readings
        .map(|(((config, raw), info), index)| Reading {
            raw: carrier::read_deep(&packet, headers, &mut inside, &image.config.ports, config)
                .map(|_| whole(raw)),
            v4: if info.carrier.is_inner() { inside.has(within::IPV4) } else { headers.has(found::IPV4) },
            value: (record.decision.present >> index & 1 == 1).then(|| {
                let largest = u128::MAX >> (128 - u32::from(info.bits.clamp(1, 128)));
                whole(record.key) >> (config.place & 127) & largest
            }),
        })
        .collect()
}

/// What the record of the program in the kernel and the host's say of a frame differently, in words. Of a plain frame
/// the headers are not noted in full, and of a foreign one perhaps not at all.
pub(super) fn differences(kernel: &Work, host: &Work) -> Vec<String> {
    let part = |what: &str, kernel: &dyn Debug, host: &dyn Debug| {
        let (kernel, host) = (format!("{kernel:?}"), format!("{host:?}"));
        (kernel != host).then(|| format!("{what}: kernel {kernel}, host {host}"))
    };
    let headers = |work: &Work| {
        let foreign = work.record.decision.class == Class::Foreign as u8;
        if foreign { Headers::NONE } else { Headers { end: 0, ..work.headers } }
    };
    [
        part("decision", &kernel.record.decision, &host.record.decision),
        part("headers", &headers(kernel), &headers(host)),
        part("fields", &kernel.record.fields, &host.record.fields),
        part("key", &kernel.record.key, &host.record.key),
    ]
    .into_iter()
    .flatten()
    .collect()
}
