//! Plans in files, and what identifies a plan.

use super::*;
use crate::plan::saved::{SavedError, SavedPlan};

const NEW: (&str, &str) = ("tenant: globex}, tier: gold", "tenant: globex}, tier: standard");

#[test]
fn a_digest_is_that_of_the_change_and_not_of_the_moment() {
    let new = with(&[NEW, ("weight: 2", "weight: 3")]);
    let at = |bytes: u64| plan_with(SMALL, &new, &[("acme", bytes), ("globex", 7)], [bytes, 0, 0], &[]);
    let (one, other) = (at(1), at(1_000));
    assert_ne!(one, other);
    assert_eq!(one.digest(), other.digest());
    let mut digests = vec![one.digest()];
    let another = with(&[NEW]);
    digests.push(plan_with(SMALL, &another, &[], [0; 3], &[]).digest());
    digests.push(plan_with(SMALL, &new, &[], [0; 3], &[Guard::Schema]).digest());
    digests.push(Plan { base: Some(Base { generation: 8, digest: "old".to_owned() }), ..at(1) }.digest());
    digests.push(Plan { base: Some(Base { generation: 7, digest: "odd".to_owned() }), ..at(1) }.digest());
    digests.push(Plan { bundle: "other".to_owned(), ..at(1) }.digest());
    let distinct = digests.iter().collect::<BTreeSet<_>>().len();
    assert_eq!(distinct, digests.len());
    let again: Plan = serde_json::from_str(&serde_json::to_string(&one).unwrap()).unwrap();
    assert_eq!((again.digest(), &again), (one.digest(), &one));
}

#[test]
fn a_saved_plan_is_read_as_it_was_made_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.json");
    let new = bundle(&with(&[NEW]));
    let plan = plan_with(SMALL, &new.policy, &[("acme", 5)], [0; 3], &[]);
    let saved = SavedPlan::new(plan, new);
    saved.write(&path).unwrap();
    assert_eq!(SavedPlan::read(&path).unwrap(), saved);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        SavedPlan::read(&path).unwrap_err().to_string()
    };
    let what = |what: &str| {
        format!(
            "{} was changed since it was made: {what} does not fit its digest; plan again",
            path.display()
        )
    };
    assert_eq!(changed("\"generation\":7", "\"generation\":8"), what("the plan"));
    assert_eq!(changed("\"allow\":[]", "\"allow\":[\"schema\"]"), what("the plan"));
    assert_eq!(changed("weight: 2", "weight: 9"), what("the policy"));
    // Also what differs from moment to moment.
    assert_eq!(changed("\"milliseconds\":60000", "\"milliseconds\":60001"), what("the plan"));
    assert_eq!(changed("\"flows\":0.5", "\"flows\":0.4"), what("the plan"));
    assert!(
        changed("{\"version\":1", "{\"version\":2")
            .contains("plan of version 2, this program knows version 1")
    );
    assert!(changed("\"digest\"", "\"dgst\"").contains("is no saved plan: missing field `digest`"));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(SavedPlan::read(&path), Err(SavedError::Io { operation: "read", .. })));
}
