//! The interfaces that are steered: they are there and up, and hand over what the policy reads.

use super::asked::{Asked, key};
use super::report::Report;
use crate::agent::tags::reads_tags;
use crate::compile::{Device, parts};
use crate::kernel::Mode;
use crate::kernel::features::{MERGES, STRIPS_TAG};
use crate::kernel::interfaces::{Interface, Kind};
use crate::policy::AttachMode;

pub(super) fn check(asked: &Asked<'_>, report: &mut Report) {
    for named in &asked.policy.interfaces {
        if asked.facts.interfaces.find(&named.name).is_none() {
            let here = asked.facts.interfaces.names().join(", ");
            report.fail(
                "steering.exists",
                &named.name,
                format!("there is no such interface; there are {here}"),
                "correct spec.interfaces, or make the interface",
            );
        }
    }
    for device in &asked.devices {
        let interface = &device.interface;
        report.ok("steering.exists", &interface.name, "is there");
        if let Some(note) = &device.note {
            let next = "name the device in the policy, if that is meant";
            report.warn("steering.device", &interface.name, note.clone(), next);
        }
        is_up("steering.up", interface, report);
        mode(asked, device, report);
        foreign(asked, device, report);
        if reads_tags(asked.policy) {
            tags(asked, device, report);
        }
        merges(asked, interface, report);
        if !asked.here().is_empty() && asked.has_family(true) {
            strict(asked, interface, report);
        }
    }
}

/// Whether an interface carries frames.
pub(super) fn is_up(id: &'static str, interface: &Interface, report: &mut Report) {
    let name = &interface.name;
    if !interface.up {
        report.fail(id, name, "is down", format!("ip link set {name} up"));
    } else if !interface.running {
        let finding = "is up, and nothing is connected to it";
        report.warn(id, name, finding, format!("look at `ip -d link show {name}`, and at its other end"));
    } else {
        report.ok(id, name, "is up");
    }
}

fn mode(asked: &Asked<'_>, device: &Device, report: &mut Report) {
    let (id, name) = ("steering.mode", &device.interface.name);
    let runs = asked.xdp(&device.interface, |xdp| xdp.runs);
    match (device.mode, &runs) {
        (AttachMode::Native, Ok(false)) => report.fail(
            id,
            name,
            "`mode: native`, and its driver says that it runs no XDP programs",
            "give it `mode: auto` in the policy",
        ),
        (AttachMode::Tc, _) if !asked.facts.tcx => report.fail(
            id,
            name,
            "`mode: tc`, which needs Linux 6.6",
            "give it `mode: auto` in the policy, or boot a newer kernel",
        ),
        (AttachMode::Auto | AttachMode::Native, Err(why)) => report.unknown(
            id,
            name,
            format!("whether its driver runs XDP programs is found when the policy is applied ({why})"),
        ),
        _ => match asked.mode(device) {
            Ok(Mode::Generic) => report.warn(
                id,
                name,
                "is steered in generic mode: each packet is copied, and large ones are cut into frames",
                "use `mode: tc` on Linux 6.6 or later, or a card whose driver runs XDP programs",
            ),
            Ok(mode) => {
                report.ok(
                    id,
                    name,
                    format!("`mode: {}` is steered in {} mode", device.mode.name(), mode.name()),
                );
            }
            Err(why) => report.unknown(id, name, why),
        },
    }
}

fn foreign(asked: &Asked<'_>, device: &Device, report: &mut Report) {
    let (id, name) = ("steering.foreign", &device.interface.name);
    match asked.facts.programs.get(&device.interface.index) {
        None => report.ok(id, name, "has no XDP program of somebody else"),
        Some(Err(why)) => report.unknown(id, name, why.clone()),
        Some(Ok(program)) if device.mode == AttachMode::Tc => {
            let finding = format!("has an XDP program, {program}: keysteer steers behind it");
            report.warn(id, name, finding, "make sure that it passes what is to be steered");
        }
        Some(Ok(program)) => report.fail(
            id,
            name,
            format!("already has an XDP program: {program}"),
            format!("detach it (`ip link set {name} xdp off`), or steer behind it (`mode: tc`)"),
        ),
    }
}

fn tags(asked: &Asked<'_>, device: &Device, report: &mut Report) {
    let (id, name) = ("steering.vlan-tags", &device.interface.name);
    let at_tc = asked.mode(device).is_ok_and(|mode| mode == Mode::Tc);
    let features = asked.facts.features.get(name);
    match (asked.stripper(&device.interface), features) {
        (_, None) => report.unknown(id, name, "its driver does not say whether it takes tags out of frames"),
        (Some(it), _) if at_tc => {
            let finding =
                format!("{} takes VLAN tags out of frames; at TC they are read beside them", it.card);
            report.ok(id, name, finding);
        }
        (Some(it), _) => report.fail(
            id,
            name,
            format!(
                "{} takes VLAN tags, which the policy reads, out of frames before XDP sees them",
                it.card
            ),
            format!("ethtool -K {} {}, or `mode: tc` in the policy", it.card, it.off),
        ),
        (None, Some(features))
            if device.interface.kind == Some(Kind::Veth) && features.has(STRIPS_TAG) && !at_tc =>
        {
            report.warn(
                id,
                name,
                "is a veth: XDP sees a VLAN tag only where the other end puts it into the frame",
                "at the other end: ethtool -K INTERFACE txvlan off; or `mode: tc` in the policy",
            );
        }
        (None, _) => report.ok(id, name, "VLAN tags stay in frames"),
    }
}

fn merges(asked: &Asked<'_>, device: &Interface, report: &mut Report) {
    let id = "steering.lro";
    let cards = parts(&asked.facts.interfaces, device).chain([device]);
    for card in cards {
        match asked.facts.features.get(&card.name) {
            Some(features) if features.has(MERGES) => report.fail(
                id,
                &card.name,
                "merges what it receives (LRO): merged packets cannot be forwarded as they came",
                format!("ethtool -K {} lro off", card.name),
            ),
            Some(_) => report.ok(id, &card.name, "does not merge what it receives (LRO)"),
            None => report.unknown(id, &card.name, "its driver does not say whether it merges packets (LRO)"),
        }
    }
}

/// What this host is a target of comes in here, from senders that may be reached by another way.
fn strict(asked: &Asked<'_>, interface: &Interface, report: &mut Report) {
    let (id, name) = ("steering.rp-filter", &interface.name);
    let place = key("ipv4", name, "rp_filter");
    match asked.facts.greater("ipv4", name, "rp_filter") {
        Ok(1) => report.warn(
            id,
            &place,
            "is strict: what senders send that are not answered by this interface is dropped on its way to this host",
            format!("sysctl -w {place}=2, where such senders are; `nstat -az TcpExtIPReversePathFilter` counts"),
        ),
        Ok(_) => report.ok(id, &place, "is not strict"),
        Err(why) => report.unknown(id, &place, why),
    }
}
