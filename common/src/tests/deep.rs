//! What the deep program decides: several schemas, who may assert a key, later fragments.

use proptest::prelude::*;

use crate::carrier::Carrier;
use crate::config::{
    FRAGMENT_CLASS, InterfaceConfig, LevelConfig, Ports, PrefixIndex, SchemaConfig, class_action, fragments,
    reads,
};
use crate::tables::{KeyEntry, KeyMeta};
use crate::trust;
use crate::vocabulary::{Class, Reason, Verdict};

use super::world::{CLIENT, Count, KEY_ID, Noted, SERVICE, UDP, World, framed, ipv4, udp, udp4, with_vlans};

/// The key of the second schema.
const OTHER: u32 = 9;

/// The world, with a second schema: the VLAN, of which 5 is the only key; all that is not assigned passes.
fn two_schemas() -> World {
    let mut world = World::new();
    world.config.fields[1][0].carrier = Carrier::VlanId as u8;
    world.config.fields[1][0].mask = [0, 0xfff];
    world.config.levels[1] =
        LevelConfig { mask: [0, 0xfff], multipliers: [3, 5], fields: 1, ..Default::default() };
    let schema = |first_level, version| SchemaConfig {
        first_level,
        levels: 1,
        fields: 1,
        version,
        ..Default::default()
    };
    world.config.schemas[0] = schema(0, 1);
    world.config.schemas[1] = schema(1, 2);
    world.keys = vec![
        KeyEntry { key: 34, id: KEY_ID, place: 0, meta: KeyMeta::direct(0, 0) },
        KeyEntry { key: 5, id: OTHER, place: 1, meta: KeyMeta::direct(1, 0) },
    ];
    world.config.key_mask = 1;
    world.config.key_probes = 2;
    world
}

fn decided(world: &World, frame: &[u8]) -> (Class, u32, u32, Vec<Count>) {
    let mut noted = Noted::default();
    let (_, work) = world.decide(&mut frame.to_vec(), &mut noted);
    let decision = work.record.decision;
    (Class::from_number(decision.class).unwrap(), decision.key_id, decision.claimed, noted.counts)
}

/// Without the DSCP that the first schema knows.
fn plain() -> Vec<u8> {
    let mut frame = udp4();
    frame[15] = 0;
    frame
}

#[test]
fn the_first_schema_that_has_a_key_decides_and_its_version_is_counted() {
    let world = two_schemas();
    let version = |version| Count::Version { version, bytes: 62 + 4 };
    let (class, id, _, counts) = decided(&world, &with_vlans(&udp4(), &[(0x8100, 5)]));
    assert_eq!((class, id), (Class::Assigned, KEY_ID), "both have one");
    assert!(counts.contains(&version(1)), "{counts:?}");
    let (class, id, _, counts) = decided(&world, &with_vlans(&plain(), &[(0x8100, 5)]));
    assert_eq!((class, id), (Class::Assigned, OTHER));
    assert!(counts.contains(&version(2)), "{counts:?}");
    let (class, ..) = decided(&world, &with_vlans(&plain(), &[(0x8100, 6)]));
    assert_eq!(class, Class::Unregistered);
    // By the first schema the key is 5, too: but not at the second schema's level.
    let mut alike = with_vlans(&plain(), &[(0x8100, 6)]);
    alike[19] = 5 << 2;
    assert_eq!(decided(&world, &alike).0, Class::Unregistered);
}

#[test]
fn a_key_that_needs_proof_is_not_believed_without_and_not_charged() {
    let mut world = two_schemas();
    world.config.interfaces_len = 2;
    world.config.interfaces[0] = InterfaceConfig { allowed: [1; 4], verify: 3, ..Default::default() };
    world.config.interfaces[1] = InterfaceConfig { index: 3, allowed: [1, 0, 0, 0], ..Default::default() };
    let (class, id, ..) = decided(&world, &udp4());
    assert_eq!((class, id), (Class::Assigned, KEY_ID), "interface 3 is trusted with the first schema");
    let (class, ..) = decided(&world, &with_vlans(&plain(), &[(0x8100, 5)]));
    assert_eq!(class, Class::Unregistered, "the second is not looked at there");
    world.config.interfaces_len = 1;
    let (class, id, claimed, counts) = decided(&world, &udp4());
    assert_eq!((class, id, claimed), (Class::Unauthenticated, 0, KEY_ID));
    assert!(counts.contains(&Count::Claim { id: KEY_ID, ingress: 3, bytes: 62 }), "{counts:?}");
    assert!(!counts.iter().any(|count| matches!(count, Count::Key { .. })), "{counts:?}");
}

