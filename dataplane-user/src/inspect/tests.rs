//! Traffic of a few kinds, and what is found and proposed.

use keysteer_common::carrier::Carrier;

use super::*;
use crate::policy::{Policy, Target, parse};

#[path = "tunnel_tests.rs"]
mod tunnels;

/// A TCP segment over IPv4 or a datagram, in words.
#[derive(Clone, Copy)]
struct Sent {
    vlan: Option<u16>,
    from: [u8; 4],
    to: [u8; 4],
    dscp: u8,
    ports: (u16, u16),
    /// TCP flags; none: UDP.
    flags: Option<u8>,
}

/// A connection is asked for.
const ASKS: Sent = Sent {
    vlan: None,
    from: [10, 1, 0, 1],
    to: [203, 0, 113, 10],
    dscp: 0,
    ports: (40_000, 443),
    flags: Some(2),
};

impl Sent {
    fn frame(self) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        if let Some(id) = self.vlan {
            frame.extend([0x81, 0]);
            frame.extend(id.to_be_bytes());
        }
        frame.extend([8, 0]);
        let transport = if self.flags.is_some() { 20 } else { 8 };
        frame.extend([0x45, self.dscp << 2, 0, 20 + transport, 0, 0, 0, 0, 64]);
        frame.extend([if self.flags.is_some() { 6 } else { 17 }, 0, 0]);
        frame.extend(self.from);
        frame.extend(self.to);
        frame.extend(self.ports.0.to_be_bytes());
        frame.extend(self.ports.1.to_be_bytes());
        match self.flags {
            Some(flags) => frame.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 0, 9, 0, 0, 0, 0]),
            None => frame.extend([0, 8, 0, 0]),
        }
        frame
    }

    fn answer(self) -> Self {
        let flags = self.flags.map(|flags| flags | 0x10);
        Self { from: self.to, to: self.from, ports: (self.ports.1, self.ports.0), flags, ..self }
    }
}

fn inspect(frames: impl IntoIterator<Item = Vec<u8>>) -> Inspection {
    let mut inspection = Inspection::default();
    inspection.begin("c.pcap");
    for (number, mut frame) in (1..).zip(frames) {
        inspection.packet(&mut Packet { number, frame: &mut frame, missing: 0 });
    }
    inspection
}

/// The proposed policy of traffic, which is valid and has nothing to warn of.
fn proposed(report: &Report) -> Policy {
    let text = &report.proposal.policy;
    let policy = parse(text, "starter", None).unwrap_or_else(|error| panic!("{text}\n{error}"));
    assert_eq!(policy.warnings, [], "{text}");
    assert_eq!(policy.mode, crate::policy::Mode::Observe);
    assert!(policy.shards.iter().all(|shard| shard.target == Target::Pass));
    policy
}

fn of(report: &Report, carrier: Carrier) -> &Carried {
    report
        .carriers
        .iter()
        .find(|row| row.carrier == carrier.name() && row.option.is_none())
        .expect("every carrier")
}

fn fields(policy: &Policy) -> Vec<(&str, Carrier, bool)> {
    let fields = policy.schemas[0].fields.iter();
    fields.map(|field| (field.name.as_str(), field.carrier, field.table.is_some())).collect()
}

/// A connection from each of four tenants to a service, and its answer.
fn tenants() -> impl Iterator<Item = Vec<u8>> {
    (0..40_u8).flat_map(|n| {
        let asks = Sent { from: [10, n % 4, 0, n], ports: (40_000 + u16::from(n), 443), ..ASKS };
        [asks.frame(), asks.answer().frame()]
    })
}

