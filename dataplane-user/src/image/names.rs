//! What a generation's numbers are called: schemas, fields, keys, shards and slot tables.

use std::sync::Arc;

use ipnet::IpNet;
use keysteer_common::carrier::Carrier;

use crate::display::{Display, Veil};
use crate::health::Checks;
use crate::policy::{Date, Field, Spelling, ValueMap};

/// Names behind the numbers of an [`Image`](super::Image).
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// `metadata.name` of the policy.
    pub policy: String,
    /// `spec.environment`.
    pub environment: String,
    /// Whether the policy only observes.
    pub observe: bool,
    /// Interfaces that the policy attaches to.
    pub interfaces: Vec<String>,
    /// The versions of the schema, in the order that they are tried.
    pub schemas: Vec<SchemaInfo>,
    /// Name of the field that is a key's region.
    pub residency: Option<String>,
    /// What values of fields are shown through.
    pub veil: Veil,
    /// Registered keys by ascending id (ids may have gaps: they are never reused).
    pub keys: Vec<KeyInfo>,
    /// Shards by dense index, which a shard has for ever; at that of one that the policy does not have is nothing.
    pub shards: Vec<ShardInfo>,
    /// Slot tables, in the order of their first slot.
    pub tables: Vec<TableInfo>,
    /// Which shards are asked whether they live; none where the policy asks none.
    pub health: Option<Arc<Checks>>,
}

impl Names {
    /// `steer` or `observe`.
    pub fn mode(&self) -> &'static str {
        if self.observe { "observe" } else { "steer" }
    }

    /// The key with this id.
    pub fn key(&self, id: u32) -> Option<&KeyInfo> {
        self.keys.binary_search_by_key(&id, |key| key.id).ok().and_then(|at| self.keys.get(at))
    }

    /// The schema and the fields of a level, by its number over all schemas.
    pub fn level(&self, number: usize) -> Option<(&SchemaInfo, &[usize])> {
        let levels = |schema| move |level| (schema, level);
        let mut all = self.schemas.iter().flat_map(|it| it.levels.iter().map(Vec::as_slice).map(levels(it)));
        all.nth(number)
    }

    /// The fields of all schemas.
    pub fn fields(&self) -> impl Iterator<Item = &FieldInfo> {
        self.schemas.iter().flat_map(|schema| &schema.fields)
    }

    /// The field of a name; of several schemas that have it the first's. All show its values alike.
    pub fn field(&self, name: &str) -> Option<&FieldInfo> {
        self.fields().find(|field| field.name == name)
    }

    /// The schema that a key is of; of several the first.
    pub fn schema_of(&self, key: &KeyInfo) -> Option<&SchemaInfo> {
        self.level(key.level).map(|(schema, _)| schema)
    }

    /// The versions of the schema that have a key, in the order that they are tried.
    pub fn versions_of(&self, key: &KeyInfo) -> Vec<u8> {
        let levels = std::iter::once(key.level).chain(key.also.iter().map(|it| it.level.into()));
        let mut versions: Vec<u8> =
            levels.filter_map(|level| self.level(level)).map(|(schema, _)| schema.version).collect();
        versions.dedup();
        versions
    }

    /// The version of the first schema; 0 where there is none.
    pub fn first_version(&self) -> u8 {
        self.schemas.first().map_or(0, |schema| schema.version)
    }

    /// The fields of a key's level, each with the key's value, whose text is the same by every schema that has the key.
    pub fn values(&self, key: &KeyInfo) -> impl Iterator<Item = (&FieldInfo, u128)> {
        let (fields, level) = self
            .level(key.level)
            .map_or((&[][..], &[][..]), |(schema, level)| (schema.fields.as_slice(), level));
        let key = key.key;
        level.iter().filter_map(move |at| {
            let (field, behind) = fields.get(*at..)?.split_first()?;
            let place: u32 = behind.iter().map(|field| u32::from(field.bits)).sum();
            let largest =
                u128::MAX.checked_shr(u128::BITS.saturating_sub(field.bits.into())).unwrap_or_default();
            Some((field, key.checked_shr(place).unwrap_or_default() & largest))
        })
    }

    /// The fields of a key's level by name, each with the key's value as it is shown through `veil`.
    pub fn shown<'n>(&'n self, key: &KeyInfo, veil: &'n Veil) -> impl Iterator<Item = (&'n str, String)> {
        self.values(key).map(|(field, value)| (field.name.as_str(), field.shown(veil, value)))
    }

    /// A region as it is shown: a value of the field that is the region, where one is.
    pub fn shown_region(&self, veil: &Veil, region: &str) -> String {
        match self.residency.as_deref().and_then(|name| self.field(name)) {
            Some(field) => field.shown_text(veil, || region.to_owned()),
            None => region.to_owned(),
        }
    }

    /// Shard `index`, if the policy has it.
    pub fn shard_info(&self, index: u16) -> Option<&ShardInfo> {
        self.shards.get(usize::from(index)).filter(|shard| !shard.name.is_empty())
    }

    /// The shards of the policy, with their indices.
    pub fn policy_shards(&self) -> impl Iterator<Item = (u16, &ShardInfo)> {
        (0_u16..).zip(&self.shards).filter(|(_, shard)| !shard.name.is_empty())
    }

    /// The name of shard `index`.
    pub fn shard(&self, index: u16) -> Option<&str> {
        self.shard_info(index).map(|shard| shard.name.as_str())
    }
}

