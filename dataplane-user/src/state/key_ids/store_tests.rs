use proptest::prelude::*;

use super::*;
use crate::state::crash::{Left, every_power_cut, every_stop, spoil, unsynced};

fn identity(number: usize) -> String {
    format!("prod;tenant={number}")
}

fn ids(many: usize) -> KeyIds {
    let mut ids = KeyIds::default();
    give(&mut ids, many);
    ids
}

/// Asks for the ids of so many identities.
fn give(ids: &mut KeyIds, many: usize) {
    for number in 0..many {
        ids.id(&identity(number));
    }
}

/// A state directory with so many ids, saved one by one.
fn grown(directory: &Path, many: usize) -> KeyIds {
    let mut ids = KeyIds::open(directory).unwrap();
    for number in 0..many {
        ids.id(&identity(number));
        ids.save(directory).unwrap();
    }
    ids
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    segments_in(directory).unwrap()
}

/// As keysteer 0.1 read its file.
fn read_by_0_1(directory: &Path) -> Result<(u32, std::collections::BTreeMap<String, u32>), String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        next: u32,
        ids: std::collections::BTreeMap<String, u32>,
    }
    let text = fs::read_to_string(directory.join(PUBLISHED)).map_err(|error| error.to_string())?;
    let body: Body = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    Ok((body.next, body.ids))
}

/// As keysteer 0.1 wrote it.
fn write_by_0_1(directory: &Path, ids: &KeyIds) {
    let body = Head { next: ids.next, segments: (), ids: texts::From(&ids.texts, 0) };
    let mut value = serde_json::to_value(&body).unwrap();
    value.as_object_mut().unwrap().remove("segments");
    fs::write(directory.join(PUBLISHED), serde_json::to_string_pretty(&value).unwrap()).unwrap();
}

#[test]
fn the_files_are_those_that_were_published() {
    let directory = tempfile::tempdir().unwrap();
    let mut ids = ids(2);
    ids.save(directory.path()).unwrap();
    let body = |path: &Path| String::from_utf8(KIND.read(path).unwrap().unwrap()).unwrap();
    let head = "{\"next\":3,\"segments\":[],\"ids\":{\"prod;tenant=0\":1,\"prod;tenant=1\":2}}\n";
    assert_eq!(body(&path_of(directory.path())), head);
    assert!(segments(directory.path()).is_empty());

    give(&mut ids, 9);
    ids.save(directory.path()).unwrap();
    let sealed = "\x01\x00\x0dprod;tenant=0\
        \x01\x0c\x011\x01\x0c\x012\x01\x0c\x013\x01\x0c\x014\x01\x0c\x015\x01\x0c\x016\x01\x0c\x017\x01\x0c\x018";
    let digest = SEGMENTS.seal(sealed.as_bytes()).sha256().to_owned();
    let segment = directory.path().join(DIRECTORY).join(format!("{}.segment", &digest[..16]));
    assert_eq!(segments(directory.path()), std::slice::from_ref(&segment));
    assert_eq!(SEGMENTS.read(&segment).unwrap().unwrap(), sealed.as_bytes());
    let head =
        format!("{{\"next\":10,\"segments\":[{{\"sha256\":\"{digest}\",\"entries\":9}}],\"ids\":{{}}}}\n");
    assert_eq!(body(&path_of(directory.path())), head);
    assert_eq!(KeyIds::open(directory.path()).unwrap(), ids);
}

/// The file of keysteer 0.1 is the state of nodes in use: it must be read for ever, in whatever order.
#[test]
fn the_published_file_is_read_and_moved() {
    for text in [
        "{\n  \"next\": 4,\n  \"ids\": {\n    \"prod;tenant=b\": 1,\n    \"prod;tenant=a\": 3\n  }\n}",
        r#"{"next": 4, "ids": {"prod;tenant=a": 3, "prod;tenant=b": 1}}"#,
    ] {
        let directory = tempfile::tempdir().unwrap();
        let published = directory.path().join(PUBLISHED);
        fs::write(&published, text).unwrap();
        let mut ids = KeyIds::open(directory.path()).unwrap();
        assert_eq!(ids.iter().collect::<Vec<_>>(), [("prod;tenant=b", 1), ("prod;tenant=a", 3)]);
        assert_eq!((ids.id("prod;tenant=c"), ids.given()), (4, 4));
        // Reading alone changes nothing.
        assert_eq!(fs::read_to_string(&published).unwrap(), text);
        assert!(!directory.path().join(DIRECTORY).exists());
        ids.save(directory.path()).unwrap();
        assert_eq!(KeyIds::open(directory.path()).unwrap(), ids);
        // An older agent does not take the directory for a new one.
        let refusal = read_by_0_1(directory.path()).unwrap_err();
        assert!(
            refusal.contains("a later keysteer has used this state directory, run that one"),
            "{refusal}"
        );
    }
}

