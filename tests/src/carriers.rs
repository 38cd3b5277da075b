//! Packets with every carrier, whole and damaged: what `tests/captures/carriers-*.pcap` hold, so that another
//! project's dissector and both engines read the same bytes. Everything follows from a seed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::dice::Dice;
use crate::frames::{
    ACK, AUTHENTICATION, FRAGMENT, GeneveOption, Gtpu, Header, Inside, Nsh, Packet, Quic, ROUTING, SYN,
    Transport, Tunnel,
};

/// The class and type of the Geneve option that packets have, and fields may be read from.
pub const GENEVE_OPTION: (u16, u8) = (0x0102, 3);
/// The TCP option likewise: its kind is for experiments, and this is the experiment's id (RFC 6994).
pub const TCP_OPTION: (u8, u16) = (253, 0x1234);
/// A TCP option of a kind that has no experiments, and no meaning (it is reserved).
pub const TCP_OPTION_PLAIN: u8 = 200;
/// How many bytes the destination connection id of a QUIC short header has.
pub const SHORT_HEADER: usize = 8;
/// Where the datagrams with a signed shim go.
pub const SHIM_PORT: u16 = 7777;
/// How often each shape is made, with other values.
const TIMES: usize = 3;

/// The captures: a file's name, and its frames.
pub fn captures() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let mut dice = Dice::new(6);
    let mut sets = Vec::new();
    type Shapes = fn(&mut Dice) -> Vec<Packet>;
    let kinds: [(&str, Shapes); 6] = [
        ("carriers-link.pcap", links),
        ("carriers-tunnel.pcap", tunnels),
        ("carriers-transport.pcap", transports),
        ("carriers-quic.pcap", conversation),
        ("carriers-error.pcap", errors),
        ("carriers-fragment.pcap", fragments),
    ];
    for (name, shapes) in kinds {
        let packets: Vec<Packet> = (0..TIMES).flat_map(|_| shapes(&mut dice)).collect();
        sets.push((name, packets.iter().map(Packet::bytes).collect::<Vec<_>>()));
    }
    let whole: Vec<Vec<u8>> = sets.iter().flat_map(|(_, frames)| frames).step_by(2).cloned().collect();
    let damaged = whole.into_iter().map(|frame| damage(frame, &mut dice)).collect();
    sets.push(("carriers-damaged.pcap", damaged));
    sets
}

/// Cuts a frame's end off, or flips one bit of its headers.
fn damage(mut frame: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    // A frame has an Ethernet header at least.
    if dice.once_in(2) {
        frame.truncate(14 + dice.below(frame.len() - 14));
    } else {
        let at = 12 + dice.below(frame.len().min(110) - 12);
        frame[at] ^= 1 << dice.below(8);
    }
    frame
}

/// An address of a tenant's, or of the service; of either family.
fn address(service: bool, four: bool, dice: &mut Dice) -> IpAddr {
    let any = dice.wide();
    match (four, service) {
        (true, false) => Ipv4Addr::from_bits(0x0a01_0000 | any as u32 & 0x3_ffff).into(),
        (true, true) => Ipv4Addr::from_bits(0xcb00_7100 | any as u32 & 0xff).into(),
        (false, false) => Ipv6Addr::from_bits(0x2001_0db8_0001 << 80 | any >> 48).into(),
        (false, true) => Ipv6Addr::from_bits(0x2001_0db8_0010 << 80 | any >> 48).into(),
    }
}

/// A packet with nothing special about it: of a family, or of any.
fn plain(four: Option<bool>, dice: &mut Dice) -> Packet {
    let four = four.unwrap_or_else(|| dice.once_in(2));
    let transport = match dice.below(8) {
        0 => Transport::Sctp,
        1 => Transport::Icmp(if four { 8 } else { 128 }),
        2..5 => Transport::Tcp(dice.one([SYN, ACK])),
        _ => Transport::Udp,
    };
    Packet {
        macs: [[2, 0, 0, 1, 0, dice.any() as u8], [2, 0, 0, 2, 0, dice.any() as u8]],
        dscp: dice.below(64) as u8,
        label: dice.any() as u32 & 0xf_ffff,
        // No port that a dissector or we know for something else.
        ports: (40_000 + dice.below(9_000) as u16, 20_000 + dice.below(9_000) as u16),
        payload: 4 + 4 * dice.below(6),
        transport,
        ..Packet::new(address(false, four, dice), address(true, four, dice))
    }
}

