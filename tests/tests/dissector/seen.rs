//! What the dissector says of a packet, in the words of carriers: outer headers, a tunnel, what is inside.

use std::net::IpAddr;

use crate::tree::{Tree, bytes};

/// Ports by which the policies of the test find what is over UDP.
pub(crate) const VXLAN: u128 = 4789;
pub(crate) const GENEVE: u128 = 6081;
pub(crate) const GTPU: u128 = 2152;
pub(crate) const QUIC: u128 = 443;

/// As many tags, extension headers, and GTP-U extension headers are followed; the documentation says so.
const TAGS: usize = 2;
const EXTENSIONS: usize = 6;
const GTPU_EXTENSIONS: usize = 4;

/// An option: what tells it from others, and its bytes.
type Options = Vec<((u128, u128), Vec<u8>)>;

/// A packet as the dissector sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Why nothing is compared: something is wrong with the packet, or it is more than anybody follows.
    pub(crate) doubt: Option<String>,
    pub(crate) link: Link,
    /// The packet that is steered: the outer one, or what an ICMP error quotes, turned round.
    pub(crate) ip: Option<Ip>,
    /// Its DSCP and flow label, which an error has itself.
    pub(crate) outer: Option<Ip>,
    /// Whether it quotes the packet that is steered.
    pub(crate) quotes: bool,
    /// Neighbour or listener discovery.
    pub(crate) discovery: bool,
    pub(crate) tunnel: Tunnel,
}

/// Ethernet and what is between it and IP.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    pub(crate) destination: Option<u128>,
    pub(crate) source: Option<u128>,
    /// Of the last tag's, if there are tags.
    pub(crate) ether_type: Option<u128>,
    /// Identifiers and priorities.
    pub(crate) tags: Vec<(u128, u128)>,
    pub(crate) labels: Vec<u128>,
    pub(crate) nsh: bool,
}

/// An IP packet.
#[derive(Clone, Debug)]
pub(crate) struct Ip {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) dscp: Option<u128>,
    pub(crate) label: Option<u128>,
    pub(crate) protocol: Option<u128>,
    pub(crate) later: bool,
    pub(crate) fragment: bool,
    pub(crate) ports: Option<(u128, u128)>,
    pub(crate) tcp_options: Options,
    /// Of a UDP datagram.
    pub(crate) payload: Vec<u8>,
    /// Bytes by its own length.
    length: usize,
    /// Bytes of its own header and extension headers.
    header: usize,
}

/// What is in the packet, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tunnel {
    /// Its header could not be made out, or what is in it could be cut: nothing is said of it.
    pub(crate) unknown: bool,
    pub(crate) vxlan: Option<u128>,
    pub(crate) policy: Option<u128>,
    pub(crate) geneve: Option<u128>,
    pub(crate) geneve_options: Options,
    pub(crate) gre: Option<u128>,
    pub(crate) gtpu: Option<u128>,
    pub(crate) nsh: Option<(u128, Option<u128>)>,
    pub(crate) quic: Option<Vec<u8>>,
    pub(crate) ethernet: Option<(u128, u128)>,
    pub(crate) ip: Option<Ip>,
}

/// Layers that are yet to be read.
type Layers<'t> = &'t [(String, Tree)];

/// The next layer, if it is of this name.
fn next<'t>(layers: &mut Layers<'t>, name: &str) -> Option<&'t Tree> {
    let ((first, layer), rest) = layers.split_first()?;
    (first == name).then(|| {
        *layers = rest;
        layer
    })
}

fn is(layers: Layers<'_>, names: &[&str]) -> bool {
    layers.first().is_some_and(|(name, _)| names.contains(&name.as_str()))
}

