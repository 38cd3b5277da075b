//! The way of what pods answer: it comes from the service's address, by the pod's interface, and leaves through this host.

use super::asked::{Asked, key};
use super::report::Report;

pub(super) fn check(asked: &Asked<'_>, report: &mut Report) {
    let pods: Vec<&str> =
        asked.exits().into_iter().filter(|(_, exit)| !exit.pods.is_empty()).map(|(name, _)| name).collect();
    let here: Vec<&str> =
        pods.iter().copied().filter(|name| asked.facts.interfaces.find(name).is_some()).collect();
    for name in &here {
        if asked.has_family(true) {
            forwarding(asked, "ipv4", name, report);
            strict(asked, name, report);
            local(asked, name, report);
        }
    }
    // The kernel asks `all` alone of IPv6.
    if asked.has_family(false) && !here.is_empty() {
        forwarding(asked, "ipv6", "all", report);
    }
    if !here.is_empty() && asked.facts.conntrack {
        report.warn(
            "answers.conntrack",
            "the FORWARD chain",
            "connections are tracked here, and what is steered is not seen by that: pods' answers are INVALID to it",
            "have no rule drop packets of that state from pods: look at `nft list ruleset` or `iptables -S FORWARD`",
        );
    }
}

fn forwarding(asked: &Asked<'_>, family: &str, interface: &str, report: &mut Report) {
    let place = key(family, interface, "forwarding");
    match asked.facts.sysctl(&format!("{family}/conf/{interface}/forwarding")) {
        Ok(0) => report.fail(
            "answers.forwarding",
            &place,
            "is 0: what pods answer through this host is dropped",
            if family == "ipv4" {
                "sysctl -w net.ipv4.ip_forward=1".to_owned()
            } else {
                format!("sysctl -w {place}=1")
            },
        ),
        Ok(_) => report.ok("answers.forwarding", &place, "answers can leave through this host"),
        Err(why) => report.unknown("answers.forwarding", &place, why),
    }
}

fn strict(asked: &Asked<'_>, interface: &str, report: &mut Report) {
    let place = key("ipv4", interface, "rp_filter");
    match asked.facts.greater("ipv4", interface, "rp_filter") {
        Ok(1) => report.fail(
            "answers.rp-filter",
            &place,
            "is strict, its own or that of `all`: answers from the service's address, to which no route leads by this interface, are dropped",
            format!("sysctl -w {place}=2"),
        ),
        Ok(_) => report.ok("answers.rp-filter", &place, "is not strict"),
        Err(why) => report.unknown("answers.rp-filter", &place, why),
    }
}

/// An answer whose source is an address of this host itself looks forged.
fn local(asked: &Asked<'_>, interface: &str, report: &mut Report) {
    let Ok(own) = &asked.facts.addresses else { return };
    let service = asked.service();
    let owned = own.iter().map(|it| it.address).find(|it| it.is_ipv4() && service.contains(it));
    let Some(owned) = owned else { return };
    let place = key("ipv4", interface, "accept_local");
    match asked.facts.greater("ipv4", interface, "accept_local") {
        Ok(0) => report.fail(
            "answers.accept-local",
            &place,
            format!("is 0, and {owned} is this host's too: answers from it are dropped as forged"),
            format!("sysctl -w {place}=1"),
        ),
        Ok(_) => report.ok(
            "answers.accept-local",
            &place,
            format!("answers from {owned}, this host's too, are taken"),
        ),
        Err(why) => report.unknown("answers.accept-local", &place, why),
    }
}
