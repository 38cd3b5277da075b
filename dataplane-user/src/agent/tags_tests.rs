//! Over features made here: a veth is all that many test machines have, and that is taken at its word alone.

use super::*;
use crate::compile::tests::interfaces;
use crate::kernel::features::{STRIPS_SERVICE_TAG, STRIPS_TAG};
use crate::policy::parse;

fn strips(what: &'static str) -> impl Fn(&str) -> io::Result<Features> {
    move |_| Ok(Features([what.to_owned()].into()))
}

fn wanted(mode: AttachMode) -> Wanted {
    Wanted { interface: Interface::new("eth0", 2, [2; 6]), mode, note: None, fallback: None }
}

fn card() -> Stripper {
    Stripper { card: "eth0".to_owned(), off: "rxvlan off" }
}

#[test]
fn every_version_of_the_schema_is_looked_at_for_tags() {
    let read = |fields: [&str; 2]| {
        let text = crate::compile::tests::versions_of(fields);
        reads_tags(&parse(&text, "p", None).unwrap_or_else(|problems| panic!("{text}{problems}")))
    };
    assert!(!read(["ip.dscp", "ip.protocol"]));
    for carrier in ["vlan.id", "vlan.inner_id", "vlan.pcp"] {
        assert!(read(["ip.dscp", carrier]) && read([carrier, "ip.dscp"]), "{carrier}");
    }
}

#[test]
fn a_card_says_whether_it_strips_and_a_veth_does_not() {
    let mut host = interfaces();
    let eth0 = host.find("eth0").unwrap().clone();
    assert_eq!(stripper(&host, &eth0, strips(STRIPS_TAG)), Some(card()));
    let service = stripper(&host, &eth0, strips(STRIPS_SERVICE_TAG)).unwrap();
    assert_eq!(service.off, "rx-vlan-stag-hw-parse off");
    assert_eq!(stripper(&host, &eth0, strips("rx-gro")), None);
    assert_eq!(stripper(&host, &eth0, |_| Err(io::ErrorKind::Unsupported.into())), None);
    let veth = Interface { kind: Some(Kind::Veth), ..eth0.clone() };
    assert_eq!(stripper(&host, &veth, strips(STRIPS_TAG)), None);

    // Of a bond its parts are asked: here one strips, and the bond says that it does.
    let bond = Interface { kind: Some(Kind::Bond), ..Interface::new("bond0", 50, [2; 6]) };
    for index in 51..53 {
        let part = Interface { master: Some(50), ..Interface::new(&format!("p{index}"), index, [2; 6]) };
        host.0.push(part);
    }
    let second = |name: &str| strips(if name == "p51" { "rx-gro" } else { STRIPS_TAG })(name);
    assert_eq!(stripper(&host, &bond, second).unwrap().card, "p52");
    let itself = |name: &str| strips(if name == "bond0" { STRIPS_TAG } else { "rx-gro" })(name);
    assert_eq!(stripper(&host, &bond, itself), None);
}

#[test]
fn auto_steers_at_tc_and_says_why() {
    let mut auto = wanted(AttachMode::Auto);
    keep(&mut auto, &card(), None).unwrap();
    assert_eq!(auto.mode, AttachMode::Tc);
    let why = auto.fallback.unwrap();
    assert!(
        why.contains("eth0 takes VLAN tags out of frames") && why.contains("`ethtool -K eth0 rxvlan off`"),
        "{why}"
    );

    let mut tc = wanted(AttachMode::Tc);
    keep(&mut tc, &card(), Some("and there is no TC")).unwrap();
    assert_eq!(tc, wanted(AttachMode::Tc));
}

#[test]
fn xdp_is_refused_with_the_setting_and_the_alternative() {
    for mode in [AttachMode::Native, AttachMode::Generic] {
        let mut it = wanted(mode);
        let said = keep(&mut it, &card(), None).unwrap_err().to_string();
        for words in ["eth0", mode.name(), "run `ethtool -K eth0 rxvlan off`", "`mode: tc`"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert_eq!(it, wanted(mode), "nothing changes");
    }
    let said =
        keep(&mut wanted(AttachMode::Auto), &card(), Some("TC is not to be had")).unwrap_err().to_string();
    assert!(
        said.contains("rxvlan off") && said.contains("TC is not to be had") && !said.contains("`mode: tc`"),
        "{said}"
    );
}