impl Seen {
    /// Reads the layers of a frame of so many bytes.
    pub(crate) fn new(packet: &Tree, length: usize) -> Self {
        let mut seen = Self { doubt: flaw(packet), ..Self::default() };
        let without: Vec<(String, Tree)> = packet
            .entries()
            .iter()
            .filter(|(name, _)| name != "frame" && !name.starts_with("_ws"))
            .cloned()
            .collect();
        let mut layers: Layers<'_> = &without;
        let l3 = seen.link(&mut layers);
        let mut found = None;
        if seen.link.tags.len() <= TAGS {
            found = ip(&mut layers, &mut seen.doubt);
        }
        let Some(outer) = found else {
            return seen;
        };
        if l3 + outer.length > length {
            seen.doubt.get_or_insert(format!("{} bytes of IP in a frame of {length}", outer.length));
        }
        seen.outer = Some(outer.clone());
        let errors: (&str, &[u128]) = match outer.destination {
            IpAddr::V4(_) => ("icmp", &[3, 4, 5, 11, 12]),
            IpAddr::V6(_) => ("icmpv6", &[1, 2, 3, 4]),
        };
        if let Some(icmp) = next(&mut layers, errors.0) {
            let kind = icmp.number(&format!("{}.type", errors.0));
            seen.discovery = errors.0 == "icmpv6" && matches!(kind, Some(130..=137 | 143));
            if kind.is_some_and(|kind| errors.1.contains(&kind)) && !outer.fragment {
                let inside: Vec<(String, Tree)> = icmp
                    .entries()
                    .iter()
                    .chain(layers)
                    .skip_while(|(name, _)| name != "ip" && name != "ipv6")
                    .cloned()
                    .collect();
                seen.quote(&outer, &inside);
            }
        } else if !seen.link.nsh {
            seen.tunnel.read(&outer, &mut layers);
        }
        if seen.link.nsh && !outer.later {
            // A service header below IP is the tunnel, and IP is both around it and in it.
            seen.tunnel.unknown |= seen.quotes;
            seen.tunnel.ip = Some(outer.clone());
        }
        seen.ip.get_or_insert(outer);
        seen
    }

    /// Reads what is before the IP packet; where that begins.
    fn link(&mut self, layers: &mut Layers<'_>) -> usize {
        let mut at = 14;
        let link = &mut self.link;
        if let Some(eth) = next(layers, "eth") {
            link.destination = mac(eth, "eth.dst");
            link.source = mac(eth, "eth.src");
            link.ether_type = eth.number("eth.type").or(eth.number("eth.len"));
        }
        while is(layers, &["vlan", "ieee8021ad"]) {
            let Some(((_, tag), rest)) = layers.split_first() else { break };
            *layers = rest;
            let mut add = |id: &str, pcp: &str| {
                if let (Some(id), Some(pcp)) = (tag.number(id), tag.number(pcp)) {
                    link.tags.push((id, pcp));
                    at += 4;
                }
            };
            add("vlan.id", "vlan.priority");
            add("ieee8021ad.id", "ieee8021ad.priority");
            if tag.has("ieee8021ad.cvid") {
                // Both of its tags in one: which is whose is guesswork.
                self.doubt.get_or_insert("two service tags".to_owned());
            }
            link.ether_type =
                tag.number("vlan.etype").or(tag.number("ieee8021ah.etype")).or(tag.number("vlan.len"));
        }
        while let Some(label) = next(layers, "mpls") {
            link.labels.extend(label.number("mpls.label"));
            at += 4;
        }
        if link.labels.is_empty()
            && let Some(nsh) = next(layers, "nsh")
        {
            link.nsh = true;
            at += nsh.number("nsh.length").unwrap_or_default() as usize * 4;
            self.tunnel.nsh = service(nsh);
            if let Some(eth) = next(layers, "eth") {
                self.tunnel.ethernet = mac(eth, "eth.src").zip(mac(eth, "eth.dst"));
                at += 14;
            }
        }
        at
    }

    /// Follows an ICMP error into what it quotes.
    fn quote(&mut self, outer: &Ip, mut layers: Layers<'_>) {
        let Some(quoted) = ip(&mut layers, &mut None) else { return };
        if quoted.source != outer.destination || quoted.protocol.is_none() {
            return;
        }
        self.quotes = true;
        self.tunnel.read(&quoted, &mut layers);
        // Of the quote, how much there is depends on who sent it.
        self.tunnel.unknown |= quoted.length + outer.header + 8 > outer.length;
        if let Some(inner) = &mut self.tunnel.ip {
            *inner = turned(inner.clone());
        }
        self.ip = Some(turned(quoted));
    }
}

