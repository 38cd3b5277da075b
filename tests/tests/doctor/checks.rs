//! `keysteer doctor` on a node where something is broken, and where it is mended.

use std::process::Command;

use keysteer::world::tune::Offload;
use keysteer_tests::site::binary::{self, Said};
use keysteer_tests::site::foreign::Foreign;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::{THREE_SHARDS, policy, usual};
use keysteer_tests::site::{ETH0, SERVICE, Site, UP0, v4};

/// A pod, a next hop, and this host.
const TARGETS: &str = r#"
  shards:
    - {name: port, target: {interface: {name: to-a, mac: "02:00:00:00:00:0a"}}}
    - {name: hop, target: {nextHop: {interface: to-b, mac: "02:00:00:00:00:0b"}}}
    - {name: here, target: pass}
  pools: [{name: all, shards: [port, hop, here]}]
  keys: [{name: k1, match: {tenant: t1}, pool: all}]
"#;

#[derive(Clone, Debug, serde::Deserialize)]
struct Check {
    id: String,
    place: String,
    state: String,
    finding: String,
    next: Option<String>,
}

fn doctor(site: &Site, place: &Place, arguments: &[&str]) -> Said {
    let mut command: Command = binary::command(&["doctor"]);
    command.args(arguments).arg("--bpffs").arg(place.pins());
    binary::run(place.pinboard().put(site.node.put(&mut command)))
}

/// What is found for the place's policy, and the exit code.
fn look(site: &Site, place: &Place) -> (Option<i32>, Vec<Check>) {
    let policy = place.policy();
    let said = doctor(site, place, &["--policy", policy.to_str().unwrap(), "-o", "json"]);
    let checks = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    (said.code, checks)
}

fn failed(checks: &[Check]) -> Vec<(&str, &str)> {
    let failed = checks.iter().filter(|it| it.state == "failed");
    failed.map(|it| (it.id.as_str(), it.place.as_str())).collect()
}

/// Breaks something, sees that it alone fails, with `next`; mends it, and sees that nothing does.
fn broken(site: &Site, place: &Place, wanted: (&str, &str), next: &str, spoil: impl Fn(), mend: impl Fn()) {
    spoil();
    let (code, checks) = look(site, place);
    assert_eq!((code, failed(&checks)), (Some(1), vec![wanted]), "{checks:#?}");
    let check = checks.iter().find(|it| it.state == "failed").unwrap();
    assert!(
        check.next.as_ref().is_some_and(|it| it.contains(next)) && !check.finding.is_empty(),
        "{check:?}"
    );
    mend();
    let (code, checks) = look(site, place);
    assert_eq!((code, failed(&checks)), (Some(0), vec![]), "{checks:#?}");
    let same = |it: &&Check| (it.id.as_str(), it.place.as_str()) == wanted;
    assert_eq!(checks.iter().find(same).map(|it| it.state.as_str()), Some("ok"), "{checks:#?}");
}

#[test]
fn a_broken_setting_is_named_and_passes_once_mended() {
    let site = Site::new(1500);
    let place = Place::new(&policy("", "{name: up0}", TARGETS));
    let (code, checks) = look(&site, &place);
    assert_eq!((code, failed(&checks)), (Some(0), vec![]), "{checks:#?}");

    let node = &site.node;
    let set = |name: &'static str, value: &'static str| move || node.sysctl(name, value).unwrap();
    let sysctl = "ipv4/conf/to-a/rp_filter";
    let at = ("answers.rp-filter", "net.ipv4.conf.to-a.rp_filter");
    let next = "sysctl -w net.ipv4.conf.to-a.rp_filter=2";
    broken(&site, &place, at, next, set(sysctl, "1"), set(sysctl, "2"));
    // Strict for all, and loose for itself: the greater holds.
    node.sysctl("ipv4/conf/all/rp_filter", "1").unwrap();
    assert_eq!(failed(&look(&site, &place).1), []);
    node.sysctl("ipv4/conf/all/rp_filter", "0").unwrap();

    let sysctl = "ipv4/conf/to-a/forwarding";
    let at = ("answers.forwarding", "net.ipv4.conf.to-a.forwarding");
    broken(&site, &place, at, "net.ipv4.ip_forward=1", set(sysctl, "0"), set(sysctl, "1"));
    let sysctl = "ipv6/conf/all/forwarding";
    let at = ("answers.forwarding", "net.ipv6.conf.all.forwarding");
    broken(&site, &place, at, "net.ipv6.conf.all.forwarding=1", set(sysctl, "0"), set(sysctl, "1"));
    let sysctl = "ipv4/conf/all/accept_local";
    let at = ("answers.accept-local", "net.ipv4.conf.to-a.accept_local");
    broken(&site, &place, at, "net.ipv4.conf.to-a.accept_local=1", set(sysctl, "0"), set(sysctl, "1"));

    let mtu = |mtu| move || node.mtu("to-a", mtu).unwrap();
    broken(&site, &place, ("exit.mtu", "to-a"), "mtu 1500", mtu(1400), mtu(1500));
    let gro = |on| {
        let far = &site.shards[0].namespace;
        move || far.offload(ETH0, Offload::Gro, on).unwrap()
    };
    broken(&site, &place, ("exit.native-redirect", "to-a"), "gro on", gro(false), gro(true));
}

