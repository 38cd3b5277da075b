use proptest::prelude::*;

use super::*;
use crate::state::Who;
use crate::state::crash::{every_power_cut, every_stop, spoil, unsynced};
use crate::state::file::sha256;

fn event(number: u64) -> Event {
    Event {
        subject: Some(Subject::Key(format!("acme-{number}"))),
        reason: Some("line\n\"quoted\" \u{1f980}".to_owned()),
        from: Some(number),
        to: Some(number + 1),
        ..Event::new(
            Who { uid: 1000, pid: 7, user: Some("ann".to_owned()), exe: None },
            if number.is_multiple_of(2) { "key-deny" } else { "apply" },
            Outcome::Ok,
        )
    }
}

fn fill(directory: &Path, numbers: std::ops::RangeInclusive<u64>) {
    let mut audit = Audit::open(directory).unwrap();
    for number in numbers {
        let entry = audit.append_at(Timestamp::from_millis(number * 1000), event(number)).unwrap();
        assert_eq!((entry.seq, audit.entries(), audit.hash()), (number, number, entry.hash.as_str()));
    }
}

fn log_of(entries: u64) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path(), 1..=entries);
    directory
}

fn whole(directory: &Path) -> Report {
    match verify(directory).unwrap() {
        Verdict::Whole(report) => report,
        Verdict::Broken(broken) => panic!("{broken:?}"),
    }
}

fn broken(directory: &Path) -> Broken {
    match verify(directory).unwrap() {
        Verdict::Broken(broken) => broken,
        Verdict::Whole(report) => panic!("{report:?}"),
    }
}

#[test]
fn what_happened_is_listed_and_verified_over_openings() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(list(directory.path(), &Filter::default()).unwrap(), []);
    assert_eq!((whole(directory.path()).entries, whole(directory.path()).hash), (0, chain::FIRST.to_owned()));
    fill(directory.path(), 1..=3);
    fill(directory.path(), 4..=5);
    let all = list(directory.path(), &Filter::default()).unwrap();
    assert_eq!(all.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!((&all[2].event, &all[3].prev), (&event(3), &all[2].hash));
    let report = whole(directory.path());
    let (first, last) = (Some(Timestamp::from_millis(1000)), Some(Timestamp::from_millis(5000)));
    let hash = all[4].hash.clone();
    assert_eq!(report, Report { entries: 5, first, last, hash, unfinished: 0, torn: false });

    let numbers = |filter| {
        let entries = list(directory.path(), &filter).unwrap();
        entries.iter().map(|entry| entry.seq).collect::<Vec<_>>()
    };
    let since = Some(Timestamp::from_millis(3000));
    assert_eq!(numbers(Filter { since, ..Filter::default() }), [3, 4, 5]);
    assert_eq!(numbers(Filter { action: Some("key-deny".to_owned()), ..Filter::default() }), [2, 4]);
    let subject = Some(Subject::Key("acme-4".to_owned()));
    assert_eq!(numbers(Filter { subject: subject.clone(), ..Filter::default() }), [4]);
    assert_eq!(numbers(Filter { since, subject, action: Some("apply".to_owned()) }), [0_u64; 0]);

    let nowhere = directory.path().join("none");
    assert!(list(&nowhere, &Filter::default()).is_err() && verify(&nowhere).is_err());
}

/// Logs are evidence: they are read and verified for ever.
#[test]
fn the_line_is_the_one_that_was_published() {
    let directory = log_of(1);
    let hashed = concat!(
        r#"{"seq":1,"time":"1970-01-01T00:00:01.000Z","uid":1000,"pid":7,"user":"ann","action":"apply","#,
        r#""subject":"key:acme-1","reason":"line\n\"quoted\" 🦀","from":1,"to":2,"result":"ok","#,
        r#""prev":"0000000000000000000000000000000000000000000000000000000000000000"}"#,
    );
    let hash = sha256(hashed.as_bytes());
    let line = format!("{},\"hash\":\"{hash}\"}}\n", hashed.strip_suffix('}').unwrap());
    assert_eq!(fs::read_to_string(directory.path().join(LOG)).unwrap(), line);
    let head = format!("{{\"seq\":1,\"hash\":\"{hash}\",\"start\":0,\"end\":{}}}\n", line.len());
    assert_eq!(KIND.read(&directory.path().join(HEAD)).unwrap().unwrap(), head.as_bytes());
}