/// A version of the schema.
#[derive(Clone, Debug)]
pub struct SchemaInfo {
    /// Its number.
    pub version: u8,
    /// Its fields, in order.
    pub fields: Vec<FieldInfo>,
    /// Its levels, as field indices, most specific first.
    pub levels: Vec<Vec<usize>>,
    /// From when on nobody should send it any more.
    pub deprecated: Option<Date>,
}

/// A field of a schema.
#[derive(Clone, Debug)]
pub struct FieldInfo {
    /// Its name.
    pub name: String,
    /// Where it is read.
    pub carrier: Carrier,
    /// Which carrier that is, in words: see [`Field::source`].
    pub source: String,
    /// The bits of the carrier that it takes, where not all: the first, and how many.
    pub range: Option<(u16, u16)>,
    /// How many bits of the key it takes.
    pub bits: u8,
    /// The prefix table that it is looked up in.
    pub table: Option<String>,
    /// What its values are values of, by which equal ones look equal when they are hashed: the prefix table that it is
    /// looked up in, here or by another version of the schema, else its name.
    pub values_of: String,
    /// Labels by number, for a field behind a prefix table; entry 0 is "no prefix".
    pub labels: Vec<String>,
    /// Names of values.
    pub values: ValueMap,
    /// How its values are shown.
    pub display: Display,
}

impl FieldInfo {
    /// A value in its canonical text, as a key's `match` has it: to be kept and compared. What is shown is
    /// [`FieldInfo::shown`].
    pub fn text(&self, value: u128) -> String {
        if self.table.is_some() {
            let label = usize::try_from(value).ok().and_then(|number| self.labels.get(number));
            return label.cloned().unwrap_or_default();
        }
        if let Some(name) = self.values.name(value) {
            return name.to_owned();
        }
        let Self { carrier, bits, display, .. } = *self;
        let field = Field {
            name: String::new(),
            carrier,
            which: 0,
            signed: false,
            offset: 0,
            bits,
            place: 0,
            table: None,
            mask: u128::MAX,
            values: ValueMap::default(),
            display,
        };
        field.text(&[], value)
    }

    /// A value as it is shown.
    pub fn shown(&self, veil: &Veil, value: u128) -> String {
        self.shown_text(veil, || self.text(value))
    }

    /// The same of a value in text: its own, or what a packet has at its carrier. Equal values are
    /// hashed alike for all fields behind one table, and by all versions of the schema.
    pub fn shown_text(&self, veil: &Veil, plain: impl FnOnce() -> String) -> String {
        veil.show(self.display, &self.values_of, plain)
    }
}

/// A registered key. There can be a million: what many keys have in common is held once.
#[derive(Clone, Debug)]
pub struct KeyInfo {
    /// Dense id, from 1.
    pub id: u32,
    /// Name in the policy.
    pub name: String,
    /// The values of its level's fields, each at its place in the canonical key; [`Names::values`] has them one by one.
    pub key: u128,
    /// Number of the level it is looked up at, over all schemas.
    pub level: usize,
    /// Where else it is registered.
    pub also: Box<[Spelling]>,
    /// Id of the key that it is an alias of.
    pub alias_of: Option<u32>,
    /// Its pool.
    pub pool: Arc<str>,
    /// Over how many shards its flows spread; 0: all of the pool.
    pub width: u16,
    /// Names of the shards it may use, its slot's row in column order (all of the pool for width 0).
    pub shards: Arc<[Arc<str>]>,
    /// Whether the policy pins it to them, in place of its pool's placement.
    pub pinned: bool,
    /// Its tier.
    pub tier: Option<Arc<str>>,
    /// Who answers for it.
    pub owner: Option<Arc<str>>,
    /// Cost centre to charge.
    pub cost_centre: Option<Arc<str>>,
    /// Account to bill.
    pub account: Option<Arc<str>>,
    /// The region that it must stay in.
    pub region: Option<Arc<str>>,
    /// Whether it must not come to a lower tier.
    pub vip: bool,
    /// Why it is denied, when it is.
    pub denied: Option<Arc<str>>,
    /// The source addresses that may use it; all where it lists none.
    pub sources: Option<Arc<[IpNet]>>,
}

/// A shard.
#[derive(Clone, Debug, Default)]
pub struct ShardInfo {
    /// Name in the policy; empty at an index whose shard the policy does not have.
    pub name: String,
    /// Declared weight.
    pub weight: u32,
    /// The target in words, such as `interface veth-a 02:00:00:00:00:0a`.
    pub target: String,
    /// Pools that it belongs to.
    pub pools: Vec<String>,
}

/// A slot table.
#[derive(Clone, Debug)]
pub struct TableInfo {
    /// First entry in [`Image::slots`](super::Image::slots).
    pub first: u32,
    /// The pool it places on.
    pub pool: String,
    /// Shards per row.
    pub width: u16,
}
