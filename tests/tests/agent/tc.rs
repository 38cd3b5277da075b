//! Steering at TC ingress: the same keys, shards and counters as XDP, beside others' programs, under changes.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use keysteer::world::tune::Offload;
use keysteer::world::{Namespace, Transport};
use keysteer_tests::site::agent::Agent;
use keysteer_tests::site::foreign::Foreign;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::{THREE_SHARDS, policy, usual};
use keysteer_tests::site::{CLIENT_MAC, ETH0, PORT, SERVICE, SILENCE, Site, UP0, UP0_MAC, v4};
use nix::sys::signal::Signal;

use super::changes::{apply, until};
use super::{all_answered_during, answers, shards};

pub(super) fn in_mode(mode: &str) -> String {
    policy("", &format!("{{name: up0, mode: {mode}}}"), THREE_SHARDS)
}

/// Packets and bytes of a key, once so many packets were counted.
fn counted(agent: &Agent, key: &str, packets: u64) -> (u64, u64) {
    until("they are counted", || agent.key(key).packets >= packets);
    let key = agent.key(key);
    (key.packets, key.bytes)
}

#[test]
fn tc_on_request_steers_the_same() {
    let site = Site::new(1500);
    let place = Place::new(&in_mode("tc"));
    let agent = place.start(&site.node);
    let status = agent.status();
    assert_eq!((status.interfaces[0].mode.as_str(), &status.interfaces[0].fallback), ("tc", &None));
    assert!(agent.log().contains("up0: attached in tc mode"), "{}", agent.log());
    for (tenant, key, width) in [(1, "acme", 2), (2, "globex", 1)] {
        assert_eq!(answers(&site, tenant, 32), shards(&agent, key));
        assert_eq!(shards(&agent, key).len(), width);
    }
    for source in [v4(3, 1), v4(5, 1)] {
        let exchange = site.ask(Transport::Udp, source, 32, SILENCE).unwrap();
        assert_eq!(exchange.answer, None, "denied, and of an unregistered tenant");
    }
    assert!(agent.status().balanced);
}

#[test]
fn what_others_attached_before_comes_first_and_stays() {
    let site = Site::new(1500);
    let theirs = Foreign::drop_at_tc(&site.node, UP0);
    let place = Place::new(&in_mode("tc"));
    let agent = place.start(&site.node);
    let exchange = site.ask(Transport::Udp, v4(1, 1), 32, SILENCE).unwrap();
    assert_eq!((exchange.answer, agent.status().received.packets), (None, 0));
    drop(theirs);
    assert_eq!(answers(&site, 1, 32), shards(&agent, "acme"));
}

#[test]
fn an_xdp_program_of_somebody_elses_is_steered_behind() {
    let site = Site::new(1500);
    let _theirs = Foreign::attach_native(&site.node, UP0);
    let place = Place::new(&usual());
    place.refused(&site.node).refuses(&["already has an XDP program", "`mode: tc`"]);
    let place = Place::new(&in_mode("tc"));
    let agent = place.start(&site.node);
    assert_eq!(answers(&site, 1, 32), shards(&agent, "acme"));
}

#[test]
fn changes_rollbacks_and_crashes_under_traffic_lose_no_packet() {
    lose_no_packet(&Place::new(&in_mode("tc")));
}

/// Changes, a rollback, changes of the hook and a take-over, under traffic.
pub(super) fn lose_no_packet(place: &Place) {
    let site = Site::new(1500);
    let mut agent = place.start(&site.node);
    let asked = all_answered_during(&site, || {
        for width in [3, 1, 2] {
            apply(&agent, place, &in_mode("tc").replace("width: 2", &format!("width: {width}")));
        }
        agent.read(&["rollback"]).done();
        // Each change of the hook: to the driver, and back.
        for mode in ["native", "tc"] {
            apply(&agent, place, &in_mode(mode));
            assert_eq!(agent.status().interfaces[0].mode, mode);
            assert_eq!(site.attached(UP0).is_some(), mode == "native");
        }
        agent.signal(Signal::SIGKILL);
        assert!(!agent.wait().success());
        std::thread::sleep(Duration::from_millis(200));
        agent = place.start(&site.node);
        assert_eq!(agent.status().interfaces[0].mode, "tc", "taken over");
        apply(&agent, place, &in_mode("tc").replace("width: 2", "width: 3"));
    });
    assert!(asked > 100, "{asked}");
    // A packet that met both hooks while they were changed was counted at both.
    let packets = agent.key("acme").packets;
    assert!(packets >= asked, "{packets} packets of {asked} questions");
    assert!(agent.status().balanced);
}

#[test]
fn a_policy_that_cannot_be_steered_at_tc_is_refused_where_auto_took_it() {
    let site = Site::new(1500);
    let interfaces = "{name: lo}, {name: up0}";
    let place = Place::new(&policy("", interfaces, THREE_SHARDS));
    let agent = place.start(&site.node);
    let lo = || agent.status().interfaces.into_iter().find(|at| at.name == "lo").unwrap().mode;
    assert_eq!(lo(), "tc");
    let file = place.file("cpu.yaml");
    let to_cpu = THREE_SHARDS.replace("{interface: {name: to-b, mac: \"02:00:00:00:00:0b\"}}", "{cpu: 0}");
    assert_ne!(to_cpu, THREE_SHARDS);
    std::fs::write(&file, policy("", interfaces, &to_cpu)).unwrap();
    agent.read(&["apply", file.to_str().unwrap()]).refuses(&["cannot attach to lo in generic mode"]);
    assert_eq!((lo().as_str(), agent.status().balanced), ("tc", true));
    // Nothing is left half done: the next change is made.
    apply(&agent, &place, &policy("", interfaces, &THREE_SHARDS.replace("width: 2", "width: 3")));
    assert_eq!(answers(&site, 1, 32), shards(&agent, "acme"));
}

