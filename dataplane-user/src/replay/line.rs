//! A decision in names: the object that is printed of each packet. Its members are part of the command line's
//! contract; every object has all of them.

use std::net::{Ipv4Addr, Ipv6Addr};

use keysteer_common::carrier::Carrier;
use keysteer_common::config::fragments;
use keysteer_common::headers::{FIELDS, NO_LEVEL, NO_SHARD, Work, found};
use keysteer_common::inside::within;
use keysteer_common::vocabulary::{Class, Reason, Verdict};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::display::Veil;
use crate::image::{FieldInfo, Image, KeyInfo};
use crate::policy::{ClassAction, Policy};

/// What was decided about a packet.
#[derive(Clone, Debug)]
pub struct Line<'i> {
    /// Its number, from 1.
    pub packet: u64,
    /// What happened to it.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// What it is to us.
    pub class: Class,
    /// Its key.
    pub key: Option<&'i KeyInfo>,
    /// The version of the schema that decided, or of several that found no key the first of which it has a field; none
    /// where fields were not read.
    pub schema: Option<u32>,
    /// The level of that version that its key was found at, from 0, the most specific.
    pub level: Option<u8>,
    /// Its fields.
    pub fields: Fields<'i>,
    /// The pool that a shard was looked for in.
    pub pool: Option<&'i str>,
    /// Its shard's dense index.
    pub shard: Option<u16>,
    /// Bytes of the frame.
    pub bytes: u32,
    /// The name of the shard.
    shard_name: Option<&'i str>,
}

/// Values of the schema's fields as extracted, before any look-up. One that the packet does not carry has none.
#[derive(Clone, Debug)]
pub struct Fields<'i> {
    infos: &'i [FieldInfo],
    veil: &'i Veil,
    values: [Option<Value>; FIELDS],
}

/// A value of up to 128 bits, most significant half first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Value {
    halves: [u64; 2],
    /// How many bits it has.
    bits: u8,
}

impl<'i> Line<'i> {
    /// Reads what was decided about packet `packet` by a policy that was compiled to `image`.
    pub(super) fn new(packet: u64, work: &Work, policy: &'i Policy, image: &'i Image) -> Self {
        let decision = &work.record.decision;
        let names = &image.names;
        // Both homes write nothing but numbers of the vocabulary.
        let class = Class::from_number(decision.class).unwrap_or(Class::Foreign);
        let reason = Reason::from_number(decision.reason).unwrap_or(Reason::OutOfScope);
        let verdict = Verdict::from_number(decision.verdict).unwrap_or(Verdict::Pass);
        let extracted = matches!(class, Class::Assigned | Class::Unregistered | Class::Missing);
        let assigned = class == Class::Assigned;
        let placed = matches!(
            reason,
            Reason::Steered | Reason::TargetDrop | Reason::NoShard | Reason::NoExit | Reason::TooBig
        );
        let key = names.key(decision.key_id).filter(|_| assigned);
        let shard = (placed && decision.shard != NO_SHARD).then_some(decision.shard);
        let by = names.schemas.get(usize::from(decision.schema));
        let infos = by.map_or(&[][..], |schema| schema.fields.as_slice());
        let first = image.config.schemas.get(usize::from(decision.schema)).map_or(0, |it| it.first_level);
        let later = work.headers.has(found::LATER) && image.config.fragments != fragments::ALIKE;
        let mut values = [None; FIELDS];
        if extracted {
            for ((at, value), info) in values.iter_mut().enumerate().zip(infos) {
                *value = read(work, at, info);
            }
        }
        Self {
            packet,
            verdict,
            reason,
            class,
            key,
            schema: by.filter(|_| extracted).map(|schema| schema.version.into()),
            level: (assigned && decision.level != NO_LEVEL).then(|| decision.level.saturating_sub(first)),
            fields: Fields { infos, veil: &names.veil, values },
            pool: if placed { pool(policy, class, later, key) } else { None },
            shard,
            bytes: decision.bytes,
            shard_name: shard.and_then(|shard| names.shard(shard)),
        }
    }
}

