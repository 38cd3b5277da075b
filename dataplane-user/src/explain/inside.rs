//! What is beyond a frame's outer headers, as far as the policy reads it, in words; and why a field finds nothing there.

use std::net::{Ipv4Addr, Ipv6Addr};

use keysteer_common::carrier::Carrier;
use keysteer_common::config::Config;
use keysteer_common::headers::{Headers, found};
use keysteer_common::inside::{Inside, within};
use keysteer_common::parse::transport::TCP;

use super::types::Found;
use crate::image::FieldInfo;
use crate::options;
use crate::policy::{mac_text, protocol_text};

/// What was found, by position.
pub(super) fn found(frame: &[u8], headers: &Headers, inside: &Inside, config: &Config) -> Vec<Found> {
    let mut all = Vec::new();
    let mut add = |at: usize, what: &str, says: String| all.push(Found { at, what: what.to_owned(), says });
    let number = |at: u16, bytes: usize| {
        let bytes = frame.get(usize::from(at)..usize::from(at) + bytes).unwrap_or_default();
        bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let digits = |at: usize, length: usize| {
        let bytes = frame.get(at..at + length).unwrap_or_default();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let (id, tunnel) = (inside.id, usize::from(inside.tunnel));
    if inside.has(within::MPLS) {
        let tags = usize::from(headers.has(found::VLAN)) + usize::from(headers.has(found::VLAN_INNER));
        add(14 + 4 * tags, "mpls", format!("label {} on top", inside.label));
    }
    if inside.has(within::NSH) {
        let context = if inside.has(within::NSH_CONTEXT) {
            format!(", context 0x{}", digits(usize::from(inside.nsh) + 8, 16))
        } else {
            String::new()
        };
        add(inside.nsh.into(), "nsh", format!("service path {}{context}", number(inside.nsh + 4, 3)));
    }
    if inside.has(within::VXLAN) {
        let policy = if inside.has(within::VXLAN_POLICY) {
            format!(", group policy {}", number(inside.tunnel + 2, 2))
        } else {
            String::new()
        };
        add(tunnel, "vxlan", format!("vni {}{policy}", number(id, 3)));
    }
    if inside.has(within::GENEVE) {
        let mut says = format!("vni {}", number(id, 3));
        for ((class, kind), data) in options::geneve(frame, tunnel) {
            says += &format!(", option class {class} type {kind} of {} bytes", data.len());
        }
        add(tunnel, "geneve", says);
    }
    if inside.has(within::GRE_KEY) {
        add(tunnel, "gre", format!("key {}", number(id, 4)));
    }
    if inside.has(within::GTPU) {
        add(tunnel, "gtpu", format!("teid {}", number(id, 4)));
    }
    if inside.has(within::QUIC) {
        let length = usize::from(inside.id_length);
        let says = match length {
            0 => "no destination connection id".to_owned(),
            _ => format!("destination connection id 0x{} of {length} bytes", digits(id.into(), length)),
        };
        add(id.into(), "quic", says);
    }
    // Only where the policy asks for them: nearly every segment has some.
    let asks = config.fields.as_flattened().iter().any(|field| field.carrier == Carrier::TcpOption as u8);
    if asks && headers.protocol == TCP && headers.has(found::PORTS) && !headers.has(found::QUOTED) {
        for ((kind, id), data) in options::tcp(frame, headers.l4.into()) {
            let id = id.map(|id| format!(" experiment {id}")).unwrap_or_default();
            add(data.start, "tcp option", format!("kind {kind}{id} of {} bytes", data.len()));
        }
    }
    if inside.has(within::ETHERNET) {
        let at = usize::from(inside.ethernet);
        if let Some([d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5]) =
            frame.get(at..).and_then(|rest| rest.first_chunk::<12>())
        {
            let source = mac_text([*s0, *s1, *s2, *s3, *s4, *s5]);
            add(at, "inner ethernet", format!("{source} > {}", mac_text([*d0, *d1, *d2, *d3, *d4, *d5])));
        }
    }
    let v4 = inside.has(within::IPV4);
    if v4 || inside.has(within::IPV6) {
        let address = |at: u16| {
            let bytes = frame.get(usize::from(at)..).unwrap_or_default();
            if v4 {
                bytes.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes).to_string())
            } else {
                bytes.first_chunk::<16>().map(|bytes| Ipv6Addr::from(*bytes).to_string())
            }
        };
        let [source, destination] =
            [inside.source, inside.destination].map(|at| address(at).unwrap_or_default());
        let mut says = format!("{source} > {destination}");
        if inside.has(within::PROTOCOL) {
            says += &format!(", protocol {}", protocol_text(inside.protocol as u8));
        }
        if inside.has(within::PORTS) {
            says += &format!(", ports {} > {}", inside.source_port, inside.destination_port);
        }
        add(inside.l3.into(), if v4 { "inner ipv4" } else { "inner ipv6" }, says);
    }
    all.sort_by_key(|found| found.at);
    all
}

/// Why a field of a carrier beyond the outer headers has no value.
pub(super) fn absent(info: &FieldInfo, later: bool, inside: &Inside, config: &Config) -> Option<String> {
    let ports = &config.ports;
    Some(match info.carrier {
        carrier if !carrier.is_deep() => return None,
        carrier if later && carrier.is_behind_fragmentation() => {
            "a later fragment does not have it".to_owned()
        }
        Carrier::MplsLabel => "the frame has no label stack".to_owned(),
        Carrier::NshContext if inside.has(within::NSH) => {
            "its service header has no fixed context headers".to_owned()
        }
        Carrier::NshSpi | Carrier::NshContext => "the packet has no service header".to_owned(),
        Carrier::VxlanPolicy if inside.has(within::VXLAN) => {
            "its VXLAN header has no group policy".to_owned()
        }
        Carrier::VxlanVni | Carrier::VxlanPolicy => format!("it is no VXLAN to UDP port {}", ports.vxlan),
        Carrier::GeneveOption if inside.has(within::GENEVE) => {
            "its Geneve header has no such option, or a shorter one".to_owned()
        }
        Carrier::GeneveVni | Carrier::GeneveOption => format!("it is no Geneve to UDP port {}", ports.geneve),
        Carrier::GreKey => "it is no GRE with a key".to_owned(),
        Carrier::GtpuTeid => format!("it is no GTP-U to UDP port {}", ports.gtpu),
        Carrier::QuicDcid if inside.has(within::QUIC) => {
            "its connection id is shorter, or of another rotation".to_owned()
        }
        Carrier::QuicDcid => format!("it is no QUIC to UDP port {}", ports.quic),
        Carrier::TcpOption => "it is no TCP with such an option, or with a shorter one".to_owned(),
        Carrier::ShimKey if ports.shim != 0 => {
            format!("it is no datagram to UDP port {} that begins with a shim", ports.shim)
        }
        Carrier::ShimKey => "it is no datagram that begins with a shim".to_owned(),
        _ if inside.has(within::IPV4) || inside.has(within::IPV6) => {
            "the packet inside the tunnel has none".to_owned()
        }
        _ => "no packet inside a tunnel can be read".to_owned(),
    })
}
