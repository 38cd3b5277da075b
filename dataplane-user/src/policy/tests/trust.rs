//! Trust and sources: what is understood, what is refused, and what is warned of.

use super::*;

/// The small policy with trust, and other sources for its first key.
fn with(trust: &str, sources: &str) -> String {
    let text = RIGHT.replacen(
        "match: {tenant: acme}, tier: gold",
        &format!("match: {{tenant: acme}}, tier: gold{sources}"),
        1,
    );
    let text = text.replacen("[{name: eth0}]", "[{name: eth0}, {name: eth1}]", 1);
    format!("{text}{trust}")
}

fn said(trust: &str, sources: &str) -> Vec<String> {
    problems(&with(trust, sources))
}

fn warned(trust: &str, sources: &str) -> Vec<String> {
    let policy = parse(&with(trust, sources), "p", None).unwrap();
    policy.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn rules_say_what_is_read_and_what_is_proven() {
    let text = with(
        "  trust:\n    default: verify\n    interfaces:\n      eth0: {mode: trusted, carriers: [ip.dscp]}\n      eth1: {mode: ignore}\n",
        ", sources: [\"2001:db8::/32\", 10.1.0.0/16, 10.1.7.0/24]",
    );
    let policy = parse(&text, "p", None).unwrap();
    let (trust, schema) = (policy.trust.unwrap(), &policy.schemas[0]);
    let of = |interface: &str| {
        let rule = trust.rule(interface);
        (rule.allowed(schema), rule.verifies(schema))
    };
    assert_eq!([of("eth0"), of("eth1"), of("eth9")], [(0b10, false), (0, false), (0b11, true)]);
    let sources: Vec<String> =
        policy.keys[0].sources.iter().flat_map(|it| it.iter()).map(ToString::to_string).collect();
    assert_eq!(sources, ["10.1.0.0/16", "2001:db8::/32"], "in an order of their own, each address once");
    assert_eq!(policy.keys[1].sources, None);

    let text = with("  trust: {interfaces: {eth0: {schemas: [1]}}}\n", "");
    let policy = parse(&text, "p", None).unwrap();
    let (rule, schema) = (policy.trust.unwrap().rule("eth0").clone(), policy.schemas[0].clone());
    assert_eq!((rule.allowed(&schema), rule.verifies(&schema)), (0b11, false));
    let mut signed = schema;
    signed.fields[0].signed = true;
    assert!(rule.verifies(&signed), "a signature is looked at unless it is said that it is not");
    assert!(!TrustRule { mode: Some(TrustMode::Trusted), ..rule }.verifies(&signed));
    signed.version = 2;
    assert_eq!(rule_of(&[1]).allowed(&signed), 0);
}

fn rule_of(schemas: &[u8]) -> TrustRule {
    TrustRule { schemas: Some(schemas.to_vec()), ..TrustRule::default() }
}

#[test]
fn what_is_not_there_is_refused() {
    let at = |field: &str, message: &str| vec![format!("p:28:{field}: {message}")];
    for (trust, problem) in [
        ("  trust: {}\n", at("10: spec.trust", "says nothing: give default, interfaces or both")),
        (
            "  trust: {default: verfy}\n",
            at("20: spec.trust.default", "unknown mode \"verfy\"; did you mean \"verify\"?"),
        ),
        (
            "  trust: {interfaces: {eht0: {mode: verify}}}\n",
            at(
                "24: spec.trust.interfaces.eht0",
                "unknown interface of spec.interfaces \"eht0\"; did you mean \"eth0\"?",
            ),
        ),
        (
            "  trust: {interfaces: {eth0: {}}}\n",
            at("30: spec.trust.interfaces.eth0", "says nothing: give mode, schemas or carriers"),
        ),
        (
            "  trust: {interfaces: {eth0: {schemas: [1, 3]}}}\n",
            at("44: spec.trust.interfaces.eth0.schemas[1]", "no schema has version 3: there is 1"),
        ),
        (
            "  trust: {interfaces: {eth0: {carriers: [ip.dcsp]}}}\n",
            at(
                "42: spec.trust.interfaces.eth0.carriers[0]",
                "unknown carrier \"ip.dcsp\"; did you mean \"ip.dscp\"?",
            ),
        ),
        (
            "  trust: {interfaces: {eth0: {mode: ignore, schemas: [1]}}}\n",
            at(
                "30: spec.trust.interfaces.eth0",
                "mode: ignore reads nothing there: leave schemas and carriers out, or give another mode",
            ),
        ),
    ] {
        assert_eq!(said(trust, ""), problem, "{trust}");
    }
    assert_eq!(said("", ", sources: []"), ["p:25:64: spec.keys[0].sources: must not be empty"]);
    assert_eq!(
        said("", ", sources: [10.1.0.1/16]"),
        [
            "p:25:65: spec.keys[0].sources[0]: \"10.1.0.1/16\" has bits set beyond its length; did you mean \"10.1.0.0/16\"?"
        ]
    );
    let rules: Vec<String> = (0..16).map(|number| format!("e{number}: {{mode: verify}}")).collect();
    let said = said(&format!("  trust: {{interfaces: {{{}}}}}\n", rules.join(", ")), "");
    assert!(
        said.iter().any(|it| it.contains("16 interfaces are too many: at most 15 can be named")),
        "{said:?}"
    );
}

#[test]
fn keys_that_can_never_be_used_are_warned_of() {
    let message = "keys, such as \"acme\", have no sources and no signature: what asserts them there is always unauthenticated; give them sources";
    assert_eq!(
        warned("  trust: {default: verify}\n", ""),
        [format!("p:28:20: spec.trust.default: 2 of 3 {message}")]
    );
    assert_eq!(
        warned("  trust: {interfaces: {eth1: {mode: verify}}}\n", ""),
        [format!("p:28:24: spec.trust.interfaces.eth1: 2 of 3 {message}")]
    );
    // Nothing comes in by default.
    let all = "  trust: {default: verify, interfaces: {eth0: {mode: trusted}, eth1: {mode: ignore}}}\n";
    assert_eq!(warned(all, ""), [""; 0]);
    assert_eq!(
        warned("  trust: {default: verify}\n", ", sources: [10.1.0.0/16]"),
        [format!("p:28:20: spec.trust.default: 1 of 3 {}", message.replace("\"acme\"", "\"acme-video\""))]
    );
}

#[test]
fn rules_that_leave_nothing_to_be_read_are_warned_of() {
    assert_eq!(
        warned("  trust: {interfaces: {eth0: {carriers: [ip.dscp, vlan.id]}}}\n", ""),
        [
            "p:28:30: spec.trust.interfaces.eth0: leaves no level with all of its fields, so that no packet that comes in there has a key: name more carriers, or write mode: ignore",
            "p:28:51: spec.trust.interfaces.eth0.carriers[1]: no field is read from vlan.id: they are from \"ip.dscp\" or \"ip.src\"",
        ]
    );
}

#[test]
fn a_file_of_keys_has_sources_too() {
    let at = RIGHT.find("  keys:").unwrap();
    let text = format!("{}  keysFrom: keys.csv\n", &RIGHT[..at]);
    let csv = |csv: &'static str| parse_with(&text, "p", &move |_| Ok(csv.into()));
    let policy =
        csv("name,match.tenant,tier,sources\na,acme,gold,10.1.0.0/16 2001:db8::/32\nb,globex,gold,\n")
            .unwrap();
    let sources = |key: &Key| key.sources.as_ref().map(|it| it.len());
    assert_eq!(policy.keys.iter().map(sources).collect::<Vec<_>>(), [Some(2), None]);
    let error = csv("name,match.tenant,tier,sources\na,acme,gold,10.1.0.0/16 10.1/8\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "keys.csv:2:13: sources: \"10.1/8\" is not an address prefix: expected one such as 10.1.0.0/16 or 2001:db8::/32"
    );
}
