//! The whole way of a packet, once for both homes.
//!
//! ```text
//!  decide     plain frame?  -> plainly, else in_full      parse, scope
//!  judge                                                  extract, resolve
//!  enforce_and_place                                      enforce, select
//!  hand_on                                                forward
//!  finish                                                 account
//! ```

use crate::access::PacketMut;
use crate::account::{Counted, Meters, account};
use crate::config::class_action;
use crate::extract::extract;
use crate::forward::{Action, to_shard};
use crate::headers::{Decision, Headers, NO_LEVEL, Record, found};
use crate::hint::rare;
use crate::parse::plain::{self, Family};
use crate::parse::{link, network, transport};
use crate::resolve::{Resolved, resolve};
use crate::select::Choice;
use crate::state::{Apart, Area, Notes};
use crate::tables::{Exits, Tables};
use crate::vocabulary::{CLASSES, Class, Reason, Verdict};
use crate::{enforce, scope, select};

/// Decides one frame: rewrites and hands it on, and counts it.
#[inline(always)]
pub fn decide<P, T, H, A>(packet: &mut P, tables: &T, home: &mut H, area: &mut A) -> Action
where
    P: PacketMut,
    T: Tables,
    H: Exits + Meters,
    A: Area,
{
    let plainly = match plain::family(packet) {
        Some(Family::V4) => plainly::<true, P, T, H, A>(packet, tables, home, area),
        Some(Family::V6) => plainly::<false, P, T, H, A>(packet, tables, home, area),
        Some(Family::Other) => {
            let bytes = bytes(packet);
            Some(foreign(tables, home, &mut Apart(area), &Headers::NONE, bytes))
        }
        None => None,
    };
    match plainly {
        Some(action) => action,
        // The work area is always there; without it, nothing can be decided or counted.
        None => {
            rare();
            in_full(packet, tables, home, area).unwrap_or(Action::Pass)
        }
    }
}

/// Drivers that spread a frame over several buffers put at least so much into the first.
const SPLIT: usize = 256;

/// Bytes of the frame. A short linear part is taken for the whole without asking the kernel; should it
/// not be, the IP length says so, and [`network::parse`] asks.
#[inline(always)]
fn bytes<P: PacketMut>(packet: &P) -> u64 {
    let linear = packet.linear_len();
    if linear < SPLIT {
        linear as u64
    } else {
        rare();
        packet.frame_len() as u64
    }
}

/// The way of the frames that most are ([`plain`]); `None` for any other, of which nothing was counted yet. The
/// same stages as [`in_full`]: that their positions are constants saves half of the work.
#[inline(always)]
fn plainly<const V4: bool, P, T, H, A>(
    packet: &mut P,
    tables: &T,
    home: &mut H,
    area: &mut A,
) -> Option<Action>
where
    P: PacketMut,
    T: Tables,
    H: Exits + Meters,
    A: Area,
{
    let ip = plain::network::<V4, P>(packet)?;
    let set = scope::destination(tables, ip.destination);
    if set == 0 {
        let bytes = bytes(packet);
        return Some(foreign(tables, home, &mut Apart(area), &Headers::NONE, bytes));
    }
    let (headers, opens) = plain::transport::<V4, P>(packet, &ip)?;
    let bytes = bytes(packet);
    if !scope::service(tables, &headers, set) {
        return Some(foreign(tables, home, &mut Apart(area), &Headers::NONE, bytes));
    }
    let frame = Frame { headers: &headers, opens, bytes };
    Some(judge(packet, tables, home, &mut Apart(area), &frame))
}

/// The way of any frame. Positions are kept in the work area, because the verifier cannot be trusted with
/// them on the stack.
#[inline(always)]
fn in_full<P, T, H, A>(packet: &mut P, tables: &T, home: &mut H, area: &mut A) -> Option<Action>
where
    P: PacketMut,
    T: Tables,
    H: Exits + Meters,
    A: Area,
{
    let work = area.work()?;
    packet.arm(work.zero);
    let headers = &mut work.headers;
    let mut notes = &mut work.record;
    *headers = Headers::NONE;
    let mut bytes = bytes(packet);
    if !is_ours(packet, tables, headers, &mut bytes) {
        return Some(foreign(tables, home, &mut notes, headers, bytes));
    }
    let frame = Frame { headers, opens: headers.has(found::OPENS), bytes };
    Some(if headers.is_broken() {
        let malformed = Resolved { class: Class::Malformed, entry: None, tried: 0 };
        enforce_and_place(packet, tables, home, &mut notes, &frame, malformed)
    } else {
        judge(packet, tables, home, &mut notes, &frame)
    })
}

