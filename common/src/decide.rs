//! The whole way of a packet, once for both homes.
//!
//! ```text
//!  decide     plain frame?  -> plainly, else in_full      parse, scope
//!  decide_deep                 in_full
//!  judge                                                  extract, resolve
//!  enforce_and_place                                      enforce, select, place
//!  hand_on                                                forward
//!  finish                                                 account
//! ```

use crate::access::PacketMut;
use crate::account::{Counted, Counter, Meters, account};
use crate::config::{FRAGMENT_CLASS, class_action, fragments};
use crate::extract::extract;
use crate::forward::{Action, to_shard};
use crate::headers::{Decision, Headers, Record, Work, found};
use crate::hint::rare;
use crate::look::{is_ours, look_inside};
use crate::migrate::{class_move, key_move};
use crate::parse::plain::{self, Family};
use crate::pin::Settle;
use crate::place::{Placed, place};
use crate::resolve::{Hit, Resolved, resolve};
use crate::schemas::Desk;
use crate::segments::carried;
use crate::select::Choice;
use crate::state::{Apart, Area, Frame, Notes, note_choice, note_frame, note_key, note_resolved};
use crate::tables::{Datagrams, Exits, KeyEntry, Tables};
use crate::vocabulary::{CLASSES, Class, Reason, Verdict};
use crate::{enforce, fragment, schemas, scope, select};

/// Decides one frame: rewrites and hands it on, and counts it.
#[inline(always)]
pub fn decide<P, T, H, A>(packet: &mut P, tables: &T, home: &mut H, area: &mut A) -> Action
where
    P: PacketMut,
    T: Tables,
    H: Exits + Meters + Datagrams + Settle,
    A: Area,
{
    let plainly = match plain::family(packet) {
        Some(Family::V4) => plainly::<true, P, T, H, A>(packet, tables, home, area),
        Some(Family::V6) => plainly::<false, P, T, H, A>(packet, tables, home, area),
        Some(Family::Other) => Some(foreign(tables, home, &mut Apart(area), &Headers::NONE, carried(packet))),
        None => None,
    };
    match plainly {
        Some(action) => action,
        // The work area is always there; without it, nothing can be decided or counted.
        None => {
            rare();
            in_full::<false, P, T, H, A>(packet, tables, home, area).unwrap_or(Action::Pass)
        }
    }
}

