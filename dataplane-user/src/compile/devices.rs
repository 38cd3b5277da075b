//! The devices that a program is attached to, for the interfaces that a policy names.
//!
//! ```text
//!  eth0.100  a VLAN          --> what it is on: there the tag can still be read, and native XDP be had
//!  eth1      part of a bond  --> the bond, which is one link to whoever is at its other end
//!  eth2      anything else   --> itself
//! ```
//! A device is attached to once, whatever number of its names the policy has. Shards' interfaces are not followed: what
//! leaves by a VLAN is sent by it.

use keysteer_common::config::INTERFACES;

use super::CompileError;
use crate::kernel::interfaces::{Interface, Interfaces, Kind};
use crate::policy::{AttachMode, Diagnostic, Interface as Named, Policy};

/// How far an interface is followed; a VLAN in a VLAN on a part of a bond is three steps from it.
const MOST: usize = 8;

/// A device to attach to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The device.
    pub interface: Interface,
    /// How.
    pub mode: AttachMode,
    /// For which other interfaces, where the policy names such.
    pub note: Option<String>,
}

/// The devices that a policy is attached to on a host, in the order of the document. Interfaces that the host does not
/// have are left out: they are said elsewhere.
///
/// # Errors
/// What the policy says of two names of one device cannot both be; every case.
pub fn devices(policy: &Policy, host: &Interfaces) -> Result<Vec<Device>, CompileError> {
    let mut found: Vec<(Device, &Named)> = Vec::new();
    let mut problems = Problems { policy, found: Vec::new() };
    for (nth, named) in policy.interfaces.iter().enumerate() {
        let Some(interface) = host.find(&named.name) else { continue };
        let Some((device, way)) = follow(host, interface) else {
            let message = format!("{} is more than {MOST} devices above one that can be steered", named.name);
            problems.add(named, format!("spec.interfaces[{nth}].name"), message);
            continue;
        };
        problems.rule_of_a_vlan(named, device, &way);
        let note = way.words(&named.name);
        let Some((known, first)) = found.iter_mut().find(|(known, _)| known.interface.index == device.index)
        else {
            let interface = device.clone();
            found.push((Device { interface, mode: named.mode, note }, named));
            continue;
        };
        known.note = match (known.note.take(), note) {
            (Some(one), Some(other)) => Some(format!("{one}; {other}")),
            (one, other) => one.or(other),
        };
        problems.rules_differ(named, first, device);
        match (known.mode, named.mode) {
            (AttachMode::Auto, mode) => known.mode = mode,
            (_, AttachMode::Auto) => {}
            (one, other) if one == other => {}
            (one, other) => {
                let message = format!(
                    "{} and {} are both steered at {}, and cannot be in two modes: {} and {}; give them one",
                    first.name,
                    named.name,
                    device.name,
                    one.name(),
                    other.name()
                );
                problems.add(named, format!("spec.interfaces[{nth}].mode"), message);
            }
        }
    }
    problems.too_many_rules(host);
    if !problems.found.is_empty() {
        return Err(CompileError::Host(problems.found));
    }
    Ok(found.into_iter().map(|(device, _)| device).collect())
}

/// The indices that a packet may say that it came in by, where the policy names interface `name`: of its device, and of a
/// bond's parts, in whose drivers its program runs.
pub(super) fn ways_in(host: &Interfaces, name: &str) -> Vec<u32> {
    let Some((device, _)) = host.find(name).and_then(|interface| follow(host, interface)) else {
        return Vec::new();
    };
    parts(host, device).map(|part| part.index).chain([device.index]).collect()
}

/// The interfaces that a device gets its frames from: the parts of a bond, else none.
pub fn parts<'h>(host: &'h Interfaces, device: &Interface) -> impl Iterator<Item = &'h Interface> {
    let index = is_bond(device).then_some(device.index);
    host.0.iter().filter(move |part| index.is_some() && part.master == index)
}

fn is_bond(interface: &Interface) -> bool {
    matches!(interface.kind, Some(Kind::Bond | Kind::Team))
}

