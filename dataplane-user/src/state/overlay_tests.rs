use std::fs;

use proptest::prelude::*;

use super::*;
use crate::state::crash::{every_power_cut, every_stop, spoil, unsynced};

fn word<W>(word: W, since: u64, until: Option<u64>) -> Word<W> {
    Word {
        word,
        reason: Some(format!("since {since}\n\"\u{1f980}\"")),
        by: Who { uid: 1000, pid: 7, user: None, exe: Some("/usr/bin/keysteer".to_owned()) },
        since: Timestamp::from_millis(since),
        until: until.map(Timestamp::from_millis),
    }
}

#[test]
fn words_stand_over_openings_until_their_time_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let mut overlay = Overlay::open(directory.path()).unwrap();
    assert_eq!((overlay.keys().len(), overlay.next_expiry()), (0, None));
    overlay.set_key("prod;tenant=a", word(KeyWord::Deny, 1, Some(30)));
    overlay.set_key("prod;tenant=b", word(KeyWord::Allow, 2, None));
    overlay.set_shard("a", word(ShardWord::Disabled, 3, Some(20)));
    overlay.save(directory.path()).unwrap();

    let mut overlay = Overlay::open(directory.path()).unwrap();
    assert_eq!(overlay.next_expiry(), Some(Timestamp::from_millis(20)));
    assert!(overlay.expired(Timestamp::from_millis(19)).is_empty());
    let over = overlay.expired(Timestamp::from_millis(20));
    assert_eq!((over.keys.len(), over.shards[0].0.as_str(), overlay.shards().len()), (0, "a", 0));
    assert_eq!(overlay.next_expiry(), Some(Timestamp::from_millis(30)));
    assert_eq!(overlay.expired(Timestamp::from_millis(999)).keys[0].0, "prod;tenant=a");
    assert_eq!((overlay.next_expiry(), overlay.keys().len()), (None, 1));
    assert_eq!(overlay.clear_key("prod;tenant=b"), Some(word(KeyWord::Allow, 2, None)));
    assert_eq!(overlay, Overlay::default());
}

/// The file is the state of nodes in use.
#[test]
fn the_body_is_the_one_that_was_published() {
    let directory = tempfile::tempdir().unwrap();
    let mut overlay = Overlay::default();
    overlay.set_key("prod;tenant=a", Word { reason: None, ..word(KeyWord::Deny, 1, Some(2)) });
    overlay.set_shard("a", Word { reason: None, ..word(ShardWord::Disabled, 3, None) });
    overlay.save(directory.path()).unwrap();
    let by = r#"{"uid":1000,"pid":7,"exe":"/usr/bin/keysteer"}"#;
    let body = format!(
        r#"{{"keys":{{"prod;tenant=a":{{"word":"deny","by":{by},"since":"1970-01-01T00:00:00.001Z","until":"1970-01-01T00:00:00.002Z"}}}},"shards":{{"a":{{"word":"disabled","by":{by},"since":"1970-01-01T00:00:00.003Z"}}}}}}"#
    ) + "\n";
    assert_eq!(String::from_utf8(KIND.read(&directory.path().join(FILE)).unwrap().unwrap()).unwrap(), body);
}

#[test]
fn every_flipped_byte_and_every_cut_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut overlay = Overlay::default();
    overlay.set_key("prod;tenant=a", word(KeyWord::Deny, 1, None));
    overlay.save(directory.path()).unwrap();
    let path = directory.path().join(FILE);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        for damaged in [&bytes[..], &whole[..at]] {
            spoil(&path, damaged);
            let error = Overlay::open(directory.path()).unwrap_err();
            assert!(matches!(error, StateError::Damaged { .. }), "{at}: {error}");
            assert!(error.to_string().contains("keys that they denied are steered again"), "{error}");
        }
    }
}

#[test]
fn a_crash_leaves_the_old_words_or_the_new() {
    let before = |directory: &Path| {
        let mut overlay = Overlay::default();
        overlay.set_key("a", word(KeyWord::Deny, 1, None));
        overlay.save(directory).unwrap();
    };
    let change = |directory: &Path| {
        let mut overlay = Overlay::open(directory)?;
        overlay.set_key("b", word(KeyWord::Deny, 2, None));
        overlay.save(directory)
    };
    let check = |left: crate::state::crash::Left<'_>| {
        let overlay = Overlay::open(left.directory).unwrap();
        assert_eq!(overlay.key("a"), Some(&word(KeyWord::Deny, 1, None)));
        assert!(overlay.key("b").is_some() || !left.done);
        change(left.directory).unwrap();
        assert!(Overlay::open(left.directory).unwrap().key("b").is_some());
    };
    assert_eq!(every_stop(before, change, check), 4);
    assert!(every_power_cut(before, change, check) > 8);
    every_power_cut(
        |_| {},
        |directory| Overlay::default().save(directory),
        |left| {
            assert_eq!(Overlay::open(left.directory).unwrap(), Overlay::default());
        },
    );
}

