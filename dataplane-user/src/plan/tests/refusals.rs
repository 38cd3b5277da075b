//! What is refused, whom it concerns, and that it can be lifted.

use super::*;

/// Refusals, as `name: message | keys | of`.
fn said(plan: &Plan) -> Vec<String> {
    let line = |refusal: &Refusal| {
        let keys = refusal.keys.map_or(String::new(), |keys| {
            format!("{} {}", keys.keys, keys.traffic.map_or(String::new(), |traffic| traffic.to_string()))
        });
        format!("{}: {} | {} | {}", refusal.name, refusal.message, keys.trim(), refusal.of.items.join("; "))
    };
    plan.refusals.iter().map(line).collect()
}

const BYTES: [(&str, u64); 4] = [("acme", 500), ("acme-video", 100), ("globex", 300), ("initech", 100)];

/// Plans, finds one refusal, and lifts it by its name.
fn refused(old: &str, new: &str, name: Guard, expected: &str) {
    let plan = plan_with(old, new, &BYTES, [0; 3], &[]);
    assert_eq!(said(&plan), [expected]);
    assert_eq!(plan.refused().map(|refusal| refusal.name).collect::<Vec<_>>(), [name]);
    let lifted = plan_with(old, new, &BYTES, [0; 3], &[name, name]);
    assert_eq!(
        (lifted.refused().count(), lifted.refusals.len(), lifted.allow.as_slice()),
        (0, 1, [name].as_slice())
    );
    assert_ne!(plan.digest(), lifted.digest(), "what is lifted is part of the plan");
    let others: Vec<Guard> = [
        Guard::BlastRadius,
        Guard::Residency,
        Guard::VipTier,
        Guard::Schema,
        Guard::DualAccept,
        Guard::BaseMoved,
    ]
    .into_iter()
    .filter(|guard| *guard != name)
    .collect();
    assert_eq!(plan_with(old, new, &BYTES, [0; 3], &others).refused().count(), 1);
}

#[test]
fn more_on_a_shard_than_the_budget() {
    // Three keys are steered: acme and globex over b and c, acme-video to a.
    let new = with(&[("  classes:", "  blastRadius: {keys: 30%, traffic: 100%}\n  classes:")]);
    refused(
        SMALL,
        &new,
        Guard::BlastRadius,
        "blast-radius: one shard would have up to 33.3333% of the keys (allowed: 30%) |  | a: 33.3333% of the keys; b: 33.3333% of the keys; c: 33.3333% of the keys",
    );
    let new = new.replace("keys: 30%, traffic: 100%", "keys: 34%, traffic: 40%");
    refused(
        SMALL,
        &new,
        Guard::BlastRadius,
        "blast-radius: one shard would have up to 44.4444% of the live traffic (allowed: 40%) |  | b: 44.4444% of the live traffic; c: 44.4444% of the live traffic",
    );
    let both = plan_with(SMALL, &new.replace("34%", "33%"), &BYTES, [0; 3], &[]);
    let message = "one shard would have up to 33.3333% of the keys (allowed: 33%) and up to 44.4444% of the live traffic (allowed: 40%)";
    assert_eq!(both.refusals[0].message, message);
    assert_eq!(both.refusals[0].of.items[1], "b: 33.3333% of the keys, 44.4444% of the live traffic");
    let new = new.replace("traffic: 40%", "traffic: 45%");
    assert_eq!(said(&plan_with(SMALL, &new, &BYTES, [0; 3], &[])), [""; 0]);
    // Without traffic, its budget cannot be checked, and that is said.
    let plan = between(SMALL, &new.replace("traffic: 45%", "traffic: 1%"));
    assert_eq!(said(&plan), [""; 0]);
    assert!(plan.notes.iter().any(|note| note == "blastRadius.traffic was not checked"));
}

#[test]
fn a_budget_that_is_exceeded_already_refuses_nothing_that_changes_nothing() {
    let over = with(&[("  classes:", "  blastRadius: {keys: 30%}\n  classes:")]);
    assert_eq!(said(&between(&over, &(over.clone() + "# more\n"))), [""; 0]);
    assert_eq!(between(&over, &over.replace("owner: team", "owner: others")).refusals.len(), 1);
}

#[test]
fn keys_that_leave_their_pools_region() {
    let regions = [
        ("{name: general, shards: [a, b, c]}", "{name: general, shards: [a, b, c], region: eu}"),
        ("{name: small, shards: [a, b]}", "{name: small, shards: [a, b], region: us}"),
    ];
    let old = with(&regions);
    refused(
        &old,
        &old.replace("tier: gold, costCentre: cc-1", "tier: gold, pool: small, costCentre: cc-1"),
        Guard::Residency,
        "residency: 1 key would leave the region of their pool | 1 50% | acme (eu ▸ us)",
    );
    // Not the keys but the pool goes. A denied key may be allowed again by the operator.
    refused(
        &old,
        &old.replace("region: eu", "region: us"),
        Guard::Residency,
        "residency: 4 keys would leave the region of their pool | 4 100% | acme (eu ▸ us); acme-video (eu ▸ us); globex (eu ▸ us); initech (eu ▸ us)",
    );
    let none = old.replace(", region: eu", "");
    assert_eq!(between(&old, &none).refusals[0].of.items[0], "acme (eu ▸ no region)");
    assert_eq!(between(&none, &old).refusals, [], "coming to a region is no leaving");
    assert_eq!(between(&old, &old.replace("pool: general", "pool: small")).refusals.len(), 1);
}

