//! What is read of an answer, from answers made here: VLANs and bonds are in few test machines' kernels. What the kernel at
//! hand says of its veths is tested where worlds are made.

use super::*;

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap();
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// An answer about interface 7, which is up.
fn answer(attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut info = vec![0; INFO];
    info[4..8].copy_from_slice(&7_u32.to_ne_bytes());
    info[8..12].copy_from_slice(&libc::IFF_UP.to_ne_bytes());
    [&[info][..], attributes].concat().concat()
}

fn named(kind: &str, more: &[Vec<u8>]) -> Interface {
    let kind = attribute(libc::IFLA_INFO_KIND, &[kind.as_bytes(), &[0]].concat());
    let first = [attribute(libc::IFLA_IFNAME, b"it\0"), attribute(libc::IFLA_LINKINFO, &kind)];
    Interface::read(&answer(&[&first, more].concat())).unwrap()
}

#[test]
fn a_network_card_has_no_kind() {
    let card = Interface::read(&answer(&[
        attribute(libc::IFLA_IFNAME, b"eth0\0"),
        attribute(libc::IFLA_MTU, &9000_u32.to_ne_bytes()),
        attribute(libc::IFLA_MASTER, &3_u32.to_ne_bytes()),
        attribute(libc::IFLA_ADDRESS, &[2, 0, 0, 0, 0, 1]),
    ]));
    let wanted =
        Interface { mtu: 9000, up: true, master: Some(3), ..Interface::new("eth0", 7, [2, 0, 0, 0, 0, 1]) };
    assert_eq!(card, Some(wanted));
}

#[test]
fn a_vlan_has_a_parent_where_that_is_here() {
    let link = attribute(libc::IFLA_LINK, &2_u32.to_ne_bytes());
    let elsewhere = attribute(libc::IFLA_LINK_NETNSID, &0_u32.to_ne_bytes());
    let vlan = named("vlan", std::slice::from_ref(&link));
    assert_eq!((vlan.kind, vlan.parent), (Some(Kind::Vlan), Some(2)));
    // Its parent stayed behind in another namespace, where 2 is something else's index here. In either order.
    assert_eq!(named("vlan", &[link.clone(), elsewhere.clone()]).parent, None);
    assert_eq!(named("vlan", &[elsewhere.clone(), link.clone()]).parent, None);
    // The link of a veth is its other end, and that of a tunnel what it sends by.
    let veth = named("veth", &[link.clone(), elsewhere]);
    assert_eq!((veth.kind, veth.parent, veth.peer_elsewhere), (Some(Kind::Veth), None, true));
    assert!(!named("veth", std::slice::from_ref(&link)).peer_elsewhere);
    assert_eq!(named("vxlan", &[link]).parent, None);
}

#[test]
fn kinds_are_called_as_the_kernel_calls_them() {
    for name in ["veth", "vlan", "bond", "team", "bridge", "vxlan", "something-new"] {
        assert_eq!(named(name, &[]).kind.unwrap().name(), name);
    }
}

#[test]
fn what_is_cut_off_is_no_interface() {
    assert_eq!(Interface::read(&[0; INFO - 1]), None);
    // An address that is none of Ethernet's.
    let long = named("ipoib", &[attribute(libc::IFLA_ADDRESS, &[1; 20])]);
    assert_eq!(long.mac, [0; 6]);
}

#[test]
fn a_device_is_the_same_whatever_its_mtu() {
    let one = Interface { mtu: 1500, up: true, running: true, ..Interface::new("eth0", 2, [2; 6]) };
    assert!(one.is(&Interface { mtu: 9000, up: false, running: false, ..one.clone() }));
    for other in [
        Interface { index: 3, ..one.clone() },
        Interface { mac: [4; 6], ..one.clone() },
        Interface { master: Some(1), ..one.clone() },
        Interface { name: "eth1".to_owned(), ..one.clone() },
    ] {
        assert!(!one.is(&other), "{other:?}");
    }
}
