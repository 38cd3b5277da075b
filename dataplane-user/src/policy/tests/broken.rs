//! Broken policies and what is said of them: the line of the right policy that is changed, what it is
//! changed to, and every problem.

use super::*;

type Case = (&'static str, &'static str, &'static [&'static str]);

fn check(cases: &[Case]) {
    let mut wrong = String::new();
    for (from, to, expected) in cases {
        assert!(RIGHT.contains(from), "{from}");
        let found = problems(&RIGHT.replacen(from, to, 1));
        if found != *expected {
            wrong += &format!("{from} -> {to}\n  expected {expected:#?}\n  found    {found:#?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn signing() {
    let secrets = "secrets: [{id: 1, file: /a}]";
    let said = |signing: &str| {
        problems(&RIGHT.replacen("  keys:\n", &format!("  signing: {{{signing}}}\n  keys:\n"), 1))
    };
    assert_eq!(said(&format!("{secrets}, bind: {{source: {{ipv4: 24}}}}")), [""; 0]);
    for (signing, expected) in [
        ("bind: {destination: true}", "p:24:12: spec.signing.secrets: is required but missing"),
        ("secrets: []", "p:24:22: spec.signing.secrets: must not be empty"),
        (
            "secrets: [{id: 256, file: /a}]",
            "p:24:28: spec.signing.secrets[0].id: expected a whole number from 0 to 255, found the number 256",
        ),
        (
            "secrets: [{id: 1, file: shim.key}]",
            "p:24:37: spec.signing.secrets[0].file: \"shim.key\" is not an absolute path: expected one such as /etc/keysteer/shim-1.key",
        ),
        (
            "secrets: [{id: 1, file: /a}, {id: 1, file: /b}]",
            "p:24:47: spec.signing.secrets[1].id: the id 1 is already taken in line 24",
        ),
        (
            "secrets: [{id: 1, file: /a}, {id: 2, file: /a}]",
            "p:24:56: spec.signing.secrets[1].file: the same file is named in line 24: two ids of one secret are no change of it",
        ),
        (
            "secrets: [{id: 1, file: /a}, {id: 2, file: /b}, {id: 3, file: /c}]",
            "p:24:66: spec.signing.secrets[2]: there can be 2 at most, the one in use and the next: leave the others out",
        ),
        (
            "secrets: [{id: 1, file: /a}], bind: {}",
            "p:24:49: spec.signing.bind: says nothing: give source, destination or both",
        ),
        (
            "secrets: [{id: 1, file: /a}], bind: {source: {ipv4: 33}}",
            "p:24:65: spec.signing.bind.source.ipv4: expected a whole number from 0 to 32, found the number 33",
        ),
    ] {
        assert_eq!(said(signing), [expected], "{signing}");
    }
}

#[test]
fn the_right_policy_is_right() {
    assert_eq!(problems(RIGHT), [""; 0]);
}

#[test]
fn shape() {
    check(&[
        (
            "spec:\n",
            "spec: [\n",
            &["p:6:13: not a YAML document: while parsing a flow mapping, did not find expected ',' or '}'"],
        ),
        ("  environment: prod\n", "", &["p:5:3: spec.environment: is required but missing"]),
        (
            "environment: prod",
            "enviroment: prod",
            &[
                "p:5:3: spec.enviroment: unknown field \"enviroment\"; did you mean \"environment\"?",
                "p:5:3: spec.environment: is required but missing",
            ],
        ),
        (
            "environment: prod",
            "environment: 7",
            &["p:5:16: spec.environment: expected text, found the number 7: write it as \"7\""],
        ),
        (
            "environment: prod",
            "environment: prod\n  environment: test",
            &["p:6:3: spec.environment: is given twice, first in line 5"],
        ),
        (
            "environment: prod",
            "environment: prod\n  mode: steeer",
            &["p:6:9: spec.mode: unknown mode \"steeer\"; did you mean \"steer\"?"],
        ),
        (
            "environment: prod",
            "environment: prod\n  mode: fast",
            &["p:6:9: spec.mode: unknown mode \"fast\": expected \"steer\" or \"observe\""],
        ),
        (
            "kind: SteeringPolicy",
            "kind: Policy",
            &["p:2:7: kind: unknown kind \"Policy\": expected \"SteeringPolicy\""],
        ),
        ("interfaces: [{name: eth0}]", "interfaces: []", &["p:6:15: spec.interfaces: must not be empty"]),
        (
            "interfaces: [{name: eth0}]",
            "interfaces: eth0",
            &["p:6:15: spec.interfaces: expected a list, found the text \"eth0\""],
        ),
        (
            "203.0.113.10/32",
            "203.0.113.10/24",
            &[
                "p:8:23: spec.scope[0].destinations[0]: \"203.0.113.10/24\" has bits set beyond its length; did you mean \"203.0.113.0/24\"?",
            ],
        ),
        (
            "tcp/443",
            "tpc/443",
            &["p:8:52: spec.scope[0].services[0]: unknown protocol \"tpc\"; did you mean \"tcp\"?"],
        ),
        (
            "version: 1",
            "version: 256",
            &[
                "p:12:16: spec.schemas[0].version: expected a whole number from 1 to 255, found the number 256",
            ],
        ),
        (
            "target: pass",
            "target: {cpu: 1, interface: {name: x, mac: y}}",
            &[
                "p:18:25: spec.shards[0].target: expected exactly one of \"cpu\", \"interface\" or \"nextHop\"",
            ],
        ),
        (
            "target: pass",
            "target: {interface: {name: veth, mac: \"02:00\"}}",
            &[
                "p:18:55: spec.shards[0].target.interface.mac: \"02:00\" is not a MAC address: expected six bytes such as 02:00:00:00:00:0a",
            ],
        ),
        (
            "width: 2",
            "width: 0",
            &["p:23:42: spec.tiers[0].width: a width of 0 leaves no shard: expected 1 or more, or \"all\""],
        ),
        (
            "deny: true}",
            "deny: maybe}",
            &["p:27:53: spec.keys[2].deny: expected true or false, found the text \"maybe\""],
        ),
        (
            "  keys:\n",
            "  classes: {missing: throw}\n  keys:\n",
            &[
                "p:24:22: spec.classes.missing: unknown action \"throw\": expected \"pass\", \"drop\" or {pool: name}",
            ],
        ),
        (
            "10.2.0.0/16: globex",
            "10.1.0.0/16: globex",
            &["p:10:34: spec.prefixTables.tenants.10.1.0.0/16: is given twice, first in line 10"],
        ),
    ]);
}

#[test]
fn sense() {
    check(&[
        (
            "shards: [a, b]",
            "shards: [a, bb]",
            &["p:21:35: spec.pools[0].shards[1]: unknown shard \"bb\"; did you mean \"b\"?"],
        ),
        (
            "pool: general, width",
            "pool: genral, width",
            &["p:23:26: spec.tiers[0].pool: unknown pool \"genral\"; did you mean \"general\"?"],
        ),
        (
            "tier: gold}",
            "tier: platinum}",
            &["p:25:49: spec.keys[0].tier: unknown tier \"platinum\": expected \"gold\""],
        ),
        (
            "width: 2",
            "width: 3",
            &["p:23:42: spec.tiers[0].width: a width of 3 is more than the 2 shards of pool \"general\""],
        ),
        (
            "34}, pool: general",
            "34}, pool: general, width: 3",
            &["p:26:84: spec.keys[1].width: a width of 3 is more than the 2 shards of pool \"general\""],
        ),
        (
            "{name: b,",
            "{name: a,",
            &[
                "p:19:14: spec.shards[1].name: the name \"a\" is already taken by spec.shards[0] in line 18",
                "p:21:35: spec.pools[0].shards[1]: unknown shard \"b\": expected \"a\"",
            ],
        ),
        ("shards: [a, b]", "shards: []", &["p:21:31: spec.pools[0].shards: must not be empty"]),
        (
            "table: tenants",
            "table: tenant",
            &[
                "p:14:47: spec.schemas[0].fields[0].table: unknown prefix table \"tenant\"; did you mean \"tenants\"?",
            ],
        ),
        (
            "from: ip.dscp",
            "from: ip.dcsp",
            &[
                "p:15:33: spec.schemas[0].fields[1].from: unknown carrier \"ip.dcsp\"; did you mean \"ip.dscp\"?",
            ],
        ),
        (
            "from: ip.dscp",
            "from: ip.dscp, table: tenants",
            &[
                "p:15:49: spec.schemas[0].fields[1].table: ip.dscp is not an address: it takes no prefix table",
            ],
        ),
        (
            "from: ip.src, table: tenants",
            "from: ip.src",
            &[
                "p:14:32: spec.schemas[0].fields[0].from: ip.src is an address of either family and needs a prefix table: add table, or take ipv4.src or ipv6.src",
            ],
        ),
        (
            "from: ip.dscp",
            "from: ip.dscp, bits: {offset: 2, length: 5}",
            &["p:15:48: spec.schemas[0].fields[1].bits: bits 2 to 6 are beyond the 6 bits of ip.dscp"],
        ),
        (
            "from: ip.dscp",
            "from: ipv6.dst",
            &[
                "p:14:9: spec.schemas[0].fields: the fields take 160 bits together, at most 128 are possible: take a range with bits, or a prefix table (32 bits)",
            ],
        ),
        (
            "[[tenant, product], [tenant]]",
            "[[tenant], [tenant, product]]",
            &[
                "p:16:26: spec.schemas[0].levels[1]: never decides where level 0, which has some of its fields, does: list the most specific level first",
            ],
        ),
        (
            "[[tenant, product], [tenant]]",
            "[[tenant], [tenant]]",
            &["p:16:26: spec.schemas[0].levels[1]: the same as level 0"],
        ),
        (
            ", [tenant]]",
            "]",
            &[
                "p:25:27: spec.keys[0].match: can never be reached: [tenant] is no level of the schema, which has [tenant, product]",
                "p:27:29: spec.keys[2].match: can never be reached: [tenant] is no level of the schema, which has [tenant, product]",
            ],
        ),
        (
            "product: 34",
            "product: 64",
            &[
                "p:26:57: spec.keys[1].match.product: 64 does not fit the 6 bits of the field: at most 63 does",
            ],
        ),
        (
            "product: 34",
            "product: 034",
            &[
                "p:26:57: spec.keys[1].match.product: \"034\" begins with 0, which could mean octal: write a decimal number without it, or 0x...",
            ],
        ),
        (
            "tenant: globex}",
            "tenant: acme}",
            &["p:27:14: spec.keys[2].match: has the same values as \"acme\", spec.keys[0] in line 25"],
        ),
        (
            "tenant: globex}",
            "tennant: globex}",
            &["p:27:30: spec.keys[2].match.tennant: unknown field \"tennant\"; did you mean \"tenant\"?"],
        ),
        (
            ", deny: true",
            "",
            &["p:27:14: spec.keys[2]: goes nowhere: give it a pool or a tier, or deny: true"],
        ),
        (
            "pool: general}\n    - {name: globex",
            "pool: general, reason: x}\n    - {name: globex",
            &["p:26:85: spec.keys[1].reason: only goes with deny: true"],
        ),
        (
            "[tcp/443]",
            "[tcp/443, tcp/443]",
            &["p:8:61: spec.scope[0].services[1]: the service is listed twice, first in line 8"],
        ),
        (
            "[tcp/443]",
            "[tcp/1, tcp/3, tcp/5, tcp/7, tcp/9, tcp/11, tcp/13, tcp/15, tcp/17, tcp/19, tcp/21, tcp/23, tcp/25, tcp/27, tcp/29, tcp/31, tcp/33]",
            &[
                "p:8:23: spec.scope[0].destinations[0]: 203.0.113.10/32 has 17 services, with those of the prefixes that cover it; at most 16 are possible: join port ranges, or leave services out",
            ],
        ),
    ]);
}