/// [`decide`], for policies that ask for what is beyond the outer headers, or for more than one schema: see
/// [`crate::program`].
#[inline(always)]
pub fn decide_deep<P, T, H, A>(packet: &mut P, tables: &T, home: &mut H, area: &mut A) -> Action
where
    P: PacketMut,
    T: Tables,
    H: Exits + Meters + Datagrams + Settle,
    A: Area,
{
    in_full::<true, P, T, H, A>(packet, tables, home, area).unwrap_or(Action::Pass)
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
    H: Exits + Meters + Settle,
    A: Area,
{
    let ip = plain::network::<V4, P>(packet)?;
    let set = scope::destination(tables, ip.destination);
    if set == 0 {
        return Some(foreign(tables, home, &mut Apart(area), &Headers::NONE, carried(packet)));
    }
    let (headers, opens) = plain::transport::<V4, P>(packet, &ip)?;
    let carried = carried(packet);
    if !scope::service(tables, &headers, set) {
        return Some(foreign(tables, home, &mut Apart(area), &Headers::NONE, carried));
    }
    let frame = Frame { headers: &headers, opens, carried };
    Some(judge(packet, tables, home, &mut Apart(area), &frame))
}

/// The way of any frame; `DEEP` where there is more to find than the outer headers. Positions are kept in the work area,
/// because the verifier cannot be trusted with them on the stack.
#[inline(always)]
fn in_full<const DEEP: bool, P, T, H, A>(
    packet: &mut P,
    tables: &T,
    home: &mut H,
    area: &mut A,
) -> Option<Action>
where
    P: PacketMut,
    T: Tables,
    H: Exits + Meters + Datagrams + Settle,
    A: Area,
{
    let work = area.work()?;
    packet.arm(work.zero);
    let Work { headers, inside, fields, record, .. } = work;
    *headers = Headers::NONE;
    if DEEP {
        inside.clear();
    }
    let mut carried = carried(packet);
    if !is_ours::<DEEP, P, T>(packet, tables, headers, inside, &mut carried.bytes) {
        return Some(foreign(tables, home, &mut &mut *record, headers, carried));
    }
    if DEEP {
        look_inside(packet, tables.config(), headers, inside);
    }
    let frame = Frame { headers, opens: headers.has(found::OPENS), carried };
    Some(if headers.is_broken() {
        let mut notes = &mut *record;
        note_frame(tables, &mut notes, &frame);
        let malformed = Resolved::none(Class::Malformed, 0);
        enforce_and_place(packet, tables, home, &mut notes, &frame, malformed)
    } else if DEEP {
        judge_deep(packet, tables, home, Desk { inside, fields, record }, &frame)
    } else {
        judge(packet, tables, home, &mut &mut *record, &frame)
    })
}

/// Ends the way of a frame that is not ours.
#[inline(always)]
fn foreign<T: Tables, H: Meters, N: Notes>(
    tables: &T,
    home: &mut H,
    notes: &mut N,
    headers: &Headers,
    carried: Counter,
) -> Action {
    if tables.config().record != 0
        && let Some(record) = notes.record(headers, false)
    {
        rare();
        record.decision = Decision { bytes: carried.bytes as u32, ..Decision::NONE };
    }
    let counted = Counted { carried, opens: false, key: None, shard: None, version: None, claim: None };
    account(home, counted, Class::Foreign, Verdict::Pass, Reason::OutOfScope);
    Action::Pass
}

/// Extract, resolve, and on.
#[inline(always)]
fn judge<P, T, H, N>(packet: &mut P, tables: &T, home: &mut H, notes: &mut N, frame: &Frame<'_>) -> Action
where
    P: PacketMut,
    T: Tables,
    H: Exits + Meters + Settle,
    N: Notes,
{
    note_frame(tables, notes, frame);
    note_key(tables, notes, frame, packet);
    let key = extract(packet, tables, frame.headers, None);
    let resolved = resolve(tables, &key);
    enforce_and_place(packet, tables, home, notes, frame, resolved)
}

/// The same for several schemas, trust and fragments, and on.
#[inline(always)]
fn judge_deep<P, T, H>(
    packet: &mut P,
    tables: &T,
    home: &mut H,
    mut desk: Desk<'_>,
    frame: &Frame<'_>,
) -> Action
where
    P: PacketMut,
    T: Tables,
    H: Exits + Meters + Datagrams + Settle,
{
    note_frame(tables, &mut &mut *desk.record, frame);
    let (mut resolved, hit) = schemas::judge(packet, tables, frame.headers, &mut desk);
    if tables.config().fragments == fragments::FOLLOW && frame.headers.has(found::FRAGMENT) {
        rare();
        if let Some(entry) = follow(packet, tables, home, frame.headers, resolved.class, hit) {
            resolved = Resolved { version: None, ..Resolved::assigned(entry, resolved.tried) };
        }
    }
    enforce_and_place(packet, tables, home, &mut &mut *desk.record, frame, resolved)
}

/// Notes a first fragment's key; of a later one without a key gives that of its first.
#[inline(always)]
fn follow<'t, P: PacketMut, T: Tables, H: Datagrams>(
    packet: &P,
    tables: &'t T,
    home: &mut H,
    headers: &Headers,
    class: Class,
    hit: Hit<'t>,
) -> Option<&'t KeyEntry> {
    let datagram = fragment::datagram(packet, headers)?;
    if !headers.has(found::LATER) {
        // Addresses and id can be those of a datagram before: what was noted of that one does not hold any more.
        match hit {
            Some((index, _)) => home.remember(&datagram, index as u32),
            None => home.forget(&datagram),
        }
        return None;
    }
    if class as u8 != Class::Missing as u8 {
        return None;
    }
    tables.key_entry(home.recall(&datagram)? as u64)
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
    H: Exits + Meters + Settle,
    N: Notes,
{
    note_resolved(tables, notes, frame, &resolved);
    let class = resolved.class;
    if let Some(entry) = resolved.entry {
        let way = Way { class: Class::Assigned, key: Some(entry.id), version: resolved.version, claim: None };
        if let Some(reason) = enforce::enforce(tables, entry) {
            return finish(tables, home, notes, frame, &way, None, Err(reason));
        }
        let mut choice = select::for_key(packet, tables, frame.headers, entry);
        choice.shard = place(packet, tables, home, frame, Placed::Key(entry), key_move(entry.id), choice);
        return hand_on(packet, tables, home, notes, frame, &way, choice);
    }
    rare();
    let unproven = class as u8 == Class::Unauthenticated as u8;
    let claim = if unproven { Some((resolved.claimed, packet.ingress())) } else { None };
    let way = Way { class, key: None, version: None, claim };
    let missing = class as u8 == Class::Missing as u8;
    let later = missing && frame.headers.has(found::LATER) && tables.config().fragments != fragments::ALIKE;
    let treated = if later { FRAGMENT_CLASS } else { class as usize };
    let config = &tables.config().classes[treated & (CLASSES - 1)];
    match config.action {
        class_action::STEER => {
            let mut choice = select::over_pool(packet, tables, frame.headers, config.slots);
            let placed = Placed::Pool(config.slots);
            choice.shard = place(packet, tables, home, frame, placed, class_move(treated), choice);
            hand_on(packet, tables, home, notes, frame, &way, choice)
        }
        class_action::DROP if later => {
            finish(tables, home, notes, frame, &way, None, Err(Reason::FragmentDrop))
        }
        class_action::DROP => finish(tables, home, notes, frame, &way, None, Err(Reason::ClassDrop)),
        _ if later => finish(tables, home, notes, frame, &way, None, Err(Reason::FragmentPass)),
        _ => finish(tables, home, notes, frame, &way, None, Err(Reason::ClassPass)),
    }
}

/// Whose frame it is.
struct Way {
    class: Class,
    /// The key's id, when the class is `assigned`.
    key: Option<u32>,
    /// The version of the schema, where those are counted.
    version: Option<u8>,
    /// The key and the interface of what is claimed without right.
    claim: Option<(u32, u32)>,
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
    H: Exits + Meters + Settle,
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
    let left = to_shard(packet, tables, home, choice.shard, entry, frame);
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
        Err(reason @ (Reason::ClassPass | Reason::FragmentPass)) => {
            conclude(tables, home, notes, frame, way, shard, Verdict::Pass, reason);
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
    let counted = Counted {
        carried: frame.carried,
        opens: frame.opens,
        key: way.key,
        shard,
        version: way.version,
        claim: way.claim,
    };
    account(home, counted, way.class, verdict, reason);
}
