//! The dissector: tshark of the Wireshark project, with the protocols that the test is about and no others, and
//! without anything that would put packets together.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use keysteer_tests::captures::pcap;
use tempfile::TempDir;

use crate::tree::Tree;

/// What is dissected. Everything else is bytes.
const PROTOCOLS: &str = "frame eth ethertype vlan ieee8021ad mpls nsh ip ipv6 ipv6.hopopts ipv6.dstopts ipv6.fraghdr \
     ipv6.routing ipv6.routing.type.srh ipv6.routing.type.rt0 ipv6.routing.type.mipv6 ipv6.routing.type.rpl \
     ipv6.routing.type.crh mipv6 ah tcp udp sctp icmp icmpv6 igmp vxlan geneve gre gtp quic arp llc data";

/// Packets stand alone, and nothing is guessed of a datagram but QUIC.
const PREFERENCES: [&str; 10] = [
    "ip.defragment:FALSE",
    "ipv6.defragment:FALSE",
    "ipv6.exthdr_under_root_protocol_tree:TRUE",
    "tcp.desegment_tcp_streams:FALSE",
    "tcp.analyze_sequence_numbers:FALSE",
    "sctp.reassembly:FALSE",
    "gtp.track_gtp_session:FALSE",
    "quic.reassemble_crypto_out_of_order:FALSE",
    "udp.try_heuristic_first:FALSE",
    "eth.fcs:Never",
];

/// Checksums are looked at.
const CHECKSUMS: [&str; 3] = ["ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE"];

/// tshark with a configuration of its own.
pub(crate) struct Tshark {
    configuration: TempDir,
}

impl Tshark {
    pub(crate) fn new() -> Self {
        let configuration = TempDir::new().unwrap();
        let listed = tshark(configuration.path()).args(["-G", "protocols"]).output();
        let listed = listed.unwrap_or_else(|error| {
            panic!("this test compares with tshark, which cannot be run ({error}); `cargo xtask setup` installs it, or `apt-get install tshark`")
        });
        assert!(listed.status.success(), "tshark -G protocols: {}", String::from_utf8_lossy(&listed.stderr));
        // A protocol a line: its name, a short name, the name by which it is disabled.
        let listed = String::from_utf8_lossy(&listed.stdout);
        let names = listed.lines().filter_map(|line| line.split('\t').nth(2));
        let kept: Vec<&str> = PROTOCOLS.split_whitespace().collect();
        let disabled: Vec<&str> =
            names.filter(|name| !kept.contains(name) && !name.starts_with("_ws")).collect();
        assert!(disabled.len() > 500, "tshark lists {} protocols", disabled.len());
        fs::write(configuration.path().join("disabled_protos"), disabled.join("\n") + "\n").unwrap();
        Self { configuration }
    }

    /// The layers of each of these frames.
    pub(crate) fn dissect(&self, frames: &[Vec<u8>]) -> Vec<Tree> {
        let packets: Tree = serde_json::from_str(&self.read(frames, &["-T", "json"])).unwrap();
        let layers = |packet: &Tree| packet.entry("_source")?.entry("layers").cloned();
        let layers: Vec<Tree> = packets.entries().iter().filter_map(|(_, packet)| layers(packet)).collect();
        assert_eq!(layers.len(), frames.len(), "packets that tshark has read");
        layers
    }

    /// What these fields have in each of these frames, outermost first, where checksums are verified.
    pub(crate) fn verify<'n>(
        &self,
        frames: &[Vec<u8>],
        fields: &[&'n str],
    ) -> Vec<BTreeMap<&'n str, Vec<String>>> {
        let mut more = vec!["-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=,"];
        more.extend(CHECKSUMS.iter().flat_map(|preference| ["-o", preference]));
        more.extend(fields.iter().flat_map(|field| ["-e", field]));
        let values = |text: &str| text.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect();
        let line = |line: &str| fields.iter().copied().zip(line.split('\t').map(values)).collect();
        let said: Vec<_> = self.read(frames, &more).lines().map(line).collect();
        assert_eq!(said.len(), frames.len(), "packets that tshark has read");
        said
    }

    /// What tshark says of these frames when it is run with these options more.
    fn read(&self, frames: &[Vec<u8>], more: &[&str]) -> String {
        let capture = self.configuration.path().join("frames.pcap");
        fs::write(&capture, pcap(frames.iter().map(Vec::as_slice))).unwrap();
        let mut command = tshark(self.configuration.path());
        command.arg("-n").arg("-r").arg(&capture).args(more);
        command.args(PREFERENCES.iter().flat_map(|preference| ["-o", preference]));
        let said = command.output().unwrap();
        assert!(said.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said.stderr));
        // What cannot be printed is in texts that nobody compares.
        String::from_utf8_lossy(&said.stdout).into_owned()
    }
}

fn tshark(configuration: &Path) -> Command {
    let mut command = Command::new("tshark");
    command.env("WIRESHARK_CONFIG_DIR", configuration).stdin(Stdio::null());
    command
}
