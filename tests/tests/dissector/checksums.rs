//! Packets that the kernel has translated, as the dissector sees them: every checksum is right, and every address, those that ICMP errors
//! quote too, is the pod's on the way in and the service's on the way out.

use std::collections::BTreeMap;
use std::net::IpAddr;

use keysteer::image::Image;
use keysteer::kernel::Dataplane;
use keysteer_common::forward::Action;
use keysteer_common::look::headers_of;
use keysteer_common::nat::Way;
use keysteer_common::program::Hook;
use keysteer_common::slice::Frame;
use keysteer_tests::frames::{ACK, Packet, Transport};
use keysteer_tests::lab::lab;
use keysteer_tests::pair::hex;

use crate::tshark::Tshark;

/// The policy whose shards are reached by translation.
const POLICY: &str = include_str!("../../src/differential/policies/translated.yaml");
/// The service, by family.
const SERVICE: [&str; 2] = ["203.0.113.10", "2001:db8:10::1"];
/// The pods by the last octet of their MAC address, by family.
const PODS: [(u8, [&str; 2]); 2] = [(0x0a, ["10.244.1.7", "fd00:1::7"]), (0x0b, ["10.244.2.9", "fd00:2::9"])];
/// A router on the way, which sends errors.
const ROUTER: [&str; 2] = ["198.51.100.7", "2001:db8:99::7"];
/// Clients of a tenant: enough to be spread over every shard that is asked for.
const CLIENTS: u8 = 6;

/// The checksums that the dissector is asked about.
const STATUSES: [&str; 5] = [
    "ip.checksum.status",
    "tcp.checksum.status",
    "udp.checksum.status",
    "icmp.checksum.status",
    "icmpv6.checksum.status",
];
/// What it says of one: as it should be.
const GOOD: &str = "1";
/// It is wrong.
const BAD: &str = "0";
/// Not looked at: of a quote that has been cut off.
const UNVERIFIED: &str = "2";
/// There is none: UDP of IPv4 may go without.
const ABSENT: &str = "3";

