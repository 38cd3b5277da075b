//! Secrets on their way from files to each generation's map, with a fake kernel.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use keysteer_common::shim::Signing;

use super::*;
use crate::agent::fake::Fake;
use crate::agent::meter::Source as _;
use crate::agent::start::Started;
use crate::agent::start::tests::{Place, apply, begin, place, policy};
use crate::control::types::WordRequest;
use crate::signing::SecretKey;
use crate::state::overlay::KeyWord;

/// A place for files of secrets.
struct Keys(tempfile::TempDir);

impl Keys {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a secret of one digit, as a file that takes the place of the one before.
    fn put(&self, name: &str, digit: char) {
        self.put_text(name, &format!("{}\n", String::from(digit).repeat(32)), 0o600);
    }

    fn put_text(&self, name: &str, text: &str, mode: u32) {
        let beside = self.path("beside");
        fs::write(&beside, text).unwrap();
        fs::set_permissions(&beside, Permissions::from_mode(mode)).unwrap();
        fs::rename(&beside, self.path(name)).unwrap();
    }

    /// The policy of the demo with these secrets.
    fn policy(&self, secrets: &[(u8, &str)], change: impl Fn(&str) -> String) -> String {
        let secret = |(id, name): &(u8, &str)| format!("{{id: {id}, file: {}}}", self.path(name).display());
        let secrets: Vec<String> = secrets.iter().map(secret).collect();
        let signing =
            format!("  signing: {{secrets: [{}], bind: {{destination: true}}}}\n", secrets.join(", "));
        policy(|text| change(&(text + &signing)))
    }
}

fn of(digit: char) -> [u64; 2] {
    SecretKey::parse(String::from(digit).repeat(32).as_bytes()).unwrap().words()
}

/// What a generation accepts: ids and secrets.
fn held(fake: &Fake, number: u64) -> Vec<(u32, [u64; 2])> {
    let all = signing(fake, number).secrets;
    all.iter().filter(|it| it.live == 1).map(|it| (it.id, it.key)).collect()
}

fn signing(fake: &Fake, number: u64) -> Signing {
    fake.0.pinned.lock().unwrap().signing.get(&number).copied().unwrap_or_default()
}

fn start(place: &Place, fake: &Fake, text: &str) -> Started {
    fs::write(&place.options.policy, text).unwrap();
    begin(place, fake).unwrap()
}

/// As often as a change needs.
fn look(started: &Started) {
    started.steward.look();
    started.steward.look();
}

fn heavier(text: &str) -> String {
    text.replacen("weight: 2", "weight: 3", 1)
}

#[test]
fn a_generation_has_the_secrets_of_its_policy_before_it_is_committed() {
    let (place, fake, keys) = (place(), Fake::default(), Keys::new());
    keys.put("a", '1');
    keys.put("b", '2');
    let started = start(&place, &fake, &keys.policy(&[(1, "a"), (7, "b")], str::to_owned));
    assert_eq!(held(&fake, 1), [(1, of('1')), (7, of('2'))]);
    let table = signing(&fake, 1);
    assert_eq!((table.require, table.source_bits4), (shim::flag::DESTINATION, 32));
    assert!(table.clock_offset.abs_diff(clock_offset()) < APART);
    let status = started.steward.posted().secrets;
    assert!(status.iter().all(|it| it.in_force && it.trouble.is_none()) && status.len() == 2, "{status:?}");
    // A policy without signing has none.
    apply(&started, &place, &policy(|text| text)).unwrap();
    assert_eq!((held(&fake, 2), started.steward.posted().secrets.len()), (vec![], 0));
}

#[test]
fn a_policy_whose_secrets_cannot_be_had_is_refused_by_name() {
    let (place, fake, keys) = (place(), Fake::default(), Keys::new());
    let started = start(&place, &fake, &policy(|text| text));
    for (text, mode, why) in [
        ("0".repeat(32), 0o600, "only zeros"),
        ("1".repeat(32), 0o644, "0644"),
        ("x".to_owned(), 0o600, "digits"),
    ] {
        keys.put_text("a", &text, mode);
        let error =
            apply(&started, &place, &keys.policy(&[(1, "a")], str::to_owned)).unwrap_err().to_string();
        assert!(error.contains("spec.signing.secrets[0].file") && error.contains(why), "{error}");
        assert_eq!(started.steward.node().generation, 1);
        assert_eq!(fake.0.pinned.lock().unwrap().generations.len(), 1);
    }
    keys.put("a", '1');
    apply(&started, &place, &keys.policy(&[(1, "a")], str::to_owned)).unwrap();
}

