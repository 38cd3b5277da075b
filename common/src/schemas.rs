//! Several versions of the schema, in the order that the policy declares: the first one by which the packet has a registered key
//! decides. The deep program's way from facts to class and entry, where the other has `extract` and `resolve` alone.
//!
//! The first is by itself, at constant places. The others are walked in a loop, whose index the verifier knows, so that their code is
//! there once. Fields are written out, so that what is not used is removed.

use crate::access::Packet;
use crate::carrier::{self, Carrier};
use crate::extract::{Key, place};
use crate::headers::{FIELDS, Headers, LEVELS, Record, SCHEMAS, found};
use crate::hint::rare;
use crate::inside::{Inside, within};
use crate::resolve::{Hit, Resolved, look_up, walk};
use crate::seeded::bug;
use crate::tables::Tables;
use crate::trust::{self, Trust};
use crate::vocabulary::Class;

/// Where the deep program reads and writes beside the outer headers.
pub(crate) struct Desk<'a> {
    /// What is beyond the outer headers.
    pub(crate) inside: &'a mut Inside,
    /// The fields of the schema that is looked at.
    pub(crate) fields: &'a mut [[u64; 2]; FIELDS],
    /// What a program that records notes.
    pub(crate) record: &'a mut Record,
}

/// What has been found of a packet, schema after schema.
struct Search<'t> {
    trust: Trust,
    tried: u8,
    hit: Hit<'t>,
    version: u8,
    /// Something claims a key, and may not.
    unproven: bool,
}

/// The class of a packet, its key's entry, and that entry's index.
#[inline(always)]
pub(crate) fn judge<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    headers: &Headers,
    desk: &mut Desk<'_>,
) -> (Resolved<'t>, Hit<'t>) {
    let config = tables.config();
    // Always there, not an option: the verifier refuses what is kept in a register that holds nothing.
    let mut trust = Trust { allowed: u32::MAX, verify: 0 };
    if config.interfaces_len != 0 {
        rare();
        trust = trust::on_interface(packet, tables);
    }
    let mut search = Search { trust, tried: 0, hit: None, version: 0, unproven: false };
    // The first by itself: where all is constant, most of it costs nothing.
    by_schema::<true, P, T>(packet, tables, headers, desk, 0, &mut search);
    if config.schemas[1].levels != 0 {
        rare();
        let mut at = 1;
        while at < SCHEMAS && search.hit.is_none() && !search.unproven {
            if config.schemas.get(at).is_none_or(|schema| schema.levels == 0) {
                break;
            }
            by_schema::<false, P, T>(packet, tables, headers, desk, at, &mut search);
            at += 1;
        }
    }
    let Search { tried, hit, version, unproven, .. } = search;
    if unproven {
        rare();
        let claimed = hit.map_or(0, |(_, entry)| entry.id);
        return (Resolved { claimed, ..Resolved::none(Class::Unauthenticated, tried) }, None);
    }
    let resolved = match hit {
        // Of one version alone, the counters of its keys are its own.
        Some((_, entry)) if config.schemas[1].levels == 0 => Resolved::assigned(entry, tried),
        Some((_, entry)) => Resolved { version: Some(version), ..Resolved::assigned(entry, tried) },
        None if tried != 0 => Resolved::none(Class::Unregistered, tried),
        None => Resolved::none(Class::Missing, tried),
    };
    (resolved, hit)
}

