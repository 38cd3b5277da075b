//! The interfaces that packets leave by: they are there and up, and take what comes in.

use super::asked::Asked;
use super::report::Report;
use super::steering::is_up;
use crate::kernel::Mode;
use crate::kernel::interfaces::{Interface, Kind};

pub(super) fn check(asked: &Asked<'_>, report: &mut Report) {
    for (name, exit) in asked.exits() {
        let Some(interface) = asked.facts.interfaces.find(name) else {
            let shards: Vec<&str> =
                exit.pods.iter().copied().chain(exit.hops.iter().map(|(shard, _)| *shard)).collect();
            report.fail(
                "exit.exists",
                name,
                format!("there is no such interface, and the target of {} asks for it", shards.join(", ")),
                "make it, or correct the target",
            );
            continue;
        };
        report.ok("exit.exists", name, "is there");
        is_up("exit.up", interface, report);
        mtu(asked, interface, report);
        native(asked, interface, report);
        if !exit.pods.is_empty() && interface.kind == Some(Kind::Veth) {
            far_end(interface, report);
        }
    }
}

fn mtu(asked: &Asked<'_>, exit: &Interface, report: &mut Report) {
    let (id, name) = ("exit.mtu", &exit.name);
    for device in &asked.devices {
        let (ours, theirs) = (exit.mtu, device.interface.mtu);
        let from = &device.interface.name;
        if ours >= theirs {
            report.ok(id, name, format!("MTU {ours}: what comes in by {from} (MTU {theirs}) fits"));
            continue;
        }
        let finding = format!(
            "MTU {ours} is less than that of {from}, {theirs}: longer packets are dropped, and nobody is told"
        );
        let next =
            format!("ip link set {name} mtu {theirs}, there and at its other end; or lower that of {from}");
        report.fail(id, name, finding, next);
    }
}

/// In native mode a driver must take frames that were redirected to it; a veth does where its other end is ready.
fn native(asked: &Asked<'_>, exit: &Interface, report: &mut Report) {
    let (id, name) = ("exit.native-redirect", &exit.name);
    let from = asked.devices.iter().find(|device| {
        device.interface.index != exit.index && !matches!(asked.mode(device), Ok(Mode::Tc | Mode::Generic))
    });
    let Some(from) = from else { return };
    let from = &from.interface.name;
    match asked.xdp(exit, |xdp| xdp.sends) {
        Ok(true) => report.ok(id, name, format!("takes what {from} redirects in native mode")),
        Ok(false) if asked.native().is_none() => {
            report.unknown(
                id,
                name,
                format!("takes no native redirects; whether {from} makes such is not known"),
            );
        }
        Ok(false) if exit.kind == Some(Kind::Veth) => report.fail(
            id,
            name,
            format!("its other end is not ready: what {from} redirects in native mode is dropped"),
            "at its other end: ethtool -K INTERFACE gro on; or `mode: tc` in the policy",
        ),
        Ok(false) => report.fail(
            id,
            name,
            format!("its driver takes no frames that {from} redirects in native mode: they are dropped"),
            format!("give {from} `mode: tc` in the policy"),
        ),
        Err(why) => report.unknown(id, name, why),
    }
}

fn far_end(exit: &Interface, report: &mut Report) {
    let (id, name) = ("exit.peer", &exit.name);
    if exit.peer_elsewhere {
        report.ok(id, name, "its other end is in another network namespace");
    } else {
        report.warn(
            id,
            name,
            "its other end is in this network namespace: what is steered there comes back to this host",
            "move the other end to the pod: ip link set INTERFACE netns POD",
        );
    }
}
