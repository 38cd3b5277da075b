//! Every check, on a host that passes it and on one that does not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::*;
use crate::kernel::addresses::{Address, Neighbour};
use crate::kernel::features::{Features, MERGES, STRIPS_TAG};
use crate::kernel::interfaces::{Interface, Interfaces, Kind};
use crate::kernel::xdp_features::XdpFeatures;
use crate::policy::parse;

const HOP: [u8; 6] = [2, 0, 0, 0, 0, 0xb];

/// A policy with targets of every kind; `from` is its second field's carrier.
fn policy(mode: &str, from: &str) -> Policy {
    let text = format!(
        r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {{name: edge}}
spec:
  environment: prod
  interfaces: [{{name: eth0, mode: {mode}}}]
  scope: [{{destinations: [203.0.113.10/32, "2001:db8::10/128"]}}]
  schemas: [{{version: 1, fields: [{{name: tenant, from: {from}}}]}}]
  shards:
    - {{name: pod, target: {{interface: {{name: veth.a, mac: "02:00:00:00:00:0a"}}}}}}
    - {{name: hop, target: {{nextHop: {{interface: eth1, mac: "02:00:00:00:00:0b"}}}}}}
    - {{name: here, target: pass}}
    - {{name: unused, target: {{interface: {{name: nowhere, mac: "02:00:00:00:00:0c"}}}}}}
  pools: [{{name: p, shards: [pod, hop, here]}}]
  keys: [{{name: acme, match: {{tenant: 1}}, pool: p}}]
"#
    );
    parse(&text, "p", None).unwrap()
}

/// A host on which nothing is wrong.
fn facts() -> Facts {
    let interface = |index, name: &str, kind| Interface {
        kind,
        mtu: 1500,
        up: true,
        running: true,
        peer_elsewhere: true,
        ..Interface::new(name, index, [2, 0, 0, 0, 1, u8::try_from(index).unwrap()])
    };
    let names = [("lo", None), ("eth0", None), ("eth1", None), ("veth.a", Some(Kind::Veth))];
    let interfaces = (1..).zip(names).map(|(index, (name, kind))| interface(index, name, kind)).collect();
    let sysctls = [
        ("ipv4/conf/all/rp_filter", 2),
        ("ipv4/conf/eth0/rp_filter", 1),
        ("ipv4/conf/veth.a/rp_filter", 0),
        ("ipv4/conf/all/accept_local", 1),
        ("ipv4/conf/veth.a/accept_local", 0),
        ("ipv4/conf/veth.a/forwarding", 1),
        ("ipv6/conf/all/forwarding", 1),
        ("ipv4/conf/all/arp_ignore", 1),
        ("ipv4/conf/eth0/arp_ignore", 0),
        ("ipv4/conf/all/arp_announce", 2),
        ("ipv4/conf/eth0/arp_announce", 0),
    ];
    let able = XdpFeatures { runs: true, sends: true };
    let address = |address: &str| Address { interface: 1, address: address.parse().unwrap() };
    Facts {
        kernel: Ok((6, 18)),
        tcx: true,
        btf: true,
        jit: Ok(true),
        pins: PathBuf::from("/sys/fs/bpf/keysteer"),
        bpffs: Ok(true),
        lacks: Vec::new(),
        interfaces: Interfaces(interfaces),
        features: [("eth0", &["rx-gro"][..]), ("eth1", &[]), ("veth.a", &[STRIPS_TAG])]
            .into_iter()
            .map(|(name, on)| (name.to_owned(), Features(on.iter().map(ToString::to_string).collect())))
            .collect(),
        xdp: Ok((1..5).map(|index| (index, able)).collect()),
        programs: BTreeMap::new(),
        addresses: Ok(vec![address("203.0.113.10"), address("2001:db8::10")]),
        neighbours: Ok(vec![Neighbour { interface: 3, mac: HOP, failed: false }]),
        sysctls: sysctls.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        conntrack: false,
    }
}

/// What is found of one check, at places that contain `place`; the worst, if there are several.
fn found(facts: &Facts, policy: &Policy, id: &str, place: &str) -> Option<Check> {
    let all = check(facts, Some(policy)).into_iter();
    all.filter(|it| it.id == id && it.place.contains(place)).max_by_key(|it| match it.state {
        State::Ok => 0,
        State::Warning => 1,
        State::Unknown => 2,
        State::Failed => 3,
    })
}