/// Sends a frame as it is.
fn send(namespace: &Namespace, interface: &str, frame: &[u8]) {
    let index = namespace.index(interface).unwrap();
    namespace
        .run(|| {
            // SAFETY: no memory is passed; the descriptor is new and nobody else's.
            let socket = unsafe {
                OwnedFd::from_raw_fd(libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0))
            };
            // SAFETY: plain numbers, for which zero is a value.
            let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
            to.sll_family = libc::AF_PACKET as u16;
            to.sll_ifindex = index.cast_signed();
            // SAFETY: frame and address outlive the call, with their lengths.
            let sent = unsafe {
                libc::sendto(
                    socket.as_raw_fd(),
                    frame.as_ptr().cast(),
                    frame.len(),
                    0,
                    (&raw const to).cast(),
                    size_of_val(&to) as u32,
                )
            };
            assert_eq!(sent, frame.len().cast_signed());
        })
        .unwrap();
}

/// A datagram from tenant 1 to the service behind these tags.
fn tagged(tags: &[u16]) -> Vec<u8> {
    let mut frame = [&UP0_MAC[..], &CLIENT_MAC].concat();
    for tag in tags {
        frame.extend([0x81, 0]);
        frame.extend(tag.to_be_bytes());
    }
    frame.extend([8, 0, 0x45, 0, 0, 60, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 203, 0, 113, 10]);
    frame.extend([0xc0, 0]);
    frame.extend(PORT.to_be_bytes());
    frame.extend([0, 40, 0, 0]);
    frame.resize(frame.len() + 32, 0x5a);
    frame
}

/// The kernel takes the outer tag out of the frame before TC: it is read, and counted, as if it were there.
#[test]
fn tags_are_read_and_counted_as_in_xdp() {
    let keys = r#"
  shards: [{name: here, target: drop}]
  pools: [{name: all, shards: [here]}]
  keys:
    - {name: one, match: {outer: 100}, pool: all}
    - {name: two, match: {outer: 100, inner: 200}, pool: all}
"#;
    for mode in ["native", "generic", "tc"] {
        let site = Site::new(1500);
        let text = policy("", &format!("{{name: up0, mode: {mode}}}"), keys).replace(
            "[{name: tenant, from: ip.src, table: tenants}]",
            "[{name: outer, from: vlan.id}, {name: inner, from: vlan.inner_id}]\n      levels: [[outer, inner], [outer]]",
        );
        let place = Place::new(&text);
        let agent = place.start(&site.node);
        assert_eq!(agent.status().interfaces[0].mode, mode);
        for _ in 0..5 {
            send(&site.client, ETH0, &tagged(&[100]));
            send(&site.client, ETH0, &tagged(&[100, 200]));
            send(&site.client, ETH0, &tagged(&[]));
        }
        assert_eq!(counted(&agent, "one", 5), (5, 5 * 78), "{mode}");
        assert_eq!(counted(&agent, "two", 5), (5, 5 * 82), "{mode}");
        let status = agent.status();
        let missing = status.outcomes.iter().find(|it| it.class == "missing").unwrap();
        assert_eq!((missing.packets, missing.bytes), (5, 5 * 74), "{mode}");
        assert!(status.balanced);
    }
}

/// Sends datagrams of 1,000 bytes with one system call (`UDP_SEGMENT` of udp(7)).
/// Gives the socket that they were sent by: closed, it would
/// answer the answers with ICMP errors, which count too.
fn send_segments(site: &Site, source: IpAddr, to: IpAddr, datagrams: usize) -> UdpSocket {
    const UDP_SEGMENT: i32 = 103;
    site.client
        .run(|| {
            let socket = UdpSocket::bind(SocketAddr::new(source, 0)).unwrap();
            let size: i32 = 1_000;
            // SAFETY: the value is an int that outlives the call.
            let set = unsafe {
                libc::setsockopt(
                    socket.as_raw_fd(),
                    libc::SOL_UDP,
                    UDP_SEGMENT,
                    (&raw const size).cast(),
                    size_of_val(&size) as u32,
                )
            };
            assert_eq!(set, 0);
            let sent = socket.send_to(&vec![0x5a; datagrams * 1_000], SocketAddr::new(to, PORT)).unwrap();
            assert_eq!(sent, datagrams * 1_000);
            socket
        })
        .unwrap()
}

/// A packet that the kernel cuts into frames later counts as those: as XDP counts them, which never sees such.
#[test]
fn a_large_packet_counts_as_its_segments() {
    for (mode, offloaded) in [("native", false), ("tc", false), ("tc", true)] {
        let site = Site::new(1500);
        let place = Place::new(&in_mode(mode));
        let agent = place.start(&site.node);
        site.client.offload(ETH0, Offload::TxChecksum, offloaded).unwrap();
        // Open to the end: on a busy machine answers of one family come while the other's packets are counted.
        let mut open = Vec::new();
        for (family, headers) in [(0, 14 + 20 + 8), (1, 14 + 40 + 8)] {
            let source = [v4(2, 1), keysteer_tests::site::v6(2, 1)][family];
            let before = agent.key("globex");
            open.push(send_segments(&site, source, SERVICE[family], 10));
            let (packets, bytes) = counted(&agent, "globex", before.packets + 10);
            assert_eq!(
                (packets - before.packets, bytes - before.bytes),
                (10, 10 * (1_000 + headers)),
                "{mode}, offloaded: {offloaded}, IPv{}",
                [4, 6][family]
            );
        }
        // TCP as it is: long questions, in segments of any size, and every answer from the key's shard.
        assert_eq!(answers(&site, 2, 30_000), shards(&agent, "globex"));
        assert!(agent.status().balanced);
    }
}
