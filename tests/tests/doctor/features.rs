//! What devices say they do by themselves.

use keysteer::kernel::features::{Features, STRIPS_TAG};
use keysteer::world::tune::Offload;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::{THREE_SHARDS, policy};
use keysteer_tests::site::{Site, UP0, v4};

#[test]
fn features_are_read_as_they_are_now() {
    let site = Site::new(1500);
    let read = || site.node.run(|| Features::read(UP0)).unwrap().unwrap();
    assert!(read().has(STRIPS_TAG), "a veth announces it: {:?}", read());
    for on in [true, false, true] {
        site.node.offload(UP0, Offload::Gro, on).unwrap();
        assert_eq!(read().has("rx-gro"), on);
    }
    site.node.offload(UP0, Offload::TxChecksum, false).unwrap();
    assert!(!read().has("tx-tcp-segmentation"), "segmentation goes with the checksum");
}

#[test]
fn a_veth_that_announces_to_strip_tags_is_steered_natively_by_them() {
    let site = Site::new(1500);
    let tail = THREE_SHARDS.replace("match: {tenant: t", "match: {vlan: 7, tenant: t");
    assert_ne!(tail, THREE_SHARDS);
    let fields = "fields: [{name: vlan, from: vlan.id}, {name: tenant, from: ip.src, table: tenants}]";
    let text = policy("", "{name: up0}", &tail)
        .replace("fields: [{name: tenant, from: ip.src, table: tenants}]", fields);
    assert!(text.contains("vlan.id"), "{text}");
    let place = Place::new(&text);
    let agent = place.start(&site.node);
    let at = &agent.status().interfaces[0];
    assert_eq!((at.mode.as_str(), &at.fallback, &at.note), ("native", &None, &None));
    // What has no tag has no key, and goes where that goes.
    assert_ne!(site.who(v4(1, 1)), "node");
    assert_eq!(agent.key("acme").packets, 0);
}