/// Checks that `id` at `place` is ok on the good host, and `state`, with `words`, once `spoil` was done to it.
fn spoilt(id: &str, place: &str, state: State, words: &[&str], spoil: impl FnOnce(&mut Facts)) {
    let policy = policy("native", "vlan.id");
    let mut facts = facts();
    assert_eq!(found(&facts, &policy, id, place).map(|it| it.state), Some(State::Ok), "{id} at {place}");
    spoil(&mut facts);
    let check =
        found(&facts, &policy, id, place).unwrap_or_else(|| panic!("{id} at {place} is not looked at"));
    assert_eq!(check.state, state, "{check:?}");
    let said = format!("{} {}", check.finding, check.next.clone().unwrap_or_default());
    words.iter().for_each(|words| assert!(said.contains(words), "{words}: {check:?}"));
    assert_eq!(check.next.is_some(), matches!(state, State::Warning | State::Failed), "{check:?}");
}

fn interface<'f>(facts: &'f mut Facts, name: &str) -> &'f mut Interface {
    facts.interfaces.0.iter_mut().find(|it| it.name == name).unwrap()
}

fn set(facts: &mut Facts, sysctl: &str, value: u32) {
    assert!(facts.sysctls.insert(sysctl.to_owned(), value).is_some(), "{sysctl}");
}

fn gone(facts: &mut Facts, name: &str) {
    facts.interfaces.0.retain(|it| it.name != name);
}

#[test]
fn a_good_host_passes_every_check() {
    let checks = check(&facts(), Some(&policy("native", "vlan.id")));
    let bad: Vec<&Check> = checks.iter().filter(|it| it.state != State::Ok).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let ids: BTreeSet<&str> = checks.iter().map(|it| it.id).collect();
    assert!(ids.len() > 20, "{ids:?}");
    // An interface that no pool leads to does not matter.
    assert!(checks.iter().all(|it| it.place != "nowhere"));
}

#[test]
fn without_a_policy_the_host_alone_is_checked() {
    let checks = check(&facts(), None);
    assert!(checks.iter().all(|it| it.id.starts_with("host.") || it.id.starts_with("kernel.")), "{checks:?}");
    assert_eq!(checks.len(), 6);
}

#[test]
fn the_host() {
    use State::{Failed, Unknown, Warning};
    spoilt("kernel.version", "kernel", Failed, &["Linux 5.15", "6.1"], |it| it.kernel = Ok((5, 15)));
    spoilt("kernel.version", "kernel", Unknown, &["why"], |it| it.kernel = Err("why".to_owned()));
    spoilt("kernel.tcx", "kernel", Warning, &["6.6"], |it| it.tcx = false);
    spoilt("kernel.btf", "btf", Warning, &["bpftool"], |it| it.btf = false);
    spoilt("kernel.jit", "jit", Warning, &["sysctl -w net.core.bpf_jit_enable=1"], |it| it.jit = Ok(false));
    spoilt("kernel.jit", "jit", Unknown, &["why"], |it| it.jit = Err("why".to_owned()));
    spoilt("host.bpffs", "/sys/fs/bpf", Warning, &["an agent mounts one", "mount -t bpf bpf"], |it| {
        it.bpffs = Ok(false);
    });
    spoilt("host.bpffs", "bpf", Failed, &["--bpffs"], |it| {
        (it.bpffs, it.pins) = (Ok(false), PathBuf::from("/srv/bpf"));
    });
    spoilt("host.bpffs", "/sys/fs/bpf", Unknown, &["why"], |it| it.bpffs = Err("why".to_owned()));
    spoilt("host.privilege", "process", Warning, &["CAP_BPF", "sudo"], |it| it.lacks = vec!["CAP_BPF"]);
}

