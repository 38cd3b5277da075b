//! Next hops: somebody has that MAC address, and not this host.

use super::asked::Asked;
use super::report::Report;
use crate::policy::mac_text;

pub(super) fn check(asked: &Asked<'_>, report: &mut Report) {
    for (name, exit) in asked.exits() {
        let Some(interface) = asked.facts.interfaces.find(name) else { continue };
        for (shard, mac) in exit.hops {
            let place = format!("{shard}: {} behind {name}", mac_text(mac));
            if let Some(own) = asked.facts.interfaces.0.iter().find(|it| it.mac == mac) {
                report.fail(
                    "next-hop.own-mac",
                    &place,
                    format!("is the address of this host's own {}: packets would come back", own.name),
                    "give the target the next hop's address",
                );
                continue;
            }
            report.ok("next-hop.own-mac", &place, "is no address of this host");
            let id = "next-hop.neighbour";
            let known = match &asked.facts.neighbours {
                Ok(all) => all.iter().filter(|it| it.interface == interface.index && it.mac == mac),
                Err(why) => {
                    report.unknown(id, &place, why.clone());
                    continue;
                }
            };
            let next = format!("ping the next hop, and compare with `ip neigh show dev {name}`");
            match known.map(|it| it.failed).min() {
                Some(false) => report.ok(id, &place, "is a neighbour's address"),
                Some(true) => {
                    report.warn(id, &place, "is of a neighbour that does not answer any more", next);
                }
                None => report.warn(id, &place, "is of no neighbour that this host has talked to", next),
            }
        }
    }
}
