//! The document's parts, of the right types, each with its place.

use std::time::Duration;

use ipnet::IpNet;
use keysteer_common::tables::Service;

use crate::display::Display;
use crate::policy::date::Date;
use crate::policy::migration::{Migration, Udp};
use crate::policy::model::{Interface, Mode, Target, Width};
use crate::policy::reader::At;
use crate::policy::share::Share;

use super::{CLASSES, RawEgress, RawHealth, RawRollout, RawShardHealth, RawSigning, RawTrust};

/// A document of the right shape.
#[derive(Debug)]
pub(in crate::policy) struct Document<'n> {
    pub(in crate::policy) name: String,
    pub(in crate::policy) environment: String,
    pub(in crate::policy) mode: Mode,
    pub(in crate::policy) interfaces: Vec<Interface>,
    pub(in crate::policy) scope: Vec<RawScope>,
    pub(in crate::policy) tables: Vec<RawTable<'n>>,
    pub(in crate::policy) schemas: At<Vec<RawSchema<'n>>>,
    pub(in crate::policy) carriers: RawCarriers,
    pub(in crate::policy) fragments: Option<At<RawFragments<'n>>>,
    pub(in crate::policy) shards: Vec<RawShard>,
    pub(in crate::policy) pools: Vec<RawPool<'n>>,
    pub(in crate::policy) tiers: Vec<RawTier<'n>>,
    pub(in crate::policy) keys: Vec<RawKey<'n>>,
    pub(in crate::policy) keys_from: Option<At<&'n str>>,
    pub(in crate::policy) trust: Option<RawTrust<'n>>,
    pub(in crate::policy) classes: [Option<RawClass<'n>>; CLASSES.len()],
    pub(in crate::policy) blast_radius: RawBlastRadius,
    /// The name of the field that is the region.
    pub(in crate::policy) residency: Option<At<&'n str>>,
    pub(in crate::policy) signing: Option<RawSigning>,
    pub(in crate::policy) egress: Option<RawEgress<'n>>,
    pub(in crate::policy) migration: Option<Migration>,
    pub(in crate::policy) rollout: Option<RawRollout<'n>>,
    pub(in crate::policy) health: Option<RawHealth>,
}

/// An entry of the scope.
#[derive(Debug)]
pub(in crate::policy) struct RawScope {
    pub(in crate::policy) destinations: Option<Vec<At<IpNet>>>,
    pub(in crate::policy) services: Option<Vec<At<Option<Service>>>>,
}

/// A prefix table.
#[derive(Debug)]
pub(in crate::policy) struct RawTable<'n> {
    pub(in crate::policy) name: At<String>,
    pub(in crate::policy) prefixes: Vec<(At<IpNet>, At<&'n str>)>,
}

/// A schema.
#[derive(Debug)]
pub(in crate::policy) struct RawSchema<'n> {
    pub(in crate::policy) version: At<u32>,
    pub(in crate::policy) fields: At<Vec<RawField<'n>>>,
    pub(in crate::policy) levels: Option<At<Vec<RawLevel<'n>>>>,
    pub(in crate::policy) since: Option<At<Date>>,
    pub(in crate::policy) deprecated: Option<At<Date>>,
    pub(in crate::policy) dual_accept: Option<At<Duration>>,
}

/// The names of a level's fields.
pub(in crate::policy) type RawLevel<'n> = At<Vec<At<&'n str>>>;

/// A field of a schema.
#[derive(Debug)]
pub(in crate::policy) struct RawField<'n> {
    pub(in crate::policy) name: At<String>,
    pub(in crate::policy) from: At<&'n str>,
    pub(in crate::policy) bits: Option<At<(u32, u32)>>,
    pub(in crate::policy) option: Option<At<RawOption>>,
    pub(in crate::policy) rotation: Option<At<u32>>,
    pub(in crate::policy) signed: Option<At<bool>>,
    pub(in crate::policy) table: Option<At<&'n str>>,
    pub(in crate::policy) mask: Option<At<u128>>,
    pub(in crate::policy) values: Vec<RawNamed<'n>>,
    pub(in crate::policy) display: Display,
}

/// A name of some of a field's values.
pub(in crate::policy) type RawNamed<'n> = (At<&'n str>, Vec<At<u128>>);

