//! The first frame of a flow, built from its five-tuple and DSCP, for the host engine to decide.

use std::net::IpAddr;

use super::traffic::Flow;
use crate::world::Transport;

/// A frame of `flow` with everything that a key or a flow hash can be read from.
pub(super) fn frame(flow: &Flow) -> Vec<u8> {
    let mut transport = Vec::with_capacity(20);
    transport.extend(flow.source.port().to_be_bytes());
    transport.extend(flow.destination.port().to_be_bytes());
    match flow.transport {
        // Sequence and acknowledgement; five words of header, SYN; window, checksum, urgent pointer.
        Transport::Tcp => transport.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]),
        // A length of the header alone, and no checksum.
        Transport::Udp => transport.extend([0, 8, 0, 0]),
    }
    let length = u16::try_from(transport.len()).unwrap_or(u16::MAX);
    let protocol = flow.transport.number();
    let mut frame = vec![2, 0, 0, 0, 1, 0xc1, 2, 0, 0, 0, 0, 0xc1];
    match (flow.source.ip(), flow.destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            frame.extend([0x08, 0x00, 0x45, flow.dscp << 2]);
            frame.extend((20 + length).to_be_bytes());
            // Identification, flags and offset; hop limit, protocol, checksum.
            frame.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
        (source, destination) => {
            frame.extend([0x86, 0xdd, 0x60 | flow.dscp >> 2, flow.dscp << 6, 0, 0]);
            frame.extend(length.to_be_bytes());
            frame.extend([protocol, 64]);
            for address in [source, destination] {
                frame.extend(match address {
                    IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                    IpAddr::V6(address) => address.octets(),
                });
            }
        }
    }
    frame.extend(transport);
    frame
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use keysteer_common::carrier::{self, Carrier};
    use keysteer_common::look::headers_of;
    use keysteer_common::slice::Frame;
    use keysteer_common::vocabulary::Fault;

    use super::*;
    use crate::demo::tenants::{PORT, SERVICE, TENANTS};

    #[test]
    fn a_probe_says_what_its_flow_says() {
        for transport in [Transport::Tcp, Transport::Udp] {
            for (tenant, dscp) in TENANTS.iter().flat_map(|tenant| [(tenant, 0), (tenant, 34), (tenant, 63)])
            {
                for source in tenant.addresses() {
                    let flow = Flow {
                        tenant,
                        transport,
                        source: SocketAddr::new(source, 43_210),
                        destination: SocketAddr::new(SERVICE[usize::from(source.is_ipv6())], PORT),
                        dscp,
                        answers: Vec::new(),
                        end: None,
                    };
                    let mut bytes = frame(&flow);
                    let packet = Frame::new(&mut bytes, 1);
                    let headers = headers_of(&packet);
                    assert_eq!(headers.fault, Fault::None as u8);
                    let read = carrier::read(&packet, &headers, Carrier::IpDscp as u8);
                    assert_eq!(read, Some([0, dscp.into()]));
                    assert_eq!(headers.protocol, transport.number());
                    assert_eq!((headers.source_port, headers.destination_port), (43_210, PORT));
                }
            }
        }
    }
}