/// The pool of a key, or of a class without one; `later` where the packet is a later fragment.
fn pool<'i>(policy: &'i Policy, class: Class, later: bool, key: Option<&'i KeyInfo>) -> Option<&'i str> {
    let action = match class {
        Class::Missing if later => policy.classes.fragments,
        Class::Missing => policy.classes.missing,
        Class::Unregistered => policy.classes.unregistered,
        Class::Malformed => policy.classes.malformed,
        Class::Unauthenticated => policy.classes.unauthenticated,
        Class::Foreign | Class::Assigned => return Some(&*key?.pool),
    };
    match action {
        ClassAction::Pool(at) => policy.pools.get(at).map(|pool| pool.name.as_str()),
        ClassAction::Pass | ClassAction::Drop => None,
    }
}

/// The value of a field. Behind a prefix table it is the address, whether or not a prefix has it.
fn read(work: &Work, at: usize, info: &FieldInfo) -> Option<Value> {
    let through_table = !info.labels.is_empty();
    let (has4, has6) = families(work, info.carrier);
    let address = match info.carrier.family() {
        Some(true) => has4,
        Some(false) => has6,
        None => has4 || has6,
    };
    let there = work.record.decision.present & 1 << at != 0 || (through_table && address);
    let halves = work.record.fields.get(at).copied().filter(|_| there)?;
    let bits = match through_table {
        true if has4 => 32,
        true => 128,
        false => info.bits,
    };
    Some(Value { halves, bits })
}

/// Whether the packet that a carrier is of is IPv4, and whether it is IPv6.
fn families(work: &Work, carrier: Carrier) -> (bool, bool) {
    if carrier.is_inner() {
        (work.inside.has(within::IPV4), work.inside.has(within::IPV6))
    } else {
        (work.headers.has(found::IPV4), work.headers.has(found::IPV6))
    }
}

impl Value {
    /// The value in words: behind a prefix table an address, as that is what was read.
    fn text(&self, info: &FieldInfo) -> String {
        let [high, low] = self.halves;
        match (info.table.is_some(), self.bits) {
            (true, 32) => Ipv4Addr::from_bits(low as u32).to_string(),
            (true, _) => Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)).to_string(),
            (false, _) => info.text(u128::from(high) << 64 | u128::from(low)),
        }
    }
}

impl Serialize for Value {
    /// A number of up to 32 bits as one; a longer one in hexadecimal digits, all of them, because JSON's numbers
    /// are not sure to hold it.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { halves: [high, low], bits } = *self;
        if bits <= 32 {
            return to.serialize_u64(low);
        }
        let digits = usize::from(bits).div_ceil(4);
        to.collect_str(&format_args!("0x{:0digits$x}", u128::from(high) << 64 | u128::from(low)))
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for (info, value) in self.infos.iter().zip(&self.values) {
            match value {
                Some(value) if info.display.hides() && !self.veil.is_lifted() => {
                    map.serialize_entry(&info.name, &info.shown_text(self.veil, || value.text(info)))?;
                }
                Some(value) => map.serialize_entry(&info.name, value)?,
                None => {}
            }
        }
        map.end()
    }
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(11))?;
        map.serialize_entry("packet", &self.packet)?;
        map.serialize_entry("verdict", self.verdict.name())?;
        map.serialize_entry("reason", self.reason.name())?;
        map.serialize_entry("class", self.class.name())?;
        map.serialize_entry("key", &self.key.map(|key| &key.name))?;
        map.serialize_entry("key_id", &self.key.map_or(0, |key| key.id))?;
        map.serialize_entry("schema", &self.schema)?;
        map.serialize_entry("level", &self.level)?;
        map.serialize_entry("fields", &self.fields)?;
        map.serialize_entry("pool", &self.pool)?;
        map.serialize_entry("shard", &self.shard_name)?;
        map.end()
    }
}