#[test]
fn steered_interfaces() {
    use State::{Failed, Unknown, Warning};
    spoilt("steering.exists", "eth0", Failed, &["no such interface", "eth1"], |it| gone(it, "eth0"));
    spoilt("steering.up", "eth0", Failed, &["ip link set eth0 up"], |it| interface(it, "eth0").up = false);
    spoilt("steering.up", "eth0", Warning, &["nothing is connected"], |it| {
        interface(it, "eth0").running = false;
    });
    let none = XdpFeatures::default();
    spoilt("steering.mode", "eth0", Failed, &["runs no XDP", "`mode: auto`"], |it| {
        it.xdp.as_mut().unwrap().insert(2, none);
    });
    spoilt("steering.mode", "eth0", Unknown, &["when the policy is applied", "6.3"], |it| {
        it.xdp = Err("Linux before 6.3 does not say".to_owned());
    });
    spoilt("steering.foreign", "eth0", Failed, &["\"their\" (id 7)", "xdp off", "`mode: tc`"], |it| {
        it.programs.insert(2, Ok("\"their\" (id 7)".to_owned()));
    });
    spoilt("steering.foreign", "eth0", Unknown, &["why"], |it| {
        it.programs.insert(2, Err("why".to_owned()));
    });
    spoilt("steering.vlan-tags", "eth0", Failed, &["ethtool -K eth0 rxvlan off"], |it| {
        it.features.insert("eth0".to_owned(), Features([STRIPS_TAG.to_owned()].into()));
    });
    spoilt("steering.vlan-tags", "eth0", Unknown, &["does not say"], |it| drop(it.features.remove("eth0")));
    spoilt("steering.vlan-tags", "eth0", Warning, &["txvlan off"], |it| {
        it.features.insert("eth0".to_owned(), Features([STRIPS_TAG.to_owned()].into()));
        interface(it, "eth0").kind = Some(Kind::Veth);
    });
    spoilt("steering.lro", "eth0", Failed, &["ethtool -K eth0 lro off"], |it| {
        it.features.insert("eth0".to_owned(), Features([MERGES.to_owned()].into()));
    });
    spoilt("steering.lro", "eth0", Unknown, &["does not say"], |it| drop(it.features.remove("eth0")));
    // The greater of both holds, also where that is the laxer.
    spoilt("steering.rp-filter", "eth0", Warning, &["sysctl -w net.ipv4.conf.eth0.rp_filter=2"], |it| {
        set(it, "ipv4/conf/all/rp_filter", 0);
    });
    spoilt("steering.rp-filter", "eth0", Unknown, &["cannot be read"], |it| it.sysctls.clear());
}

#[test]
fn modes_are_foretold() {
    let mode = |facts: &Facts, mode: &str, from: &str| {
        let check = found(facts, &policy(mode, from), "steering.mode", "eth0").unwrap();
        (check.state, check.finding)
    };
    let with = |runs: bool, tcx: bool| {
        let mut facts = facts();
        facts.xdp.as_mut().unwrap().insert(2, XdpFeatures { runs, sends: false });
        facts.tcx = tcx;
        facts
    };
    for (runs, tcx, taken, state) in [
        (true, false, "native", State::Ok),
        (false, true, "tc", State::Ok),
        (false, false, "generic", State::Warning),
    ] {
        let (found, said) = mode(&with(runs, tcx), "auto", "ip.dscp");
        assert_eq!(found, state, "{said}");
        assert!(said.contains(&format!("in {taken} mode")), "{said}");
    }
    assert_eq!(mode(&with(true, true), "tc", "ip.dscp").0, State::Ok);
    assert_eq!(mode(&with(true, false), "tc", "ip.dscp").0, State::Failed);
    // A card that strips the tags that are read is steered at TC.
    let mut strips = with(true, true);
    strips.features.insert("eth0".to_owned(), Features([STRIPS_TAG.to_owned()].into()));
    assert!(mode(&strips, "auto", "vlan.id").1.contains("in tc mode"));
    assert!(mode(&strips, "auto", "ip.dscp").1.contains("in native mode"));
    let tags = found(&strips, &policy("auto", "vlan.id"), "steering.vlan-tags", "eth0").unwrap();
    assert_eq!(tags.state, State::Ok, "{tags:?}");
    assert_eq!(found(&strips, &policy("auto", "ip.dscp"), "steering.vlan-tags", "eth0"), None);
    // Behind another's program TC goes on.
    let mut theirs = facts();
    theirs.programs.insert(2, Ok("theirs".to_owned()));
    let foreign = found(&theirs, &policy("tc", "ip.dscp"), "steering.foreign", "eth0").unwrap();
    assert_eq!(foreign.state, State::Warning, "{foreign:?}");
}