/// A packet, and what must be found.
struct Sample {
    name: String,
    frame: Vec<u8>,
    /// Of the packet and of what it quotes: source and destination.
    addresses: Vec<(IpAddr, IpAddr)>,
    /// Of the packet and of what it quotes: the checksum of the transport.
    sums: Vec<(&'static str, &'static [&'static str])>,
}

/// A packet before it is translated.
struct Plan {
    name: String,
    packet: Packet,
    /// Whether it is sent without a checksum.
    unsummed: bool,
    sums: Vec<(&'static str, &'static [&'static str])>,
}

impl Plan {
    fn bytes(&self) -> Vec<u8> {
        let mut frame = self.packet.bytes();
        if self.unsummed {
            let headers = headers_of(&Frame::new(&mut frame, 1));
            let at = usize::from(headers.l4) + 6;
            frame[at..at + 2].fill(0);
        }
        frame
    }

    fn quotes(&self) -> bool {
        matches!(self.packet.transport, Transport::Error(..))
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// What may be between the headers.
fn dresses(packet: &Packet) -> Vec<(&'static str, Packet)> {
    let with = |change: fn(&mut Packet)| {
        let mut packet = packet.clone();
        change(&mut packet);
        packet
    };
    vec![
        ("plain", packet.clone()),
        ("tagged", with(|packet| packet.tags = vec![(0x8100, 7)])),
        ("tagged twice", with(|packet| packet.tags = vec![(0x88a8, 7), (0x8100, 8)])),
        (
            "with options",
            with(|packet| {
                // Hop-by-hop and destination options; of IPv4 two words.
                packet.options = 2;
                if packet.source.is_ipv6() {
                    packet.extensions = vec![(0, 0), (60, 1)];
                }
            }),
        ),
        ("of odd length", with(|packet| packet.payload = 33)),
    ]
}

/// Questions of a client to `at`, or the answers to them, with errors about either from `router`.
fn plans(client: IpAddr, at: IpAddr, way: Way, router: IpAddr) -> Vec<Plan> {
    let v4 = at.is_ipv4();
    let (echo, icmp) = if v4 { (8, "icmp.checksum.status") } else { (128, "icmpv6.checksum.status") };
    let mut plans = Vec::new();
    for (transport, sum, port) in [
        (Transport::Tcp(ACK), "tcp.checksum.status", 443),
        (Transport::Udp, "udp.checksum.status", 1_500),
        (Transport::Icmp(echo), icmp, 0),
    ] {
        let question = Packet {
            transport: transport.clone(),
            ports: (40_001, port),
            payload: 64,
            ecn: 1,
            ..Packet::new(client, at)
        };
        for (dress, question) in dresses(&question) {
            let packet = if way == Way::In { question } else { question.turned() };
            let name = format!("{way:?}, {dress}, {transport:?}, {} > {}", packet.source, packet.destination);
            let plan = |name, packet, unsummed, sums| Plan { name, packet, unsummed, sums };
            plans.push(plan(name.clone(), packet.clone(), false, vec![(sum, &[GOOD])]));
            if transport == Transport::Udp && v4 {
                plans.push(plan(
                    format!("{name}, no checksum"),
                    packet.clone(),
                    true,
                    vec![(sum, &[ABSENT])],
                ));
            }
            if sum == icmp {
                continue;
            }
            for kind in if v4 { [3, 11] } else { [1, 2] } {
                for kept in [None, Some(8)] {
                    let mut error = Packet { payload: 0, ..packet.error(router, kind) };
                    if let Transport::Error(_, quoted) = &mut error.transport {
                        quoted.kept = kept;
                    }
                    let quoted: &[&str] = if kept.is_some() { &[UNVERIFIED, ""] } else { &[GOOD] };
                    let name = format!("{name}, error {kind}, quote {kept:?}");
                    plans.push(plan(name, error, false, vec![(icmp, &[GOOD]), (sum, quoted)]));
                }
            }
        }
    }
    plans
}

/// The frame that leaves the kernel's program.
fn through(kernel: &Dataplane, hook: Hook, plan: &Plan) -> (Option<Action>, Vec<u8>) {
    kernel.forward_run_at(hook, &plan.bytes(), 0).unwrap_or_else(|error| panic!("{}: {error}", plan.name))
}

/// Packets to pods, as they are handed to them, and from pods, as they leave.
fn samples() -> Vec<Sample> {
    lab(|lab| {
        let (_, image): (_, Image) = lab.compile(POLICY, "translated").unwrap();
        let xdp = Dataplane::load(&image).unwrap();
        let tc = Dataplane::load(&Image { tc: true, ..image }).unwrap();
        let mut samples = Vec::new();
        for family in 0..2 {
            let [service, router] = [SERVICE, ROUTER].map(|both| address(both[family]));
            for client in 1..=CLIENTS {
                let client = address(&[format!("10.1.0.{client}"), format!("2001:db8:1::{client}")][family]);
                for plan in plans(client, service, Way::In, router) {
                    for (kernel, hook) in [(&xdp, Hook::Xdp), (&tc, Hook::Tc)] {
                        let (action, frame) = through(kernel, hook, &plan);
                        assert_eq!(action, Some(Action::Redirect), "{}", plan.name);
                        // The third shard is a next hop, which is not translated for.
                        let Some((_, pod)) = PODS.iter().find(|(octet, _)| *octet == frame[5]) else {
                            continue;
                        };
                        let pod = address(pod[family]);
                        let sender = plan.packet.source;
                        let mut addresses = vec![(sender, pod)];
                        addresses.extend(plan.quotes().then_some((pod, client)));
                        let name = format!("{hook:?}, {}", plan.name);
                        samples.push(Sample { name, frame, addresses, sums: plan.sums.clone() });
                    }
                }
                for (_, pod) in &PODS {
                    let pod = address(pod[family]);
                    for plan in plans(client, pod, Way::Out, pod) {
                        let (action, frame) = through(&tc, Hook::Back, &plan);
                        assert_eq!(action, Some(Action::Pass), "{}", plan.name);
                        let mut addresses = vec![(service, client)];
                        addresses.extend(plan.quotes().then_some((client, service)));
                        samples.push(Sample { name: plan.name, frame, addresses, sums: plan.sums });
                    }
                }
            }
        }
        samples
    })
}

/// What is wrong with a sample by what the dissector reads of it.
fn wrong(sample: &Sample, said: &BTreeMap<&str, Vec<String>>) -> Option<String> {
    let prefix = if sample.addresses[0].0.is_ipv4() { "ip" } else { "ipv6" };
    let read =
        |field: &str| said[format!("{prefix}.{field}").as_str()].iter().map(|it| address(it)).collect();
    let (sources, destinations): (Vec<IpAddr>, Vec<IpAddr>) = (read("src"), read("dst"));
    let addresses: Vec<_> = sources.into_iter().zip(destinations).collect();
    if addresses != sample.addresses {
        return Some(format!("{addresses:?} instead of {:?}", sample.addresses));
    }
    let headers = &said["ip.checksum.status"];
    let of_ip = if prefix == "ip" { sample.addresses.len() } else { 0 };
    if headers.len() != of_ip || headers.iter().any(|status| status != GOOD) {
        return Some(format!("IP headers {headers:?}"));
    }
    for (field, allowed) in &sample.sums {
        let status = said[field].join(",");
        if !allowed.contains(&status.as_str()) {
            return Some(format!("{field} {status:?}"));
        }
    }
    None
}

#[test]
fn every_checksum_of_what_the_kernel_translates_is_good_to_the_dissector() {
    let samples = samples();
    let frames: Vec<Vec<u8>> = samples.iter().map(|sample| sample.frame.clone()).collect();
    let fields = [&STATUSES[..], &["ip.src", "ip.dst", "ipv6.src", "ipv6.dst"]].concat();
    let said = Tshark::new().verify(&frames, &fields);
    let differences: Vec<String> = samples
        .iter()
        .zip(&said)
        .filter_map(|(sample, said)| {
            let what = wrong(sample, said)?;
            Some(format!("{}: {what}: {}", sample.name, hex(&sample.frame)))
        })
        .collect();
    let shown = differences.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} of {} packets:\n{shown}", differences.len(), samples.len());
    for hook in ["Xdp", "Tc", "Out"] {
        let number = samples.iter().filter(|sample| sample.name.starts_with(hook)).count();
        println!("{hook}: {number} packets");
        assert!(number > 200, "{hook}: {number} packets");
    }
}

/// The dissector's word is worth something: where an address changes, and no checksum with it, it says so, of every packet.
#[test]
fn a_checksum_that_is_left_alone_is_bad_to_the_dissector() {
    let mut left_alone = Vec::new();
    for family in 0..2 {
        let [service, router, client] =
            [SERVICE[family], ROUTER[family], ["10.1.0.1", "2001:db8:1::1"][family]].map(address);
        let (header, source, length) = if family == 0 { (20, 12, 4) } else { (40, 8, 16) };
        for plan in plans(client, service, Way::In, router).into_iter().filter(|plan| !plan.unsummed) {
            let mut frame = plan.bytes();
            let l3 = usize::from(headers_of(&Frame::new(&mut frame, 1)).l3);
            // The last bytes of the destination; of an error those of the quoted source.
            let end =
                if plan.quotes() { l3 + header + 8 + source + length } else { l3 + source + 2 * length };
            frame[end - 2] ^= 0x40;
            left_alone.push((plan, family, frame));
        }
    }
    let frames: Vec<Vec<u8>> = left_alone.iter().map(|(.., frame)| frame.clone()).collect();
    let said = Tshark::new().verify(&frames, &STATUSES);
    assert!(said.len() > 50, "{} packets", said.len());
    for ((plan, family, _), said) in left_alone.iter().zip(&said) {
        if *family == 0 {
            let changed = said["ip.checksum.status"].last().map(String::as_str);
            assert_eq!(changed, Some(BAD), "{}", plan.name);
        }
        let (sum, _) = plan.sums[0];
        // ICMP of IPv4 does not cover the addresses of its own packet.
        let wanted = if sum == "icmp.checksum.status" && !plan.quotes() { GOOD } else { BAD };
        assert_eq!(said[sum], [wanted], "{}: {sum}", plan.name);
    }
}
