//! Several versions of the schema, in the order that the policy declares: the first one by which the packet has a registered key
//! decides. The deep program's way from facts to class and entry, where the other has `extract` and `resolve` alone.
//!
//! The versions are walked in a loop, whose index the verifier knows, so that the code is there once; their fields are written out,
//! so that with one version what is not used is removed.

use crate::access::Packet;
use crate::carrier::{self, Carrier};
use crate::extract::{Key, place};
use crate::headers::{FIELDS, Headers, LEVELS, Record, SCHEMAS, found};
use crate::hint::rare;
use crate::inside::{Inside, within};
use crate::resolve::{Resolved, look_up};
use crate::seeded::bug;
use crate::tables::{KeyEntry, Tables};
use crate::trust::{self, Trust};
use crate::vocabulary::Class;

/// A key's entry, and its index.
pub(crate) type Hit<'t> = Option<(u64, &'t KeyEntry)>;

/// Where the deep program reads and writes beside the outer headers.
pub(crate) struct Desk<'a> {
    /// What is beyond the outer headers.
    pub(crate) inside: &'a mut Inside,
    /// The fields of the schema that is looked at.
    pub(crate) fields: &'a mut [[u64; 2]; FIELDS],
    /// What a program that records notes.
    pub(crate) record: &'a mut Record,
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
    // Always both, not an option: the verifier refuses what is kept in a register that holds nothing.
    let mut trust = Trust { allowed: u32::MAX, verify: 0 };
    if config.interfaces_len != 0 {
        rare();
        trust = trust::on_interface(packet, tables);
    }
    let mut tried = 0;
    let mut hit: Hit<'t> = None;
    let mut version = 0;
    let mut proven = true;
    let mut at = 0;
    while at < SCHEMAS {
        let Some(schema) = config.schemas.get(at) else { break };
        if schema.levels == 0 {
            break;
        }
        let allowed = (trust.allowed >> (8 * at)) as u8;
        let listed = config.interfaces_len != 0;
        let verify = if listed { trust.verify >> at & 1 != 0 } else { schema.verify != 0 };
        let desk = &mut Desk {
            inside: packet.anew(&mut *desk.inside),
            fields: packet.anew(&mut *desk.fields),
            record: packet.anew(&mut *desk.record),
        };
        desk.inside.signed = 0;
        let key = extract(packet, tables, headers, desk, at, allowed);
        let signed = desk.inside.signed != 0;
        let found = levels(packet, tables, at, &key, &mut tried);
        if config.record != 0 {
            rare();
            let first = at == 0 || key.present != 0 && desk.record.decision.present == 0;
            if first || found.is_some() {
                note(desk, &key, at);
            }
        }
        version = schema.version;
        // A block that is not signed as it must be proves that something is wrong, whatever it names.
        let forged = verify && signed && !trust::is_signed(packet, tables, headers, desk.inside);
        if let Some((_, entry)) = found {
            let restricted = config.has_sources != 0 && entry.meta.is_restricted();
            proven = (!verify || signed || restricted)
                && (!restricted || trust::from_its_sources(packet, tables, headers, entry.id));
        }
        if forged {
            proven = false;
        }
        if forged || found.is_some() {
            hit = found;
            break;
        }
        at += 1;
    }
    let resolved = match hit {
        // Of one version alone, the counters of its keys are its own.
        Some((_, entry)) if proven && config.schemas[1].levels == 0 => Resolved::assigned(entry, tried),
        Some((_, entry)) if proven => Resolved { version: Some(version), ..Resolved::assigned(entry, tried) },
        Some((_, entry)) => Resolved { claimed: entry.id, ..Resolved::none(Class::Unauthenticated, tried) },
        None if !proven => Resolved::none(Class::Unauthenticated, tried),
        None if tried != 0 => Resolved::none(Class::Unregistered, tried),
        None => Resolved::none(Class::Missing, tried),
    };
    (resolved, if proven { hit } else { None })
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