/// The other direction.
fn turned(ip: Ip) -> Ip {
    Ip { source: ip.destination, destination: ip.source, ports: ip.ports.map(|(from, to)| (to, from)), ..ip }
}

/// What is wrong with a packet.
fn flaw(packet: &Tree) -> Option<String> {
    if packet.has("_ws.malformed") || packet.has("_ws.short") {
        return Some("malformed".to_owned());
    }
    let mut remarks = Vec::new();
    packet.all("_ws.expert", &mut remarks);
    // "Error" (wireshark: epan/proto.h), but for checksums, which nobody looks at.
    remarks.iter().find_map(|remark| {
        let message = remark.text("_ws.expert.message").unwrap_or_default();
        let error = remark.number("_ws.expert.severity") == Some(0x0080_0000);
        (error && !message.to_lowercase().contains("checksum")).then(|| message.to_owned())
    })
}

fn mac(layer: &Tree, name: &str) -> Option<u128> {
    Some(bytes(layer.text(name)?)?.iter().fold(0, |mac, byte| mac << 8 | u128::from(*byte)))
}

/// Service path and context.
fn service(nsh: &Tree) -> Option<(u128, Option<u128>)> {
    let mut context = Vec::new();
    for (_, tree) in nsh.entries().iter().filter(|(name, _)| name == "nsh.contextheader") {
        if let Tree::Text(text) = tree {
            context.extend(bytes(text)?);
        }
    }
    let whole: Option<[u8; 16]> = context.try_into().ok();
    let fixed = nsh.number("nsh.mdtype") == Some(1);
    Some((nsh.number("nsh.spi")?, whole.filter(|_| fixed).map(u128::from_be_bytes)))
}

/// Reads an IP packet, its extension headers and its transport header.
fn ip(layers: &mut Layers<'_>, doubt: &mut Option<String>) -> Option<Ip> {
    let mut ip = if let Some(layer) = next(layers, "ip") {
        let offset = layer.number("ip.frag_offset");
        let (Some(source), Some(destination), Some(offset)) =
            (layer.text("ip.src"), layer.text("ip.dst"), offset)
        else {
            doubt.get_or_insert("an IPv4 header without addresses".to_owned());
            return None;
        };
        Ip {
            source: source.parse().ok()?,
            destination: destination.parse().ok()?,
            dscp: layer.number("ip.dsfield.dscp"),
            label: None,
            protocol: layer.number("ip.proto"),
            later: offset != 0,
            fragment: offset != 0 || layer.number("ip.flags.mf") == Some(1),
            ports: None,
            tcp_options: Vec::new(),
            payload: Vec::new(),
            length: layer.number("ip.len")? as usize,
            header: layer.number("ip.hdr_len")? as usize,
        }
    } else {
        let layer = next(layers, "ipv6")?;
        let (Some(source), Some(destination)) = (layer.text("ipv6.src"), layer.text("ipv6.dst")) else {
            doubt.get_or_insert("an IPv6 header without addresses".to_owned());
            return None;
        };
        let length = layer.number("ipv6.plen")?;
        if length == 0 {
            doubt.get_or_insert("a jumbogram".to_owned());
        }
        Ip {
            source: source.parse().ok()?,
            destination: destination.parse().ok()?,
            dscp: layer.number("ipv6.tclass.dscp"),
            label: layer.number("ipv6.flow"),
            protocol: layer.number("ipv6.nxt"),
            later: false,
            fragment: false,
            ports: None,
            tcp_options: Vec::new(),
            payload: Vec::new(),
            length: 40 + length as usize,
            header: 40,
        }
    };
    extensions(&mut ip, layers, doubt);
    transport(&mut ip, layers, doubt);
    Some(ip)
}

