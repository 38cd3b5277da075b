use std::fs;

use super::*;
use crate::state::crash::{every_power_cut, every_stop, spoil};
use crate::state::{Timestamp, Who};

fn record(number: u64, status: Status) -> Record {
    Record {
        action: "apply".to_owned(),
        number,
        parent: number.checked_sub(1).filter(|parent| *parent > 0),
        made_at: Timestamp::from_millis(1_700_000_000_000_u64.saturating_add(number)),
        by: Who { uid: 0, pid: 7, user: Some("root".to_owned()), exe: None },
        policy: "edge".to_owned(),
        bundle: "b0".to_owned(),
        abi: 2,
        interfaces: vec!["eth0".to_owned()],
        schema: 1,
        keys: 3,
        shards: 2,
        key_ids: 0,
        shard_ids: 0,
        plan: None,
        shares: Default::default(),
        rollout: None,
        status,
    }
}

pub(super) fn bundle(number: u64) -> String {
    format!("policy {number}\n")
}

pub(super) fn prepare(generations: &mut Generations) -> u64 {
    let number = generations.next_number();
    generations.put_bundle(number, &bundle(number)).unwrap();
    generations.put(record(number, Status::Prepared)).unwrap();
    number
}

fn numbers(generations: &Generations) -> (Option<u64>, Option<u64>) {
    (generations.live().map(|record| record.number), generations.last().map(|record| record.number))
}

fn same(one: &Generations, other: &Generations) -> bool {
    one.next == other.next && one.records == other.records
}