#[test]
fn a_vip_to_a_lower_tier() {
    let old = with(&[("owner: team, rank: 2", "owner: team, rank: 2, vip: true")]);
    refused(
        &old,
        &old.replace("tenant: globex}, tier: gold", "tenant: globex}, tier: standard"),
        Guard::VipTier,
        "vip-tier: 1 VIP would come to a tier of lower rank | 1 30% | globex (gold, rank 2 ▸ standard, rank 1)",
    );
    refused(
        &old,
        &old.replace("tenant: globex}, tier: gold", "tenant: globex}, pool: general, width: 2"),
        Guard::VipTier,
        "vip-tier: 1 VIP would come to a tier of lower rank | 1 30% | globex (gold, rank 2 ▸ no tier, rank 0)",
    );
    // The tier itself is degraded, for all of its VIPs.
    refused(
        &old,
        &old.replace("rank: 2, vip", "rank: 0, vip"),
        Guard::VipTier,
        "vip-tier: 2 VIPs would come to a tier of lower rank | 2 80% | acme (gold, rank 2 ▸ gold, rank 0); globex (gold, rank 2 ▸ gold, rank 0)",
    );
    // All ranks are raised, and the key goes to what was and is the lower tier.
    refused(
        &old,
        &old.replace("rank: 2", "rank: 20")
            .replace("rank: 1", "rank: 10")
            .replace("tenant: globex}, tier: gold", "tenant: globex}, tier: standard"),
        Guard::VipTier,
        "vip-tier: 1 VIP would come to a tier of lower rank | 1 30% | globex (gold, rank 20 ▸ standard, rank 10)",
    );
    for fine in [
        old.replace("tier: standard, account", "tier: gold, account"),
        old.replace("product: 34}, tier: standard", "product: 34}, pool: small"),
        old.replace("rank: 1", "rank: 2")
            .replace("tenant: globex}, tier: gold", "tenant: globex}, tier: standard"),
        old.replace("tenant: globex}, tier: gold", "tenant: globex}, tier: gold, pool: small"),
    ] {
        assert_eq!(between(&old, &fine).refusals, [], "{fine}");
    }
}

#[test]
fn another_schema_under_live_keys() {
    let message = "while 4 keys are registered by it: their traffic would be read otherwise from one packet to the next";
    refused(
        SMALL,
        &with(&[("version: 1", "version: 2")]),
        Guard::Schema,
        &format!(
            "schema: the schema changes (version) {message} | 4 100% | acme; acme-video; globex; initech"
        ),
    );
    let one = message.replace("4 keys are", "1 key is");
    refused(
        SMALL,
        &with(&[("from: ip.dscp", "from: ip.protocol")]),
        Guard::Schema,
        &format!("schema: the schema changes (field product) {one} | 1 10% | acme-video"),
    );
    let dropped = with(&[
        ("[[tenant, product], [tenant]]", "[[tenant]]"),
        ("    - {name: acme-video, match: {tenant: acme, product: 34}, tier: standard, account: a-1}\n", ""),
    ]);
    refused(
        SMALL,
        &dropped,
        Guard::Schema,
        &format!("schema: the schema changes (levels) {one} | 1 10% | acme-video"),
    );
    for fine in [
        with(&[(
            "        - {name: product",
            "        - {name: port, from: l4.dst_port}\n        - {name: product",
        )]),
        with(&[("[[tenant, product], [tenant]]", "[[tenant, product], [tenant], [product]]")]),
        with(&[("[tenant, product]", "[product, tenant]")]),
    ] {
        assert_eq!(between(SMALL, &fine).refusals, [], "{fine}");
    }
}

#[test]
fn another_generation_than_the_one_that_was_looked_at() {
    let base = |generation, digest: &str| Base { generation, digest: digest.to_owned() };
    let mut ids = Ids::default();
    let old = Compiled::of(&bundle(SMALL), &mut ids).unwrap();
    let made = |base: Option<Base>, expected: Option<Base>, allow: &[Guard]| {
        let context = Context { base, expected, allow, ..Context::default() };
        plan(Some(old.side()), old.side(), &context)
    };
    assert_eq!(made(Some(base(7, "x")), Some(base(7, "x")), &[]).refusals, []);
    for (there, said) in [
        (Some(base(8, "y")), "the plan starts from generation 7, but generation 8 is in force"),
        (Some(base(7, "y")), "the plan starts from generation 7, but generation 7 is in force"),
        (None, "the plan starts from generation 7, but none is in force"),
    ] {
        let plan = made(there.clone(), Some(base(7, "x")), &[Guard::BaseMoved]);
        let [refusal] = plan.refusals.as_slice() else { panic!("{:?}", plan.refusals) };
        assert_eq!(
            (refusal.name, refusal.allowed, refusal.message.as_str()),
            (Guard::BaseMoved, false, said)
        );
        assert!(plan.allow.is_empty(), "it cannot be lifted");
        // The same of a plan that was saved.
        let saved = made(Some(base(7, "x")), None, &[]);
        assert_eq!(saved.still_fits(there.as_ref()).unwrap_err().message, said);
    }
    let saved = made(Some(base(7, "x")), None, &[]);
    assert_eq!(saved.still_fits(Some(&base(7, "x"))), Ok(()));
    let offline = between(SMALL, SMALL);
    assert_eq!(offline.still_fits(None), Ok(()));
    assert!(offline.still_fits(Some(&base(1, "x"))).is_err());
}

#[test]
fn guards_have_one_name_everywhere() {
    use clap::ValueEnum;
    for guard in [
        Guard::BlastRadius,
        Guard::Residency,
        Guard::VipTier,
        Guard::Schema,
        Guard::DualAccept,
        Guard::BaseMoved,
    ] {
        assert_eq!(serde_json::to_value(guard).unwrap(), guard.name());
        let value = guard.to_possible_value().map(|value| value.get_name().to_owned());
        assert_eq!(value.as_deref(), guard.can_be_lifted().then_some(guard.name()));
    }
    assert_eq!(Guard::value_variants().len(), 5);
}