#[test]
fn carriers_are_counted_with_what_they_lack_and_how_even_they_are() {
    let arp = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 3], &[8, 6], &[0; 28]].concat();
    let report = inspect(tenants().chain([arp, vec![1, 2, 3]])).report();
    assert_eq!((report.packets, report.ip, report.malformed, report.asking), (82, 80, 0, 40));
    assert_eq!(report.captures, ["c.pcap"]);
    let mac = of(&report, Carrier::EthernetSrc);
    assert_eq!((mac.packets, mac.values, mac.lacking), (81, 2, 0.0122));
    let source = of(&report, Carrier::IpSrc);
    assert_eq!((source.packets, source.values, source.estimated), (80, 41, false));
    assert_eq!(
        (source.top[0].value.as_str(), source.top[0].packets, source.top[0].share),
        ("203.0.113.10", 40, 0.5)
    );
    // Half of it one value, half of it forty: 1 bit for which half, and half of log2 40.
    assert_eq!(source.entropy_bits, Some(3.66));
    assert_eq!(of(&report, Carrier::VlanId).lacking, 1.0);
    assert_eq!(of(&report, Carrier::VlanId).entropy_bits, None);
    let dscp = of(&report, Carrier::IpDscp);
    assert_eq!((dscp.packets, dscp.values, dscp.effective_values), (80, 1, Some(1.0)));
    assert_eq!(of(&report, Carrier::Ipv6Src).packets, 0);
    assert_eq!(of(&report, Carrier::EthernetType).top[0].value, "0x0800");
    let [service] = &report.services[..] else { panic!("{:?}", report.services) };
    assert_eq!((service.address.as_str(), service.service.as_str()), ("203.0.113.10", "tcp/443"));
    assert_eq!((service.packets, service.bytes, service.flows), (40, 40 * 54, 40));
}

#[test]
fn tenants_are_told_apart_by_the_widest_networks() {
    let report = inspect(tenants()).report();
    let policy = proposed(&report);
    assert_eq!(fields(&policy), [("tenant", Carrier::IpSrc, true)]);
    let table = &policy.tables[0];
    let networks: Vec<String> = table.prefixes.iter().map(|(network, _)| network.to_string()).collect();
    assert_eq!(networks, ["10.0.0.0/16", "10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"]);
    assert_eq!(policy.keys.len(), 4);
    let [ours] = &policy.scope[..] else { panic!("{:?}", policy.scope) };
    assert_eq!(ours.prefix.to_string(), "203.0.113.10/32");
    assert_eq!(report.proposal.because[1], "tenant: ip.src through a prefix table: 4 networks ask");
}

/// One stranger from far away does not hide that the rest are several.
#[test]
fn a_network_with_most_of_the_packets_is_divided() {
    let stranger = Sent { from: [198, 51, 100, 7], ..ASKS }.frame();
    let policy = proposed(&inspect(tenants().chain([stranger])).report());
    let networks: Vec<String> =
        policy.tables[0].prefixes.iter().map(|(network, _)| network.to_string()).collect();
    assert_eq!(networks, ["10.0.0.0/16", "10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16", "198.0.0.0/8"]);
    // Hosts are not tenants: two of one network stay together.
    let hosts = (0..50_u8).map(|n| Sent { from: [10, 1, 0, n % 2], ..ASKS }.frame());
    let far = (0..2_u8).map(|n| Sent { from: [10, 2, 0, n], ..ASKS }.frame());
    let policy = proposed(&inspect(hosts.chain(far)).report());
    assert_eq!(policy.keys.len(), 2);
}

#[test]
fn vlans_come_first_where_nearly_everything_is_tagged() {
    let tagged = |tagged: u8| {
        let frame = move |n: u8| Sent {
            vlan: (n < tagged).then_some(100 + u16::from(n % 3)),
            from: [10, n, 0, 1],
            ..ASKS
        };
        inspect((0..100).map(move |n| frame(n).frame())).report()
    };
    let policy = proposed(&tagged(96));
    assert_eq!(fields(&policy), [("tenant", Carrier::VlanId, false)]);
    assert_eq!(policy.keys.iter().map(|key| key.key).collect::<Vec<_>>(), [100, 101, 102]);
    assert_eq!(fields(&proposed(&tagged(90)))[0].1, Carrier::IpSrc);
}

#[test]
fn one_network_that_asks_several_services_is_told_apart_by_them() {
    let frames = (0..60_u8)
        .map(|n| Sent { to: [203, 0, 113, 10 + n % 3], ports: (40_000 + u16::from(n), 443), ..ASKS }.frame());
    let report = inspect(frames).report();
    let policy = proposed(&report);
    assert_eq!(fields(&policy), [("tenant", Carrier::IpDst, true)]);
    assert_eq!(policy.keys.len(), 3);
    assert_eq!(report.proposal.because[1], "tenant: ip.dst through a prefix table: 3 networks are asked");
    // One of each is one tenant so far.
    let one = inspect([ASKS.frame()]).report();
    assert_eq!(fields(&proposed(&one)), [("tenant", Carrier::IpSrc, true)]);
    assert!(one.proposal.because[1].ends_with("one network asks, so there is one tenant so far"));
}

