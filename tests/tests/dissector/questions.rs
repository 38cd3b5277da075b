//! What is asked of every packet: a field as a policy has it, and what the dissector's view of the packet makes of
//! it. Written from the policy language, not from the code that reads packets.

use std::net::IpAddr;

use keysteer_tests::carriers::{GENEVE_OPTION, SHIM_PORT, TCP_OPTION, TCP_OPTION_PLAIN};

use crate::seen::{Ip, Seen};

/// The value that a field must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// This one.
    Is(u128),
    /// None.
    Absent,
    /// The dissector cannot say.
    Unknown,
}

/// A field.
pub(crate) struct Question {
    /// Its carrier.
    pub(crate) carrier: &'static str,
    /// What the policy says besides.
    pub(crate) besides: String,
    /// In so many packets of the captures in this repository it must have a value.
    pub(crate) least: usize,
    /// What it must be.
    pub(crate) want: fn(&Seen) -> Want,
}

impl From<Option<u128>> for Want {
    fn from(value: Option<u128>) -> Self {
        value.map_or(Self::Absent, Self::Is)
    }
}

/// An address as a number, of one family or of either.
fn address(address: Option<IpAddr>, four: Option<bool>) -> Want {
    match address {
        Some(IpAddr::V4(address)) if four != Some(false) => Want::Is(address.to_bits().into()),
        Some(IpAddr::V6(address)) if four != Some(true) => Want::Is(address.to_bits()),
        _ => Want::Absent,
    }
}

fn source(ip: Option<&Ip>) -> Option<IpAddr> {
    ip.map(|ip| ip.source)
}

fn destination(ip: Option<&Ip>) -> Option<IpAddr> {
    ip.map(|ip| ip.destination)
}

/// What a tunnel's header has; of a tunnel that could not be made out nothing is known.
fn tunnelled(seen: &Seen, value: Option<u128>) -> Want {
    if seen.tunnel.unknown { Want::Unknown } else { value.into() }
}

/// The packet inside.
fn inner(seen: &Seen, want: fn(&Ip) -> Want) -> Want {
    match &seen.tunnel.ip {
        _ if seen.tunnel.unknown => Want::Unknown,
        Some(ip) => want(ip),
        None => Want::Absent,
    }
}

/// The four bytes at `from`, as a number; where there are not so many, none.
fn four(bytes: Option<&[u8]>, from: usize) -> Option<u128> {
    let four: [u8; 4] = bytes?.get(from..from + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(four).into())
}

fn geneve_option(seen: &Seen, from: usize) -> Want {
    let ours = (GENEVE_OPTION.0.into(), GENEVE_OPTION.1.into());
    let option = seen.tunnel.geneve_options.iter().find(|(which, _)| *which == ours);
    tunnelled(seen, four(option.map(|(_, data)| data.as_slice()), from))
}

fn tcp_option(seen: &Seen, which: (u128, u128)) -> Want {
    // An error quotes a segment that the service has sent: that has no key of a client's.
    let ip = seen.ip.as_ref().filter(|_| !seen.quotes);
    let option = ip.and_then(|ip| ip.tcp_options.iter().find(|(at, _)| *at == which));
    four(option.map(|(_, data)| data.as_slice()), 0).into()
}

fn quic(seen: &Seen, from: usize) -> Want {
    tunnelled(seen, four(seen.tunnel.quic.as_deref(), from))
}

/// The key of a shim: the third word of eight bytes that begins with version 1.
fn shim(seen: &Seen) -> Want {
    let ip =
        seen.ip.as_ref().filter(|ip| !seen.quotes && ip.ports.is_some_and(|(_, to)| to == SHIM_PORT.into()));
    let shim: Option<[u8; 16]> = ip.and_then(|ip| ip.payload.get(..24)?.get(..16)?.try_into().ok());
    shim.map(u128::from_be_bytes)
        .filter(|shim| shim >> 124 == 1)
        .map(|shim| shim & u128::from(u64::MAX))
        .into()
}

