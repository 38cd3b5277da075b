//! The capture of the tour (`docs/tour.pcap`): an afternoon at a small service, made up packet by packet, checksums
//! and all, so that anybody can make it again. What is in it:
//!
//! ```text
//!  acme       10.1.0.0/16, 2001:db8:1::/48   web, and video by UDP with DSCP 34
//!  globex     10.2.0.0/16, 2001:db8:2::/48   few connections, one of them much of the traffic
//!  initech    10.3.0.0/16                    a few connections
//!  umbrella   10.4.0.0/16                    somebody new
//!  nobody     198.51.100.7                   a scan
//!  the host's own: neighbour discovery, and a login to its address
//! ```

use std::net::IpAddr;

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, IpDscp, IpHeaders, IpNumber, Ipv4Header, Ipv6Header,
    PacketBuilder, TcpHeader,
};

/// The service's addresses, by family.
const SERVICE: [&str; 2] = ["203.0.113.10", "2001:db8:10::10"];
/// The hardware addresses of the router in front and of the host.
const ROUTER: [u8; 6] = [2, 0, 0, 0, 0, 1];
const HOST: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// The DSCP of video (AF41).
const VIDEO: u8 = 34;

const SYN: u8 = 2;
const ACK: u8 = 16;
const PUSH: u8 = 8;
const FIN: u8 = 1;

/// Frames and when each was sent, in microseconds.
struct Tape {
    frames: Vec<(u64, Vec<u8>)>,
    now: u64,
}

/// Two ends that talk, the first of which has asked.
#[derive(Clone, Copy)]
struct Talk<'t> {
    client: &'t str,
    server: &'t str,
    ports: (u16, u16),
    dscp: u8,
}

/// The capture, as a pcap file.
///
/// # Panics
/// An address is written wrongly here.
pub fn capture() -> Vec<u8> {
    let mut tape = Tape { frames: Vec::new(), now: 0 };
    tape.neighbours();
    for (number, client) in (0..).zip(["10.1.0.3", "10.1.0.4", "2001:db8:1::3", "10.1.7.9"]) {
        tape.web(Talk::of(client, 40_100 + number), 2);
    }
    tape.web(Talk::of("10.2.0.8", 51_000), 3);
    for (number, client) in (0..).zip(["10.1.0.3", "2001:db8:1::4"]) {
        tape.video(Talk { dscp: VIDEO, ..Talk::of(client, 50_010 + number) }, 9);
    }
    tape.web(Talk::of("10.3.0.5", 45_001), 1);
    tape.web(Talk::of("10.4.0.77", 33_333), 1);
    // Somebody fetches a lot.
    tape.web(Talk::of("10.2.0.8", 51_001), 24);
    tape.scan();
    tape.web(Talk::of("2001:db8:2::8", 51_002), 3);
    tape.web(Talk::of("10.3.0.6", 45_002), 1);
    tape.login();
    tape.web(Talk::of("10.4.0.78", 33_334), 1);
    tape.broken();
    tape.neighbours();
    tape.pcap()
}

impl Talk<'_> {
    /// A client that asks the service from a port.
    fn of(client: &str, port: u16) -> Talk<'_> {
        let server = SERVICE[usize::from(client.contains(':'))];
        Talk { client, server, ports: (port, 443), dscp: 0 }
    }
}

/// An address.
fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// An IP header without a payload's length, which the builder knows.
fn ip(from: &str, to: &str, dscp: u8, protocol: IpNumber) -> IpHeaders {
    match (address(from), address(to)) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut header =
                Ipv4Header::new(0, 64, protocol, from.octets(), to.octets()).expect("an empty payload");
            header.dscp = IpDscp::try_new(dscp).expect("six bits");
            IpHeaders::Ipv4(header, Default::default())
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let header = Ipv6Header {
                traffic_class: dscp << 2,
                hop_limit: 64,
                next_header: protocol,
                source: from.octets(),
                destination: to.octets(),
                ..Default::default()
            };
            IpHeaders::Ipv6(header, Default::default())
        }
        _ => panic!("{from} and {to} are of two families"),
    }
}

impl Tape {
    /// Records a frame, a little later than the last.
    fn frame(&mut self, frame: Vec<u8>) {
        // Irregular, and the same every time.
        self.now += 300 + (self.frames.len() as u64 * 7919) % 1700;
        self.frames.push((self.now, frame));
    }

    /// Time passes.
    fn pause(&mut self) {
        self.now += 250_000;
    }

    /// A segment of `talk`, from the client or to it.
    fn tcp(
        &mut self,
        talk: Talk<'_>,
        asks: bool,
        flags: u8,
        [sequence, acknowledged]: [u32; 2],
        payload: usize,
    ) {
        let Talk { client, server, ports: (client_port, server_port), dscp } = talk;
        let (from, to, macs, ports) = if asks {
            (client, server, [ROUTER, HOST], [client_port, server_port])
        } else {
            (server, client, [HOST, ROUTER], [server_port, client_port])
        };
        let mut header = TcpHeader::new(ports[0], ports[1], sequence, 64_240);
        header.acknowledgment_number = acknowledged;
        (header.syn, header.ack) = (flags & SYN != 0, flags & ACK != 0);
        (header.psh, header.fin) = (flags & PUSH != 0, flags & FIN != 0);
        let builder = PacketBuilder::ethernet2(macs[0], macs[1])
            .ip(ip(from, to, dscp, IpNumber::TCP))
            .tcp_header(header);
        let mut frame = Vec::new();
        builder.write(&mut frame, &vec![b'.'; payload]).expect("a vector takes anything");
        self.frame(frame);
    }

