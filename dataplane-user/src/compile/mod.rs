//! A checked policy to the tables of one generation.
//!
//! ```text
//!  prefix tables, scope   --prefixes-->  index and steps
//!  scope                  --services-->  service sets
//!  schema                 --schema-->    fields, levels
//!  pools, widths          --slots-->     slot tables                 (placement)
//!  keys                   --identity-->  slot and dense id of each
//!                         --keys-->      open-addressed key table
//!  way back               --back-->      pods, stamps, whose addresses are whose
//!  shards                 --shards-->    interface indices and MAC addresses of this host
//!  interfaces             --devices-->   the devices to attach to on this host
//! ```
//!
//! The same policy, secrets and ids give the same image. What the host must have for it (interfaces,
//! CPUs) is checked here, and only here.

mod back;
mod devices;
mod identity;
mod imagined;
mod keys;
mod names;
mod prefixes;
mod schema;
mod services;
mod shards;
mod slots;
mod trust;

#[cfg(test)]
#[path = "aiming_tests.rs"]
mod aiming;
#[cfg(test)]
#[path = "pinned_tests.rs"]
mod pinned;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
#[path = "versions_tests.rs"]
mod versions;

use std::io;

use keysteer_common::config::{
    ABI, ClassConfig, Config, FRAGMENT_CLASS, FieldConfig, LevelConfig, SchemaConfig, class_action, fragments,
};
use keysteer_common::headers::{ALL_LEVELS, FIELDS, SCHEMAS};
use keysteer_common::shim::Signing;
use keysteer_common::vocabulary::Class;

use crate::both::{MANY, both};
use crate::display::Veil;
use crate::image::{Image, Moves, Words};
use crate::kernel::interfaces::Interfaces;
use crate::placement::Placement;
use crate::policy::{ClassAction, Diagnostic, Mode, Policy, Target};
use crate::state::{Ids, Secrets};

pub use devices::{Device, devices, follow, parts};
pub use identity::{Identities, identity, of_compiled, shown, slot, slot_of};
pub use imagined::{Imagined, LOOPBACK, arrive, reachable};

/// A policy that cannot become an image.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The policy asks for what this host does not have; every case.
    #[error("{}", crate::policy::lines(.0))]
    Host(Vec<Diagnostic>),
    /// The online CPUs are not known.
    #[error("cannot read the online CPUs from {path}: {cause}")]
    Cpus {
        /// Where they are listed.
        path: &'static str,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
    /// Too many prefixes share their first 64 bits.
    #[error(
        "{table}: too many prefixes lie too close together ({steps} address ranges in one of the index's buckets, at most {most} are possible): leave out prefixes that differ only in their last bits"
    )]
    Dense {
        /// Which table.
        table: String,
        /// How many ranges there are in a bucket.
        steps: usize,
        /// How many there can be.
        most: usize,
    },
    /// The keys could not be arranged within the look-up's bounds.
    #[error("the {keys} keys do not fit a table of {entries} entries: use fewer keys")]
    KeyTable {
        /// How many keys.
        keys: usize,
        /// The largest table that was tried.
        entries: usize,
    },
    /// Too many pairs of an address range and a key that may come from there.
    #[error(
        "the sources of the keys make more than {most} pairs of an address range and a key that may come from there: list fewer or wider prefixes"
    )]
    Sources {
        /// How many there can be.
        most: usize,
    },
    /// Too many combinations of pool and width.
    #[error("the keys use more than {most} combinations of pool and width: use fewer")]
    SlotTables {
        /// How many there can be.
        most: u32,
    },
    /// Every index was given to some shard in this node's life.
    #[error(
        "{shard}: all {most} shard indices were given, and none is given twice while its counters are kept: start anew with an empty state directory"
    )]
    ShardIndices {
        /// The shard that has none.
        shard: String,
        /// How many there can be.
        most: u16,
    },
    /// The tables are those of another policy.
    #[error(
        "pool {pool} has no table of width {width} among those that the policy is compiled to: they are another policy's"
    )]
    Placement {
        /// Which pool.
        pool: String,
        /// Of which width.
        width: u16,
    },
    /// A table is longer than its 32-bit index reaches.
    #[error(
        "the {what} would have {entries} entries, more than an index of 32 bits reaches: use narrower widths or fewer pools"
    )]
    TooLarge {
        /// Which table.
        what: &'static str,
        /// How many entries it would have.
        entries: usize,
    },
}