#[test]
fn a_product_takes_a_few_values_none_of_them_nearly_always() {
    let by = |change: fn(u8) -> Sent| proposed(&inspect((0..100).map(move |n| change(n).frame())).report());
    let tenant = ("tenant", Carrier::IpSrc, true);
    let dscp = by(|n| Sent { dscp: n % 3, from: [10, n % 2, 0, 1], ..ASKS });
    assert_eq!(fields(&dscp), [tenant, ("product", Carrier::IpDscp, false)]);
    assert_eq!(dscp.schemas[0].levels, [vec![0, 1], vec![0]]);
    let port = by(|n| Sent { ports: (40_000, 443 + u16::from(n % 2)), from: [10, n % 2, 0, 1], ..ASKS });
    assert_eq!(fields(&port), [tenant, ("product", Carrier::L4DstPort, false)]);
    let [ours] = &port.scope[..] else { panic!("{:?}", port.scope) };
    // tcp/443 and tcp/444 are one range to the checker.
    assert_eq!(ours.services.len(), 1);
    let rarely = by(|n| Sent { dscp: u8::from(n == 7), from: [10, n % 2, 0, 1], ..ASKS });
    assert_eq!(fields(&rarely), [tenant]);
}

#[test]
fn a_proposal_is_bounded() {
    let frames = (0..3_000_u16).map(|n| {
        let [a, b] = n.to_be_bytes();
        Sent {
            from: [a * 16 + b / 16, 1, b, 1],
            to: [203, 0, b % 40, 1],
            ports: (40_000, 400 + n % 60),
            ..ASKS
        }
        .frame()
    });
    let policy = proposed(&inspect(frames).report());
    assert_eq!((policy.keys.len(), policy.tables[0].prefixes.len()), (16, 16));
    assert!(policy.scope.len() <= 16, "{}", policy.scope.len());
}

#[test]
fn something_valid_is_proposed_whatever_there_is() {
    let arp = |vlan: bool| {
        let tag: &[u8] = if vlan { &[0x81, 0, 0, 200] } else { &[] };
        [&[0xff; 6][..], &[2, 0, 0, 0, 0, 3], tag, &[8, 6], &[0; 28]].concat()
    };
    let nothing = inspect([arp(false)]).report();
    assert_eq!(fields(&proposed(&nothing)), [("tenant", Carrier::IpDscp, false)]);
    assert!(nothing.proposal.because[0].contains("no packet was recognised"));
    let tagged = proposed(&inspect([arp(true)]).report());
    assert_eq!((fields(&tagged), tagged.keys[0].key), (vec![("tenant", Carrier::VlanId, false)], 200));
    proposed(&inspect([vec![], vec![0; 14]]).report());
    // A protocol that no scope can name, and what is sent to many.
    let mut strange = ASKS.frame();
    strange[23] = 99;
    let report = inspect([strange]).report();
    assert_eq!(report.services[0].service, "protocol 99");
    assert_eq!(proposed(&report).scope[0].services, []);
    let multicast = inspect([Sent { to: [239, 1, 2, 3], flags: None, ..ASKS }.frame()]).report();
    assert_eq!((multicast.ip, multicast.asking), (1, 0));
    proposed(&multicast);
}

#[test]
fn what_is_broken_or_cut_is_counted_and_never_asks() {
    let mut broken = ASKS.frame();
    broken[17] = 200;
    let mut inspection = inspect([broken, ASKS.frame()]);
    inspection.packet(&mut Packet { number: 3, frame: &mut ASKS.frame()[..40], missing: 14 });
    let report = inspection.report();
    assert_eq!((report.packets, report.malformed, report.cut_short, report.asking), (3, 2, 1, 1));
}

/// Every address another: counted in bounded memory, and told to be an estimate.
#[test]
fn many_values_are_told_to_be_estimates() {
    let frames = (0..40_000_u32).map(|n| {
        let [_, b, c, d] = n.to_be_bytes();
        Sent { from: [10, b, c, d], ..ASKS }.frame()
    });
    let report = inspect(frames).report();
    let source = of(&report, Carrier::IpSrc);
    assert!(source.estimated && source.entropy_bits.is_none());
    assert!((39_000..41_000).contains(&source.values), "{}", source.values);
    assert!(!of(&report, Carrier::IpDst).estimated);
    proposed(&report);
}