    /// A connection: a request, an answer of so many segments, an end.
    fn web(&mut self, talk: Talk<'_>, segments: u32) {
        let (request, segment) = (180, 320);
        self.pause();
        self.tcp(talk, true, SYN, [1_000, 0], 0);
        self.tcp(talk, false, SYN | ACK, [9_000, 1_001], 0);
        self.tcp(talk, true, ACK, [1_001, 9_001], 0);
        self.tcp(talk, true, PUSH | ACK, [1_001, 9_001], request);
        let mut sent = 9_001;
        for _ in 0..segments {
            self.tcp(talk, false, PUSH | ACK, [sent, 1_181], segment);
            sent += segment as u32;
            self.tcp(talk, true, ACK, [1_181, sent], 0);
        }
        self.tcp(talk, true, FIN | ACK, [1_181, sent], 0);
        self.tcp(talk, false, FIN | ACK, [sent, 1_182], 0);
        self.tcp(talk, true, ACK, [1_182, sent + 1], 0);
    }

    /// Datagrams of `talk`, each third one answered.
    fn video(&mut self, talk: Talk<'_>, datagrams: usize) {
        self.pause();
        let Talk { client, server, ports: (client_port, server_port), dscp } = talk;
        for number in 0..datagrams {
            self.udp(
                [ROUTER, HOST],
                ip(client, server, dscp, IpNumber::UDP),
                (client_port, server_port),
                200,
            );
            if number % 3 == 2 {
                self.udp(
                    [HOST, ROUTER],
                    ip(server, client, dscp, IpNumber::UDP),
                    (server_port, client_port),
                    40,
                );
            }
        }
    }

    fn udp(&mut self, macs: [[u8; 6]; 2], ip: IpHeaders, ports: (u16, u16), payload: usize) {
        let mut frame = Vec::new();
        let builder = PacketBuilder::ethernet2(macs[0], macs[1]).ip(ip).udp(ports.0, ports.1);
        builder.write(&mut frame, &vec![b'v'; payload]).expect("a vector takes anything");
        self.frame(frame);
    }

    /// Connections to the service, one of them to a port where nothing is, that nobody answers.
    fn scan(&mut self) {
        self.pause();
        for (port, to) in [(61_000, 22), (61_001, 443), (61_002, 8_080)] {
            let talk = Talk { ports: (port, to), ..Talk::of("198.51.100.7", port) };
            self.tcp(talk, true, SYN, [77, 0], 0);
        }
    }

    /// An operator logs in to the host itself.
    fn login(&mut self) {
        self.pause();
        let talk = Talk { server: "192.0.2.2", ports: (50_500, 22), ..Talk::of("192.0.2.1", 50_500) };
        self.tcp(talk, true, SYN, [5, 0], 0);
        self.tcp(talk, false, SYN | ACK, [6, 6], 0);
        self.tcp(talk, true, ACK, [6, 7], 0);
    }

    /// A datagram that says it is longer than it is.
    fn broken(&mut self) {
        self.pause();
        let mut frame = Vec::new();
        let ip = ip("10.1.0.4", SERVICE[0], 0, IpNumber::UDP);
        let builder = PacketBuilder::ethernet2(ROUTER, HOST).ip(ip).udp(40_999, 443);
        builder.write(&mut frame, &[b'x'; 100]).expect("a vector takes anything");
        frame.truncate(70);
        self.frame(frame);
    }

    /// The router looks for the host, and finds it.
    fn neighbours(&mut self) {
        self.pause();
        let (router, host) = ([192, 0, 2, 1], [192, 0, 2, 2]);
        let ask = (ArpOperation::REQUEST, ROUTER, [0xff; 6], router, [0; 6], host);
        let answer = (ArpOperation::REPLY, HOST, ROUTER, host, ROUTER, router);
        for (operation, from, to, sender, target_mac, target) in [ask, answer] {
            let packet = ArpPacket::new(
                ArpHardwareId::ETHERNET,
                EtherType::IPV4,
                operation,
                &from,
                &sender,
                &target_mac,
                &target,
            );
            let builder =
                PacketBuilder::ethernet2(from, to).arp(packet.expect("addresses of the right lengths"));
            let mut frame = Vec::new();
            builder.write(&mut frame).expect("a vector takes anything");
            self.frame(frame);
        }
    }

    /// The file: pcap, microseconds, Ethernet; from noon of a day in 2026.
    fn pcap(self) -> Vec<u8> {
        const NOON: u64 = 1_781_524_800;
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        let mut file = words(&[0xa1b2_c3d4, 4 << 16 | 2, 0, 0, 262_144, 1]);
        for (at, frame) in self.frames {
            let length = frame.len() as u32;
            let (seconds, rest) = (NOON + at / 1_000_000, at % 1_000_000);
            file.extend(words(&[seconds as u32, rest as u32, length, length]));
            file.extend(frame);
        }
        file
    }
}
