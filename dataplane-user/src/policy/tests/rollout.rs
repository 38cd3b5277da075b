//! Changes in steps: what is understood, and what is refused.

use std::time::Duration;

use super::*;

fn with(rollout: &str) -> String {
    RIGHT.replacen("  keys:\n", &format!("  rollout: {rollout}\n  keys:\n"), 1)
}

#[test]
fn steps_are_understood() {
    let text = with(
        "{cohorts: {friends: [globex]}, steps: [{cohort: friends, for: 1m}, {tier: gold}, {percent: 12.5%}], \
         abortIf: {drops: 1%, shardsDown: 0}}",
    );
    let text = text.replacen("  keys:\n", "  health: {probe: {tcp: {port: 443}}}\n  keys:\n", 1);
    let rollout = parse(&text, "p", None).unwrap().rollout.unwrap();
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let keys = |key: &str| [key.to_owned()].into();
    assert_eq!(
        rollout.steps,
        [
            RolloutStep {
                cohort: Cohort::Named { name: "friends".to_owned(), keys: keys("globex") },
                lasts: minutes(1)
            },
            RolloutStep {
                cohort: Cohort::Tier { name: "gold".to_owned(), keys: keys("acme") },
                lasts: minutes(10)
            },
            RolloutStep { cohort: Cohort::Percent(Share::of(12.5, 100.0)), lasts: minutes(10) },
        ]
    );
    let abort_if = AbortIf { drops: Share::parse("1%"), shards_down: Some(0), ..AbortIf::default() };
    assert_eq!((rollout.abort_if, rollout.least), (abort_if, 100));
    assert_eq!(parse(RIGHT, "p", None).unwrap().rollout, None);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    const FAILED: &str = "abortIf: {failedHandshakes: 5%}";
    for (rollout, problem) in [
        (format!("{{steps: [], {FAILED}}}"), "spec.rollout.steps: must not be empty"),
        (
            format!("{{steps: [{{for: 1m}}], {FAILED}}}"),
            "spec.rollout.steps[0]: expected one of percent, cohort and tier",
        ),
        (
            format!("{{steps: [{{percent: 1%, tier: gold}}], {FAILED}}}"),
            "spec.rollout.steps[0]: expected one of percent, cohort and tier",
        ),
        (
            format!("{{steps: [{{cohort: friend}}], {FAILED}}}"),
            "spec.rollout.steps[0].cohort: unknown cohort \"friend\"",
        ),
        (
            format!("{{steps: [{{tier: golden}}], {FAILED}}}"),
            "spec.rollout.steps[0].tier: unknown tier \"golden\"",
        ),
        (
            format!("{{cohorts: {{x: [acmee]}}, steps: [{{cohort: x}}], {FAILED}}}"),
            "spec.rollout.cohorts.x[0]: unknown key \"acmee\"",
        ),
        (
            format!("{{steps: [{{percent: 20%}}, {{percent: 20%}}], {FAILED}}}"),
            "spec.rollout.steps[1].percent: 20% takes no further key along: expected more than 20%",
        ),
        (
            format!("{{steps: [{{percent: 0%}}], {FAILED}}}"),
            "spec.rollout.steps[0].percent: 0% takes no further key",
        ),
        (
            "{steps: [{percent: 1%}], abortIf: {}}".to_owned(),
            "spec.rollout.abortIf: nothing would turn the change back",
        ),
        ("{steps: [{percent: 1%}]}".to_owned(), "spec.rollout.abortIf: is required but missing"),
        (
            "{steps: [{percent: 1%}], abortIf: {shardsDown: 0}}".to_owned(),
            "spec.rollout.abortIf.shardsDown: no shard is asked whether it lives",
        ),
    ] {
        let said = problems(&with(&rollout));
        assert!(said.iter().any(|said| said.contains(problem)), "{rollout}: {said:?}");
    }
    let none = with(&format!("{{steps: [{{percent: 1%}}], {FAILED}}}")).replacen(
        "  keys:\n",
        "  migration: none\n  keys:\n",
        1,
    );
    assert!(problems(&none)[0].contains("spec.rollout: steps need flows that stay"), "{:?}", problems(&none));
}