#[test]
fn devices_and_their_names() {
    let mut facts = facts();
    facts.interfaces.0.push(Interface {
        mtu: 1500,
        up: true,
        running: true,
        ..Interface::new("card", 9, [2; 6])
    });
    let eth0 = interface(&mut facts, "eth0");
    (eth0.kind, eth0.parent) = (Some(Kind::Vlan), Some(9));
    let native = policy("native", "ip.dscp");
    let note = found(&facts, &native, "steering.device", "card").unwrap();
    assert_eq!(note.state, State::Warning);
    assert!(note.finding.contains("for eth0, a VLAN on card"), "{note:?}");
    let eth0 = interface(&mut facts, "eth0");
    eth0.parent = Some(2);
    let lost = found(&facts, &native, "steering.device", "spec.interfaces").unwrap();
    assert_eq!(lost.state, State::Failed);
}

#[test]
fn exits() {
    use State::{Failed, Unknown, Warning};
    spoilt("exit.exists", "veth.a", Failed, &["the target of pod"], |it| gone(it, "veth.a"));
    spoilt("exit.up", "veth.a", Failed, &["ip link set veth.a up"], |it| interface(it, "veth.a").up = false);
    spoilt("exit.up", "eth1", Warning, &["other end"], |it| interface(it, "eth1").running = false);
    spoilt("exit.mtu", "veth.a", Failed, &["MTU 1400", "1500", "ip link set veth.a mtu 1500"], |it| {
        interface(it, "veth.a").mtu = 1400;
    });
    let still = XdpFeatures { runs: true, sends: false };
    spoilt("exit.native-redirect", "veth.a", Failed, &["gro on"], |it| {
        it.xdp.as_mut().unwrap().insert(4, still);
    });
    spoilt("exit.native-redirect", "eth1", Failed, &["its driver", "`mode: tc`"], |it| {
        it.xdp.as_mut().unwrap().insert(3, still);
    });
    spoilt("exit.native-redirect", "eth1", Unknown, &["6.3"], |it| it.xdp = Err("since 6.3".to_owned()));
    // At TC nothing is asked of drivers.
    assert_eq!(found(&facts(), &policy("tc", "ip.dscp"), "exit.native-redirect", ""), None);
    spoilt("exit.peer", "veth.a", Warning, &["this network namespace"], |it| {
        interface(it, "veth.a").peer_elsewhere = false;
    });
}

#[test]
fn next_hops() {
    use State::{Failed, Unknown, Warning};
    spoilt("next-hop.own-mac", "hop", Failed, &["own eth0"], |it| interface(it, "eth0").mac = HOP);
    let id = "next-hop.neighbour";
    spoilt(id, "hop", Warning, &["no neighbour", "ip neigh show dev eth1"], |it| {
        it.neighbours = Ok(Vec::new());
    });
    spoilt(id, "hop", Warning, &["no neighbour"], |it| it.neighbours.as_mut().unwrap()[0].interface = 2);
    spoilt(id, "hop", Warning, &["does not answer"], |it| it.neighbours.as_mut().unwrap()[0].failed = true);
    spoilt(id, "hop", Unknown, &["why"], |it| it.neighbours = Err("why".to_owned()));
}

#[test]
fn the_services_addresses() {
    use State::{Failed, Unknown, Warning};
    spoilt(
        "service.address",
        "203.0.113.10",
        Failed,
        &["here", "ip addr add 203.0.113.10/32 dev lo"],
        |it| {
            it.addresses.as_mut().unwrap().remove(0);
        },
    );
    spoilt("service.address", "2001:db8::10", Failed, &["ip addr add 2001:db8::10/128 dev lo"], |it| {
        it.addresses.as_mut().unwrap().remove(1);
    });
    for (sysctl, value) in [("arp_ignore", 0), ("arp_announce", 1)] {
        let next = format!("sysctl -w net.ipv4.conf.all.{sysctl}=");
        spoilt("service.arp", sysctl, Warning, &["203.0.113.10", &next], |it| {
            set(it, &format!("ipv4/conf/all/{sysctl}"), value);
        });
    }
    spoilt("service.arp", "arp_ignore", Unknown, &["cannot be read"], |it| it.sysctls.clear());
    // On another interface it is announced there alone, as it should be.
    let mut elsewhere = facts();
    elsewhere.addresses.as_mut().unwrap()[0].interface = 2;
    assert_eq!(found(&elsewhere, &policy("tc", "ip.dscp"), "service.arp", ""), None);
    let mut wide = policy("tc", "ip.dscp");
    wide.scope.iter_mut().for_each(|it| it.prefix = "203.0.113.0/24".parse().unwrap());
    assert_eq!(found(&facts(), &wide, "service.address", "spec.scope").unwrap().state, Unknown);
    let mut hidden = facts();
    hidden.addresses = Err("why".to_owned());
    let unknown = found(&hidden, &policy("tc", "ip.dscp"), "service.address", "this host").unwrap();
    assert_eq!(unknown.state, Unknown);
}