#[test]
fn members_of_a_later_version_do_not_break_the_chain() {
    let directory = log_of(1);
    let log = directory.path().join(LOG);
    let text = fs::read_to_string(&log).unwrap().replace("\"result\":", "\"later\":[1],\"result\":");
    let (hashed, _) = text.rsplit_once(",\"hash\"").unwrap();
    let hash = sha256(format!("{hashed}}}").as_bytes());
    let text = format!("{hashed},\"hash\":\"{hash}\"}}\n");
    fs::write(&log, &text).unwrap();
    let head = Head { seq: 1, hash, start: 0, end: text.len() as u64 };
    KIND.write_json(&directory.path().join(HEAD), &head).unwrap();
    assert_eq!(whole(directory.path()).entries, 1);
    assert_eq!(list(directory.path(), &Filter::default()).unwrap()[0].event, event(1));
    fill(directory.path(), 2..=2);
    assert_eq!(whole(directory.path()).entries, 2);
}

/// Of both files, every bit flipped and every byte at which it can be cut. The writer may leave what is before the log's last
/// entry to verification, but never appends to an end that is not the one it knows.
#[test]
fn every_flip_and_every_cut_is_told() {
    let directory = log_of(3);
    let head = fs::read(directory.path().join(HEAD)).unwrap();
    let log = fs::read(directory.path().join(LOG)).unwrap();
    let known = Head::read(directory.path()).unwrap().unwrap();
    for (file, content) in [(LOG, &log), (HEAD, &head)] {
        let path = directory.path().join(file);
        for at in 0..content.len() {
            let mut flipped = content.clone();
            flipped[at] ^= 1 << (at % 8);
            spoil(&path, &flipped);
            broken(directory.path());
            let writer = Audit::open(directory.path());
            assert_eq!(writer.is_err(), file == HEAD || at as u64 >= known.start, "{file} {at}");
            spoil(&path, &content[..at]);
            broken(directory.path());
            assert!(Audit::open(directory.path()).is_err(), "{file} {at}");
        }
        spoil(&path, content);
    }
    assert_eq!(whole(directory.path()).entries, 3);
    assert!(!directory.path().join(TORN).exists());
}

#[test]
fn what_was_done_to_a_log_is_told_with_its_line() {
    type Change = fn(&mut Vec<String>);
    let changes: [(Change, u64, &str); 7] = [
        (|lines| drop(lines.remove(0)), 1, "it is entry 2, but 1 should be here"),
        (|lines| drop(lines.remove(1)), 2, "it is entry 3, but 2 should be here"),
        (|lines| drop(lines.pop()), 4, "the log ends here, but its head knows 4 entries"),
        (|lines| lines.swap(1, 2), 2, "it is entry 3, but 2 should be here"),
        (|lines| lines.insert(1, lines[0].clone()), 2, "it is entry 1, but 2 should be here"),
        (
            |lines| lines[1] = lines[1].replace("key-deny", "key-fine"),
            2,
            "its content is not what its hash says",
        ),
        (|lines| lines[3] = "{}".to_owned(), 4, "it has no hash"),
    ];
    for (change, line, what) in changes {
        let directory = log_of(4);
        let log = directory.path().join(LOG);
        let text = fs::read_to_string(&log).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        change(&mut lines);
        fs::write(&log, lines.join("\n") + "\n").unwrap();
        let found = broken(directory.path());
        assert_eq!((found.line, found.what.as_str()), (line, what));
        assert!(found.file.ends_with(LOG));
    }
    // An entry that is hashed anew, but not those after it.
    let directory = log_of(4);
    let log = directory.path().join(LOG);
    let mut entries = list(directory.path(), &Filter::default()).unwrap();
    entries[1].event.result = Outcome::Refused;
    let text: String = entries.iter().map(|entry| chain::line(entry).unwrap().text).collect();
    fs::write(&log, &text).unwrap();
    assert_eq!(broken(directory.path()).line, 3);
    // All of them: the head knows.
    let mut prev = chain::FIRST.to_owned();
    let text: String = entries
        .into_iter()
        .map(|entry| {
            let line = chain::line(&Entry { prev: prev.clone(), ..entry }).unwrap();
            prev = line.hash;
            line.text
        })
        .collect();
    fs::write(&log, &text).unwrap();
    assert_eq!(broken(directory.path()).what, "its head names another entry here");
    assert!(Audit::open(directory.path()).is_err());

    let directory = log_of(2);
    fs::remove_file(directory.path().join(HEAD)).unwrap();
    assert_eq!(broken(directory.path()).what, "it is missing, but there are entries");
    let error = Audit::open(directory.path()).unwrap_err().to_string();
    assert!(
        error.contains("audit.head is damaged: it is missing") && error.contains("a new chain begins"),
        "{error}"
    );
    // Both are gone, and other files show that an agent was here.
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(whole(directory.path()).entries, 0);
    crate::state::Generations::open(directory.path()).unwrap().put_bundle(1, &"").unwrap();
    assert_eq!(broken(directory.path()).what, "it is missing, but generations were made");
    drop(Audit::open(directory.path()).unwrap());
    assert_eq!(whole(directory.path()).entries, 0);
    let directory = log_of(2);
    fs::remove_file(directory.path().join(LOG)).unwrap();
    assert_eq!(broken(directory.path()).what, "the log ends here, but its head knows 2 entries");
    assert!(Audit::open(directory.path()).unwrap_err().to_string().contains("its end was cut off"));
}

