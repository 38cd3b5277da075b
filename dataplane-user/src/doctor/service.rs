//! The service's addresses, where this host is a target: it owns them, and does not say so to a network that it shares.

use std::net::IpAddr;

use super::asked::{Asked, key};
use super::report::Report;
use crate::kernel::addresses::Address;

pub(super) fn check(asked: &Asked<'_>, report: &mut Report) {
    let here = asked.here();
    if here.is_empty() {
        return;
    }
    let own = match &asked.facts.addresses {
        Ok(own) => own,
        Err(why) => return report.unknown("service.address", "this host", why.clone()),
    };
    let service = asked.service();
    if service.is_empty() {
        report.unknown(
            "service.address",
            "spec.scope",
            "names no single address that could be looked for here",
        );
    }
    for address in service {
        let place = address.to_string();
        let Some(owned) = own.iter().find(|it| it.address == address) else {
            let length = if address.is_ipv4() { 32 } else { 128 };
            report.fail(
                "service.address",
                &place,
                format!(
                    "no interface has it, and {} of the policy {} this host: what is steered there is forwarded or dropped",
                    here.join(", "),
                    if here.len() == 1 { "is" } else { "are" }
                ),
                format!("ip addr add {address}/{length} dev lo (or a local route to it)"),
            );
            continue;
        };
        report.ok("service.address", &place, "is this host's");
        arp(asked, *owned, report);
    }
}

/// An address of the loopback is announced by every interface, unless ARP is told otherwise.
fn arp(asked: &Asked<'_>, owned: Address, report: &mut Report) {
    let id = "service.arp";
    let loopback = asked.facts.interfaces.find("lo").is_some_and(|lo| lo.index == owned.interface);
    if !loopback || !matches!(owned.address, IpAddr::V4(_)) {
        return;
    }
    for device in &asked.devices {
        let name = &device.interface.name;
        for (sysctl, least) in [("arp_ignore", 1), ("arp_announce", 2)] {
            let place = key("ipv4", name, sysctl);
            match asked.facts.greater("ipv4", name, sysctl) {
                Ok(value) if value >= least => report.ok(id, &place, format!("{value}")),
                Ok(value) => report.warn(
                    id,
                    &place,
                    format!(
                        "{value}: {} is announced on the network of {name}, which is wrong where other hosts there have it too",
                        owned.address
                    ),
                    format!("sysctl -w net.ipv4.conf.all.{sysctl}={least}, where they do"),
                ),
                Err(why) => report.unknown(id, &place, why),
            }
        }
    }
}