#[test]
fn an_older_agent_refuses_a_new_directory_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut none = KeyIds::default();
    none.save(directory.path()).unwrap();
    assert!(read_by_0_1(directory.path()).is_err());
    // Also when somebody took that away.
    fs::remove_file(directory.path().join(PUBLISHED)).unwrap();
    KeyIds::open(directory.path()).unwrap().save(directory.path()).unwrap();
    assert!(read_by_0_1(directory.path()).is_err());
}

#[test]
fn what_an_older_agent_did_after_a_crash_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    grown(directory.path(), 20);
    // The move was not said, and an older agent went on with the file that it found.
    write_by_0_1(directory.path(), &ids(22));
    assert_eq!(read_by_0_1(directory.path()).unwrap().0, 23);
    let mut open = KeyIds::open(directory.path()).unwrap();
    assert_eq!(open, ids(22));
    open.save(directory.path()).unwrap();
    assert_eq!(KeyIds::open(directory.path()).unwrap(), ids(22));
    assert!(read_by_0_1(directory.path()).is_err());
    // Or it did not.
    write_by_0_1(directory.path(), &ids(3));
    assert_eq!(KeyIds::open(directory.path()).unwrap(), ids(22));
    // Both gave id 23.
    let mut other = ids(22);
    other.id("prod;tenant=other");
    ids(23).save(directory.path()).unwrap();
    write_by_0_1(directory.path(), &other);
    let error = KeyIds::open(directory.path()).unwrap_err().to_string();
    assert!(
        error.contains("key-ids.json is damaged: it and") && error.contains("give different ids"),
        "{error}"
    );
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (text, what) in [
        (r#"{"next": 3, "ids": {"a": 1, "b": 1}}"#, "id 1 is given twice"),
        (r#"{"next": 3, "ids": {"a": 1, "a": 2}}"#, r#""a" is there twice"#),
        (r#"{"next": 3, "ids": {"a": 3}}"#, "out of range"),
        (r#"{"next": 3, "ids": {"a": 0}}"#, "out of range"),
        (r#"{"next": 0, "ids": {}}"#, "the next id is 0"),
        (r#"{"next": 3, "ids": ["a"]}"#, "a map of identities to ids"),
        (r#"{"next": 3"#, "EOF"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(PUBLISHED), text).unwrap();
        let error = KeyIds::open(directory.path()).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains(PUBLISHED), "{text}: {error}");
        let text = text.replace("\"ids\"", "\"segments\": [], \"ids\"");
        fs::remove_file(directory.path().join(PUBLISHED)).unwrap();
        fs::create_dir(directory.path().join(DIRECTORY)).unwrap();
        KIND.write(&path_of(directory.path()), text.as_bytes()).unwrap();
        let error = KeyIds::open(directory.path()).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains("key-ids/head"), "{text}: {error}");
    }
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(PUBLISHED), r#"{"next": 3, "ids": {"a": 1}, "more": 1}"#).unwrap();
    assert!(KeyIds::open(directory.path()).unwrap_err().to_string().contains("unknown field"));
}

#[test]
fn segments_are_written_once_and_stay_few() {
    let _quick = unsynced();
    let directory = tempfile::tempdir().unwrap();
    let mut ids = KeyIds::default();
    let mut seen: Vec<PathBuf> = Vec::new();
    for number in 0..2000 {
        ids.id(&identity(number));
        if number % 5 == 0 {
            ids.save(directory.path()).unwrap();
        }
        let there = segments(directory.path());
        // None ever goes.
        assert!(seen.iter().all(|old| there.contains(old)));
        seen = there;
    }
    ids.save(directory.path()).unwrap();
    assert!((10..60).contains(&seen.len()), "{}", seen.len());
    assert_eq!(KeyIds::open(directory.path()).unwrap(), ids);
}

#[test]
fn saved_elsewhere_it_is_whole_and_nothing_new_writes_nothing() {
    let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut ids = grown(one.path(), 30);
    grown(other.path(), 12);
    ids.save(other.path()).unwrap();
    assert_eq!(KeyIds::open(other.path()).unwrap(), ids);
    assert_eq!(segments(other.path()).len(), 1);
    fs::remove_dir_all(other.path().join(DIRECTORY)).unwrap();
    ids.save(other.path()).unwrap();
    assert!(!other.path().join(DIRECTORY).exists());
}

/// Of every file, every cut, and every flip.
#[test]
fn damage_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let ids = grown(directory.path(), 12);
    let files =
        [vec![path_of(directory.path()), directory.path().join(PUBLISHED)], segments(directory.path())]
            .concat();
    assert_eq!(files.len(), 3);
    for path in &files {
        let whole = fs::read(path).unwrap();
        let refused = |bytes: Option<&[u8]>, what: &dyn std::fmt::Debug| {
            match bytes {
                Some(bytes) => spoil(path, bytes),
                None => fs::remove_file(path).unwrap(),
            }
            let error = KeyIds::open(directory.path()).map(drop).expect_err(&format!("{path:?} {what:?}"));
            assert!(matches!(error, StateError::Damaged { .. }), "{path:?} {what:?}: {error}");
            assert!(error.to_string().contains("no longer be attributed"), "{error}");
        };
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            refused(Some(&flipped), &at);
            refused(Some(&whole[..at]), &at);
        }
        if !path.ends_with(PUBLISHED) {
            refused(None, &"gone");
        }
        spoil(path, &whole);
    }
    assert_eq!(KeyIds::open(directory.path()).unwrap(), ids);
    // A segment of another directory.
    let other = tempfile::tempdir().unwrap();
    let mut others = KeyIds::default();
    for number in 0..9 {
        others.id(&number.to_string());
    }
    others.save(other.path()).unwrap();
    fs::copy(&segments(other.path())[0], &segments(directory.path())[0]).unwrap();
    let error = KeyIds::open(directory.path()).unwrap_err().to_string();
    assert!(error.contains("it is not the one that the head names"), "{error}");
    // Everything gone but what says that it was there.
    fs::remove_dir_all(directory.path().join(DIRECTORY)).unwrap();
    let error = KeyIds::open(directory.path()).unwrap_err().to_string();
    assert!(error.contains("key-ids.json says that the ids are here"), "{error}");
}

#[test]
fn a_crash_leaves_the_old_ids_or_the_new() {
    // How many there were, and how many there are then: with and without a new segment, from the very first on.
    for (old, new) in [(0, 0), (0, 3), (0, 9), (3, 5), (3, 12), (9, 12), (12, 30)] {
        let before = |directory: &Path| drop(grown(directory, old));
        let change = |directory: &Path| {
            let mut ids = KeyIds::open(directory)?;
            give(&mut ids, new);
            ids.save(directory)
        };
        let check = |left: Left<'_>| {
            let found = KeyIds::open(left.directory).unwrap();
            assert!(
                found == ids(new) || (found == ids(old) && !left.done),
                "{old} {new} {left:?}: {found:?}"
            );
            change(left.directory).unwrap();
            assert_eq!(KeyIds::open(left.directory).unwrap(), ids(new));
            assert!(read_by_0_1(left.directory).is_err());
            // What the crash left is tidied up with the next segment at the latest.
            let mut many = KeyIds::open(left.directory).unwrap();
            give(&mut many, new + 30);
            many.save(left.directory).unwrap();
            let named = many.kept.map_or(0, |kept| kept.segments.len());
            assert_eq!(segments(left.directory).len(), named);
        };
        every_stop(before, change, check);
        every_power_cut(before, change, check);
    }
}

#[test]
fn a_crash_while_the_published_file_is_moved_loses_nothing() {
    for (old, new) in [(2, 2), (2, 3), (20, 20), (20, 21)] {
        let before = |directory: &Path| write_by_0_1(directory, &ids(old));
        let change = |directory: &Path| {
            let mut ids = KeyIds::open(directory)?;
            give(&mut ids, new);
            ids.save(directory)
        };
        let check = |left: Left<'_>| {
            let found = KeyIds::open(left.directory).unwrap();
            assert!(
                found == ids(new) || (found == ids(old) && !left.done),
                "{old} {new} {left:?}: {found:?}"
            );
            // Neither does an older agent that is started now.
            if let Ok((next, by_0_1)) = read_by_0_1(left.directory) {
                assert!(!left.done);
                assert_eq!((next as usize, by_0_1.len()), (old + 1, old));
            }
            change(left.directory).unwrap();
            assert_eq!(KeyIds::open(left.directory).unwrap(), ids(new));
            assert!(read_by_0_1(left.directory).is_err());
        };
        every_stop(before, change, check);
        every_power_cut(before, change, check);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Policies come and go, the agent is started again: an id is for ever, and no two identities have one.
    #[test]
    fn any_sequence_is_as_a_simple_model_says(
        steps in proptest::collection::vec((0..3_u8, 0..200_usize, 0..60_usize), 1..20)
    ) {
        let _quick = unsynced();
        let directory = tempfile::tempdir().unwrap();
        let mut ids = KeyIds::open(directory.path()).unwrap();
        let mut model: Vec<String> = Vec::new();
        let mut kept = 0;
        for (step, first, many) in steps {
            match step {
                0 => for number in first..first + many {
                    let text = identity(number);
                    let at = model.iter().position(|known| *known == text).unwrap_or_else(|| {
                        model.push(text.clone());
                        model.len() - 1
                    });
                    prop_assert_eq!(ids.id(&text) as usize, at + 1);
                },
                1 => {
                    ids.save(directory.path()).unwrap();
                    kept = model.len();
                }
                _ => {
                    ids = KeyIds::open(directory.path()).unwrap();
                    model.truncate(kept);
                }
            }
            prop_assert!(ids.iter().map(|(text, _)| text).eq(model.iter().map(String::as_str)));
            prop_assert_eq!(ids.given() as usize, model.len());
        }
    }
}