#[test]
fn a_generation_becomes_live_last_and_retired() {
    let directory = tempfile::tempdir().unwrap();
    let mut generations = Generations::open(directory.path()).unwrap();
    assert_eq!((generations.next_number(), numbers(&generations)), (1, (None, None)));
    for number in 1..=3 {
        assert_eq!(prepare(&mut generations), number);
        assert_eq!(generations.prepared().map(|record| record.number).collect::<Vec<_>>(), [number]);
        generations.set_live(number).unwrap();
    }
    assert_eq!(numbers(&generations), (Some(3), Some(2)));
    assert_eq!(generations.get(1).unwrap().status, Status::Retired);
    assert_eq!(generations.swap().unwrap(), 2);
    assert_eq!(numbers(&generations), (Some(2), Some(3)));
    // A new one after a rollback: what was rolled back is retired once another is live.
    assert_eq!(prepare(&mut generations), 4);
    generations.set_live(4).unwrap();
    assert_eq!(
        (numbers(&generations), &generations.get(3).unwrap().status),
        ((Some(4), Some(2)), &Status::Retired)
    );

    assert_eq!(prepare(&mut generations), 5);
    generations.fail(5, "a probe went to another shard").unwrap();
    let why = Status::Failed { why: "a probe went to another shard".to_owned() };
    assert_eq!(generations.get(5).unwrap().status, why);
    assert_eq!(generations.bundle::<String>(5).unwrap(), bundle(5));
    assert_eq!(generations.prune().unwrap(), 3);
    for number in [1, 3, 5] {
        let error = generations.bundle::<String>(number).unwrap_err().to_string();
        assert!(error.contains("has no bundle (any more)"), "{error}");
    }
    assert_eq!(generations.bundle::<String>(2).unwrap(), bundle(2));
    generations.retire(2).unwrap();
    assert_eq!(numbers(&generations), (Some(4), None));
    let again = Generations::open(directory.path()).unwrap();
    assert!(same(&again, &generations));
    assert_eq!(again.next_number(), 6);
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut generations = Generations::open(directory.path()).unwrap();
    for _ in 0..3 {
        let number = prepare(&mut generations);
        generations.set_live(number).unwrap();
    }
    prepare(&mut generations);
    let before = fs::read(directory.path().join(DIRECTORY).join(FILE)).unwrap();
    type Change = fn(&mut Generations) -> Result<(), StateError>;
    let changes: [(Change, &str); 13] = [
        (|g| g.set_live(1), "generation 1 is retired: it cannot become live"),
        (|g| g.set_live(3), "generation 3 is live: it cannot become live"),
        (|g| g.set_live(9), "generation 9 is not known"),
        (|g| g.fail(3, ""), "generation 3 is live: it cannot fail any more"),
        (|g| g.fail(9, ""), "generation 9 is not known"),
        (|g| g.retire(3), "generation 3 is live: only the last can be retired"),
        (|g| g.retire(9), "generation 9 is not known"),
        (|g| g.put(record(1, Status::Prepared)), "generation 1 is retired and would be prepared"),
        (|g| g.put(record(0, Status::Retired)), "generation 0 is used already; the next is 5"),
        (|g| g.put(record(5, Status::Prepared)), "generation 5 has no bundle yet"),
        (|g| g.put_bundle(5, &"").and_then(|()| g.put(record(5, Status::Live))), "2 generations are live"),
        (|g| g.put(record(5, Status::Last)), "and 2 the last before"),
        (|g| g.put(record(u64::MAX, Status::Retired)), "is not below the next"),
    ];
    for (change, what) in changes {
        let error = change(&mut generations).unwrap_err();
        assert!(matches!(error, StateError::Generation { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains(what) && error.contains("keysteer status"), "{what}: {error}");
        assert_eq!(fs::read(directory.path().join(DIRECTORY).join(FILE)).unwrap(), before);
        assert!(same(&Generations::open(directory.path()).unwrap(), &generations));
    }
    let empty = tempfile::tempdir().unwrap();
    let error = Generations::open(empty.path()).unwrap().swap().unwrap_err().to_string();
    assert!(error.contains("none to go back to"), "{error}");
}

/// After the state was lost, the kernel's pins say which numbers were used.
#[test]
fn numbers_can_be_skipped_and_a_record_completed() {
    let directory = tempfile::tempdir().unwrap();
    let mut generations = Generations::open(directory.path()).unwrap();
    generations.put(record(41, Status::Retired)).unwrap();
    assert_eq!(generations.next_number(), 42);
    assert_eq!(prepare(&mut generations), 42);
    let completed = Record { policy: "other".to_owned(), ..record(42, Status::Prepared) };
    generations.put(completed.clone()).unwrap();
    assert_eq!(Generations::open(directory.path()).unwrap().get(42), Some(&completed));
}

#[test]
fn records_are_bounded_and_what_is_needed_stays() {
    let directory = tempfile::tempdir().unwrap();
    let mut generations = Generations::open(directory.path()).unwrap();
    for _ in 0..2 {
        let number = prepare(&mut generations);
        generations.set_live(number).unwrap();
    }
    for number in 3..=1005 {
        // As in one write: that is what the records are read from.
        generations.records.insert(number, record(number, Status::Retired));
        generations.next = number + 1;
    }
    assert_eq!(generations.prune().unwrap(), 0);
    assert_eq!(generations.records.len(), KEPT);
    let kept: Vec<u64> = generations.iter().map(|record| record.number).collect();
    assert_eq!((kept[..3].to_vec(), numbers(&generations)), (vec![1, 2, 8], (Some(2), Some(1))));
    assert!(same(&Generations::open(directory.path()).unwrap(), &generations));
}

#[test]
fn damage_is_told() {
    let opened = |directory: &Path| Generations::open(directory).unwrap_err();
    let directory = tempfile::tempdir().unwrap();
    let mut generations = Generations::open(directory.path()).unwrap();
    let number = prepare(&mut generations);
    generations.set_live(number).unwrap();
    let records = directory.path().join(DIRECTORY).join(FILE);
    let whole = fs::read(&records).unwrap();

    fs::remove_file(&records).unwrap();
    let error = opened(directory.path()).to_string();
    assert!(
        error.contains("records is damaged: it is missing, but") && error.contains("1.bundle"),
        "{error}"
    );

    let (one, two) = (record(1, Status::Live), record(2, Status::Live));
    for (next, records_of, what) in [
        (3, vec![one.clone(), one.clone()], "a number is there twice"),
        (3, vec![one.clone(), two], "2 generations are live"),
        (1, vec![one], "number 1 is not below the next, 1"),
        (2, vec![record(1, Status::Last)], "0 generations are live, and 1 the last before"),
    ] {
        RECORDS.write_json(&records, &Body { next, records: records_of }).unwrap();
        let error = opened(directory.path()).to_string();
        assert!(error.contains(what), "{error}");
    }

    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        spoil(&records, &bytes);
        assert!(matches!(opened(directory.path()), StateError::Damaged { .. }), "{at}");
        spoil(&records, &whole[..at]);
        assert!(matches!(opened(directory.path()), StateError::Damaged { .. }), "{at}");
    }
    fs::write(&records, &whole).unwrap();
    let generations = Generations::open(directory.path()).unwrap();

    let path = directory.path().join(DIRECTORY).join("1.bundle");
    fs::copy(&path, path.with_file_name("2.bundle")).unwrap();
    let error = generations.bundle::<String>(2).unwrap_err().to_string();
    assert!(error.contains("2.bundle is damaged: it is the bundle of generation 1"), "{error}");
    fs::write(&path, "").unwrap();
    assert!(generations.bundle::<String>(1).unwrap_err().to_string().contains("it is empty"));
    fs::remove_file(&path).unwrap();
    let error = generations.bundle::<String>(1).unwrap_err().to_string();
    assert!(error.contains("it is missing") && error.contains("apply its policy again"), "{error}");
}

#[test]
fn a_registry_that_lost_ids_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let (mut keys, mut shards) = (KeyIds::default(), ShardIds::default());
    keys.id("prod;tenant=a");
    shards.index("a");
    shards.index("b");
    let mut generations = Generations::open(directory.path()).unwrap();
    generations
        .put(Record { key_ids: keys.given(), shard_ids: shards.given(), ..record(1, Status::Retired) })
        .unwrap();
    generations.check_registries(&keys, &shards).unwrap();
    let error = generations.check_registries(&KeyIds::default(), &shards).unwrap_err().to_string();
    assert!(error.contains("holds 0 ids, but 1 were given when generation 1 was made"), "{error}");
    assert!(error.contains(&directory.path().join("key-ids").display().to_string()), "{error}");
    let error = generations.check_registries(&keys, &ShardIds::default()).unwrap_err().to_string();
    assert!(error.contains("shard-ids is damaged: it holds 0 ids, but 2 were given"), "{error}");
}

