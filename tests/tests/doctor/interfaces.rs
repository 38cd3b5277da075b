//! What the kernel says of interfaces.

use keysteer::kernel::interfaces::{Interface, Interfaces, Kind};
use keysteer::world::{End, Namespace, veth};
use keysteer_tests::site::binary::demand_root;

fn read(namespace: &Namespace, name: &str) -> Interface {
    let interfaces = namespace.run(Interfaces::read).unwrap().unwrap();
    interfaces.find(name).unwrap_or_else(|| panic!("no {name} in {interfaces:?}")).clone()
}

fn pair<'a>(one: &'a Namespace, other: &'a Namespace) -> [End<'a>; 2] {
    let end = |namespace, name, last| End { namespace, name, mac: [2, 0, 0, 0, 0, last] };
    [end(one, "near", 1), end(other, "far", 2)]
}

#[test]
fn a_veth_is_known_with_its_mtu_and_where_its_other_end_is() {
    demand_root();
    let [here, there] = ["here", "there"].map(|label| Namespace::new(label).unwrap());
    let [near, far] = pair(&here, &there);
    veth(near, far).unwrap();
    here.mtu("near", 1400).unwrap();
    let known = read(&here, "near");
    assert_eq!((known.mac, known.mtu, known.kind.clone()), ([2, 0, 0, 0, 0, 1], 1400, Some(Kind::Veth)));
    assert_eq!(known.index, here.index("near").unwrap());
    assert_eq!((known.up, known.running), (false, false));
    assert_eq!((known.parent, known.master, known.peer_elsewhere), (None, None, true));
    assert!(read(&there, "far").peer_elsewhere);

    // Up, but nothing is at the other end yet; then both are.
    here.up("near").unwrap();
    assert_eq!((read(&here, "near").up, read(&here, "near").running), (true, false));
    there.up("far").unwrap();
    assert!(read(&here, "near").running);
    assert!(known.is(&read(&here, "near")), "it is the same device");
}

#[test]
fn a_veth_within_a_namespace_is_no_way_out_of_it() {
    demand_root();
    let here = Namespace::new("here").unwrap();
    let [near, far] = pair(&here, &here);
    veth(near, far).unwrap();
    for name in ["near", "far"] {
        let known = read(&here, name);
        assert_eq!(
            (known.kind, known.parent, known.peer_elsewhere),
            (Some(Kind::Veth), None, false),
            "{name}"
        );
    }
    let lo = read(&here, "lo");
    assert_eq!((lo.kind, lo.up, lo.mac, lo.mtu), (None, true, [0; 6], 65536));
}

#[test]
fn all_of_a_long_list_are_read() {
    demand_root();
    let here = Namespace::new("here").unwrap();
    // More than the kernel puts into one answer.
    for number in 0..120 {
        let [one, other] = [format!("one{number}"), format!("other{number}")];
        let end = |name| End { namespace: &here, name, mac: [2, 0, 0, 0, 0, number] };
        veth(end(&one), end(&other)).unwrap();
    }
    let interfaces = here.run(Interfaces::read).unwrap().unwrap();
    assert_eq!(interfaces.0.len(), 241);
    let index = here.index("other119").unwrap();
    assert_eq!(interfaces.at(index).map(|it| it.name.as_str()), Some("other119"));
}