/// What a policy is compiled for.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    /// The interfaces there are.
    pub interfaces: &'a Interfaces,
    /// The CPUs that are online.
    pub cpus: &'a [u32],
}

/// Compiles a policy for this host, to the tables that it has where none were before. Keys that have no id yet get one from
/// `ids`.
///
/// # Errors
/// The host lacks what the policy names, or a table cannot be built.
pub fn compile(
    policy: &Policy,
    interfaces: &Interfaces,
    secrets: &Secrets,
    ids: &mut Ids,
) -> Result<Image, CompileError> {
    compile_here(policy, interfaces, secrets, ids, &Placement::next(None, policy))
}

/// Compiles a policy for this host, to the tables of `placement`, which must be of this policy.
///
/// # Errors
/// The host lacks what the policy names, or a table cannot be built.
pub fn compile_here(
    policy: &Policy,
    interfaces: &Interfaces,
    secrets: &Secrets,
    ids: &mut Ids,
    placement: &Placement,
) -> Result<Image, CompileError> {
    let needs_cpus = policy.shards.iter().any(|shard| matches!(shard.target, Target::Cpu(_)));
    let cpus = if needs_cpus {
        aya::util::online_cpus().map_err(|(path, cause)| CompileError::Cpus { path, cause })?
    } else {
        Vec::new()
    };
    compile_placed(policy, Host { interfaces, cpus: &cpus }, secrets, ids, placement)
}

/// Compiles a policy for a host that need not be this one, to the tables that it has where none were before.
///
/// # Errors
/// The host lacks what the policy names, or a table cannot be built.
pub fn compile_for(
    policy: &Policy,
    host: Host<'_>,
    secrets: &Secrets,
    ids: &mut Ids,
) -> Result<Image, CompileError> {
    compile_placed(policy, host, secrets, ids, &Placement::next(None, policy))
}

