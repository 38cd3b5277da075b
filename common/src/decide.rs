//! The whole way of a packet, once for both homes.

use crate::access::PacketMut;
use crate::account::{Meters, account};
use crate::config::{class_action, flag};
use crate::forward::{Action, to_shard};
use crate::headers::{Decision, Headers, NO_SHARD, Work};
use crate::parse::plain::{self, Family};
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
    work.decision = Decision { bytes: bytes(packet) as u32, ..Decision::NONE };

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

/// Drivers that spread a frame over several buffers put at least so much into the first.
const SPLIT: usize = 256;

/// Bytes of the frame. A short linear part is taken for the whole without asking the kernel; should it
/// not be, the IP length says so, and [`network::parse`] asks.
#[inline(always)]
fn bytes<P: PacketMut>(packet: &P) -> usize {
    let linear = packet.linear_len();
    if linear < SPLIT { linear } else { packet.frame_len() }
}

/// How far a frame came through parse, scope and extract.
enum Parsed {
    Foreign,
    Malformed,
    Extracted,
}

/// Parse, scope, extract, resolve.
#[inline(always)]
fn classify<'t, P: PacketMut, T: Tables>(
    packet: &P,
    tables: &'t T,
    work: &mut Work,
) -> (Class, Option<&'t KeyEntry>) {
    work.headers.found = 0;
    let parsed = match plain::family(packet) {
        Some(Family::V4) => plainly::<true, P, T>(packet, tables, work),
        Some(Family::V6) => plainly::<false, P, T>(packet, tables, work),
        None => None,
    };
    let parsed = match parsed {
        Some(parsed) => parsed,
        None => in_full(packet, tables, work),
    };
    match parsed {
        Parsed::Foreign => (Class::Foreign, None),
        Parsed::Malformed => (Class::Malformed, None),
        Parsed::Extracted => resolve::resolve(tables, work),
    }
}

/// Parse, scope, extract for the frames that most are ([`plain`]); `None` for any other. The same stages
/// as [`in_full`]: that their positions are constants saves half of the work.
#[inline(always)]
fn plainly<const V4: bool, P: PacketMut, T: Tables>(
    packet: &P,
    tables: &T,
    work: &mut Work,
) -> Option<Parsed> {
    let mut headers = Headers::NONE;
    let destination = plain::network::<V4, P>(packet, &mut headers, &mut work.decision.bytes)?;
    let set = scope::destination(tables, destination);
    if set == 0 {
        return Some(Parsed::Foreign);
    }
    plain::transport::<V4, P>(packet, &mut headers)?;
    if !scope::service(tables, &headers, set) {
        return Some(Parsed::Foreign);
    }
    let key = extract::extract(packet, tables, &headers, &mut work.fields);
    work.headers = headers;
    work.key = key.key;
    work.decision.present = key.present;
    Some(Parsed::Extracted)
}

/// Parse, scope, extract for any frame. Positions are kept in the work area, because the verifier cannot
/// be trusted with them on the stack.
#[inline(always)]
fn in_full<P: PacketMut, T: Tables>(packet: &P, tables: &T, work: &mut Work) -> Parsed {
    let headers = &mut work.headers;
    headers.found = 0;
    headers.fault = Fault::None as u8;
    let Some(l3) = link::parse(packet, headers) else {
        return Parsed::Foreign;
    };
    let Some(destination) = network::parse(packet, headers, &mut work.decision.bytes, l3) else {
        return Parsed::Foreign;
    };
    let set = scope::destination(tables, destination);
    if set == 0 {
        return Parsed::Foreign;
    }
    transport::parse(packet, headers);
    if !scope::service(tables, headers, set) {
        return Parsed::Foreign;
    }
    if headers.is_broken() {
        return Parsed::Malformed;
    }
    let key = extract::extract(packet, tables, headers, &mut work.fields);
    work.key = key.key;
    work.decision.present = key.present;
    Parsed::Extracted
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
    let mut headers = Headers::NONE;
    if let Some(l3) = link::parse(packet, &mut headers)
        && network::parse(packet, &mut headers, &mut 0, l3).is_some()
    {
        transport::parse(packet, &mut headers);
    }
    headers
}