#[test]
fn a_changed_file_changes_every_generation_without_another() {
    let (place, fake, keys) = (place(), Fake::default(), Keys::new());
    keys.put("a", '1');
    let started = start(&place, &fake, &keys.policy(&[(1, "a")], str::to_owned));
    apply(&started, &place, &keys.policy(&[(1, "a")], heavier)).unwrap();
    keys.put("a", '9');
    look(&started);
    assert_eq!([held(&fake, 1), held(&fake, 2)], [[(1, of('9'))], [(1, of('9'))]]);
    assert_eq!(started.steward.node().generation, 2);
    let log = fs::read_to_string(place.options.state_dir.join("audit.jsonl")).unwrap();
    assert!(log.contains("\"signing-secret:1\"") && !log.contains("9999"), "{log}");
}

#[test]
fn a_broken_file_leaves_the_secret_in_force_and_is_shown() {
    let (place, fake, keys) = (place(), Fake::default(), Keys::new());
    keys.put("a", '1');
    let text = keys.policy(&[(1, "a")], str::to_owned);
    let started = start(&place, &fake, &text);
    keys.put_text("a", "12345678", 0o600);
    look(&started);
    let shown = |started: &Started| started.steward.posted().secrets[0].clone();
    assert_eq!(held(&fake, 1), [(1, of('1'))]);
    let status = shown(&started);
    assert!(
        status.in_force && status.trouble.as_deref().is_some_and(|why| !why.contains("1234")),
        "{status:?}"
    );
    // A change of the policy keeps it, too; so does another agent.
    apply(&started, &place, &keys.policy(&[(1, "a")], heavier)).unwrap();
    assert_eq!(held(&fake, 2), [(1, of('1'))]);
    drop(started);
    let started = begin(&place, &fake).unwrap();
    assert_eq!([held(&fake, 1), held(&fake, 2)], [[(1, of('1'))], [(1, of('1'))]]);
    assert!(shown(&started).trouble.is_some());
    keys.put("a", '3');
    look(&started);
    assert_eq!((held(&fake, 2), shown(&started).trouble), (vec![(1, of('3'))], None));
}

#[test]
fn a_host_that_was_started_anew_steers_also_without_the_secret() {
    let (place, fake, keys) = (place(), Fake::default(), Keys::new());
    keys.put("a", '1');
    drop(start(&place, &fake, &keys.policy(&[(1, "a")], str::to_owned)));
    *fake.0.pinned.lock().unwrap() = Default::default();
    fs::remove_file(keys.path("a")).unwrap();
    let started = begin(&place, &fake).unwrap();
    let number = started.steward.node().generation;
    assert_eq!(held(&fake, number), []);
    assert!(!started.steward.posted().secrets[0].in_force);
    keys.put("a", '2');
    look(&started);
    assert_eq!(held(&fake, number), [(1, of('2'))]);
    assert!(started.steward.posted().secrets[0].in_force);
}

#[test]
fn a_clock_that_is_set_is_followed() {
    let (place, fake, keys) = (place(), Fake::default(), Keys::new());
    keys.put("a", '1');
    let started = start(&place, &fake, &keys.policy(&[(1, "a")], str::to_owned));
    for hour in [3_600_000_000_000, -3_600_000_000_000_i64] {
        let mut wrong = signing(&fake, 1);
        wrong.clock_offset = wrong.clock_offset.wrapping_add_signed(hour);
        fake.0.pinned.lock().unwrap().signing.insert(1, wrong);
        started.steward.look();
        assert!(signing(&fake, 1).clock_offset.abs_diff(clock_offset()) < APART);
        assert_eq!(held(&fake, 1), [(1, of('1'))]);
    }
}

#[test]
fn a_rotation_accepts_both_and_then_the_new_one() {
    let (place, fake, keys) = (place(), Fake::default(), Keys::new());
    keys.put("a", '1');
    keys.put("b", '2');
    let started = start(&place, &fake, &keys.policy(&[(1, "a")], str::to_owned));
    apply(&started, &place, &keys.policy(&[(1, "a"), (2, "b")], str::to_owned)).unwrap();
    assert_eq!(held(&fake, 2), [(1, of('1')), (2, of('2'))]);
    apply(&started, &place, &keys.policy(&[(2, "b")], str::to_owned)).unwrap();
    assert_eq!(held(&fake, 3), [(2, of('2'))]);
    // What a rollback goes back to has what its policy says.
    assert_eq!(held(&fake, 2).len(), 2);
    started.steward.rollback(&Who::this(), None).unwrap();
    assert_eq!(started.steward.posted().secrets.len(), 2);
    // Nothing that is shown or kept has a secret in it.
    started.steward.key_word("acme", Some(KeyWord::Deny), &WordRequest::default(), Who::this()).unwrap();
    let shown = format!("{:?} {:?}", started.steward.posted(), started.steward.desk().signing);
    for digit in ['1', '2'] {
        let digits = String::from(digit).repeat(32);
        assert!(!shown.contains(&digits) && !shown.contains(&format!("{}", of(digit)[0])), "{shown}");
        for file in fs::read_dir(&place.options.state_dir).unwrap().map(|file| file.unwrap().path()) {
            let text = fs::read(&file).unwrap_or_default();
            assert!(!text.windows(32).any(|it| it == digits.as_bytes()), "{}", file.display());
        }
    }
}