/// Walks extension headers to the protocol behind them. Nothing behind a fragment's header is of the datagram's
/// protocol, as long as there are other fragments.
fn extensions(ip: &mut Ip, layers: &mut Layers<'_>, doubt: &mut Option<String>) {
    let names = ["ipv6.hopopts", "ipv6.dstopts", "ipv6.routing", "ipv6.fraghdr", "ah", "mipv6"];
    let mut walked = 0;
    while is(layers, &names) && !ip.later {
        let Some(((name, layer), rest)) = layers.split_first() else { break };
        if name == "ah" && ip.source.is_ipv4() && ip.fragment {
            break;
        }
        *layers = rest;
        let (number, length) = match name.as_str() {
            "ah" => ("ah.next_header".to_owned(), layer.number("ah.length").map(|words| words * 4 + 8)),
            "ipv6.fraghdr" => ("ipv6.fraghdr.nxt".to_owned(), Some(8)),
            "mipv6" => ("mip6.proto".to_owned(), None),
            name => (format!("{name}.nxt"), layer.number(&format!("{name}.len")).map(|units| units * 8 + 8)),
        };
        if ip.fragment {
            // Of a first fragment; tshark goes on.
            continue;
        }
        ip.protocol = layer.number(&number);
        ip.header += length.unwrap_or_default() as usize;
        walked += 1;
        if ip.protocol.is_none() || name == "mipv6" {
            doubt.get_or_insert(format!("{name} without a next header"));
        }
        if name == "ipv6.fraghdr" {
            let offset = layer.number("ipv6.fraghdr.offset").unwrap_or_default();
            ip.later = offset != 0;
            ip.fragment = ip.later || layer.number("ipv6.fraghdr.more") == Some(1);
        }
    }
    if walked > EXTENSIONS {
        doubt.get_or_insert(format!("{walked} extension headers"));
    }
    if ip.fragment && ip.source.is_ipv6() && matches!(ip.protocol, Some(0 | 43 | 44 | 51 | 60 | 135)) {
        ip.protocol = None;
    }
}

/// Reads ports, options, and what a datagram carries.
fn transport(ip: &mut Ip, layers: &mut Layers<'_>, doubt: &mut Option<String>) {
    let name = match ip.protocol {
        Some(6) => "tcp",
        Some(17) => "udp",
        Some(132) => "sctp",
        _ => return,
    };
    if ip.later {
        return;
    }
    let port = |layer: &Tree, end: &str| layer.number(&format!("{name}.{end}port"));
    let Some(layer) = next(layers, name) else {
        doubt.get_or_insert(format!("no {name} header"));
        return;
    };
    ip.ports = port(layer, "src").zip(port(layer, "dst"));
    let length = match name {
        "tcp" => layer.number("tcp.hdr_len"),
        "udp" => layer.number("udp.length"),
        _ => layer.number("sctp.verification_tag"),
    };
    if ip.ports.is_none() || length.is_none() {
        doubt.get_or_insert(format!("half a {name} header"));
    }
    if name == "tcp" {
        ip.tcp_options = tcp_options(layer);
    }
    if let Some(payload) = layer.text("udp.payload").and_then(bytes) {
        ip.payload = payload;
    }
}

/// By kind and experiment; where the kind has no experiments, that is 0.
fn tcp_options(tcp: &Tree) -> Options {
    let tree = tcp.entry("tcp.options_tree").map(Tree::entries).unwrap_or_default();
    let whole = tree.iter().filter_map(|(_, option)| match option {
        Tree::Text(text) => bytes(text),
        Tree::Branch(_) => None,
    });
    whole
        .filter_map(|option| match option.as_slice() {
            [kind @ 253..=254, _, high, low, data @ ..] => {
                let experiment = u16::from_be_bytes([*high, *low]);
                Some(((u128::from(*kind), experiment.into()), data.to_vec()))
            }
            [kind, _, data @ ..] => Some(((u128::from(*kind), 0), data.to_vec())),
            _ => None,
        })
        .collect()
}

impl Tunnel {
    /// Reads what a packet carries.
    fn read(&mut self, ip: &Ip, layers: &mut Layers<'_>) {
        if ip.later {
            return;
        }
        match (ip.protocol, ip.ports) {
            (Some(17), Some((from, to))) => self.datagram(from, to, layers),
            (Some(47), _) => match next(layers, "gre") {
                Some(gre) => {
                    let plain = gre.number("gre.flags.version") == Some(0)
                        && gre.number("gre.flags.routing") == Some(0);
                    if plain {
                        self.gre = gre.number("gre.key");
                        self.inside(layers, gre.number("gre.proto"));
                    }
                }
                None => self.unknown = true,
            },
            (Some(4), _) if is(layers, &["ip"]) => self.inside(layers, Some(0x0800)),
            (Some(41), _) if is(layers, &["ipv6"]) => self.inside(layers, Some(0x86dd)),
            (Some(143), _) if is(layers, &["eth"]) => self.inside(layers, Some(0x6558)),
            (Some(4 | 41 | 143), _) => self.unknown = true,
            _ => {}
        }
    }