/// Parse, scope.
#[inline(always)]
fn is_ours<P: PacketMut, T: Tables>(packet: &P, tables: &T, headers: &mut Headers, bytes: &mut u64) -> bool {
    let Some(l3) = link::parse(packet, headers) else {
        return false;
    };
    let Some(destination) = network::parse(packet, headers, bytes, l3) else {
        return false;
    };
    let set = scope::destination(tables, destination);
    if set == 0 {
        return false;
    }
    transport::parse(packet, headers);
    scope::service(tables, headers, set)
}

/// A frame as parsed.
struct Frame<'a> {
    headers: &'a Headers,
    /// [`found::OPENS`], which a plain frame's headers leave out.
    opens: bool,
    bytes: u64,
}

/// Ends the way of a frame that is not ours.
#[inline(always)]
fn foreign<T: Tables, H: Meters, N: Notes>(
    tables: &T,
    home: &mut H,
    notes: &mut N,
    headers: &Headers,
    bytes: u64,
) -> Action {
    if tables.config().record != 0
        && let Some(record) = notes.record(headers, false)
    {
        rare();
        record.decision = Decision { bytes: bytes as u32, ..Decision::NONE };
    }
    let counted = Counted { bytes, opens: false, key: None, shard: None };
    account(home, counted, Class::Foreign, Verdict::Pass, Reason::OutOfScope);
    Action::Pass
}

