//! What is said of single changes.

use super::*;

/// Changes but for keys, one a line.
fn said(plan: &Plan) -> Vec<String> {
    let field = |change: &FieldChange| {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        format!("{}: {} > {}", change.field, value(&change.before), value(&change.after))
    };
    let changes = &plan.changes;
    let mut lines: Vec<String> = changes.settings.iter().chain(&changes.schema).map(field).collect();
    for (kind, it) in [
        ("interface", &changes.interfaces),
        ("scope", &changes.scope),
        ("prefix", &changes.prefixes),
        ("shard", &changes.shards),
        ("pool", &changes.pools),
        ("tier", &changes.tiers),
    ] {
        lines.extend(it.removed.items.iter().map(|it| format!("- {kind} {}: {}", it.name, it.what)));
        lines.extend(it.changed.items.iter().map(|it| {
            let fields: Vec<String> = it.fields.iter().map(field).collect();
            format!("~ {kind} {}: {}", it.name, fields.join(", "))
        }));
        lines.extend(it.added.items.iter().map(|it| format!("+ {kind} {}: {}", it.name, it.what)));
    }
    lines.extend(plan.keys.removed_list.items.iter().map(|key| format!("- key {}: {}", key.name, key.what)));
    lines.extend(plan.keys.changed_list.items.iter().map(|key| {
        let fields: Vec<String> = key.fields.iter().map(field).collect();
        format!("~ key {}: {}", key.name, fields.join(", "))
    }));
    lines.extend(plan.keys.added_list.items.iter().map(|key| format!("+ key {}: {}", key.name, key.what)));
    lines
}

#[test]
fn every_change_is_said_in_words() {
    for (from, to, expected) in [
        ("name: edge", "name: core", vec!["metadata.name: edge > core"]),
        ("environment: prod", "environment: prod\n  mode: observe", vec!["mode: steer > observe"]),
        (
            "[{name: eth0}]",
            "[{name: eth1}, {name: eth0, mode: native}]",
            vec!["~ interface eth0: mode: auto > native", "+ interface eth1: mode auto"],
        ),
        (
            "services: [udp/443]",
            "services: [udp/443, tcp/80-81]",
            vec!["~ scope 203.0.113.0/24: services: udp/443 > tcp/80-81 udp/443"],
        ),
        (
            "destinations: [203.0.113.0/24]",
            "destinations: [203.0.113.0/25]",
            vec!["- scope 203.0.113.0/24: services udp/443", "+ scope 203.0.113.0/25: services udp/443"],
        ),
        (
            "10.3.0.0/16: initech",
            "10.3.0.0/17: initech",
            vec![
                "- prefix tenants 10.3.0.0/16: label initech",
                "+ prefix tenants 10.3.0.0/17: label initech",
            ],
        ),
        (
            "10.2.0.0/16: globex",
            "10.2.0.0/16: globex, 10.2.3.0/24: acme",
            vec!["+ prefix tenants 10.2.3.0/24: label acme"],
        ),
        ("from: ip.dscp", "from: ip.protocol", vec!["field product: ip.dscp > ip.protocol"]),
        ("from: ip.dscp", "from: ip.dscp, bits: {offset: 0, length: 6}", vec![]),
        ("weight: 2", "weight: 3", vec!["~ shard b: weight: 2 > 3"]),
        ("{cpu: 1}", "{cpu: 2}", vec!["~ shard b: target: cpu 1 > cpu 2"]),
        (
            "{name: small, shards: [a, b]}",
            "{name: small, shards: [c, b], region: eu}",
            vec!["~ pool small: shards: a b > b c, region: - > eu"],
        ),
        (
            "owner: team, rank: 2",
            "rank: 3, vip: true",
            vec![
                "~ tier gold: rank: 2 > 3, vip: false > true, owner: team > -",
                "~ key acme: owner: team > -, vip: false > true",
                "~ key globex: owner: team > -, vip: false > true",
            ],
        ),
        ("tier: gold, costCentre: cc-1", "tier: gold", vec!["~ key acme: costCentre: cc-1 > -"]),
        ("costCentre: cc-1", "costCentre: cc-2", vec!["~ key acme: costCentre: cc-1 > cc-2"]),
        ("account: a-1", "account: a-2", vec!["~ key acme-video: account: a-1 > a-2"]),
        ("name: acme-video", "name: acme-av", vec!["~ key acme-av: name: acme-video > acme-av"]),
        ("reason: unpaid", "reason: gone", vec!["~ key initech: deny: unpaid > gone"]),
        (", deny: true, reason: unpaid", "", vec!["~ key initech: deny: unpaid > -"]),
        (
            "costCentre: cc-1}",
            "costCentre: cc-1, width: all, region: eu}",
            vec!["~ key acme: width: 2 > all, region: - > eu"],
        ),
        (
            "match: {tenant: globex}",
            "match: {tenant: globex, product: 1}",
            vec![
                "- key globex: tenant=globex, tier gold, pool general, width 2",
                "+ key globex: tenant=globex product=1, tier gold, pool general, width 2",
            ],
        ),
        ("unregistered: pass", "unregistered: drop", vec!["classes.unregistered: pass > drop"]),
        ("  classes:", "  trust: {default: verify}\n  classes:", vec!["trust.default: - > verify"]),
        (
            "  classes:",
            "  trust: {interfaces: {eth0: {mode: trusted, schemas: [1], carriers: [ip.dscp, ip.src]}}}\n  classes:",
            vec![
                "trust.default: - > by schema",
                "trust.interfaces.eth0: - > trusted, schemas 1, carriers ip.dscp ip.src",
            ],
        ),
        (
            "costCentre: cc-1}",
            "costCentre: cc-1, sources: [10.1.128.0/17, 10.1.0.0/17, 192.0.2.1]}",
            vec!["~ key acme: sources: - > 10.1.0.0/16 192.0.2.1/32"],
        ),
        ("  classes:", "  blastRadius: {keys: 90%}\n  classes:", vec!["blastRadius.keys: - > 90%"]),
    ] {
        let text = with(&[(from, to)]).replace("shards: [a, b, c]}", "shards: [a, b, c], region: eu}");
        let before = SMALL.replace("shards: [a, b, c]}", "shards: [a, b, c], region: eu}");
        let plan = between(&before, &text);
        assert_eq!(said(&plan), expected, "{from} -> {to}");
        assert_eq!(plan.is_empty(), expected.is_empty(), "{to}");
    }
}

