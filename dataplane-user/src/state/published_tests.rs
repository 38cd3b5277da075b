//! `docs/state-example` is a state directory as this version writes it, byte by byte; and it is read for ever. When a format
//! gets a new version, the old example stays as a test of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::audit::{Event, Filter, Outcome, Subject, Verdict, list, verify};
use super::crash::spoil;
use super::generations::{Record, Status};
use super::overlay::{KeyWord, ShardWord, Word};
use super::{Audit, Generations, KeyIds, Overlay, ShardIds, StateError, Timestamp, Who};

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/state-example")
}

/// Every file of a directory, by its path inside.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.strip_prefix(directory).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn ann() -> Who {
    let (user, exe) = (Some("ann".to_owned()), Some("/usr/bin/keysteer".to_owned()));
    Who { uid: 1000, pid: 4711, user, exe }
}

/// A policy of two keys; of more than a few, for the first generation, so that their ids fill a segment.
fn bundle(text: &str) -> serde_json::Value {
    serde_json::json!({"name": "edge.yaml", "policy": text, "files": []})
}

/// Four weeks of a small node.
fn write(directory: &Path) {
    let (mut keys, mut shards) = (KeyIds::default(), ShardIds::default());
    let mut generations = Generations::open(directory).unwrap();
    let mut audit = Audit::open(directory).unwrap();
    let begin: Timestamp = "2026-01-05T09:00:00Z".parse().unwrap();
    let day = |days: u64| begin.after(Duration::from_secs(days * 86_400));
    for (number, tenants, result) in [
        (1, 10, Ok(())),
        (2, 11, Ok(())),
        (3, 12, Err("a probe of key tenant-3 went to shard b, planned was a")),
        (4, 12, Ok(())),
    ] {
        let live = generations.live().map(|record| record.number);
        for tenant in 0..tenants {
            keys.id(&format!("prod;tenant=tenant-{tenant}"));
        }
        for name in ["a", "b", "c"].iter().take(number.min(3)) {
            shards.index(name).unwrap();
        }
        let number = number as u64;
        let digest = format!("{number:064x}");
        keys.save(directory).unwrap();
        shards.save(directory).unwrap();
        generations.put_bundle(number, &bundle(&format!("# edge, edition {number}\n"))).unwrap();
        let record = Record {
            number,
            parent: live,
            made_at: day(number),
            by: ann(),
            action: "apply".to_owned(),
            policy: "edge".to_owned(),
            bundle: digest.clone(),
            abi: 2,
            interfaces: vec!["eth0".to_owned()],
            schema: 1,
            keys: tenants,
            shards: shards.given().into(),
            key_ids: keys.given(),
            shard_ids: shards.given(),
            plan: Some(digest.clone()),
            shares: Default::default(),
            rollout: None,
            status: Status::Prepared,
        };
        generations.put(record).unwrap();
        let (outcome, detail) = match result {
            Ok(()) => {
                generations.set_live(number).unwrap();
                (Outcome::Ok, None)
            }
            Err(why) => {
                generations.fail(number, why).unwrap();
                (Outcome::Failed, Some(why.to_owned()))
            }
        };
        let subject = Some(Subject::Policy("edge".to_owned()));
        let (to, plan) = (Some(number), Some(digest));
        let event = Event { subject, from: live, to, plan, detail, ..Event::new(ann(), "apply", outcome) };
        audit.append_at(day(number), event).unwrap();
    }
    generations.prune().unwrap();

    let mut overlay = Overlay::default();
    let (reason, until) = (Some("unpaid".to_owned()), Some(day(30)));
    let word = Word { word: KeyWord::Deny, reason: reason.clone(), by: ann(), since: day(5), until };
    overlay.set_key("prod;tenant=tenant-7", word);
    let word = Word { word: ShardWord::Disabled, reason: None, by: ann(), since: day(6), until: None };
    overlay.set_shard("b", word);
    overlay.save(directory).unwrap();
    let (subject, detail) = (Some(Subject::Key("tenant-7".to_owned())), Some(format!("until {}", day(30))));
    let event = Event { subject, reason, detail, ..Event::new(ann(), "key-deny", Outcome::Ok) };
    audit.append_at(day(5), event).unwrap();
    let subject = Some(Subject::Shard("b".to_owned()));
    audit.append_at(day(6), Event { subject, ..Event::new(ann(), "shard-disable", Outcome::Ok) }).unwrap();
    let swapped = generations.swap().unwrap();
    let subject = Some(Subject::Policy("edge".to_owned()));
    let event =
        Event { subject, from: Some(4), to: Some(swapped), ..Event::new(ann(), "rollback", Outcome::Ok) };
    audit.append_at(day(7), event).unwrap();
}