#[test]
fn answers_of_pods() {
    use State::{Failed, Unknown, Warning};
    spoilt("answers.forwarding", "ipv4", Failed, &["sysctl -w net.ipv4.ip_forward=1"], |it| {
        set(it, "ipv4/conf/veth.a/forwarding", 0);
    });
    spoilt("answers.forwarding", "ipv6", Failed, &["sysctl -w net.ipv6.conf.all.forwarding=1"], |it| {
        set(it, "ipv6/conf/all/forwarding", 0);
    });
    // The name has a dot.
    spoilt("answers.rp-filter", "veth.a", Failed, &["sysctl -w net/ipv4/conf/veth.a/rp_filter=2"], |it| {
        set(it, "ipv4/conf/all/rp_filter", 1);
    });
    spoilt("answers.accept-local", "veth.a", Failed, &["203.0.113.10", "=1"], |it| {
        set(it, "ipv4/conf/all/accept_local", 0);
    });
    for id in ["answers.forwarding", "answers.rp-filter", "answers.accept-local"] {
        spoilt(id, "veth.a", Unknown, &["cannot be read"], |it| it.sysctls.clear());
    }
    let mut tracked = facts();
    assert_eq!(found(&tracked, &policy("tc", "ip.dscp"), "answers.conntrack", ""), None);
    tracked.conntrack = true;
    let hint = found(&tracked, &policy("tc", "ip.dscp"), "answers.conntrack", "").unwrap();
    assert_eq!(hint.state, Warning);
    assert!(hint.finding.contains("INVALID"), "{hint:?}");
    // What is not this host's own is no forgery.
    let mut theirs = facts();
    theirs.addresses = Ok(Vec::new());
    assert_eq!(found(&theirs, &policy("tc", "ip.dscp"), "answers.accept-local", ""), None);
}

/// Every check is in the table of the command line's page, and that has no other; and each demand on the network names one
/// that there is.
#[test]
fn checks_are_documented() {
    let mut facts = facts();
    facts.conntrack = true;
    interface(&mut facts, "eth0").kind = Some(Kind::Vlan);
    interface(&mut facts, "eth0").parent = Some(3);
    let mut known: BTreeSet<&str> =
        check(&facts, Some(&policy("native", "vlan.id"))).iter().map(|it| it.id).collect();
    known.insert("policy.in-force");
    let is_check = |code: &&str| {
        let first = code.split('.').next().unwrap_or_default();
        ["policy", "kernel", "host", "steering", "exit", "next-hop", "service", "answers"].contains(&first)
            && code.split('.').count() == 2
            && !code.contains(' ')
    };
    let page = include_str!("../../../docs/cli.md");
    let rows = page.split("| check | looks at").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
    let rows = rows.lines().skip(1).filter_map(|row| row.split('|').nth(1));
    let listed: BTreeSet<&str> = rows.flat_map(|cell| cell.split('`')).filter(is_check).collect();
    assert_eq!(listed, known);
    let targets = include_str!("../../../docs/targets.md");
    let named: BTreeSet<&str> = targets.split('`').filter(is_check).collect();
    assert!(named.is_subset(&known), "{:?}", named.difference(&known));
    let asked = known
        .iter()
        .filter(|id| ["exit", "next-hop", "service", "answers"].iter().any(|of| id.starts_with(of)));
    let missing: Vec<_> = asked.filter(|id| !named.contains(**id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