#[test]
fn what_means_the_same_plans_to_nothing() {
    let same = with(&[
        ("kind: SteeringPolicy", "kind: SteeringPolicy # a comment"),
        ("shards: [a, b, c]", "shards: [c, b, a]"),
        ("udp/443", "udp/443-443"),
        ("10.1.0.0/16: acme, 10.2.0.0/16: globex", "10.2.0.0/16: globex, 10.1.0.0/16: acme"),
        ("product: 34", "product: 0x22"),
        ("tier: gold, costCentre: cc-1", "tier: gold, width: 2, pool: general, costCentre: cc-1"),
    ]);
    let mut lines: Vec<&str> = same.lines().collect();
    let keys = lines.iter().position(|line| line.contains("name: acme,")).unwrap();
    lines.swap(keys, keys + 2);
    let shards = lines.iter().position(|line| line.contains("name: a,")).unwrap();
    lines.swap(shards, shards + 2);
    let fields = lines.iter().position(|line| line.contains("name: tenant,")).unwrap();
    lines.swap(fields, fields + 1);
    let same = lines.join("\n");
    assert_ne!(bundle(SMALL).digest(), bundle(&same).digest());
    let plan = between(SMALL, &same);
    assert!(plan.is_empty(), "{plan:#?}");
    assert_eq!((plan.keys.before, plan.keys.after, plan.moves.of), (4, 4, 3));
    assert!(plan.refusals.is_empty() && plan.notes.is_empty());
    assert!(plan.shards.iter().all(|shard| shard.before == shard.after));
}