/// Which option of a packet a field is.
#[derive(Clone, Copy, Debug)]
pub(in crate::policy) enum RawOption {
    /// Of Geneve: its class and type.
    Geneve(u32, u32),
    /// Of TCP: its kind, and the id of an experiment.
    Tcp(u32, Option<u32>),
}

/// Where tunnels and connection ids are found.
#[derive(Debug, Default)]
pub(in crate::policy) struct RawCarriers {
    /// What is said, and of which carriers: their names in `spec.carriers`.
    pub(in crate::policy) ports: Vec<(&'static str, At<u32>)>,
    pub(in crate::policy) quic_length: Option<At<u32>>,
    /// The sections that are there, each at its first value.
    pub(in crate::policy) sections: Vec<At<&'static str>>,
}

/// What later fragments meet.
#[derive(Debug, Default)]
pub(in crate::policy) struct RawFragments<'n> {
    /// How many datagrams are remembered.
    pub(in crate::policy) table: Option<u32>,
    /// What those meet that follow none.
    pub(in crate::policy) otherwise: Option<RawClass<'n>>,
}

/// A shard.
#[derive(Debug)]
pub(in crate::policy) struct RawShard {
    pub(in crate::policy) name: At<String>,
    pub(in crate::policy) weight: u32,
    pub(in crate::policy) target: At<Target>,
    pub(in crate::policy) zone: Option<At<String>>,
    /// How it is asked, where otherwise than the others.
    pub(in crate::policy) health: Option<RawShardHealth>,
}

/// A pool.
#[derive(Debug)]
pub(in crate::policy) struct RawPool<'n> {
    pub(in crate::policy) name: At<String>,
    pub(in crate::policy) shards: Vec<At<&'n str>>,
    pub(in crate::policy) region: Option<At<&'n str>>,
    pub(in crate::policy) udp: Udp,
    /// Its own floor.
    pub(in crate::policy) floor: Option<At<Share>>,
}

/// A tier.
#[derive(Debug)]
pub(in crate::policy) struct RawTier<'n> {
    pub(in crate::policy) name: At<String>,
    pub(in crate::policy) pool: At<&'n str>,
    pub(in crate::policy) width: Option<At<Width>>,
    pub(in crate::policy) owner: Option<At<&'n str>>,
    pub(in crate::policy) cost_centre: Option<At<&'n str>>,
    pub(in crate::policy) account: Option<At<&'n str>>,
    pub(in crate::policy) rank: u16,
    pub(in crate::policy) vip: bool,
}

/// A key.
#[derive(Debug)]
pub(in crate::policy) struct RawKey<'n> {
    pub(in crate::policy) name: At<&'n str>,
    /// Field name and value.
    pub(in crate::policy) values: At<Vec<(At<&'n str>, At<&'n str>)>>,
    pub(in crate::policy) rest: KeyRest<'n>,
}

/// What of a key does not identify it; the same in YAML and in CSV.
#[derive(Debug, Default)]
pub(in crate::policy) struct KeyRest<'n> {
    pub(in crate::policy) tier: Option<At<&'n str>>,
    pub(in crate::policy) pool: Option<At<&'n str>>,
    pub(in crate::policy) width: Option<At<Width>>,
    pub(in crate::policy) owner: Option<At<&'n str>>,
    pub(in crate::policy) cost_centre: Option<At<&'n str>>,
    pub(in crate::policy) account: Option<At<&'n str>>,
    pub(in crate::policy) deny: bool,
    pub(in crate::policy) reason: Option<At<&'n str>>,
    pub(in crate::policy) region: Option<At<&'n str>>,
    pub(in crate::policy) vip: Option<bool>,
    /// The version of the schema that it is of alone.
    pub(in crate::policy) schema: Option<At<u32>>,
    pub(in crate::policy) alias_of: Option<At<&'n str>>,
    pub(in crate::policy) sources: Option<At<Vec<IpNet>>>,
    /// The shards of its pool that it is pinned to.
    pub(in crate::policy) shards: Option<At<Vec<At<&'n str>>>>,
}

/// How much may hang on one shard.
#[derive(Debug, Default)]
pub(in crate::policy) struct RawBlastRadius {
    pub(in crate::policy) keys: Option<At<Share>>,
    pub(in crate::policy) traffic: Option<At<Share>>,
}

/// What a class meets.
#[derive(Debug)]
pub(in crate::policy) enum RawClass<'n> {
    Pass,
    Drop,
    Pool(At<&'n str>),
}