#[test]
fn the_example_is_what_is_written() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path());
    let written = files(directory.path());
    if std::env::var_os("KEYSTEER_WRITE_EXAMPLE").is_some() {
        for (path, content) in &written {
            let path = example().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }
    let shown = |files: BTreeMap<PathBuf, Vec<u8>>| -> Vec<String> {
        let lines = files.into_iter();
        lines.map(|(path, bytes)| format!("{}: {}", path.display(), bytes.escape_ascii())).collect()
    };
    assert_eq!(shown(files(&example())), shown(written), "KEYSTEER_WRITE_EXAMPLE=1 writes it anew");
}

#[test]
fn the_example_is_read() {
    let example = example();
    let keys = KeyIds::open(&example).unwrap();
    assert_eq!((keys.given(), keys.get("prod;tenant=tenant-11")), (12, Some(12)));
    let shards = ShardIds::open(&example).unwrap();
    assert_eq!(shards.iter().collect::<Vec<_>>(), [("a", 0), ("b", 1), ("c", 2)]);
    let generations = Generations::open(&example).unwrap();
    let numbers = [generations.live(), generations.last()].map(|record| record.unwrap().number);
    assert_eq!((numbers, generations.next_number()), ([2, 4], 5));
    assert_eq!(generations.bundle::<serde_json::Value>(4).unwrap(), bundle("# edge, edition 4\n"));
    generations.check_registries(&keys, &shards).unwrap();
    let overlay = Overlay::open(&example).unwrap();
    assert_eq!(overlay.key("prod;tenant=tenant-7").unwrap().word, KeyWord::Deny);
    assert_eq!(overlay.shard("b").unwrap().word, ShardWord::Disabled);
    assert!(matches!(verify(&example).unwrap(), Verdict::Whole(report) if report.entries == 7));
}

/// Everything that there is to read, in words; or what is wrong.
fn read(directory: &Path) -> Result<Vec<String>, StateError> {
    let (keys, shards) = (KeyIds::open(directory)?, ShardIds::open(directory)?);
    let generations = Generations::open(directory)?;
    generations.check_registries(&keys, &shards)?;
    let mut read = vec![format!("{keys:?}"), format!("{:?}", shards.iter().collect::<Vec<_>>())];
    for record in generations.iter() {
        read.push(format!("{record:?}"));
        if record.status == Status::Live || record.status == Status::Last {
            read.push(generations.bundle::<serde_json::Value>(record.number)?.to_string());
        }
    }
    read.push(format!("{:?}", Overlay::open(directory)?));
    match verify(directory)? {
        Verdict::Whole(report) => read.push(format!("{report:?}")),
        Verdict::Broken(broken) => {
            let what = broken.what;
            return Err(StateError::Damaged { path: broken.file.into(), what, consequence: "" });
        }
    }
    read.push(format!("{:?}", list(directory, &Filter::default())?));
    Ok(read)
}

/// Each file of the example, cut at every byte and with a bit of every byte flipped: told, and told of that file.
#[test]
fn no_damage_is_misread() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(&example());
    for (path, content) in &files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let whole = read(directory.path()).unwrap();
    for (name, content) in &files {
        let path = directory.path().join(name);
        let told = |what: &dyn std::fmt::Debug| {
            let error = read(directory.path()).expect_err(&format!("{name:?} {what:?}"));
            assert!(matches!(error, StateError::Damaged { .. }), "{name:?} {what:?}: {error}");
            // Of a log that its head does not know it is the log that is told.
            let also = if name.ends_with("audit.head") { "audit.jsonl" } else { "" };
            let error = error.to_string();
            let name = name.to_str().unwrap();
            assert!(error.contains(name) || (!also.is_empty() && error.contains(also)), "{name}: {error}");
        };
        for at in 0..content.len() {
            spoil(&path, &content[..at]);
            told(&at);
            let mut flipped = content.clone();
            flipped[at] ^= 1 << (at * 5 % 8);
            spoil(&path, &flipped);
            told(&at);
        }
        fs::remove_file(&path).unwrap();
        // A node's first moments look like that of what nothing else tells of.
        let is_told = !["overlay", "key-ids.json"].iter().any(|harmless| name.ends_with(harmless));
        assert_eq!(read(directory.path()).is_err(), is_told, "{name:?} is gone");
        spoil(&path, content);
    }
    assert_eq!(read(directory.path()).unwrap(), whole);
}