/// Extract, resolve, and on.
#[inline(always)]
fn judge<P, T, H, N>(packet: &mut P, tables: &T, home: &mut H, notes: &mut N, frame: &Frame<'_>) -> Action
where
    P: PacketMut,
    T: Tables,
    H: Exits + Meters,
    N: Notes,
{
    let key = extract(packet, tables, frame.headers, None);
    let resolved = resolve(tables, &key);
    enforce_and_place(packet, tables, home, notes, frame, resolved)
}

/// Enforce, select, and on.
#[inline(always)]
fn enforce_and_place<P, T, H, N>(
    packet: &mut P,
    tables: &T,
    home: &mut H,
    notes: &mut N,
    frame: &Frame<'_>,
    resolved: Resolved<'_>,
) -> Action
where
    P: PacketMut,
    T: Tables,
    H: Exits + Meters,
    N: Notes,
{
    note(tables, notes, frame, &resolved, packet);
    let class = resolved.class;
    if let Some(entry) = resolved.entry {
        let way = Way { class: Class::Assigned, key: Some(entry.id) };
        if let Some(reason) = enforce::enforce(entry) {
            return finish(tables, home, notes, frame, &way, None, Err(reason));
        }
        let choice = select::for_key(packet, tables, frame.headers, entry);
        return hand_on(packet, tables, home, notes, frame, &way, choice);
    }
    rare();
    let way = Way { class, key: None };
    let config = &tables.config().classes[class as usize & (CLASSES - 1)];
    match config.action {
        class_action::STEER => {
            let choice = select::over_pool(packet, tables, frame.headers, config.slots);
            hand_on(packet, tables, home, notes, frame, &way, choice)
        }
        class_action::DROP => finish(tables, home, notes, frame, &way, None, Err(Reason::ClassDrop)),
        _ => finish(tables, home, notes, frame, &way, None, Err(Reason::ClassPass)),
    }
}

/// Whose frame it is.
struct Way {
    class: Class,
    /// The key's id, when the class is `assigned`.
    key: Option<u32>,
}

/// Sends the frame to the chosen shard. In `observe` mode nothing is touched.
#[inline(always)]
fn hand_on<P, T, H, N>(
    packet: &mut P,
    tables: &T,
    home: &mut H,
    notes: &mut N,
    frame: &Frame<'_>,
    way: &Way,
    choice: Choice,
) -> Action
where
    P: PacketMut,
    T: Tables,
    H: Exits + Meters,
    N: Notes,
{
    note_choice(tables, notes, frame, choice);
    // An empty slot's number is beyond all shards.
    let there = (choice.shard as u32) < tables.config().shards;
    let entry = if there { tables.shard(choice.shard as u32) } else { None };
    let Some(entry) = entry else {
        return finish(tables, home, notes, frame, way, None, Err(Reason::NoShard));
    };
    let shard = Some(choice.shard as u32);
    if tables.config().observe != 0 {
        return finish(tables, home, notes, frame, way, shard, Ok((Action::Pass, Verdict::Observe)));
    }
    let left = to_shard(packet, home, choice.shard, entry);
    finish(tables, home, notes, frame, way, shard, left)
}

/// Counts the frame and ends its way.
#[inline(always)]
fn finish<T: Tables, H: Meters, N: Notes>(
    tables: &T,
    home: &mut H,
    notes: &mut N,
    frame: &Frame<'_>,
    way: &Way,
    shard: Option<u32>,
    left: Result<(Action, Verdict), Reason>,
) -> Action {
    match left {
        Ok((action, verdict)) => {
            conclude(tables, home, notes, frame, way, shard, verdict, Reason::Steered);
            action
        }
        Err(reason) if tables.config().observe != 0 => {
            conclude(tables, home, notes, frame, way, shard, Verdict::Observe, reason);
            Action::Pass
        }
        Err(Reason::ClassPass) => {
            conclude(tables, home, notes, frame, way, shard, Verdict::Pass, Reason::ClassPass);
            Action::Pass
        }
        Err(reason) => {
            conclude(tables, home, notes, frame, way, shard, Verdict::Drop, reason);
            Action::Drop
        }
    }
}

/// Counts, and records if asked.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "what is bundled goes to memory in the kernel home")]
fn conclude<T: Tables, H: Meters, N: Notes>(
    tables: &T,
    home: &mut H,
    notes: &mut N,
    frame: &Frame<'_>,
    way: &Way,
    shard: Option<u32>,
    verdict: Verdict,
    reason: Reason,
) {
    if tables.config().record != 0
        && let Some(Record { decision, .. }) = notes.record(frame.headers, frame.opens)
    {
        rare();
        decision.class = way.class as u8;
        decision.verdict = verdict as u8;
        decision.reason = reason as u8;
    }
    let counted = Counted { bytes: frame.bytes, opens: frame.opens, key: way.key, shard };
    account(home, counted, way.class, verdict, reason);
}

/// Records, if asked, what is known of a frame before it may be rewritten.
#[inline(always)]
fn note<P: PacketMut, T: Tables, N: Notes>(
    tables: &T,
    notes: &mut N,
    frame: &Frame<'_>,
    resolved: &Resolved<'_>,
    packet: &P,
) {
    if tables.config().record == 0 {
        return;
    }
    rare();
    let Some(record) = notes.record(frame.headers, frame.opens) else {
        return;
    };
    record.decision = Decision { bytes: frame.bytes as u32, ..Decision::NONE };
    if resolved.class as u8 != Class::Malformed as u8 {
        let key = extract(packet, tables, frame.headers, Some(&mut record.fields));
        record.key = key.key;
        record.decision.present = key.present;
        record.decision.tried = resolve(tables, &key).tried;
    }
    if let Some(entry) = resolved.entry {
        record.decision.key_id = entry.id;
        record.decision.level = entry.meta.level();
    } else {
        record.decision.level = NO_LEVEL;
    }
}

/// Records, if asked, where a frame goes.
#[inline(always)]
fn note_choice<T: Tables, N: Notes>(tables: &T, notes: &mut N, frame: &Frame<'_>, choice: Choice) {
    if tables.config().record != 0
        && let Some(Record { decision, .. }) = notes.record(frame.headers, frame.opens)
    {
        rare();
        decision.shard = choice.shard;
        decision.slot = choice.slot;
        decision.flow = choice.flow;
    }
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