/// Compiles a policy for a host that need not be this one, to the tables of `placement`, which must be of this policy.
///
/// # Errors
/// The host lacks what the policy names, or a table cannot be built.
pub fn compile_placed(
    policy: &Policy,
    host: Host<'_>,
    secrets: &Secrets,
    ids: &mut Ids,
    placement: &Placement,
) -> Result<Image, CompileError> {
    let indices = shards::indices(policy, &mut ids.shards)?;
    let shards = shards::compile(policy, host, &indices)?;
    devices(policy, host.interfaces)?;
    let mut prefixes = prefixes::Tables::default();
    let tables = policy
        .tables
        .iter()
        .map(|table| prefixes.add(&format!("prefix table {}", table.name), &table.prefixes))
        .collect::<Result<Vec<_>, _>>()?;
    let (services, destinations) = services::compile(&policy.scope);
    let scope = prefixes.add("the scope", &destinations)?;

    let mut fields = [[FieldConfig::default(); FIELDS]; SCHEMAS];
    let mut schemas = [SchemaConfig::default(); SCHEMAS];
    let mut levels = [LevelConfig::default(); ALL_LEVELS];
    let mut reads = 0;
    let mut given = 0;
    for ((schema, fields), config) in policy.schemas.iter().zip(&mut fields).zip(&mut schemas) {
        *fields = schema::fields(schema, &tables);
        *config = schema::schema(schema, given);
        for (to, level) in levels.iter_mut().skip(given).zip(schema::levels(schema)) {
            *to = level;
            given += 1;
        }
        reads |= schema::reads(schema);
    }
    let wide = policy.schemas.iter().any(schema::is_wide);
    let mut slots = slots::Slots::new(policy, &indices, placement);
    let mut class = |action| -> Result<ClassConfig, CompileError> {
        Ok(match action {
            ClassAction::Pass => ClassConfig { slots: 0, action: class_action::PASS },
            ClassAction::Drop => ClassConfig { slots: 0, action: class_action::DROP },
            ClassAction::Pool(pool) => {
                ClassConfig { slots: slots.first(pool, 1)?, action: class_action::STEER }
            }
        })
    };
    let mut config = Config {
        abi: ABI,
        flow_secret: secrets.flow,
        scope,
        fields,
        schemas,
        reads,
        ports: policy.carriers.ports,
        quic_length: policy.carriers.quic_length,
        ..Config::ZERO
    };
    (config.services_len, config.services) = services::inline(&services);
    let mut policy_fields = policy.schemas.iter().flat_map(|schema| &schema.fields);
    if policy_fields.any(|field| field.carrier.is_behind_fragmentation()) {
        (config.fragments, config.datagrams) = match policy.datagrams {
            Some(datagrams) => (fragments::FOLLOW, datagrams),
            None => (fragments::AS_CLASS, 0),
        };
    }
    for (number, action) in [
        (FRAGMENT_CLASS, class(policy.classes.fragments)?),
        (Class::Missing as usize, class(policy.classes.missing)?),
        (Class::Unregistered as usize, class(policy.classes.unregistered)?),
        (Class::Malformed as usize, class(policy.classes.malformed)?),
        (Class::Unauthenticated as usize, class(policy.classes.unauthenticated)?),
    ] {
        if let Some(class) = config.classes.get_mut(number) {
            *class = action;
        }
    }

    let entries = keys::entries(policy, &mut slots, &mut ids.keys)?;
    let schemas = &policy.schemas;
    (config.interfaces_len, config.interfaces) = trust::interfaces(policy, schemas, host.interfaces);
    let sources = trust::sources(policy, &entries, &mut prefixes)?;
    let pairs = sources.map_or_else(Vec::new, |sources| {
        sources.tell(&mut config);
        sources.pairs
    });
    let back = back::compile(policy, &indices, &entries, &mut prefixes)?;
    config.back = back.config;
    let tables = slots.finish();
    let named = |keys| names::keys(policy, &indices, &entries, &tables, keys);
    // Names take three times as long as the table.
    let (first, most) = (entries.len() / 3, entries.len() >= MANY);
    let ((table, mut keys), mut rest) = both(
        most,
        || (keys::arrange(&entries, given, secrets.key, wide), named(0..first)),
        || named(first..entries.len()),
    );
    let table = table?;
    keys.append(&mut rest);
    for (level, multipliers) in levels.iter_mut().zip(table.multipliers).take(given) {
        level.multipliers = multipliers;
    }
    config.levels = levels;
    config.key_mask = u32::try_from(table.entries.len().saturating_sub(1)).unwrap_or(u32::MAX);
    config.key_probes = table.probes;
    config.key_shift = table.shift;
    config.shards = u32::try_from(shards.len()).unwrap_or(u32::MAX);
    config.observe = (policy.mode == Mode::Observe).into();
    config.wide = wide.into();
    // Tools and tests read the record; the kernel room turns it off for a program that is to forward.
    config.record = 1;
    let names = names::names(policy, &indices, keys, tables.names, Veil::new(secrets.display));
    Ok(Image {
        config,
        prefix_index: prefixes.index,
        prefix_steps: prefixes.steps,
        prefix_low: prefixes.low,
        services,
        keys: table.entries,
        keys_high: table.high,
        slot_tables: tables.list,
        slots: tables.slots,
        shards,
        pairs,
        pods: back.pods,
        stamps: back.stamps,
        signing: Signing::default(),
        now: 0,
        words: Words::default(),
        moves: Moves::default(),
        names,
        tc: false,
    })
}