/// Looks for a key by schema `at`, which is the `FIRST` or not.
#[inline(always)]
fn by_schema<'t, const FIRST: bool, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    headers: &Headers,
    desk: &mut Desk<'_>,
    at: usize,
    search: &mut Search<'t>,
) {
    let config = tables.config();
    let Some(schema) = config.schemas.get(at) else { return };
    let allowed = (search.trust.allowed >> (8 * at)) as u8;
    let listed = config.interfaces_len != 0;
    let verify = if listed { search.trust.verify >> at & 1 != 0 } else { schema.verify != 0 };
    desk.inside.signed = 0;
    let key = extract(packet, tables, headers, desk, at, allowed);
    let found = if FIRST {
        walk(tables, &key, &mut search.tried)
    } else {
        levels(packet, tables, at, &key, &mut search.tried)
    };
    if config.record != 0 {
        rare();
        let first = FIRST || key.present != 0 && desk.record.decision.present == 0;
        if first || found.is_some() {
            note(desk, &key, at);
        }
    }
    search.version = schema.version;
    search.hit = found;
    let signed = desk.inside.signed != 0;
    if let Some((_, entry)) = found {
        let restricted = config.has_sources != 0 && entry.meta.is_restricted();
        let proven = (!verify || signed || restricted)
            && (!restricted || trust::from_its_sources(packet, tables, headers, entry.id));
        search.unproven = !proven;
    }
    // A block that is not signed as it must be proves that something is wrong, whatever it names.
    if verify && signed && !trust::is_signed(packet, tables, headers, desk.inside) {
        search.unproven = true;
    }
}

/// Notes the key that a packet has by schema `at`.
#[inline(always)]
fn note(desk: &mut Desk<'_>, key: &Key, at: usize) {
    let record = &mut *desk.record;
    // One by one: a copy of them all becomes a loop over bytes.
    record.fields[0] = desk.fields[0];
    record.fields[1] = desk.fields[1];
    record.fields[2] = desk.fields[2];
    record.fields[3] = desk.fields[3];
    record.key = key.key;
    record.decision.present = key.present;
    record.decision.schema = at as u8;
}

/// The key of a packet by schema `at`, of whose fields those in `allowed` are looked at.
#[inline(always)]
fn extract<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    headers: &Headers,
    desk: &mut Desk<'_>,
    at: usize,
    allowed: u8,
) -> Key {
    let mut sum = Key { key: [0, 0], present: 0 };
    field::<0, P, T>(packet, tables, headers, desk, at, allowed, &mut sum);
    field::<1, P, T>(packet, tables, headers, desk, at, allowed, &mut sum);
    field::<2, P, T>(packet, tables, headers, desk, at, allowed, &mut sum);
    field::<3, P, T>(packet, tables, headers, desk, at, allowed, &mut sum);
    sum
}

#[inline(always)]
fn field<const I: usize, P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    headers: &Headers,
    desk: &mut Desk<'_>,
    at: usize,
    allowed: u8,
    sum: &mut Key,
) {
    let config = tables.config();
    let Some(fields) = config.fields.get(at) else { return };
    let field = &fields[I];
    if field.carrier == 0 {
        return;
    }
    if I > 0 {
        rare();
    }
    if allowed & 1 << I != 0
        && let Some(whole) = carrier::read_deep(packet, headers, desk.inside, &config.ports, field)
    {
        let inner = field.carrier >= Carrier::InnerEthernetSrc as u8;
        let v4 = if inner { desk.inside.has(within::IPV4) } else { headers.has(found::IPV4) };
        let mut fields = if config.record != 0 { Some(&mut *desk.fields) } else { None };
        place::<I, T>(tables, v4, field, whole, &mut fields, sum);
    }
    // With and without the field, the verifier goes on with the same knowledge: none.
    sum.key[0] = packet.forget(sum.key[0] as usize) as u64;
    sum.key[1] = packet.forget(sum.key[1] as usize) as u64;
    sum.present = packet.forget(sum.present as usize) as u8;
}

/// Looks the levels of schema `at` up, the most specific first.
#[inline(always)]
fn levels<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    at: usize,
    key: &Key,
    tried: &mut u8,
) -> Hit<'t> {
    let config = tables.config();
    let mut found = None;
    let mut nth = 0;
    while nth < LEVELS {
        let Some(schema) = config.schemas.get(at) else { break };
        if nth >= schema.levels as usize {
            break;
        }
        let number = schema.first_level as usize + bug!(Schemas, nth, 0);
        let Some(level) = config.levels.get(number) else { break };
        if key.present & level.fields == level.fields {
            *tried |= 1 << (number & 7);
            found = look_up(tables, level, number as u8, key.key);
            if found.is_some() {
                break;
            }
        }
        *tried = packet.forget(*tried as usize) as u8;
        nth += 1;
    }
    found
}