#[test]
fn an_interface_that_is_down_or_gone_is_named() {
    let site = Site::new(1500);
    let place = Place::new(&policy("", "{name: up0}", TARGETS));
    let node = &site.node;
    node.down("to-a").unwrap();
    let (code, checks) = look(&site, &place);
    assert_eq!((code, failed(&checks)), (Some(1), vec![("exit.up", "to-a")]), "{checks:#?}");
    node.up("to-a").unwrap();
    assert_eq!(look(&site, &place).0, Some(0));

    site.unplug_client();
    let (code, checks) = look(&site, &place);
    assert_eq!((code, failed(&checks)), (Some(1), vec![("steering.exists", UP0)]), "{checks:#?}");
    site.plug_client();
    assert_eq!(look(&site, &place).0, Some(0));
}

#[test]
fn an_address_that_this_host_lacks_is_named() {
    let site = Site::new(1500);
    let text =
        policy("", "{name: up0}", TARGETS).replace("203.0.113.10/32", "203.0.113.10/32, 203.0.113.11/32");
    let place = Place::new(&text);
    let add = || site.node.address("lo", "203.0.113.11/32".parse().unwrap()).unwrap();
    broken(
        &site,
        &place,
        ("service.address", "203.0.113.11"),
        "ip addr add 203.0.113.11/32 dev lo",
        || {},
        add,
    );
    // On the loopback ARP would announce it, unless told otherwise.
    let arp = |checks: &[Check]| -> Vec<String> {
        checks.iter().filter(|it| it.id == "service.arp").map(|it| it.state.clone()).collect()
    };
    let before = arp(&look(&site, &place).1);
    assert!(before.len() == 4 && before.iter().all(|state| state == "warning"), "{before:?}");
    site.node.sysctl("ipv4/conf/all/arp_ignore", "1").unwrap();
    site.node.sysctl("ipv4/conf/all/arp_announce", "2").unwrap();
    let after = arp(&look(&site, &place).1);
    assert!(after.len() == 4 && after.iter().all(|state| state == "ok"), "{after:?}");
}

#[test]
fn next_hops_are_compared_with_neighbours() {
    let site = Site::new(1500);
    let place = Place::new(&policy("", "{name: up0}", TARGETS));
    let neighbour = |checks: &[Check]| {
        checks.iter().find(|it| it.id == "next-hop.neighbour").map(|it| it.state.clone()).unwrap()
    };
    let mac = [2, 0, 0, 0, 0, 0xb];
    site.node.neighbour("to-b", "192.0.2.99".parse().unwrap(), mac).unwrap();
    let (_, checks) = look(&site, &place);
    assert_eq!(neighbour(&checks), "ok", "{checks:#?}");
    let own = place.file("own.yaml");
    let text = policy("", "{name: up0}", TARGETS).replace("02:00:00:00:00:0b", "02:00:00:00:01:0b");
    std::fs::write(&own, text).unwrap();
    let said = doctor(&site, &place, &["--policy", own.to_str().unwrap()]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("this host's own to-b"), "{said:?}");
    assert!(said.err.starts_with("error: a check failed (hop: 02:00:00:00:01:0b behind to-b)"), "{said:?}");
}

#[test]
fn the_policy_in_force_is_taken_where_none_is_named() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let state = place.state();
    let state = ["--state-dir", state.to_str().unwrap()];
    let alone = doctor(&site, &place, &state).done();
    assert!(alone.contains("no agent has worked here") && !alone.contains("steering."), "{alone}");

    let agent = place.start(&site.node);
    let text = doctor(&site, &place, &state).done();
    assert!(text.contains("generation 1, policy test"), "{text}");
    let line =
        |id: &str| text.lines().find(|line| line.contains(id)).unwrap_or_else(|| panic!("no {id}: {text}"));
    assert!(line("steering.foreign").starts_with("ok "), "keysteer's own program is no foreign one: {text}");
    assert!(line("steering.mode").contains("native"), "{text}");
    // Nothing was changed, and packets go on.
    assert_eq!(site.attached(UP0), Some(agent.status().program.id));
    assert_ne!(site.who(v4(1, 1)), "node");
    drop(agent);

    let lines = doctor(&site, &place, &[&state[..], &["-o", "jsonl"]].concat()).done();
    let checks: Vec<Check> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        checks.iter().any(|it| it.id == "policy.in-force" && it.state == "ok"),
        "records outlive the agent"
    );
}

#[test]
fn anothers_program_is_named_and_nothing_is_attached() {
    let site = Site::new(1500);
    let place = Place::new(&policy("", "{name: up0}", THREE_SHARDS));
    let theirs = Foreign::attach_native(&site.node, UP0);
    let program = site.attached(UP0);
    let (code, checks) = look(&site, &place);
    assert_eq!((code, failed(&checks)), (Some(1), vec![("steering.foreign", UP0)]), "{checks:#?}");
    assert_eq!(site.attached(UP0), program);
    drop(theirs);
    assert_eq!(look(&site, &place).0, Some(0));
    assert_eq!(site.attached(UP0), None);
    // This host is no target of that policy: that it owns the address does not matter, but to what pods answer.
    let (_, checks) = look(&site, &place);
    assert!(checks.iter().all(|it| it.id != "service.address"), "{checks:#?}");
    assert!(
        checks
            .iter()
            .any(|it| it.id == "answers.accept-local" && it.finding.contains(&SERVICE[0].to_string()))
    );
}

#[test]
fn a_policy_that_is_not_valid_is_refused_as_everywhere() {
    let site = Site::new(1500);
    let place = Place::new("kind: nonsense\n");
    let policy = place.policy();
    let said = doctor(&site, &place, &["--policy", policy.to_str().unwrap()]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    assert!(said.err.contains("policy.yaml:1:"), "{said:?}");
}
