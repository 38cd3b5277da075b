use crate::headers::{Headers, found};
use crate::vocabulary::Fault;

use super::world::{
    CLIENT, CLIENT6, IPV4, IPV6, SERVICE, SERVICE6, UDP, framed, headers, ipv4, ipv6, syn6, udp, udp4,
    with_vlans,
};

fn fault(headers: &Headers) -> Fault {
    Fault::from_number(headers.fault).unwrap()
}

#[test]
fn udp_over_ipv4() {
    let headers = headers(&mut udp4());
    assert_eq!(headers.found, found::IPV4 | found::PROTOCOL | found::PORTS);
    assert_eq!((headers.l3, headers.l4, headers.source, headers.destination), (14, 34, 26, 30));
    assert_eq!((headers.source_port, headers.destination_port), (1111, 443));
    assert_eq!(headers.protocol, 17);
    assert_eq!(fault(&headers), Fault::None);
}

#[test]
fn a_syn_over_ipv6_opens_a_flow() {
    let headers = headers(&mut syn6());
    assert_eq!(headers.found, found::IPV6 | found::PROTOCOL | found::PORTS | found::OPENS);
    assert_eq!((headers.l4, headers.source, headers.destination), (54, 22, 38));
    assert_eq!(headers.protocol, 6);
}

#[test]
fn a_syn_ack_opens_none() {
    let mut frame = syn6();
    frame[54 + 13] |= 0x10;
    assert!(!headers(&mut frame).has(found::OPENS));
}

#[test]
fn two_vlan_tags_are_read_and_a_third_is_not_followed() {
    let one = headers(&mut with_vlans(&udp4(), &[(0x8100, 0x6064)]));
    assert_eq!((one.outer_tci, one.l3), (0x6064, 18));
    assert!(one.has(found::VLAN | found::PORTS) && !one.has(found::VLAN_INNER));
    let two = headers(&mut with_vlans(&udp4(), &[(0x88a8, 5), (0x8100, 6)]));
    assert_eq!((two.outer_tci, two.inner_tci, two.l3), (5, 6, 22));
    let three = headers(&mut with_vlans(&udp4(), &[(0x88a8, 5), (0x8100, 6), (0x8100, 7)]));
    assert!(!three.has(found::IPV4));
}

#[test]
fn ipv4_options_move_the_transport() {
    let mut ip = ipv4(UDP, CLIENT, SERVICE, &[]);
    ip[0] = 0x47;
    ip.extend([1; 8]);
    ip.extend(udp(5, 6, 0));
    ip[3] = 36;
    let headers = headers(&mut framed(IPV4, &ip));
    assert_eq!((headers.l4, headers.destination_port), (42, 6));
}

