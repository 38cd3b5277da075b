//! The whole way of a packet, once for both homes.

use crate::access::PacketMut;
use crate::account::{Meters, account};
use crate::config::{class_action, flag};
use crate::forward::{Action, to_shard};
use crate::headers::{Headers, NO_LEVEL, NO_SHARD, Work};
use crate::parse::{link, network, transport};
use crate::tables::{Exits, KeyEntry, Tables};
use crate::vocabulary::{CLASSES, Class, Fault, Reason, Verdict};
use crate::{enforce, extract, resolve, scope, select};

/// Decides one frame: fills `work`, rewrites and hands on the frame, counts it.
#[inline(always)]
pub fn decide<P, T, E>(packet: &mut P, tables: &T, node: &mut E, work: &mut Work) -> Action
where
    P: PacketMut,
    T: Tables,
    E: Exits + Meters,
{
    work.decision.bytes = packet.frame_len() as u32;
    work.decision.shard = NO_SHARD;
    work.decision.flow = 0;

    let (class, entry) = classify(packet, tables, work);
    if class as u8 == Class::Foreign as u8 {
        account(node, work, Class::Foreign, Verdict::Pass, Reason::OutOfScope);
        return Action::Pass;
    }

    let refusal = match entry {
        Some(entry) => {
            let refusal = enforce::enforce(entry);
            if refusal.is_none() {
                select::for_key(packet, tables, work, entry);
            }
            refusal
        }
        None => place_class(packet, tables, work, class),
    };
    let (action, verdict, reason) = match refusal {
        Some(reason) => stop(reason),
        None => hand_on(packet, tables, node, work),
    };
    if tables.config().flags & flag::OBSERVE != 0 {
        account(node, work, class, Verdict::Observe, reason);
        return Action::Pass;
    }
    account(node, work, class, verdict, reason);
    action
}

/// Parse, scope, extract, resolve.
#[inline(always)]
fn classify<'t, P: PacketMut, T: Tables>(
    packet: &P,
    tables: &'t T,
    work: &mut Work,
) -> (Class, Option<&'t KeyEntry>) {
    let headers = &mut work.headers;
    headers.found = 0;
    headers.fault = Fault::None as u8;
    let Some(l3) = link::parse(packet, headers) else {
        return (Class::Foreign, None);
    };
    if !network::parse(packet, headers, l3) {
        return (Class::Foreign, None);
    }
    let set = scope::destination(packet, tables, headers);
    if set == 0 {
        return (Class::Foreign, None);
    }
    transport::parse(packet, headers);
    if !scope::service(tables, headers, set) {
        return (Class::Foreign, None);
    }
    work.decision.key_id = 0;
    if headers.fault != Fault::None as u8 {
        work.decision.present = 0;
        work.decision.tried = 0;
        work.decision.level = NO_LEVEL;
        return (Class::Malformed, None);
    }
    extract::extract(packet, tables, work);
    match resolve::resolve(tables, work) {
        Some(entry) => (Class::Assigned, Some(entry)),
        None if work.decision.tried != 0 => (Class::Unregistered, None),
        None => (Class::Missing, None),
    }
}

/// Where the policy sends a class that is not `assigned`: chooses a shard, or gives the reason why not.
#[inline(always)]
fn place_class<P: PacketMut, T: Tables>(
    packet: &P,
    tables: &T,
    work: &mut Work,
    class: Class,
) -> Option<Reason> {
    let config = &tables.config().classes[class as usize & (CLASSES - 1)];
    match config.action {
        class_action::STEER => {
            select::over_pool(packet, tables, work, config.slots);
            None
        }
        class_action::DROP => Some(Reason::ClassDrop),
        _ => Some(Reason::ClassPass),
    }
}

/// Ends the way of a frame that no shard gets.
#[inline(always)]
fn stop(reason: Reason) -> (Action, Verdict, Reason) {
    if reason as u8 == Reason::ClassPass as u8 {
        (Action::Pass, Verdict::Pass, reason)
    } else {
        (Action::Drop, Verdict::Drop, reason)
    }
}

/// Sends the frame to the chosen shard. In `observe` mode nothing is touched.
#[inline(always)]
fn hand_on<P, T, E>(packet: &mut P, tables: &T, exits: &mut E, work: &Work) -> (Action, Verdict, Reason)
where
    P: PacketMut,
    T: Tables,
    E: Exits,
{
    let shard = work.decision.shard;
    if shard == NO_SHARD {
        return stop(Reason::NoShard);
    }
    let Some(entry) = tables.shard(shard as u32) else {
        return stop(Reason::NoShard);
    };
    if tables.config().flags & flag::OBSERVE != 0 {
        return (Action::Pass, Verdict::Observe, Reason::Steered);
    }
    to_shard(packet, exits, shard, entry)
}

/// The positions and facts of a frame, without tables: the parsing stages alone, for tools.
pub fn headers_of<P: PacketMut>(packet: &P) -> Headers {
    let mut headers = Headers::default();
    if let Some(l3) = link::parse(packet, &mut headers)
        && network::parse(packet, &mut headers, l3)
    {
        transport::parse(packet, &mut headers);
    }
    headers
}
