//! Every file deleted, cut and changed; the whole directory; an older copy; repairs that are cut off.

use super::*;
use crate::agent::start::tests::{Place, begin};
use crate::policy::Bundle;
use crate::state::StateError;
use crate::state::crash::every_stop;

/// Damages the file `name`: deletes it, empties it, cuts it, or changes its byte at a part of its length.
fn harm(path: &Path, how: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = |part: usize| bytes.len() * part / 8;
    match how {
        0 => return fs::remove_file(path).unwrap(),
        1 => bytes.clear(),
        2 => bytes.truncate(at(4)),
        part => {
            let at = at(part - 3).min(bytes.len() - 1);
            bytes[at] ^= 0x20;
        }
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn every_file_in_turn() {
    let (place, fake) = lived();
    let names: Vec<String> = files(&place.options.state_dir).into_keys().collect();
    let expected = [
        "audit.head",
        "audit.jsonl",
        "followed",
        "generations/1.bundle",
        "generations/1.placement",
        "generations/2.bundle",
        "generations/2.placement",
        "generations/records",
        "key-ids.json",
        "key-ids/head",
        "overlay",
        "secrets",
        "shard-ids",
    ];
    assert_eq!(names, expected);
    drop((place, fake));
    for name in expected {
        for how in [0, 1, 2, 3, 5, 9] {
            let (place, fake) = lived();
            let before = kept(&fake);
            harm(&place.options.state_dir.join(name), how);
            let what = format!("{name}, {how}");
            drop(goes_on(&place, &fake, &before, &what));
            // What is whole is not rebuilt again, and a damaged file is kept.
            let told = rebuilt(&place);
            drop(goes_on(&place, &fake, &before, &what));
            assert_eq!(rebuilt(&place), told, "{what}");
            let aside = files(&place.options.state_dir).keys().any(|name| name.contains(".damaged-2"));
            // Tables are read back from the pins, or computed where they are those of a new node, and nothing is another.
            // Of the rest of the log only its last entry is looked at; a seed of the table's layout is as good as another;
            // and which file was taken up last is forgotten without harm.
            let may_pass = matches!(
                (name, how),
                ("audit.jsonl", 3..) | ("followed", _) | ("secrets", 7..) | ("key-ids.json", 0)
            ) || name.ends_with(".placement");
            assert!(may_pass || !told.is_empty(), "{what}");
            assert!(how == 0 || aside != told.is_empty(), "{what}: {told:?}");
        }
    }
}

#[test]
fn the_whole_directory() {
    let (place, fake) = lived();
    let before = kept(&fake);
    fs::remove_dir_all(&place.options.state_dir).unwrap();
    let started = goes_on(&place, &fake, &before, "all");
    assert_eq!(started.steward.node().generation, 3);
    assert!(started.steward.rollback(&Who::this(), None).is_err(), "there is none to go back to");
    let parts = ["secrets", "key-ids", "shard-ids", "overlay", "audit.jsonl", "generations/records"];
    assert_eq!(rebuilt(&place), parts.map(|part| format!("file:{part}")));
    let words: Vec<_> =
        started.steward.standing().iter().cloned().map(|it| (it.name, it.word, it.reason)).collect();
    let reason = Some("rebuilt from the pins".to_owned());
    let word = |name: &str, word: &str| (name.to_owned(), word.to_owned(), reason.clone());
    assert_eq!(words, [word("acme", "deny"), word("initech", "allow"), word("b", "disable")]);
    // The key that had gone before had id 1, which the last generation's table remembers: nobody gets it.
    let umbrella = small()
        .replace("  keys:\n", "  keys:\n    - {name: old, match: {tenant: umbrella}, tier: standard}\n");
    apply(&started, &place, &umbrella).unwrap();
    assert_eq!(kept(&fake).keys["old"], 6);
}

#[test]
fn ids_that_were_counted_are_given_to_nobody() {
    let (place, fake) = lived();
    {
        let mut snapshot = fake.0.snapshot.lock().unwrap();
        *snapshot = crate::counters::Snapshot::empty(64, 16);
        snapshot.keys[40].packets = 1;
        snapshot.events[44].flows = 1;
        snapshot.shards[9].packets = 1;
    }
    fs::remove_dir_all(&place.options.state_dir).unwrap();
    let started = begin(&place, &fake).unwrap();
    let more = small()
        .replace("  keys:\n", "  keys:\n    - {name: new, match: {tenant: umbrella}, tier: standard}\n")
        .replace("  pools:", "    - {name: d, target: pass}\n  pools:")
        .replace("[a, b, c]", "[a, b, c, d]");
    apply(&started, &place, &more).unwrap();
    let kept = kept(&fake);
    assert_eq!((kept.keys["new"], kept.shards["d"]), (45, 10));
}

#[test]
fn an_older_copy_is_overtaken() {
    let (place, fake) = lived();
    let copy = files(&place.options.state_dir);
    let started = begin(&place, &fake).unwrap();
    let more = small().replace(
        "  keys:\n",
        "  keys:\n    - {name: new, match: {tenant: umbrella, product: 1}, tier: standard}\n",
    );
    apply(&started, &place, &more).unwrap();
    started.steward.key_word("globex", Some(KeyWord::Deny), &WordRequest::default(), Who::this()).unwrap();
    started.steward.key_word("initech", None, &WordRequest::default(), Who::this()).unwrap();
    drop(started);
    let before = kept(&fake);
    assert_eq!(before.keys["new"], 6);
    fs::remove_dir_all(&place.options.state_dir).unwrap();
    for (name, bytes) in copy {
        let path = place.options.state_dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let started = goes_on(&place, &fake, &before, "an older copy");
    assert_eq!(started.steward.node().generation, 4, "above the highest that is pinned");
    let acme = started.steward.standing().iter().find(|it| it.name == "acme").cloned().unwrap();
    assert_eq!(acme.reason.as_deref(), Some("abuse"), "what the copy knew of it");
    let history = started.steward.generations();
    let history: Vec<_> = history.iter().map(|it| (it.number, it.status.as_str())).collect();
    assert_eq!(history, [(4, "live"), (2, "retired"), (1, "retired")]);
}

#[test]
fn without_a_policy_nothing_is_touched() {
    for (what, text) in [
        ("no policy", "nonsense: ["),
        (
            "reads other bits",
            &small().replace("{name: product, from: ip.dscp}", "{name: product, from: ip.protocol}"),
        ),
    ] {
        let (place, fake) = lived();
        let state = &place.options.state_dir;
        for name in
            ["secrets", "generations/records", "generations/1.bundle", "generations/2.bundle", "shard-ids"]
        {
            harm(&state.join(name), 2);
        }
        let (before, steers) = (files(state), kept(&fake));
        fs::write(&place.options.policy, text).unwrap();
        fake.0.steps();
        let error = begin(&place, &fake).err().unwrap();
        for phrase in ["is damaged", "generation 2 steers on", "--cleanup", "restore"] {
            assert!(error.contains(phrase), "{what}: {error}");
        }
        let steps = fake.0.steps();
        assert!(steps.iter().all(|step| ["open", "compile"].contains(&step.as_str())), "{what}: {steps:?}");
        assert_eq!((files(state), kept(&fake)), (before, steers), "{what}");
    }
}

#[test]
fn the_bundle_of_what_steers_is_enough() {
    let (place, fake) = lived();
    let before = kept(&fake);
    fs::remove_file(place.options.state_dir.join("generations/records")).unwrap();
    fs::write(&place.options.policy, "nonsense: [").unwrap();
    let started = goes_on(&place, &fake, &before, "by the bundle");
    assert!(started.trouble.is_some());
}

#[test]
fn without_pins_damage_is_refused_and_absence_is_a_new_node() {
    for name in ["secrets", "overlay", "generations/records", "key-ids/head", "shard-ids", "audit.head"] {
        let (place, fake) = lived();
        *fake.0.pinned.lock().unwrap() = Default::default();
        harm(&place.options.state_dir.join(name), 2);
        let before = files(&place.options.state_dir);
        let error = begin(&place, &fake).err().unwrap();
        assert!(error.contains("is damaged") && error.contains("restore it from a copy"), "{name}: {error}");
        assert_eq!(files(&place.options.state_dir), before);
    }
    let (place, fake) = lived();
    *fake.0.pinned.lock().unwrap() = Default::default();
    fs::remove_dir_all(&place.options.state_dir).unwrap();
    let started = begin(&place, &fake).unwrap();
    assert_eq!((started.steward.node().generation, rebuilt(&place)), (1, vec![]));
}

/// Starts an agent in `state`; that it was stopped by the test is the only failure.
fn start_in(place: &Place, fake: &Fake, state: &Path) -> Result<(), StateError> {
    let options = crate::agent::Options { state_dir: state.to_owned(), ..place.options.clone() };
    let started = crate::agent::start::start(&options, std::sync::Arc::new(fake.clone()));
    started.map(drop).map_err(|error| StateError::Generation { number: 0, what: error.to_string() })
}

#[test]
fn a_repair_that_is_cut_off_is_done_by_the_next_agent() {
    let slot = std::cell::RefCell::new(None);
    let before = |state: &Path| {
        let (place, fake) = lived();
        let whole = files(&place.options.state_dir);
        // Nothing but the policy's file and the damaged log is left, and half of the records.
        for (name, bytes) in whole {
            if ["overlay", "audit.jsonl", "generations/records"].contains(&name.as_str()) {
                let path = state.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
            }
        }
        let steers = kept(&fake);
        *slot.borrow_mut() = Some((place, fake, steers));
    };
    let change = |state: &Path| {
        let slot = slot.borrow();
        let (place, fake, _) = slot.as_ref().unwrap();
        start_in(place, fake, state)
    };
    let stops = every_stop(before, change, |left| {
        let slot = slot.borrow();
        let (place, fake, steers) = slot.as_ref().unwrap();
        assert_eq!(&kept(fake), steers, "stopped before operation {}", left.at);
        start_in(place, fake, left.directory).unwrap_or_else(|error| panic!("{}: {error}", left.at));
        assert_eq!(&kept(fake), steers, "after a stop before operation {}", left.at);
        let bundle = Bundle::read(&place.options.policy).unwrap();
        let generations = crate::state::Generations::open(left.directory).unwrap();
        assert_eq!(generations.live().unwrap().bundle, bundle.digest(), "{}", left.at);
        assert_eq!(generations.last(), None, "{}", left.at);
    });
    assert!(stops > 40, "{stops}");
}
