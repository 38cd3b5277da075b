//! Records `tests/captures/`: what Linux itself sends when sockets talk, so that not every frame of the
//! differential test comes from a builder of ours. Run it as root to record them anew; the frames differ a
//! little each time (ports, sequence numbers, times), which nothing depends on.
//!
//! In the captures: TCP and UDP over both families, datagrams in fragments, ICMP errors about closed
//! ports both ways, ARP and neighbour discovery. Addresses are those of the policy `tenants`.

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::thread::sleep;
use std::time::Duration;

use keysteer::world::tune::Offload;
use keysteer::world::{Capture, Direction, Echo, End, Namespace, veth};
use keysteer_tests::captures::{own, pcap};

/// The service's address and the tenant's, by family.
const ADDRESSES: [(&str, &str, &str); 2] =
    [("ipv4", "203.0.113.10", "10.1.2.3"), ("ipv6", "2001:db8:10::10", "2001:db8:1::3")];
/// Where the service answers over TCP, and over UDP.
const PORTS: (u16, u16) = (443, 1500);
/// Where it does not.
const CLOSED: u16 = 1501;
/// Long enough for an answer that nobody waits for.
const PAUSE: Duration = Duration::from_millis(200);

fn main() -> Result<(), Box<dyn Error>> {
    for (name, service, tenant) in ADDRESSES {
        let (service, tenant): (IpAddr, IpAddr) = (service.parse()?, tenant.parse()?);
        let client = Namespace::new("client")?;
        let server = Namespace::new("server")?;
        let end = |namespace, last| End { namespace, name: "eth0", mac: [2, 0, 0, 0, 7, last] };
        veth(end(&client, 1), end(&server, 2))?;
        let sent = Capture::start(&client, Direction::Outgoing)?;
        let received = Capture::start(&client, Direction::Incoming)?;
        for namespace in [&client, &server] {
            // Without this, frames leave with half a checksum and segments larger than a frame.
            namespace.offload("eth0", Offload::TxChecksum, false)?;
            namespace.up("eth0")?;
        }
        // Each has the other's network on the link.
        let length = if service.is_ipv4() { 8 } else { 32 };
        client.address("eth0", ipnet::IpNet::new(tenant, length)?)?;
        server.address("eth0", ipnet::IpNet::new(service, length)?)?;
        client.address("eth0", ipnet::IpNet::new(beside(service), length)?)?;
        server.address("eth0", ipnet::IpNet::new(beside(tenant), length)?)?;
        let _tcp = Echo::start(&server, "tcp", &[service], PORTS.0)?;
        let _udp = Echo::start(&server, "udp", &[service], PORTS.1)?;
        client.run(|| talk(service, tenant))??;
        let mut frames = sent.finish()?;
        frames.extend(received.finish()?);
        // The loopback's own are not of the service.
        let index = client.index("eth0")?;
        frames.retain(|captured| captured.interface == index);
        let path = own().join(format!("{name}.pcap"));
        fs::create_dir_all(own())?;
        fs::write(&path, pcap(frames.iter().map(|captured| captured.frame.as_slice())))?;
        println!("wrote {} frames to {}", frames.len(), path.display());
    }
    Ok(())
}

/// The address after this one.
fn beside(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => std::net::Ipv4Addr::from_bits(address.to_bits() + 1).into(),
        IpAddr::V6(address) => std::net::Ipv6Addr::from_bits(address.to_bits() + 1).into(),
    }
}

/// What the tenant asks of the service.
fn talk(service: IpAddr, tenant: IpAddr) -> std::io::Result<()> {
    let mut answer = [0; 65_536];
    let mut stream = TcpStream::connect(SocketAddr::new(service, PORTS.0))?;
    stream.write_all(b"who are you?\n")?;
    let _ = stream.read(&mut answer)?;
    drop(stream);
    let socket = || UdpSocket::bind(SocketAddr::new(tenant, 0));
    let asked = SocketAddr::new(service, PORTS.1);
    for question in [10, 1_400, 4_000] {
        let socket = socket()?;
        socket.set_read_timeout(Some(PAUSE))?;
        socket.send_to(&vec![b'?'; question], asked)?;
        socket.recv(&mut answer)?;
    }
    // The service refuses, then the tenant does: nobody is left for the answer.
    socket()?.send_to(b"hello?", SocketAddr::new(service, CLOSED))?;
    socket()?.send_to(b"never mind", asked)?;
    sleep(PAUSE);
    Ok(())
}