/// The device that an interface is followed to, and the way; nothing if it is too far.
pub fn follow<'h>(host: &'h Interfaces, interface: &'h Interface) -> Option<(&'h Interface, Way<'h>)> {
    let (mut at, mut way) = (interface, Way(Vec::new()));
    for _ in 0..=MOST {
        let parent = at.parent.filter(|_| at.kind == Some(Kind::Vlan)).and_then(|index| host.at(index));
        let bond = at.master.and_then(|index| host.at(index)).filter(|master| is_bond(master));
        let step = parent.map(|to| (Step::Vlan, to)).or(bond.map(|to| (Step::Part, to)));
        let Some((step, to)) = step else { return Some((at, way)) };
        way.0.push((step, &to.name));
        at = to;
    }
    None
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A VLAN on the next.
    Vlan,
    /// A part of the next.
    Part,
}

/// The steps from an interface to its device, each with the name of what it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way<'h>(Vec<(Step, &'h str)>);

impl Way<'_> {
    fn has_vlan(&self) -> bool {
        self.0.iter().any(|(step, _)| *step == Step::Vlan)
    }

    /// For which interface a device is steered, if that is another.
    pub fn words(&self, name: &str) -> Option<String> {
        let (_, device) = self.0.last()?;
        let step = |(step, to): &(Step, &str)| match step {
            Step::Vlan => format!("a VLAN on {to}"),
            Step::Part => format!("part of {to}"),
        };
        let way: Vec<String> = self.0.iter().map(step).collect();
        let all = if self.has_vlan() { ": every VLAN of it, and packets without a tag" } else { "" };
        Some(format!("for {name}, {}; steered is what comes in by {device}{all}", way.join(", ")))
    }
}

/// What cannot be.
struct Problems<'p> {
    policy: &'p Policy,
    found: Vec<Diagnostic>,
}

impl Problems<'_> {
    /// A rule of trust holds for a device, of which a VLAN is a share that the program cannot tell from others.
    fn rule_of_a_vlan(&mut self, named: &Named, device: &Interface, way: &Way<'_>) {
        let trust = self.policy.trust.as_ref();
        let rule = trust.and_then(|trust| trust.interfaces.iter().find(|rule| rule.name == named.name));
        if let Some(rule) = rule.filter(|_| way.has_vlan()) {
            let message = format!(
                "{name} is a VLAN, and is steered at {device}: a rule would hold for every VLAN there; name {device} here and in \
                 spec.interfaces, if it may",
                name = named.name,
                device = device.name
            );
            let at = Named { at: rule.at, ..named.clone() };
            self.add(&at, format!("spec.trust.interfaces.{}", named.name), message);
        }
    }

    /// Two names of one device have one rule of trust.
    fn rules_differ(&mut self, named: &Named, first: &Named, device: &Interface) {
        let Some(trust) = &self.policy.trust else { return };
        if trust.rule(&named.name) == trust.rule(&first.name) {
            return;
        }
        let message = format!(
            "{} and {} are both steered at {}, and have different rules: give both the same",
            first.name, named.name, device.name
        );
        self.add(named, "spec.trust.interfaces".to_owned(), message);
    }

    /// A rule takes a place for its device, and for each part of a bond.
    fn too_many_rules(&mut self, host: &Interfaces) {
        let Some(trust) = &self.policy.trust else { return };
        let mut places: Vec<u32> =
            trust.interfaces.iter().flat_map(|rule| ways_in(host, &rule.name)).collect();
        places.sort_unstable();
        places.dedup();
        let Some(last) = trust.interfaces.last().filter(|_| places.len() >= INTERFACES) else { return };
        let message = format!(
            "the rules are for {} devices, bonds' parts among them: {} at most can be told apart",
            places.len(),
            INTERFACES - 1
        );
        let at = Named { name: last.name.clone(), mode: AttachMode::Auto, at: last.at };
        self.add(&at, "spec.trust.interfaces".to_owned(), message);
    }

    fn add(&mut self, named: &Named, field: String, message: String) {
        self.found.push(Diagnostic {
            file: self.policy.file.clone(),
            line: named.at.line,
            column: named.at.column,
            field,
            message,
            suggestion: None,
        });
    }
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