/// A packet that carries a tunnel.
fn around(four: bool, header: Header, inside: Inside, dice: &mut Dice) -> Packet {
    let mut packet = Packet { payload: 0, ..plain(Some(four), dice) };
    packet.carry(Tunnel { header, inside });
    packet
}

fn links(dice: &mut Dice) -> Vec<Packet> {
    let tag = |dice: &mut Dice| dice.any() as u16;
    let label = |dice: &mut Dice| 16 + dice.below(0xf_ffe0) as u32;
    let mut packets = Vec::new();
    for four in [true, false] {
        for types in [&[0x8100][..], &[0x88a8], &[0x88a8, 0x8100], &[0x8100, 0x8100]] {
            let tags = types.iter().map(|kind| (*kind, tag(dice))).collect();
            packets.push(Packet { tags, ..plain(Some(four), dice) });
        }
        for depth in 1..=4 {
            let labels = (0..depth).map(|_| label(dice)).collect();
            packets.push(Packet { labels, ..plain(Some(four), dice) });
        }
        let behind = Packet { labels: vec![label(dice)], ..plain(Some(four), dice) };
        packets.push(Packet { tags: vec![(0x8100, tag(dice))], ..behind });
        packets.push(Packet { nsh: Some(nsh(dice)), ..plain(Some(four), dice) });
        packets.push(Packet {
            tags: vec![(0x8100, tag(dice))],
            nsh: Some(nsh(dice)),
            ..plain(Some(four), dice)
        });
    }
    packets
}

fn nsh(dice: &mut Dice) -> Nsh {
    Nsh { spi: dice.any() as u32 & 0xff_ffff, index: dice.any() as u8, context: dice.wide() }
}

/// The headers that tunnels may have.
fn headers(dice: &mut Dice) -> Vec<Header> {
    let vni = |dice: &mut Dice| dice.any() as u32 & 0xff_ffff;
    let key = |dice: &mut Dice| dice.any() as u32;
    let mut headers = vec![
        Header::Vxlan { vni: vni(dice), policy: None },
        Header::Vxlan { vni: vni(dice), policy: Some(dice.any() as u16) },
        Header::Geneve { vni: vni(dice), options: Vec::new() },
        Header::Ip,
    ];
    for before in 0..3 {
        headers.push(Header::Geneve { vni: vni(dice), options: geneve_options(before, dice) });
    }
    for bits in 0..8 {
        headers.push(Header::Gre {
            checksum: bits & 1 != 0,
            key: (bits & 2 != 0).then(|| key(dice)),
            sequence: (bits & 4 != 0).then(|| key(dice)),
        });
    }
    for (sequence, extensions) in [(None, 0), (Some(7), 0), (None, 1), (Some(8), 2), (None, 3)] {
        headers.push(Header::Gtpu(Gtpu { teid: key(dice), sequence, extensions: extensions_of(extensions) }));
    }
    headers
}

/// Options of which ours comes behind so many others.
pub(crate) fn geneve_options(before: usize, dice: &mut Dice) -> Vec<GeneveOption> {
    let (class, kind) = GENEVE_OPTION;
    let mut data = |length: usize| (0..length).map(|_| dice.any() as u8).collect::<Vec<u8>>();
    let other = GeneveOption { class, kind: kind + 1, data: data(4) };
    let alike = GeneveOption { class: class + 1, kind, data: data(12) };
    let empty = GeneveOption { class: 0x0103, kind: 0x80, data: Vec::new() };
    let ours = GeneveOption { class, kind, data: data(8) };
    [other, empty, alike].into_iter().take(before).chain([ours]).collect()
}

/// Extension headers of GTP-U: a PDU session container (3GPP TS 38.415), a UDP port, a PDCP number.
pub(crate) fn extensions_of(number: usize) -> Vec<(u8, Vec<u8>)> {
    [(0x85, vec![0x10, 9]), (0x40, vec![0x12, 0x34]), (0xc0, vec![0, 5])].into_iter().take(number).collect()
}