#[test]
fn extension_headers_are_walked() {
    let mut payload = vec![60, 0, 1, 4, 0, 0, 0, 0]; // hop by hop, then destination options of 16 bytes
    payload.extend([51, 1, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    payload.extend([UDP, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]); // authentication header, (1 + 2) * 4 bytes
    payload.extend(udp(5, 6, 0));
    let headers = headers(&mut framed(IPV6, &ipv6(0, CLIENT6, SERVICE6, &payload)));
    assert_eq!(fault(&headers), Fault::None);
    assert_eq!((headers.protocol, headers.l4, headers.destination_port), (UDP, 54 + 36, 6));
}

#[test]
fn six_extension_headers_pass_and_seven_are_malformed() {
    let chain = |count: usize| {
        let mut payload = Vec::new();
        for at in 0..count {
            payload.extend([if at + 1 == count { UDP } else { 60 }, 0, 1, 4, 0, 0, 0, 0]);
        }
        payload.extend(udp(5, 6, 0));
        headers(&mut framed(IPV6, &ipv6(60, CLIENT6, SERVICE6, &payload)))
    };
    assert_eq!(chain(6).destination_port, 6);
    assert_eq!(fault(&chain(7)), Fault::TooManyExtensions);
    assert!(!chain(7).has(found::PROTOCOL));
}

#[test]
fn an_atomic_fragment_is_a_whole_datagram() {
    let mut payload = vec![UDP, 0, 0, 0, 0, 0, 0, 9];
    payload.extend(udp(5, 6, 0));
    let headers = headers(&mut framed(IPV6, &ipv6(44, CLIENT6, SERVICE6, &payload)));
    assert!(!headers.has(found::FRAGMENT));
    assert_eq!(headers.destination_port, 6);
}

#[test]
fn a_first_fragment_has_ports_and_a_later_one_has_none() {
    let mut first = vec![UDP, 0, 0, 1, 0, 0, 0, 9];
    first.extend(udp(5, 6, 100));
    let first = headers(&mut framed(IPV6, &ipv6(44, CLIENT6, SERVICE6, &first)));
    assert!(first.has(found::FRAGMENT | found::PORTS));
    let later = headers(&mut framed(IPV6, &ipv6(44, CLIENT6, SERVICE6, &[UDP, 0, 0, 8, 0, 0, 0, 9, 1, 2])));
    assert!(later.has(found::FRAGMENT | found::PROTOCOL) && !later.has(found::PORTS));
    assert_eq!((later.protocol, fault(&later)), (UDP, Fault::None));

    let mut four = ipv4(UDP, CLIENT, SERVICE, &udp(5, 6, 0));
    four[6] = 0x20;
    assert!(headers(&mut framed(IPV4, &four)).has(found::FRAGMENT | found::PORTS));
    four[6..8].copy_from_slice(&[0, 1]);
    let later = headers(&mut framed(IPV4, &four));
    assert!(later.has(found::FRAGMENT) && !later.has(found::PORTS));
}

#[test]
fn broken_headers_name_their_fault() {
    let four = ipv4(UDP, CLIENT, SERVICE, &udp(5, 6, 0));
    let broken = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut ip = four.clone();
        change(&mut ip);
        fault(&headers(&mut framed(IPV4, &ip)))
    };
    assert_eq!(broken(&|ip| ip[0] = 0x44), Fault::Ipv4HeaderLength);
    assert_eq!(broken(&|ip| ip[3] = 19), Fault::Ipv4HeaderLength);
    assert_eq!(broken(&|ip| ip[3] = 29), Fault::IpLength);
    assert_eq!(
        broken(&|ip| {
            ip.truncate(27);
            ip[3] = 27;
        }),
        Fault::TransportCut
    );
    assert_eq!(broken(&|ip| ip[25] = 7), Fault::TransportLength);
    let tcp = ipv4(6, CLIENT, SERVICE, &[0; 20]);
    assert_eq!(fault(&headers(&mut framed(IPV4, &tcp))), Fault::TransportLength);
    let cut = ipv6(0, CLIENT6, SERVICE6, &[UDP, 0, 0]);
    assert_eq!(fault(&headers(&mut framed(IPV6, &cut))), Fault::ExtensionCut);
}

#[test]
fn a_version_that_contradicts_the_ether_type_is_not_believed() {
    let mut ip = ipv4(UDP, CLIENT, SERVICE, &udp(5, 6, 0));
    ip[0] = 0x65;
    assert!(!headers(&mut framed(IPV4, &ip)).has(found::IPV4));
}

#[test]
fn neighbour_discovery_is_told_apart() {
    let solicitation = ipv6(58, CLIENT6, SERVICE6, &[135, 0, 0, 0, 0, 0, 0, 0]);
    assert!(headers(&mut framed(IPV6, &solicitation)).has(found::DISCOVERY));
    let echo = ipv6(58, CLIENT6, SERVICE6, &[128, 0, 0, 0, 0, 0, 0, 0]);
    assert!(!headers(&mut framed(IPV6, &echo)).has(found::DISCOVERY));
}

#[test]
fn padding_is_not_read_as_a_transport_header() {
    let mut ip = ipv4(UDP, CLIENT, SERVICE, &[]);
    ip.extend(udp(5, 6, 0));
    let headers = headers(&mut framed(IPV4, &ip));
    assert_eq!((fault(&headers), headers.end), (Fault::TransportCut, 34));
}

#[test]
fn a_quote_that_its_receiver_did_not_send_is_not_followed() {
    let mut icmp = vec![3, 4, 0, 0, 0, 0, 5, 0];
    icmp.extend(ipv4(UDP, [198, 51, 100, 9], CLIENT, &udp(443, 1111, 0)));
    let headers = headers(&mut framed(IPV4, &ipv4(1, [192, 0, 2, 1], SERVICE, &icmp)));
    assert!(!headers.has(found::QUOTED) && headers.protocol == 1);
}

#[test]
fn an_icmp_error_becomes_the_flow_it_quotes() {
    let mut icmp = vec![3, 4, 0, 0, 0, 0, 5, 0];
    icmp.extend(ipv4(UDP, SERVICE, CLIENT, &udp(443, 1111, 0)));
    let router = [192, 0, 2, 1];
    let headers = headers(&mut framed(IPV4, &ipv4(1, router, SERVICE, &icmp)));
    assert!(headers.has(found::QUOTED | found::PORTS));
    assert_eq!((headers.source_port, headers.destination_port, headers.protocol), (1111, 443, UDP));
    // The client's address in the quote is where the flow's source is read.
    assert_eq!((headers.source, headers.destination), (42 + 16, 42 + 12));
}
