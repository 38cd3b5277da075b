//! A packet as options.

use std::net::IpAddr;

use clap::Args;

use super::Usage;
use crate::explain::flow::{Packet, TCP_FLAGS};
use crate::policy;

/// What an operator knows of a packet; the rest is an ordinary one.
#[derive(Debug, Args)]
pub(super) struct PacketArgs {
    /// Source address
    #[arg(long, value_name = "IP", requires = "dst")]
    src: Option<IpAddr>,
    /// Destination address
    #[arg(long, value_name = "IP", requires = "src")]
    dst: Option<IpAddr>,
    /// tcp, udp, sctp, icmp, icmpv6 or a number [default: tcp]
    #[arg(long, value_name = "PROTOCOL", requires = "src", value_parser = protocol)]
    proto: Option<u8>,
    /// Source port [default: 49152]
    #[arg(long, value_name = "PORT", requires = "src")]
    sport: Option<u16>,
    /// Destination port
    #[arg(long, value_name = "PORT", requires = "src")]
    dport: Option<u16>,
    /// VLAN id of the (outer) tag
    #[arg(long, value_name = "ID", requires = "src", value_parser = clap::value_parser!(u16).range(..4096))]
    vlan: Option<u16>,
    /// VLAN id of a second tag
    #[arg(long, value_name = "ID", requires = "vlan", value_parser = clap::value_parser!(u16).range(..4096), hide_short_help = true)]
    inner_vlan: Option<u16>,
    /// Priority of the (outer) tag, 0 to 7 [default: 0]
    #[arg(long, value_name = "N", requires = "vlan", value_parser = clap::value_parser!(u8).range(..8), hide_short_help = true)]
    pcp: Option<u8>,
    /// DSCP, 0 to 63 [default: 0]
    #[arg(long, value_name = "N", requires = "src", value_parser = clap::value_parser!(u8).range(..64))]
    dscp: Option<u8>,
    /// IPv6 flow label, a number such as 74565 or 0x12345 [default: 0]
    #[arg(long, value_name = "N", requires = "src", value_parser = flow_label, hide_short_help = true)]
    flow_label: Option<u32>,
    /// TCP flags such as `syn` or `syn,ack`, or a number such as 0x12 [default: syn]
    #[arg(long, value_name = "FLAGS", requires = "src", value_parser = tcp_flags, hide_short_help = true)]
    tcp_flags: Option<u8>,
    /// Source MAC address [default: 02:00:00:00:00:01]
    #[arg(long, value_name = "MAC", requires = "src", value_parser = policy::mac, hide_short_help = true)]
    eth_src: Option<[u8; 6]>,
    /// Destination MAC address [default: 02:00:00:00:00:02]
    #[arg(long, value_name = "MAC", requires = "src", value_parser = policy::mac, hide_short_help = true)]
    eth_dst: Option<[u8; 6]>,
    /// Bytes of the whole frame [default: what the headers take]
    #[arg(long, value_name = "BYTES", requires = "src", hide_short_help = true)]
    length: Option<usize>,
}

impl PacketArgs {
    /// The frame that is described.
    pub(super) fn frame(&self) -> anyhow::Result<Vec<u8>> {
        let (Some(source), Some(destination)) = (self.src, self.dst) else {
            return Err(Usage("give --src and --dst, --hex, or --capture and --packet".to_owned()).into());
        };
        let mut packet = Packet::new(source, destination);
        packet.protocol = self.proto.unwrap_or(packet.protocol);
        let has_ports =
            policy::protocol(&policy::protocol_text(packet.protocol)).is_some_and(|(_, ports)| ports);
        match (self.dport, has_ports) {
            (Some(port), true) => packet.ports.1 = port,
            (None, false) if self.sport.is_none() => {}
            (None, true) => return Err(Usage("give the destination port: --dport PORT".to_owned()).into()),
            (_, false) => {
                let protocol = policy::protocol_text(packet.protocol);
                return Err(Usage(format!(
                    "protocol {protocol} has no ports: leave out --sport and --dport"
                ))
                .into());
            }
        }
        packet.ports.0 = self.sport.unwrap_or(packet.ports.0);
        let [source_mac, destination_mac] = packet.macs;
        packet.macs = [self.eth_src.unwrap_or(source_mac), self.eth_dst.unwrap_or(destination_mac)];
        packet.tags.extend(self.vlan.map(|id| (id, self.pcp.unwrap_or(0))));
        packet.tags.extend(self.inner_vlan.map(|id| (id, 0)));
        packet.dscp = self.dscp.unwrap_or(packet.dscp);
        packet.flow_label = self.flow_label.unwrap_or(packet.flow_label);
        packet.tcp_flags = self.tcp_flags.unwrap_or(packet.tcp_flags);
        packet.length = self.length;
        Ok(packet.frame().map_err(|error| Usage(error.to_string()))?)
    }
}

fn protocol(text: &str) -> Result<u8, String> {
    let named = policy::protocol(text).map(|(number, _)| number);
    named
        .or_else(|| text.parse().ok())
        .ok_or_else(|| "expected tcp, udp, sctp, icmp, icmpv6, or a protocol number from 0 to 255".to_owned())
}

/// A number, decimal or with `0x`.
fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn flow_label(text: &str) -> Result<u32, String> {
    let label = number(text).filter(|label| *label < 1 << 20);
    label.ok_or_else(|| "expected a number below 1048576, such as 74565 or 0x12345".to_owned())
}

fn tcp_flags(text: &str) -> Result<u8, String> {
    if let Some(number) = number(text).and_then(|number| u8::try_from(number).ok()) {
        return Ok(number);
    }
    text.split(',').try_fold(0, |flags, name| {
        let bit = TCP_FLAGS.iter().position(|known| *known == name);
        bit.map(|bit| flags | 1 << bit).ok_or_else(|| {
            format!(
                "no flag \"{name}\": expected some of {}, with commas between, or a number",
                TCP_FLAGS.join(", ")
            )
        })
    })
}