fn tunnels(dice: &mut Dice) -> Vec<Packet> {
    let mut packets = Vec::new();
    for header in headers(dice) {
        for four in [true, false] {
            let packet = plain(None, dice);
            let inside = match header {
                Header::Vxlan { .. } => Inside::Ethernet(tagged(packet, dice)),
                Header::Gtpu(_) | Header::Ip => Inside::Ip(packet),
                _ => match dice.below(4) {
                    0 => Inside::Ethernet(tagged(packet, dice)),
                    1 => Inside::Nsh(nsh(dice), Box::new(Inside::Ip(packet))),
                    2 => Inside::Nsh(nsh(dice), Box::new(Inside::Ethernet(packet))),
                    _ => Inside::Ip(packet),
                },
            };
            packets.push(around(four, header.clone(), inside, dice));
        }
    }
    // Each family in each.
    for (outer, inner) in [(true, true), (true, false), (false, true), (false, false)] {
        let inside = Inside::Ip(plain(Some(inner), dice));
        packets.push(around(outer, Header::Ip, inside, dice));
    }
    // Behind tags, labels, options, extension headers; around a tunnel; around what is no IP.
    let vxlan = Header::Vxlan { vni: 77, policy: None };
    let inner = Inside::Ethernet(plain(None, dice));
    let all = around(false, vxlan.clone(), inner, dice);
    packets.push(Packet { tags: vec![(0x8100, 300)], options: 3, extensions: vec![(0, 0), (60, 1)], ..all });
    let inner = Inside::Ethernet(plain(None, dice));
    packets.push(Packet { labels: vec![99_999], options: 3, ..around(true, vxlan.clone(), inner, dice) });
    let nested = around(true, vxlan.clone(), Inside::Ethernet(plain(None, dice)), dice);
    packets.push(around(true, vxlan, Inside::Ethernet(nested), dice));
    let nested = around(true, Header::Ip, Inside::Ip(plain(None, dice)), dice);
    packets.push(around(false, Header::Gtpu(Gtpu { teid: 5, ..Gtpu::default() }), Inside::Ip(nested), dice));
    let gre = Header::Gre { checksum: false, key: Some(0xfeed_beef), sequence: None };
    packets.push(around(true, gre, Inside::Other(0x0806, vec![0; 28]), dice));
    packets
}

fn tagged(packet: Packet, dice: &mut Dice) -> Packet {
    let tags = if dice.once_in(4) { vec![(0x8100, dice.any() as u16)] } else { Vec::new() };
    Packet { tags, ..packet }
}

fn transports(dice: &mut Dice) -> Vec<Packet> {
    let mut packets = Vec::new();
    for four in [true, false] {
        for before in 0..4 {
            let transport = Transport::Tcp(dice.one([SYN, ACK]));
            let tcp_options = tcp_options(before, dice);
            packets.push(Packet { transport, tcp_options, ..plain(Some(four), dice) });
        }
        let shim = Packet { transport: Transport::Datagram(shim(dice)), ..plain(Some(four), dice) };
        packets.push(Packet { ports: (shim.ports.0, SHIM_PORT), ..shim });
        packets.push(Packet { options: 1 + dice.below(10) as u8, ..plain(Some(four), dice) });
    }
    for chain in
        [&[(0, 0)][..], &[(60, 2)], &[(0, 1), (60, 0)], &[(AUTHENTICATION, 4)], &[(0, 0), (ROUTING, 0)]]
    {
        packets.push(Packet { extensions: chain.to_vec(), ..plain(Some(false), dice) });
    }
    for number in 1..=3 {
        for left in [0, number - 1] {
            packets.push(routed(plain(Some(false), dice), number, left, dice));
        }
    }
    let inner = Inside::Ip(plain(None, dice));
    let steered = around(false, Header::Ip, inner, dice);
    packets.push(routed(steered, 2, 1, dice));
    packets
}

/// A packet behind a segment routing header, on its way to the active segment.
fn routed(packet: Packet, number: u8, left: u8, dice: &mut Dice) -> Packet {
    let segments: Vec<Ipv6Addr> = (0..number)
        .map(|_| match address(true, false, dice) {
            IpAddr::V6(segment) => segment,
            IpAddr::V4(segment) => segment.to_ipv6_mapped(),
        })
        .collect();
    let destination = segments.get(usize::from(left)).map_or(packet.destination, |active| (*active).into());
    Packet { segments, segments_left: left, destination, ..packet }
}