/// Of an append that a crash cut off after any byte, the log goes on: with the entry where it is whole, else without.
#[test]
fn an_unfinished_entry_is_kept_aside_and_the_chain_goes_on() {
    let _quick = unsynced();
    let directory = log_of(2);
    let [log, head, torn] = [LOG, HEAD, TORN].map(|name| directory.path().join(name));
    let old = (fs::read(&log).unwrap(), fs::read(&head).unwrap());
    fill(directory.path(), 3..=3);
    let new = fs::read(&log).unwrap();
    for end in old.0.len() + 1..=new.len() {
        let is_whole = end == new.len();
        for zeros in [false, true] {
            let mut left = new[..end].to_vec();
            if zeros {
                // The length reached the disk, the bytes did not.
                left[old.0.len()..].fill(0);
            }
            let _ = fs::remove_file(&torn);
            spoil(&log, &left);
            spoil(&head, &old.1);
            let report = whole(directory.path());
            let there = if is_whole && !zeros { 3 } else { 2 };
            assert_eq!((report.entries, report.unfinished > 0), (there, there == 2));
            assert_eq!(list(directory.path(), &Filter::default()).unwrap().len() as u64, there);
            let mut audit = Audit::open(directory.path()).unwrap();
            assert_eq!((audit.entries(), torn.exists()), (there, there == 2));
            if there == 2 {
                let aside = fs::read(&torn).unwrap();
                assert_eq!(aside, [&left[old.0.len()..], b"\n"].concat());
            }
            audit.append(event(there + 1)).unwrap();
            let report = whole(directory.path());
            assert_eq!((report.entries, report.unfinished, report.torn), (there + 1, 0, there == 2));
        }
    }
    // The end reached the disk, what is before did not.
    let mut holed = new.clone();
    holed[old.0.len()..new.len() - 9].fill(0);
    fs::write(&log, &holed).unwrap();
    fs::write(&head, &old.1).unwrap();
    assert_eq!(list(directory.path(), &Filter::default()).unwrap().len(), 2);
    assert_eq!((whole(directory.path()).entries, Audit::open(directory.path()).unwrap().entries()), (2, 2));
    // What the head knows is never left out in silence.
    let mut damaged = old.0.clone();
    damaged[old.0.len() - 9] = 0;
    fs::write(&log, &damaged).unwrap();
    let error = list(directory.path(), &Filter::default()).unwrap_err().to_string();
    assert!(error.contains("line 2 is no entry") && error.contains("keysteer audit verify"), "{error}");
    // More than a crash leaves.
    fs::write(&head, &old.1).unwrap();
    fs::write(&log, [&new, &new[old.0.len()..]].concat()).unwrap();
    assert_eq!(broken(directory.path()).what, "its head knows 2 entries: there are too many");
    assert!(Audit::open(directory.path()).unwrap_err().to_string().contains("there is more than one entry"));
    fs::write(&log, [&old.0[..], b"{\n{\n"].concat()).unwrap();
    assert_eq!(broken(directory.path()).what, "it is no entry, and not the last line");
    fs::write(&log, [&old.0[..], &old.0[..old.0.len() / 2]].concat()).unwrap();
    assert!(Audit::open(directory.path()).is_err());
}

