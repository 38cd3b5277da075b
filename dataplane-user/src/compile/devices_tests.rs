//! Which devices a policy is attached to, on hosts made here: few test machines' kernels have VLANs and bonds.

use std::fmt::Write as _;

use super::*;
use crate::compile::trust;
use crate::policy::parse;

/// eth0 and eth1 are part of bond0, eth2 is none; on eth2 are VLANs 7 and, in VLAN 7, 8; on eth0 is VLAN 9. eth3 is a
/// bridge's, and eth4.1 a VLAN whose device is in another namespace.
fn host() -> Interfaces {
    let names = [
        "lo", "eth0", "eth1", "eth2", "bond0", "eth2.7", "eth2.7.8", "eth0.9", "eth3", "br0", "eth4.1",
        "bond0.5",
    ];
    let mut all: Vec<Interface> =
        (1..).zip(names).map(|(index, name)| Interface::new(name, index, [2; 6])).collect();
    let mut set = |name: &str, kind: Option<Kind>, parent: Option<u32>, master: Option<u32>| {
        let interface = all.iter_mut().find(|it| it.name == name).unwrap();
        (interface.kind, interface.parent, interface.master) = (kind, parent, master);
    };
    set("eth0", None, None, Some(5));
    set("eth1", None, None, Some(5));
    set("bond0", Some(Kind::Bond), None, None);
    set("eth2.7", Some(Kind::Vlan), Some(4), None);
    set("eth2.7.8", Some(Kind::Vlan), Some(6), None);
    set("eth0.9", Some(Kind::Vlan), Some(2), None);
    set("eth3", None, None, Some(10));
    set("br0", Some(Kind::Bridge), None, None);
    set("eth4.1", Some(Kind::Vlan), None, None);
    set("bond0.5", Some(Kind::Vlan), Some(5), None);
    Interfaces(all)
}

/// A policy of these interfaces, as flow mappings, and these rules of trust.
fn policy(interfaces: &str, rules: &[(&str, &str)]) -> Policy {
    let mut text = format!(
        "apiVersion: keysteer.dev/v1alpha1\nkind: SteeringPolicy\nmetadata: {{name: edge}}\nspec:\n  environment: prod\n  \
         interfaces: [{interfaces}]\n  scope: [{{destinations: [203.0.113.0/24]}}]\n  schemas: [{{version: 1, fields: [{{name: \
         tenant, from: ip.dscp}}]}}]\n  shards: [{{name: a, target: drop}}]\n  pools: [{{name: p, shards: [a]}}]\n  keys: [{{name: \
         acme, match: {{tenant: 1}}, pool: p}}]\n"
    );
    if !rules.is_empty() {
        text.push_str("  trust:\n    default: ignore\n    interfaces:\n");
        rules.iter().for_each(|(name, mode)| writeln!(text, "      {name}: {{mode: {mode}}}").unwrap());
    }
    parse(&text, "p", None).unwrap()
}

fn found(interfaces: &str, rules: &[(&str, &str)]) -> Vec<(String, AttachMode, Option<String>)> {
    let devices = devices(&policy(interfaces, rules), &host()).unwrap();
    devices.into_iter().map(|it| (it.interface.name, it.mode, it.note)).collect()
}

fn refused(interfaces: &str, rules: &[(&str, &str)]) -> String {
    devices(&policy(interfaces, rules), &host()).unwrap_err().to_string()
}

#[test]
fn an_interface_is_followed_to_the_device_that_can_be_steered() {
    let every = ": every VLAN of it, and packets without a tag";
    for (name, device, way) in [
        ("eth2", "eth2", None),
        ("bond0", "bond0", None),
        ("eth3", "eth3", None),
        ("eth4.1", "eth4.1", None),
        ("eth1", "bond0", Some("part of bond0; steered is what comes in by bond0".to_owned())),
        ("eth2.7", "eth2", Some(format!("a VLAN on eth2; steered is what comes in by eth2{every}"))),
        (
            "eth2.7.8",
            "eth2",
            Some(format!("a VLAN on eth2.7, a VLAN on eth2; steered is what comes in by eth2{every}")),
        ),
        (
            "eth0.9",
            "bond0",
            Some(format!("a VLAN on eth0, part of bond0; steered is what comes in by bond0{every}")),
        ),
    ] {
        let note = way.map(|way| format!("for {name}, {way}"));
        assert_eq!(
            found(&format!("{{name: {name}}}"), &[]),
            [(device.to_owned(), AttachMode::Auto, note)],
            "{name}"
        );
    }
}

