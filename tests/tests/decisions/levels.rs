//! Levels, the most specific first, and look-ups that take all their probes.

use keysteer_common::config::MAX_KEY_PROBES;
use keysteer_common::hash;
use keysteer_common::headers::NO_LEVEL;
use keysteer_common::tables::{KeyEntry, KeyMeta};
use keysteer_common::vocabulary::{Class, Reason, Verdict};
use keysteer_tests::frames::Packet;
use keysteer_tests::lab::mac;

use crate::table::{A, C, Expect, POLICY, acme, table, table_of};

#[test]
fn the_most_specific_level_wins_and_the_next_catches() {
    table(|_, mut table| {
        let specific = Expect::redirected("acme-c", "c", Verdict::NextHop, [C, mac(2)]);
        let decision = table.says("tenant and product", &acme(2), &specific).work.record.decision;
        assert_eq!((decision.level, decision.tried, decision.present), (0, 0b01, 0b11));
        let general = Expect::redirected("acme", "a", Verdict::Interface, [A, mac(1)]);
        let decision = table.says("an unknown product falls back", &acme(63), &general).work.record.decision;
        assert_eq!((decision.level, decision.tried, decision.present), (1, 0b11, 0b11));
        let stranger = Packet { dscp: 2, ..Packet::between("192.0.2.1", "203.0.113.9") };
        let missing = Expect::class(Class::Missing, Reason::ClassPass);
        let decision =
            table.says("without a tenant no level is tried", &stranger, &missing).work.record.decision;
        assert_eq!((decision.level, decision.tried, decision.present), (NO_LEVEL, 0, 0b10));
    });
}

/// Fifteen other keys stand between where the look-up begins and where the key is.
#[test]
fn the_sixteenth_probe_finds_its_key() {
    let crowd = |image: &mut keysteer::image::Image, before: u32| {
        let level = image.config.levels[1];
        let wanted = *image.keys.iter().find(|entry| entry.meta.is_level(1)).unwrap();
        let wide = image.config.wide != 0;
        let home = (hash::key(level.multipliers, [0, wanted.key], wide) >> image.config.key_shift) as u32;
        image.config.key_probes = MAX_KEY_PROBES;
        image.keys.fill(KeyEntry::default());
        // Only the fallback level is looked up with success: neighbours of another level never match.
        for probe in 0..before {
            let place = (home + probe) & image.config.key_mask;
            image.keys[place as usize] = KeyEntry { meta: KeyMeta::direct(3), ..wanted };
        }
        let place = (home + before) & image.config.key_mask;
        image.keys[place as usize] = wanted;
    };
    let found = Expect::redirected("acme", "a", Verdict::Interface, [A, mac(1)]);
    // 64 entries, so that the crowd of one level leaves gaps where the other begins.
    let policy = POLICY.replace("  keys:\n", &format!("  keys:\n{}", others()));
    table_of(
        &policy,
        |image| crowd(image, 15),
        |_, mut table| {
            table.says("the last probe that is made", &acme(50), &found);
        },
    );
    table_of(
        &policy,
        |image| crowd(image, 16),
        |_, mut table| {
            let outcome = table.run("one further is not looked for", &acme(50).bytes(), 0);
            assert_eq!(outcome.work.record.decision.class, Class::Unregistered as u8);
        },
    );
}

/// Keys that make the table larger.
fn others() -> String {
    let key = |product| {
        format!("    - {{name: o{product}, match: {{tenant: umbrella, product: {product}}}, pool: a}}\n")
    };
    (0..16).map(key).collect()
}