#[test]
fn a_crash_leaves_the_log_with_the_entry_or_without() {
    for before in 0..3 {
        let make = |directory: &Path| {
            if before > 0 {
                fill(directory, 1..=before);
            }
        };
        let change = |directory: &Path| Audit::open(directory)?.append(event(before + 1)).map(drop);
        let check = |left: crate::state::crash::Left<'_>| {
            let report = whole(left.directory);
            assert!(report.entries == before + 1 || (report.entries == before && !left.done), "{left:?}");
            let mut audit = Audit::open(left.directory).unwrap();
            assert_eq!(audit.entries(), report.entries);
            audit.append(event(9)).unwrap();
            assert_eq!(whole(left.directory).entries, report.entries + 1);
        };
        let operations = every_stop(make, change, check);
        assert_eq!(operations, if before == 0 { 11 } else { 6 });
        assert!(every_power_cut(make, change, check) > 15);
    }
    // The same while what a crash left is settled.
    let make = |directory: &Path| {
        fill(directory, 1..=2);
        disk::append(&directory.join(LOG), b"{\"seq\":3,").unwrap();
    };
    let check = |left: crate::state::crash::Left<'_>| {
        assert_eq!(whole(left.directory).entries, 2);
        let audit = Audit::open(left.directory).unwrap();
        assert_eq!(audit.entries(), 2);
        let aside = fs::read_to_string(left.directory.join(TORN)).unwrap();
        assert!(aside.contains("{\"seq\":3,\n"), "{aside}");
    };
    let open = |directory: &Path| Audit::open(directory).map(drop);
    assert_eq!(every_stop(make, open, check), 5);
    assert!(every_power_cut(make, open, |left| drop(Audit::open(left.directory).unwrap())) > 10);
}

/// The disk is full, and then no longer.
#[test]
fn an_append_that_failed_does_not_stop_the_next() {
    let directory = log_of(2);
    let mut audit = Audit::open(directory.path()).unwrap();
    let log = directory.path().join(LOG);
    for (left, entries) in [(&b"{\"seq\":3"[..], 3), (b"", 4)] {
        disk::append(&log, left).unwrap();
        assert_eq!(audit.append(event(9)).unwrap().seq, entries);
        assert_eq!(whole(directory.path()).entries, entries);
    }
    // The entry was written and its head was not.
    let entry = chain::link(5, Timestamp::now(), event(5), audit.hash());
    disk::append(&log, chain::line(&entry).unwrap().text.as_bytes()).unwrap();
    assert_eq!(audit.append(event(6)).unwrap().seq, 6);
    assert_eq!(whole(directory.path()).entries, 6);
}

/// Reading needs no lock: whatever moment it meets, it finds a whole log.
#[test]
fn a_log_can_be_verified_while_it_grows() {
    let directory = log_of(1);
    let path = directory.path();
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || fill(path, 2..=60));
        let mut seen = 0;
        while !writer.is_finished() {
            let report = whole(path);
            assert!(report.entries >= seen);
            seen = report.entries;
            assert!(list(path, &Filter::default()).unwrap().len() as u64 >= seen);
        }
    });
    assert_eq!(whole(path).entries, 60);
}

#[test]
fn subjects_are_read_back() {
    for subject in [
        Subject::Key("a:b".to_owned()),
        Subject::Shard(String::new()),
        Subject::Policy("edge".to_owned()),
        Subject::Interface("eth0".to_owned()),
        Subject::Other("node".to_owned()),
        Subject::Other("later:x".to_owned()),
    ] {
        assert_eq!(Subject::parse(&subject.to_string()), subject);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_texts_are_kept(texts in proptest::collection::vec(("\\PC*", ".*", "(?s).*"), 1..4)) {
        let directory = tempfile::tempdir().unwrap();
        let mut audit = Audit::open(directory.path()).unwrap();
        let mut entries = Vec::new();
        for (action, reason, detail) in texts {
            let event = Event { reason: Some(reason), detail: Some(detail), ..Event::new(Who::default(), &action, Outcome::Failed) };
            entries.push(audit.append(event).unwrap());
        }
        prop_assert_eq!(whole(directory.path()).entries, entries.len() as u64);
        prop_assert_eq!(list(directory.path(), &Filter::default()).unwrap(), entries);
    }
}