    fn datagram(&mut self, from: u128, to: u128, layers: &mut Layers<'_>) {
        let known = [VXLAN, GENEVE, GTPU, QUIC];
        if !known.contains(&to) {
            return;
        }
        let name = match to {
            VXLAN => "vxlan",
            GENEVE => "geneve",
            GTPU => "gtp",
            _ => "quic",
        };
        // Where both ports are known the dissector may prefer the other.
        let found = if known.contains(&from) && from != to { None } else { next(layers, name) };
        let Some(layer) = found else {
            self.unknown = true;
            return;
        };
        match to {
            VXLAN if layer.number("vxlan.flag_i") == Some(1) => {
                self.vxlan = layer.number("vxlan.vni");
                let policy = layer.number("vxlan.flag_g") == Some(1);
                self.policy = layer.number("vxlan.gbp").filter(|_| policy);
                self.inside(layers, Some(0x6558));
            }
            GENEVE if layer.number("geneve.version") == Some(0) => {
                self.geneve = layer.number("geneve.vni");
                self.geneve_options = geneve_options(layer);
                self.inside(layers, layer.number("geneve.proto_type"));
            }
            GTPU if layer.number("gtp.flags.version") == Some(1)
                && layer.number("gtp.flags.payload") == Some(1) =>
            {
                self.gtpu = layer.number("gtp.teid");
                let mut extensions = Vec::new();
                layer.all("gtp.ext_hdr", &mut extensions);
                if layer.number("gtp.message") == Some(0xff) && extensions.len() <= GTPU_EXTENSIONS {
                    let ether_type = if is(layers, &["ip"]) { 0x0800 } else { 0x86dd };
                    self.inside(layers, Some(ether_type));
                }
            }
            QUIC => {
                self.quic = layer.text("quic.dcid").and_then(bytes);
                let short = layer.number("quic.header_form") == Some(0);
                // Of a short header the dissector knows what it has seen of the connection; the policy, its length.
                let length = self.quic.as_ref().map_or(0, Vec::len);
                self.unknown = short && length != keysteer_tests::carriers::SHORT_HEADER || length > 20;
            }
            _ => {}
        }
    }

    /// Reads what is inside, announced by an EtherType.
    fn inside(&mut self, layers: &mut Layers<'_>, mut ether_type: Option<u128>) {
        if ether_type == Some(0x894f)
            && let Some(nsh) = next(layers, "nsh")
        {
            self.nsh = service(nsh);
            ether_type = match nsh.number("nsh.nextproto") {
                Some(1) => Some(0x0800),
                Some(2) => Some(0x86dd),
                Some(3) => Some(0x6558),
                _ => None,
            };
        }
        if ether_type == Some(0x6558) {
            let mut link = Seen::default();
            let before = layers.len();
            if !is(layers, &["eth"]) {
                self.unknown = true;
                return;
            }
            link.link(layers);
            self.ethernet = link.link.source.zip(link.link.destination);
            let tags = link.link.tags.len();
            // Nothing but tags is followed.
            if tags > TAGS || before - layers.len() != 1 + tags {
                return;
            }
        }
        if ether_type.is_some() {
            let mut doubt = None;
            self.ip = ip(layers, &mut doubt);
            self.unknown |= doubt.is_some();
        }
    }
}

/// By class and type.
fn geneve_options(geneve: &Tree) -> Options {
    let Some(options) = geneve.entry("geneve.options_tree") else {
        return Vec::new();
    };
    let texts = options.entries().iter().filter_map(|(name, option)| match option {
        Tree::Text(text) if name == "geneve.option" => bytes(text),
        _ => None,
    });
    texts
        .filter_map(|option| match option.as_slice() {
            [high, low, kind, _, data @ ..] => {
                let class = u16::from_be_bytes([*high, *low]);
                Some(((class.into(), u128::from(*kind)), data.to_vec()))
            }
            _ => None,
        })
        .collect()
}
