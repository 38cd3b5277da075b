//! Fields whose values are not shown: what messages say of them, and what is warned of.

use super::*;
use crate::display::Display;

/// The right policy with its tenants hidden.
fn hidden(how: &str) -> String {
    RIGHT.replace("table: tenants}", &format!("table: tenants, display: {how}}}"))
}

fn warnings(text: &str) -> Vec<String> {
    parse(text, "p", None).unwrap().warnings.iter().map(|warning| warning.to_string()).collect()
}

#[test]
fn displays_are_read_and_plain_is_the_default() {
    for (name, display) in Display::NAMED {
        let fields = parse(&hidden(name), "p", None).unwrap().schemas.remove(0).fields;
        assert_eq!((fields[0].display, fields[1].display), (display, Display::Plain));
    }
    assert_eq!(
        problems(&hidden("maskd")),
        ["p:14:65: spec.schemas[0].fields[0].display: unknown display \"maskd\"; did you mean \"masked\"?"]
    );
}

#[test]
fn messages_do_not_repeat_hidden_values() {
    let field = "        - {name: product, from: ip.dscp";
    let masked = format!("{field}, display: masked");
    let text = hidden("keyed-hash").replace(field, &masked);
    let region = "  residency: {field: product}\n  pools:\n    - {name: far, shards: [a], region: 35}";
    for (from, to, expected) in [
        (
            "{tenant: acme}",
            "{tenant: acem}",
            &[
                "p:25:36: spec.keys[0].match.tenant: is no label of prefix table tenants (display is keyed-hash: neither is shown)",
            ][..],
        ),
        (
            "product: 34",
            "product: 64",
            &[
                "p:26:57: spec.keys[1].match.product: is no value of 6 bits of ip.dscp (display is masked: it is not shown)",
            ],
        ),
        (
            "product: 34}, pool: general",
            "product: 34}, pool: far, region: 36",
            &[
                "p:27:67: spec.keys[1].pool: the key's region is ****, that of pool \"far\" is ****: it may not leave its region",
                "p:27:80: spec.keys[1].region: the key says that its region is ****: leave this out",
            ],
        ),
    ] {
        assert!(text.contains(from), "{from}");
        let text = text.replacen(from, to, 1);
        let text = if to.contains("region") { text.replace("  pools:", region) } else { text };
        let found: Vec<String> = problems(&text);
        let said: Vec<_> = found.iter().map(|it| it.split_once(": spec").unwrap().1).collect();
        let expected: Vec<_> = expected.iter().map(|it| it.split_once(": spec").unwrap().1).collect();
        assert_eq!(said, expected, "{found:?}");
    }
}

#[test]
fn labels_that_nobody_is_shown_may_look_personal() {
    let odd = |text: &str| text.replace("globex", "bob@example.com");
    assert_eq!(warnings(&odd(&hidden("plain"))).len(), 2, "the label and the name of the key");
    for how in ["masked", "keyed-hash"] {
        let said = warnings(&odd(&hidden(how)));
        assert!(said.len() == 1 && said[0].contains("keys[2].name"), "{said:?}");
    }
    // One field that shows them is enough.
    let also = odd(&hidden("masked")).replace(
        "        - {name: product, from: ip.dscp}",
        "        - {name: product, from: ip.dscp}\n        - {name: other, from: ip.dst, table: tenants}",
    );
    assert!(warnings(&also).iter().any(|it| it.contains("prefixTables.tenants.10.2.0.0/16: looks like")));
}

#[test]
fn owners_accounts_and_reasons_are_warned_of_once_each() {
    let text = RIGHT
        .replace(
            "tier: gold}\n    - {name: acme-video",
            "tier: gold, owner: ann@example.com}\n    - {name: acme-video",
        )
        .replace(
            "product: 34}, pool: general",
            "product: 34}, pool: general, owner: ann@example.com, account: +49 30 1234567",
        )
        .replace("deny: true", "deny: true, reason: bob@example.com did not pay")
        .replace("width: 2}", "width: 2, costCentre: ghp_0123456789abcdef}");
    let said = warnings(&text);
    let fields: Vec<_> = said.iter().filter_map(|it| it.split(": ").nth(1)).collect();
    let expected =
        ["spec.tiers[0].costCentre", "spec.keys[0].owner", "spec.keys[1].account", "spec.keys[2].reason"];
    assert_eq!(fields, expected, "{said:?}");
    assert_eq!(parse(&text, "p", None).unwrap().findings, 4);
    let csv =
        "name,match.tenant,tier,owner\nacme,acme,gold,eve@example.com\nglobex,globex,gold,eve@example.com\n";
    let (head, _) = RIGHT.split_once("  keys:\n").unwrap();
    let text = format!("{head}  keysFrom: keys.csv\n");
    let policy = parse_with(&text, "p", &|_| Ok(csv.into())).unwrap();
    let said: Vec<String> = policy.warnings.iter().map(|it| it.to_string()).collect();
    assert_eq!(policy.findings, 1);
    assert_eq!(
        said,
        [
            "keys.csv:2:1: owner: looks like a mail address: it is shown in metrics, events and bills; use a pseudonym"
        ]
    );
}