#[test]
fn the_first_policy_adds_everything() {
    let plan = compare(None, &bundle(SMALL), &[], false, moment()).unwrap();
    assert_eq!((plan.from.as_deref(), plan.base.as_ref()), (None, None));
    assert_eq!((plan.keys.added.keys, plan.keys.added_list.total, plan.moves.of), (4, 4, 0));
    assert!(plan.refusals.is_empty() && !plan.is_empty());
    assert!(plan.shards.iter().all(|shard| shard.before.is_none() && shard.after.is_some()));
}

#[test]
fn traffic_is_said_with_what_carries_it() {
    let new = with(&[
        ("costCentre: cc-1}", "costCentre: cc-1, deny: true}"),
        ("tenant: globex}, tier: gold", "tenant: globex}, tier: standard"),
        (
            "{name: acme-video, match: {tenant: acme, product: 34}, tier: standard, account: a-1}",
            "{name: new, match: {tenant: acme, product: 35}, tier: standard}",
        ),
        (", deny: true, reason: unpaid", ""),
        ("missing: {pool: small}", "missing: drop"),
    ]);
    let bytes = [("acme", 400), ("acme-video", 100), ("globex", 200), ("initech", 100)];
    let plan = plan_with(SMALL, &new, &bytes, [150, 40, 10], &[]);
    let percent = |share: Option<Share>| share.map(|share| share.to_string());
    let all = |totals: Totals| (totals.keys, percent(totals.traffic).unwrap());
    assert_eq!(all(plan.keys.denied), (1, "40%".to_owned()));
    assert_eq!(all(plan.keys.allowed), (1, "10%".to_owned()));
    assert_eq!(all(plan.keys.removed), (1, "10%".to_owned()));
    assert_eq!(all(plan.keys.added), (1, "0%".to_owned()));
    assert_eq!(all(plan.keys.fields["deny"]), (2, "50%".to_owned()));
    // globex alone is steered before and after; half of its flows stay.
    assert_eq!((all(plan.moves.keys), plan.moves.of), ((1, "20%".to_owned()), 1));
    assert_eq!(percent(plan.moves.traffic).as_deref(), Some("10%"));
    let [class] = plan.classes.as_slice() else { panic!("{:?}", plan.classes) };
    assert_eq!(
        (class.class.as_str(), class.before.as_str(), class.after.as_str()),
        ("missing", "pool small", "drop")
    );
    assert_eq!((class.flows, percent(class.traffic).as_deref()), (Share::ALL, Some("15%")));
    let names: Vec<&str> = plan.keys.changed_list.items.iter().map(|key| key.name.as_str()).collect();
    assert_eq!(names, ["acme", "globex", "initech"], "the one that carries most is first");
    assert!(plan.notes.iter().any(|note| note.contains("what removed keys carry")));
    // Of what is steered: 400 + 100 + 200 + 150 before, 200 + 100 after.
    let sum = |radius: fn(&ShardRadius) -> Option<Radius>| -> f64 {
        plan.shards.iter().filter_map(|shard| radius(shard)?.traffic).map(Share::as_f64).sum()
    };
    assert!((sum(|shard| shard.before) - 1.0).abs() < 1e-5 && (sum(|shard| shard.after) - 1.0).abs() < 1e-5);
}

#[test]
fn lists_are_bounded_and_say_how_long_they_are() {
    let mut list = List::default();
    (0..5).for_each(|n| list.add(3, || n));
    assert_eq!((list.total, list.items.as_slice(), list.omitted()), (5, [0, 1, 2].as_slice(), 2));
    let mut items: Vec<u32> = (0..LISTED as u32 + 7).rev().collect();
    assert_eq!(first(&mut items, |item| *item), LISTED as u64 + 7);
    assert!(items.len() == LISTED && items.iter().copied().eq(0..LISTED as u32));
}

#[test]
fn what_cannot_be_planned_says_why() {
    let broken = with(&[("tier: gold}", "tier: glod}")]);
    let error =
        compare(Some(&bundle(SMALL)), &bundle(&broken), &[], false, moment()).unwrap_err().to_string();
    assert!(error.contains("unknown tier \"glod\"; did you mean \"gold\"?"), "{error}");
}