/// Options of which ours comes behind so many others.
pub(crate) fn tcp_options(before: usize, dice: &mut Dice) -> Vec<(u8, Vec<u8>)> {
    let (kind, experiment) = TCP_OPTION;
    let ours = [&experiment.to_be_bytes()[..], &(dice.any() as u32).to_be_bytes()].concat();
    let another = vec![0x99, 0x99, 1, 2];
    // A maximum segment size; padding; the same kind with another experiment.
    let others = [(2, vec![5, 0xb4]), (1, Vec::new()), (kind, another)];
    let plain = (TCP_OPTION_PLAIN, (dice.any() as u32).to_be_bytes().to_vec());
    others.into_iter().take(before).chain([(kind, ours), plain]).collect()
}

/// A shim of 24 bytes that nobody has signed.
pub(crate) fn shim(dice: &mut Dice) -> Vec<u8> {
    let mut shim = vec![0x10, dice.any() as u8 & 1, 0, 0, 0, 0, 0, 0];
    shim.extend(dice.any().to_be_bytes());
    shim.extend(dice.any().to_be_bytes());
    shim
}

/// A QUIC client and its server, whose connection ids have [`SHORT_HEADER`] bytes: so the dissector knows how long
/// they are in the short headers behind.
fn conversation(dice: &mut Dice) -> Vec<Packet> {
    let mut packets = Vec::new();
    for four in [true, false] {
        let mut id = |length: usize| (0..length).map(|_| dice.any() as u8).collect::<Vec<u8>>();
        let (first, client, server) = (id(12), id(5), id(SHORT_HEADER));
        let plain = plain(Some(four), dice);
        let ports = (plain.ports.0, 443);
        let plain = Packet { ports, payload: 40, ..plain };
        let with = |packet: Packet, quic| Packet { transport: Transport::Quic(quic), ..packet };
        let long = |to: &[u8], from: &[u8]| Quic { scid: from.to_vec(), ..Quic::long(to) };
        packets.push(with(plain.clone(), long(&first, &client)));
        packets.push(with(plain.turned(), long(&client, &server)));
        packets.push(with(plain.clone(), long(&server, &client)));
        packets.push(with(plain.clone(), Quic::short(&server)));
        packets.push(with(plain.turned(), Quic::short(&client)));
        packets.push(with(plain, Quic::short(&server)));
    }
    packets
}

fn errors(dice: &mut Dice) -> Vec<Packet> {
    let mut about = tunnels(dice);
    about.extend(transports(dice));
    about.extend(conversation(dice));
    // One in five of all shapes, another each time.
    let at = dice.below(5);
    let quoted = about.into_iter().skip(at).step_by(5);
    quoted
        .map(|packet| {
            let four = packet.destination.is_ipv4();
            let kind = if four { dice.one([3, 3, 11, 12]) } else { dice.one([1, 2, 3, 4]) };
            packet.error(address(true, four, dice), kind)
        })
        .collect()
}

fn fragments(dice: &mut Dice) -> Vec<Packet> {
    let mut packets = Vec::new();
    let mut shapes = tunnels(dice);
    shapes.extend(transports(dice));
    shapes.extend(links(dice));
    let at = dice.below(6);
    for packet in shapes.into_iter().skip(at).step_by(6) {
        // What it is a fragment of is longer; the first has the headers.
        let longer = Packet { payload: packet.payload + 40, ..packet };
        let place = dice.one([
            Some((0, true)),
            Some((0, true)),
            Some((40, true)),
            Some((85, false)),
            Some((0, false)),
        ]);
        packets.push(Packet { fragment: place, ..longer });
    }
    // Anywhere among the extension headers; and of no more than the transport header.
    let plain = plain(Some(false), dice);
    let early = vec![(FRAGMENT, 0), (60, 0)];
    packets.push(Packet { fragment: Some((0, true)), extensions: early, ..plain.clone() });
    packets.push(Packet { fragment: Some((0, true)), kept: Some(8), transport: Transport::Udp, ..plain });
    packets
}
