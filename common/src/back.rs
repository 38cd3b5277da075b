//! The way back, at TC egress: what leaves this node is counted for the key and the shard that it answers for, and stamped.
//!
//! ```text
//!  nat        a pod's answer gets the service's address            (where shards are reached by translation)
//!  sender     whose address it is                                  (pods of one key)
//!  parse      headers, turned round: an answer is the flow that it answers
//!  extract, resolve, select, place    as on the way in, of the fields that an answer has
//!  account    one slot per key, one per shard, one per class
//!  stamp      the key for whoever comes next
//! ```
//! An answer has addresses, ports and protocol of its question, and nothing else: fields of other carriers are missing.
//! Nothing is dropped here. A packet with an agent's mark is a probe, and goes to the shard that it names ([`probe`]).

use crate::access::{Packet, PacketMut, Pos, load_u32, load_u128};
use crate::account::{BackMeters, Counter};
use crate::extract::extract_some;
use crate::forward::{Action, to_shard};
use crate::headers::{Headers, found};
use crate::hint::rare;
use crate::migrate::key_move;
use crate::parse::network::{self, Destination};
use crate::parse::{link, transport};
use crate::pin::Settle;
use crate::place::{Placed, place};
use crate::resolve::resolve;
use crate::seeded::bug;
use crate::segments::carried;
use crate::state::{Area, Frame};
use crate::tables::{Exits, Tables};
use crate::vocabulary::Class;
use crate::{prefix, scope, select, stamp};

/// The upper half of the mark (`SO_MARK`) of an agent's probes; the lower half is the shard's index.
pub const PROBE_MARK: u32 = 0x6b73;

/// The index of the loopback interface, in every network namespace.
const LOOPBACK: u32 = 1;

/// Parses as far as the network header, and gives where the packet goes.
#[inline(always)]
pub(crate) fn parse<P: Packet>(packet: &P, headers: &mut Headers, bytes: &mut u64) -> Option<Destination> {
    let l3 = link::parse(packet, headers)?;
    let v4 = headers.ether_type == link::ETHER_TYPE_IPV4;
    network::parse(packet, headers, bytes, l3, v4)
}

/// Turns a packet's flow round: the flow that it answers.
#[inline(always)]
pub(crate) fn turn(headers: &mut Headers) {
    (headers.source, headers.destination) = (headers.destination, headers.source);
    let (source, destination) = (headers.source_port, headers.destination_port);
    (headers.source_port, headers.destination_port) =
        bug!(Back, (destination, source), (source, destination));
}

/// Whose a packet is that leaves. Numbers, not options: LLVM leaves the payload of one that is none as it was, and the verifier refuses that.
#[derive(Clone, Copy)]
struct Whose {
    class: Class,
    /// The key's id; 0: none.
    key: u32,
    /// The index of the shard that it answers for; [`NOBODY`]: none.
    shard: u32,
}

/// No shard.
pub const NOBODY: u32 = u32::MAX;

impl Whose {
    const fn of(class: Class) -> Self {
        Self { class, key: 0, shard: NOBODY }
    }
}

/// Counts and stamps a packet that leaves. `shard` is whose answer it is, where translation told; else [`NOBODY`].
#[inline(always)]
pub fn way_back<P, T, H, A>(packet: &mut P, tables: &T, home: &mut H, area: &mut A, shard: u32)
where
    P: PacketMut,
    T: Tables,
    H: BackMeters + Settle,
    A: Area,
{
    // By the loopback nothing leaves but probes of a service whose address is this host's too.
    if tables.config().back.probes != 0 && packet.ingress() == LOOPBACK {
        return;
    }
    let Some(work) = area.work() else { return };
    packet.arm(work.zero);
    let headers = &mut work.headers;
    *headers = Headers::NONE;
    let mut carried = carried(packet);
    let whose = whose(packet, tables, home, headers, &mut carried);
    let back = &tables.config().back;
    if back.count != 0 {
        home.node_back(whose.class, carried, if shard == NOBODY { whose.shard } else { shard });
        if whose.key != 0 {
            home.key_back(whose.key, carried);
        }
    }
    if back.stamps != 0 && whose.key != 0 {
        let stamp = tables.stamp(whose.key);
        if stamp != 0 {
            stamp::stamp(packet, headers, stamp);
        }
    }
}

/// Class, key and shard that a packet which leaves belongs to.
#[inline(always)]
fn whose<P: PacketMut, T: Tables, H: Settle>(
    packet: &P,
    tables: &T,
    home: &mut H,
    headers: &mut Headers,
    carried: &mut Counter,
) -> Whose {
    let back = &tables.config().back;
    if parse(packet, headers, &mut carried.bytes).is_none() {
        return Whose::of(Class::Foreign);
    }
    let source = Pos::from_stored(headers.source);
    let (set, sender) = if headers.has(found::IPV4) {
        let source = load_u32(packet, source, 0).unwrap_or(0);
        (scope::destination(tables, Destination::V4(source)), prefix::find4(tables, &back.senders, source))
    } else {
        let source = load_u128(packet, source, 0).unwrap_or([0, 0]);
        (scope::destination(tables, Destination::V6(source)), prefix::find6(tables, &back.senders, source))
    };
    if sender != 0 {
        rare();
        return Whose { key: sender, ..Whose::of(Class::Assigned) };
    }
    if set == 0 {
        return Whose::of(Class::Foreign);
    }
    transport::parse(packet, headers);
    turn(headers);
    if !scope::service(tables, headers, set) {
        return Whose::of(Class::Foreign);
    }
    if headers.is_broken() {
        return Whose::of(Class::Malformed);
    }
    let key = extract_some(packet, tables, headers, back.fields, None);
    let resolved = resolve(tables, &key);
    let Some(entry) = resolved.entry else { return Whose::of(resolved.class) };
    let choice = select::for_key(packet, tables, headers, entry);
    // What an answer says is of its flow and does not change it; nothing of it is left anywhere.
    headers.set(found::QUOTED);
    let frame = Frame { headers, opens: false, carried: Counter { packets: 0, bytes: 0 } };
    let shard = place(packet, tables, home, &frame, Placed::Key(entry), key_move(entry.id), choice) as u32;
    let shard = if shard < tables.config().shards { shard } else { NOBODY };
    Whose { class: Class::Assigned, key: entry.id, shard }
}

/// Sends a probe, whose `mark` says so, to the shard that it names, as packets to that go; `None` for any other packet. What is for the
/// interface that it leaves by has gone there with [`Action::Pass`].
#[inline(always)]
pub fn probe<P, T, H>(packet: &mut P, tables: &T, home: &mut H, mark: u32) -> Option<Action>
where
    P: PacketMut,
    T: Tables,
    H: Exits,
{
    let config = tables.config();
    if config.back.probes == 0 || mark >> 16 != PROBE_MARK {
        return None;
    }
    rare();
    let shard = mark & 0xffff;
    let entry = if shard < config.shards { tables.shard(shard)? } else { return Some(Action::Drop) };
    let mut headers = Headers::NONE;
    parse(packet, &mut headers, &mut 0)?;
    let frame = Frame { headers: &headers, opens: false, carried: carried(packet) };
    match to_shard(packet, tables, home, shard as u16, entry, &frame) {
        Ok((Action::Transmit, _)) => Some(Action::Pass),
        Ok((action, _)) => Some(action),
        Err(_) => Some(Action::Drop),
    }
}