#[derive(Clone, Debug)]
enum Change {
    Key(u8, KeyWord, Option<u64>),
    ClearKey(u8),
    Shard(u8, Option<u64>),
    ClearShard(u8),
    Time(u64),
    Reopen,
}

fn change() -> impl Strategy<Value = Change> {
    let until = || proptest::option::of(0..50_u64);
    let says = prop_oneof![Just(KeyWord::Deny), Just(KeyWord::Allow)];
    prop_oneof![
        3 => (0..4_u8, says, until()).prop_map(|(key, word, until)| Change::Key(key, word, until)),
        1 => (0..4_u8).prop_map(Change::ClearKey),
        3 => (0..4_u8, until()).prop_map(|(shard, until)| Change::Shard(shard, until)),
        1 => (0..4_u8).prop_map(Change::ClearShard),
        2 => (0..50_u64).prop_map(Change::Time),
        1 => Just(Change::Reopen),
    ]
}

/// As what a key is spoken of (none: a shard), since which change, and until when.
type Said = (Option<KeyWord>, u64, Option<u64>);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_sequence_is_as_a_simple_model_says(changes in proptest::collection::vec(change(), 1..40)) {
        let _quick = unsynced();
        let directory = tempfile::tempdir().unwrap();
        let mut overlay = Overlay::open(directory.path()).unwrap();
        // Keys are 0..4, shards 4..8.
        let mut model: [Option<Said>; 8] = [None; 8];
        for (at, change) in (0..).zip(changes) {
            match change {
                Change::Key(key, says, until) => {
                    let old = overlay.set_key(&key.to_string(), word(says, at, until));
                    let before = model[usize::from(key)].replace((Some(says), at, until));
                    prop_assert_eq!(old, before.map(|(says, at, until)| word(says.unwrap(), at, until)));
                }
                Change::ClearKey(key) => {
                    let old = overlay.clear_key(&key.to_string());
                    prop_assert_eq!(old.is_some(), model[usize::from(key)].take().is_some());
                }
                Change::Shard(shard, until) => {
                    let old = overlay.set_shard(&shard.to_string(), word(ShardWord::Disabled, at, until));
                    let before = model[usize::from(shard) + 4].replace((None, at, until));
                    prop_assert_eq!(old.is_some(), before.is_some());
                }
                Change::ClearShard(shard) => {
                    let old = overlay.clear_shard(&shard.to_string());
                    prop_assert_eq!(old.is_some(), model[usize::from(shard) + 4].take().is_some());
                }
                Change::Time(now) => {
                    let over = overlay.expired(Timestamp::from_millis(now));
                    let mut expected = [0, 0];
                    for (place, entry) in model.iter_mut().enumerate() {
                        if entry.is_some_and(|(_, _, until)| until.is_some_and(|until| until <= now)) {
                            *entry = None;
                            expected[place / 4] += 1;
                        }
                    }
                    prop_assert_eq!([over.keys.len(), over.shards.len()], expected);
                }
                Change::Reopen => {
                    overlay.save(directory.path()).unwrap();
                    overlay = Overlay::open(directory.path()).unwrap();
                }
            }
            for (place, entry) in model.iter().enumerate() {
                let name = (place % 4).to_string();
                if place < 4 {
                    let expected = entry.map(|(says, at, until)| word(says.unwrap(), at, until));
                    prop_assert_eq!(overlay.key(&name), expected.as_ref());
                } else {
                    let expected = entry.map(|(_, at, until)| word(ShardWord::Disabled, at, until));
                    prop_assert_eq!(overlay.shard(&name), expected.as_ref());
                }
            }
            let next = model.iter().flatten().filter_map(|(_, _, until)| *until).min();
            prop_assert_eq!(overlay.next_expiry(), next.map(Timestamp::from_millis));
        }
    }
}