/// The fields, in groups that fit a schema each.
pub(crate) fn groups() -> Vec<Vec<Question>> {
    let plain = |carrier, least, want| Question { carrier, besides: String::new(), least, want };
    let table = |carrier, least, want| Question { carrier, besides: ", table: all".to_owned(), least, want };
    let part = |carrier, besides: &str, offset, least, want| Question {
        carrier,
        besides: format!("{besides}, bits: {{offset: {offset}, length: 32}}"),
        least,
        want,
    };
    let option = format!(", option: {{class: {}, type: {}}}", GENEVE_OPTION.0, GENEVE_OPTION.1);
    let experiment = format!(", option: {{kind: {}, experiment: {}}}", TCP_OPTION.0, TCP_OPTION.1);
    let kind = format!(", option: {{kind: {TCP_OPTION_PLAIN}}}");
    vec![
        vec![
            plain("ethernet.src", 400, |seen| seen.link.source.into()),
            plain("ethernet.dst", 400, |seen| seen.link.destination.into()),
            plain("ethernet.type", 400, |seen| seen.link.ether_type.into()),
            plain("vlan.id", 20, |seen| seen.link.tags.first().map(|(id, _)| *id).into()),
        ],
        vec![
            plain("vlan.inner_id", 10, |seen| seen.link.tags.get(1).map(|(id, _)| *id).into()),
            plain("vlan.pcp", 20, |seen| seen.link.tags.first().map(|(_, pcp)| *pcp).into()),
            plain("ipv4.src", 150, |seen| address(source(seen.ip.as_ref()), Some(true))),
            plain("ipv4.dst", 150, |seen| address(destination(seen.ip.as_ref()), Some(true))),
        ],
        vec![plain("ipv6.src", 150, |seen| address(source(seen.ip.as_ref()), Some(false)))],
        vec![plain("ipv6.dst", 150, |seen| address(destination(seen.ip.as_ref()), Some(false)))],
        vec![
            table("ip.src", 400, |seen| address(source(seen.ip.as_ref()), None)),
            table("ip.dst", 400, |seen| address(destination(seen.ip.as_ref()), None)),
            plain("ip.dscp", 400, |seen| seen.outer.as_ref().and_then(|ip| ip.dscp).into()),
            plain("ip.protocol", 400, |seen| seen.ip.as_ref().and_then(|ip| ip.protocol).into()),
        ],
        vec![
            plain("ipv6.flow_label", 150, |seen| seen.outer.as_ref().and_then(|ip| ip.label).into()),
            plain("l4.src_port", 250, |seen| seen.ip.as_ref().and_then(|ip| ip.ports).map(|it| it.0).into()),
            plain("l4.dst_port", 250, |seen| seen.ip.as_ref().and_then(|ip| ip.ports).map(|it| it.1).into()),
            plain("mpls.label", 20, |seen| seen.link.labels.first().copied().into()),
        ],
        vec![
            plain("vxlan.vni", 10, |seen| tunnelled(seen, seen.tunnel.vxlan)),
            plain("vxlan.policy", 5, |seen| tunnelled(seen, seen.tunnel.policy)),
            plain("geneve.vni", 20, |seen| tunnelled(seen, seen.tunnel.geneve)),
            plain("gre.key", 20, |seen| tunnelled(seen, seen.tunnel.gre)),
        ],
        vec![
            plain("gtpu.teid", 20, |seen| tunnelled(seen, seen.tunnel.gtpu)),
            plain("nsh.spi", 20, |seen| tunnelled(seen, seen.tunnel.nsh.map(|(path, _)| path))),
            plain("shim.key", 5, shim),
        ],
        vec![plain("nsh.context", 20, |seen| {
            tunnelled(seen, seen.tunnel.nsh.and_then(|(_, context)| context))
        })],
        vec![
            part("geneve.option", &option, 0, 15, |seen| geneve_option(seen, 0)),
            part("geneve.option", &option, 32, 15, |seen| geneve_option(seen, 4)),
            part("tcp.option", &experiment, 0, 15, |seen| {
                tcp_option(seen, (TCP_OPTION.0.into(), TCP_OPTION.1.into()))
            }),
            part("tcp.option", &kind, 0, 15, |seen| tcp_option(seen, (TCP_OPTION_PLAIN.into(), 0))),
        ],
        vec![
            part("quic.dcid", "", 8, 20, |seen| quic(seen, 1)),
            part("quic.dcid", "", 64, 5, |seen| quic(seen, 8)),
        ],
        vec![
            plain("inner.ethernet.src", 30, |seen| tunnelled(seen, seen.tunnel.ethernet.map(|it| it.0))),
            plain("inner.ethernet.dst", 30, |seen| tunnelled(seen, seen.tunnel.ethernet.map(|it| it.1))),
            plain("inner.ip.dscp", 80, |seen| inner(seen, |ip| ip.dscp.into())),
            plain("inner.ip.protocol", 80, |seen| inner(seen, |ip| ip.protocol.into())),
        ],
        vec![
            plain("inner.ipv4.src", 30, |seen| inner(seen, |ip| address(Some(ip.source), Some(true)))),
            plain("inner.ipv4.dst", 30, |seen| inner(seen, |ip| address(Some(ip.destination), Some(true)))),
            plain("inner.l4.src_port", 60, |seen| inner(seen, |ip| ip.ports.map(|it| it.0).into())),
            plain("inner.l4.dst_port", 60, |seen| inner(seen, |ip| ip.ports.map(|it| it.1).into())),
        ],
        vec![plain("inner.ipv6.src", 30, |seen| inner(seen, |ip| address(Some(ip.source), Some(false))))],
        vec![plain("inner.ipv6.dst", 30, |seen| {
            inner(seen, |ip| address(Some(ip.destination), Some(false)))
        })],
        vec![
            table("inner.ip.src", 80, |seen| inner(seen, |ip| address(Some(ip.source), None))),
            table("inner.ip.dst", 80, |seen| inner(seen, |ip| address(Some(ip.destination), None))),
            plain("ip.dscp", 400, |seen| seen.outer.as_ref().and_then(|ip| ip.dscp).into()),
            plain("nsh.spi", 20, |seen| tunnelled(seen, seen.tunnel.nsh.map(|(path, _)| path))),
        ],
    ]
}