#[test]
fn a_key_is_used_from_the_sources_that_it_lists() {
    let mut world = two_schemas();
    world.config.has_sources = 1;
    world.keys[0].meta = world.keys[0].meta.restrict(true);
    // All of 10.0.0.0/8 is set 4.
    world.config.sources.v4 =
        PrefixIndex { mask4: 0xff00_0000, common4: 0x0a00_0000, value: 4, ..PrefixIndex::default() };
    world.config.pair_mask = 1;
    world.config.pair_probes = 2;
    world.pairs = vec![trust::pair(4, KEY_ID); 2];
    assert_eq!(decided(&world, &udp4()).0, Class::Assigned);
    world.pairs = vec![trust::pair(4, OTHER); 2];
    let (class, _, claimed, _) = decided(&world, &udp4());
    assert_eq!((class, claimed), (Class::Unauthenticated, KEY_ID), "the set has another key");
    world.config.sources.v4 = PrefixIndex::default();
    assert_eq!(decided(&world, &udp4()).0, Class::Unauthenticated, "no set has the address");
}

/// A fragment of a datagram to port 443: the first, or the one behind it.
fn fragment(later: bool, id: u8) -> Vec<u8> {
    let mut ip = ipv4(UDP, CLIENT, SERVICE, &udp(1111, 443, 8));
    ip[1] = 0;
    ip[5] = id;
    ip[6..8].copy_from_slice(if later { &[0, 2] } else { &[0x20, 0] });
    framed(0x0800, &ip)
}

fn by_port() -> World {
    let mut world = World::new();
    world.config.fields[0][0].carrier = Carrier::L4DstPort as u8;
    world.config.fields[0][0].mask = [0, 0xffff];
    world.config.levels[0].mask = [0, 0xffff];
    world.key(KeyEntry { key: 443, id: KEY_ID, place: 0, meta: KeyMeta::direct(0, 0) });
    world
}

#[test]
fn later_fragments_have_a_treatment_of_their_own() {
    let mut world = by_port();
    let reason = |world: &World| {
        let mut noted = Noted::default();
        let (_, work) = world.decide(&mut fragment(true, 1), &mut noted);
        (work.record.decision.reason, work.record.decision.verdict)
    };
    assert_eq!(reason(&world), (Reason::ClassPass as u8, Verdict::Pass as u8), "as any without a key");
    world.config.fragments = fragments::AS_CLASS;
    assert_eq!(reason(&world), (Reason::FragmentPass as u8, Verdict::Pass as u8));
    world.config.classes[FRAGMENT_CLASS].action = class_action::DROP;
    assert_eq!(reason(&world), (Reason::FragmentDrop as u8, Verdict::Drop as u8));
}

#[test]
fn later_fragments_follow_their_first_one() {
    let mut world = by_port();
    world.config.fragments = fragments::FOLLOW;
    let mut noted = Noted::default();
    let class = |frame: Vec<u8>, noted: &mut Noted| {
        let (_, work) = world.decide(&mut frame.clone(), noted);
        (work.record.decision.class, work.record.decision.key_id)
    };
    assert_eq!(class(fragment(true, 1), &mut noted).0, Class::Missing as u8, "it overtook the first");
    assert_eq!(class(fragment(false, 1), &mut noted), (Class::Assigned as u8, KEY_ID));
    assert_eq!(class(fragment(true, 1), &mut noted), (Class::Assigned as u8, KEY_ID));
    assert_eq!(class(fragment(true, 2), &mut noted).0, Class::Missing as u8, "another datagram");
    let mut keyless = fragment(false, 1);
    keyless[36..38].copy_from_slice(&[0, 9]);
    assert_eq!(class(keyless, &mut noted).0, Class::Unregistered as u8);
    assert_eq!(class(fragment(true, 1), &mut noted).0, Class::Missing as u8, "its first has no key now");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    /// Any bytes at the port of any tunnel survive, and are counted once.
    #[test]
    fn junk_in_tunnels(
        port in prop::sample::select(vec![4789_u16, 6081, 2152, 443]),
        protocol in prop::sample::select(vec![4_u8, 6, 17, 17, 17, 41, 47, 143]),
        payload in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut world = two_schemas();
        world.config.reads = reads::ALL;
        world.config.ports = Ports::IANA;
        world.config.fragments = fragments::FOLLOW;
        let mut rest = 9_u16.to_be_bytes().to_vec();
        rest.extend(port.to_be_bytes());
        rest.extend(u16::try_from(8 + payload.len()).unwrap().to_be_bytes());
        rest.extend([0, 0]);
        rest.extend(&payload);
        let frame = framed(0x0800, &ipv4(protocol, CLIENT, SERVICE, if protocol == UDP { &rest } else { &payload }));
        let mut noted = Noted::default();
        world.decide(&mut frame.clone(), &mut noted);
        prop_assert_eq!(noted.counts.iter().filter(|count| matches!(count, Count::Node(..))).count(), 1);
    }
}