#[test]
fn a_device_is_attached_to_once_in_one_mode() {
    let both = found("{name: eth2}, {name: eth2.7, mode: native}, {name: bond0, mode: tc}", &[]);
    assert_eq!(
        both.iter().map(|it| (it.0.as_str(), it.1)).collect::<Vec<_>>(),
        [("eth2", AttachMode::Native), ("bond0", AttachMode::Tc)]
    );
    let two = found("{name: eth0, mode: tc}, {name: eth1}", &[]);
    assert_eq!((two.len(), two[0].1), (1, AttachMode::Tc));
    let note = two[0].2.as_deref().unwrap();
    assert!(note.contains("for eth0, part of bond0") && note.contains("for eth1, part of bond0"), "{note}");

    let said = refused("{name: eth2, mode: native}, {name: eth2.7, mode: tc}", &[]);
    assert_eq!(
        said,
        "p:6:51: spec.interfaces[1].mode: eth2 and eth2.7 are both steered at eth2, and cannot be in two modes: native and tc; give \
         them one"
    );
}

#[test]
fn interfaces_that_are_on_each_other_have_no_end() {
    let mut host = host();
    let at = host.0.iter_mut().find(|it| it.name == "eth2").unwrap();
    (at.kind, at.parent) = (Some(Kind::Vlan), Some(6));
    let said = devices(&policy("{name: eth2.7}", &[]), &host).unwrap_err().to_string();
    assert!(said.contains("eth2.7 is more than 8 devices above one"), "{said}");
    // One whose index is of nothing here ends the way.
    host.0.iter_mut().find(|it| it.name == "eth2").unwrap().parent = Some(99);
    assert_eq!(devices(&policy("{name: eth2.7}", &[]), &host).unwrap()[0].interface.name, "eth2");
}

#[test]
fn a_rule_of_trust_is_never_for_more_than_it_says() {
    let said = refused("{name: eth2.7}", &[("eth2.7", "trusted")]);
    assert!(
        said.contains("spec.trust.interfaces.eth2.7: eth2.7 is a VLAN, and is steered at eth2: a rule would hold for every VLAN"),
        "{said}"
    );
    assert!(said.contains("name eth2 here and in spec.interfaces"), "{said}");
    let said = refused("{name: eth0}, {name: eth1}", &[("eth0", "trusted")]);
    assert!(said.contains("eth0 and eth1 are both steered at bond0, and have different rules"), "{said}");
    let said = refused("{name: eth2}, {name: eth2.7}", &[("eth2", "trusted")]);
    assert!(said.contains("eth2 and eth2.7 are both steered at eth2, and have different rules"), "{said}");
    assert_eq!(found("{name: eth0}, {name: eth1}", &[("eth0", "verify"), ("eth1", "verify")]).len(), 1);
    // Without one of its own a VLAN has the default, as its device has.
    assert_eq!(found("{name: eth2.7}, {name: bond0}", &[("bond0", "trusted")]).len(), 2);
}

#[test]
fn a_bonds_rule_holds_for_its_parts_in_whose_drivers_its_program_runs() {
    let host = host();
    for (interfaces, name) in [("{name: bond0}", "bond0"), ("{name: eth1}", "eth1")] {
        let policy = policy(interfaces, &[(name, "trusted")]);
        let (count, configs) = trust::interfaces(&policy, &policy.schemas, &host);
        let rules: Vec<(u32, u8)> =
            configs.iter().take(count as usize).map(|it| (it.index, it.allowed[0])).collect();
        // Of eth0, eth1 and bond0; the first is the default.
        assert_eq!(rules, [(0, 0), (2, 1), (3, 1), (5, 1)], "{name}");
    }
}

#[test]
fn rules_are_counted_with_the_parts_of_bonds() {
    let mut host = host();
    for index in 20..35 {
        let part = Interface { master: Some(5), ..Interface::new(&format!("p{index}"), index, [2; 6]) };
        host.0.push(part);
    }
    let said = devices(&policy("{name: bond0}", &[("bond0", "trusted")]), &host).unwrap_err().to_string();
    assert!(said.contains("the rules are for 18 devices, bonds' parts among them: 15 at most"), "{said}");
    assert!(
        devices(&policy("{name: bond0}", &[]), &host).is_ok(),
        "without rules there is nothing to tell apart"
    );
}
