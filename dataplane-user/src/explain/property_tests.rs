//! The stages against the decision, over packets near what a policy is about, whole and damaged.

use std::net::IpAddr;

use proptest::prelude::*;

use super::offline::Offline;
use super::picture;
use super::tests::{offline, packet};
use super::types::{Explanation, LevelFinding, ScopeFinding};

/// A packet near what the policy is about, and damage to it: bytes changed, and the end cut off.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let source = prop_oneof![
        (0_u8..9).prop_map(|net| IpAddr::from([10, net, 0, 1])),
        Just("2001:db8:1::1".parse().unwrap())
    ];
    let tags = prop_oneof![Just(vec![]), Just(vec![(7, 0)]), Just(vec![(9, 1), (8, 0)])];
    let protocol = prop_oneof![Just(6_u8), Just(17), Just(1), Just(58), any::<u8>()];
    let port = prop_oneof![Just(443_u16), Just(0x0414), any::<u16>()];
    let damage = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (source, tags, protocol, port, damage, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(source, tags, protocol, port, damage, cut, whole)| {
            let mut packet = packet(&source.to_string());
            (packet.tags, packet.protocol, packet.ports.1) = (tags, protocol, port);
            let mut frame = packet.frame().unwrap();
            for (at, byte) in damage {
                let at = at.index(frame.len());
                frame[at] = byte;
            }
            if !whole {
                frame.truncate(cut.index(frame.len()).max(1));
            }
            frame
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// The stages are found one by one; together they must say what the engine decided.
    #[test]
    fn the_stages_agree_with_the_decision(frame in frames()) {
        thread_local!(static OFFLINE: Offline = offline());
        OFFLINE.with(|offline| {
            let said = offline.explain(&frame, None).unwrap();
            let levels: Vec<_> = said.resolve.iter().flatten().map(|level| level.finding).collect();
            let ours = said.scope.finding == ScopeFinding::Ours;
            let class = match () {
                () if !ours => "foreign",
                () if said.parse.fault.is_some() => "malformed",
                () if levels.contains(&LevelFinding::Taken) => "assigned",
                () if levels.contains(&LevelFinding::NotRegistered) => "unregistered",
                () => "missing",
            };
            assert_eq!(said.class, class, "{said:#?}");
            assert_eq!(said.key.is_some(), class == "assigned");
            if let Some(key) = &said.key {
                let taken = said.resolve.iter().flatten().find(|level| level.finding == LevelFinding::Taken).unwrap();
                let generation = offline.losing(Vec::new());
                let declared = generation.names.key(key.id).unwrap();
                let declared: Vec<_> = generation.names.shown(declared, &generation.veil).map(|(f, v)| (f.to_owned(), v)).collect();
                let found: Vec<_> = taken.fields.iter().map(|f| (f.clone(), taken.values[f].clone())).collect();
                assert_eq!(found, declared);
            }
            if let Some(select) = &said.select {
                assert!(select.shards.contains(select.shard.as_ref().unwrap()), "{said:#?}");
            }
            assert!(!said.would_change.is_empty());
            let picture = picture::draw(&said);
            assert!(picture.lines().all(|line| !line.ends_with(' ')), "{picture}");
            let text = serde_json::to_string(&said).unwrap();
            assert_eq!(serde_json::from_str::<Explanation>(&text).unwrap(), said);
        });
    }
}