/// Everything that an apply and two rollbacks do to the files, stopped before each operation, and with the power cut at each
/// moment: what is found is always what the caller was told last, or what it is about to be told.
#[test]
fn a_crash_leaves_the_old_state_or_the_new() {
    /// The steps, and what is seen after each.
    type Seen = (u64, Option<u64>, Option<u64>, usize);
    fn seen(directory: &Path) -> Seen {
        let generations = Generations::open(directory).unwrap();
        for record in generations.iter().filter(|record| record.status.needs_bundle()) {
            assert_eq!(generations.bundle::<String>(record.number).unwrap(), bundle(record.number));
        }
        let (live, last) = numbers(&generations);
        (generations.next_number(), live, last, generations.prepared().count())
    }
    fn before(directory: &Path) {
        let mut generations = Generations::open(directory).unwrap();
        for _ in 0..2 {
            let number = prepare(&mut generations);
            generations.set_live(number).unwrap();
        }
    }
    fn change(directory: &Path) -> Result<(), StateError> {
        let mut generations = Generations::open(directory)?;
        generations.put_bundle(3, &bundle(3))?;
        generations.put(record(3, Status::Prepared))?;
        generations.set_live(3)?;
        generations.swap()?;
        generations.swap()?;
        generations.prune().map(drop)
    }
    let states: [Seen; 5] = [
        (3, Some(2), Some(1), 0),
        (4, Some(2), Some(1), 1),
        (4, Some(3), Some(2), 0),
        (4, Some(2), Some(3), 0),
        (4, Some(3), Some(2), 0),
    ];
    // A replaced file is four operations: create, sync, rename, sync the directory. The third decides.
    let operations = every_stop(before, change, |left| {
        let step = (left.at + 1) / 4;
        assert_eq!(
            seen(left.directory),
            states[step.saturating_sub(1).min(4)],
            "before operation {}",
            left.at
        );
        // The next apply goes on from there, and tidies up.
        let mut generations = Generations::open(left.directory).unwrap();
        let number = prepare(&mut generations);
        generations.set_live(number).unwrap();
        generations.prune().unwrap();
        assert_eq!(generations.live().unwrap().number, number);
    });
    assert_eq!(operations, 5 * 4 + 1);
    let disks = every_power_cut(before, change, |left| {
        let found = seen(left.directory);
        // On the disk is what was synced, or what was renamed and is not synced yet.
        let old = states[(left.at / 4).saturating_sub(1).min(4)];
        let new = states[((left.at + 1) / 4).saturating_sub(1).min(4)];
        assert!(found == old || found == new, "{left:?}: {found:?}");
        assert!(!left.done || found == states[4]);
    });
    assert!(disks > 60, "{disks}");
    // The first apply of all.
    let first = |directory: &Path| {
        let mut generations = Generations::open(directory)?;
        generations.put_bundle(1, &bundle(1))?;
        generations.put(record(1, Status::Prepared))?;
        generations.set_live(1)
    };
    let check = |left: crate::state::crash::Left<'_>| {
        let found = seen(left.directory);
        let possible = [(1, None, None, 0), (2, None, None, 1), (2, Some(1), None, 0)];
        assert!(possible.contains(&found) && (!left.done || found == possible[2]), "{left:?}: {found:?}");
        first(left.directory).or_else(|_| Generations::open(left.directory).map(drop)).unwrap();
    };
    every_stop(|_| {}, first, check);
    every_power_cut(|_| {}, first, check);
}
