//! Any text through the policy loader, and what is valid through the compiler.

use std::collections::BTreeSet;

use keysteer::compile::{CompileError, Host, compile_for};
use keysteer::image::Image;
use keysteer::kernel::interfaces::{Interface, Interfaces};
use keysteer::policy::{ClassAction, Diagnostic, Policy, PolicyError, Spelling, Target, Width, parse_with};
use keysteer::state::{Ids, Secrets};
use keysteer_common::extract::Key;
use keysteer_common::resolve::{Resolved, resolve};
use keysteer_common::tables::KeyEntry;
use keysteer_common::tables::SLOTS;
use keysteer_common::vocabulary::Class;

use super::model::longest;

/// A longer text is more of the same.
const LONGEST: usize = 8192;
/// What separates a policy from the file that its `keysFrom` names, on a line of its own.
pub(super) const KEYS_BELOW: &str = "\n%keys%\n";
/// What the policy is called.
const FILE: &str = "policy.yaml";
/// The most cells of slot tables that are built: a policy may ask for many, and gets them.
const MOST_CELLS: usize = 6 * SLOTS as usize;

/// Loads and compiles a policy.
pub fn policy(data: &[u8]) {
    let Some(Ok(text)) = data.get(..data.len().min(LONGEST)).map(std::str::from_utf8) else {
        return;
    };
    let (text, keys) = text.split_once(KEYS_BELOW).unwrap_or((text, ""));
    let read = |name: &str| {
        if name == "missing.csv" { Err(format!("cannot read {name}")) } else { Ok(keys.into()) }
    };
    match parse_with(text, FILE, &read) {
        Ok(policy) => {
            policy.warnings.iter().for_each(|warning| placed(warning, text, keys));
            compiled(&policy, text);
        }
        Err(PolicyError::Invalid(problems)) => {
            assert!(!problems.is_empty(), "refused without a reason");
            problems.iter().for_each(|problem| placed(problem, text, keys));
        }
        Err(error @ PolicyError::Io { .. }) => panic!("no file was to be read: {error}"),
    }
}

/// A problem names a line that its file has.
fn placed(problem: &Diagnostic, text: &str, keys: &str) {
    assert!(!problem.message.is_empty() && !problem.to_string().is_empty());
    let of_file = if problem.file == FILE { text } else { keys };
    let breaks = of_file.bytes().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    // What is about a whole file has no line.
    let whole = problem.message.ends_with("more problems are not listed")
        || (problem.file != FILE && problem.message.starts_with("is empty"));
    assert!(
        problem.line as usize <= breaks + 1 && (problem.line >= 1 || whole),
        "line {} of {}: {problem}",
        problem.line,
        breaks + 1
    );
    assert!(problem.column >= 1 || whole, "without a column: {problem}");
    assert!(problem.column as usize <= of_file.len() + 2, "beyond the file: {problem}");
}

/// Compiles a valid policy, on a host that has nothing and on one that has all it names.
fn compiled(policy: &Policy, text: &str) {
    let cells = cells(policy);
    if cells > MOST_CELLS {
        return;
    }
    let compile = |interfaces: &Interfaces, cpus: &[u32]| {
        let secrets = Secrets::from_bytes(&[7; 32]);
        compile_for(policy, Host { interfaces, cpus }, &secrets, &mut Ids::default())
    };
    match compile(&Interfaces::default(), &[]) {
        Err(CompileError::Host(lacking)) => lacking.iter().for_each(|problem| placed(problem, text, "")),
        other => panic!("a host without interfaces will not do: {other:?}"),
    }
    let image = compile(&interfaces(policy), &cpus(policy)).expect("the host has all that is named");
    assert_eq!(image.slots.len(), cells, "cells of slot tables");
    assert!(image.slots.iter().all(|shard| (*shard as usize) < policy.shards.len()));
    found(policy, &image);
}

/// How many cells the policy's slot tables have: one table for each pool and width that something uses.
fn cells(policy: &Policy) -> usize {
    let mut tables = BTreeSet::new();
    for (_, action) in policy.classes.all() {
        if let ClassAction::Pool(pool) = action {
            tables.insert((pool, 1));
        }
    }
    for key in &policy.keys {
        if let Some(pool) = key.pool {
            let size = policy.pools.get(pool).map_or(0, |pool| pool.shards.len());
            let columns = match key.width {
                Width::Shards(width) if usize::from(width) < size => usize::from(width),
                _ => 1,
            };
            tables.insert((pool, columns));
        }
    }
    tables.iter().map(|(_, columns)| columns * SLOTS as usize).sum()
}

/// Every interface that the policy names.
fn interfaces(policy: &Policy) -> Interfaces {
    let attached = policy.interfaces.iter().map(|interface| &interface.name);
    let exits = policy.shards.iter().filter_map(|shard| match &shard.target {
        Target::Interface { interface, .. } | Target::NextHop { interface, .. } => Some(interface),
        _ => None,
    });
    let names: BTreeSet<&String> = attached.chain(exits).collect();
    let interface = |(name, index): (&String, u32)| Interface::new(name, index, [2; 6]);
    Interfaces(names.into_iter().zip(2..).map(interface).collect())
}

/// Every CPU that the policy names.
fn cpus(policy: &Policy) -> Vec<u32> {
    let cpu = |target: &Target| if let Target::Cpu(cpu) = target { Some(*cpu) } else { None };
    policy.shards.iter().filter_map(|shard| cpu(&shard.target)).collect()
}

/// Everything that was declared is found in the image.
fn found(policy: &Policy, image: &Image) {
    for key in policy.keys.iter().filter(|_| policy.schemas.len() > 1) {
        // The stage by itself knows one version alone.
        let first = Spelling { level: key.level, key: key.key };
        for spelling in std::iter::once(&first).chain(&key.also) {
            let names =
                |entry: &KeyEntry| image.names.key(entry.id).is_some_and(|info| info.name == key.name);
            let mut entries = image.keys.iter().zip(image.keys_high.iter().chain(std::iter::repeat(&0)));
            let there = entries.any(|(entry, high)| {
                let whole = u128::from(*high) << 64 | u128::from(entry.key);
                entry.meta.is_level(spelling.level) && whole == spelling.key && names(entry)
            });
            assert!(there, "key {} at {spelling:?}", key.name);
        }
    }
    for key in policy.keys.iter().filter(|_| policy.schemas.len() == 1) {
        let level = policy.level(key.level).map_or(&[][..], |level| level.members);
        let present = level.iter().fold(0, |bits, field| bits | 1 << field);
        let Resolved { class, entry, .. } =
            resolve(image, &Key { key: [(key.key >> 64) as u64, key.key as u64], present });
        assert_eq!(class, Class::Assigned, "key {}", key.name);
        let name = entry.and_then(|entry| image.names.key(entry.id)).map(|info| info.name.as_str());
        assert_eq!(name, Some(key.name.as_str()));
    }
    for destination in &policy.scope {
        for address in [destination.prefix.network(), destination.prefix.broadcast()] {
            assert_ne!(image.find_prefix(&image.config.scope, address), 0, "{address} is in scope");
        }
    }
    let configs = policy.schemas.iter().zip(&image.config.fields);
    for (field, config) in configs.flat_map(|(schema, configs)| schema.fields.iter().zip(configs)) {
        let Some(table) = field.table.and_then(|at| policy.tables.get(at)) else { continue };
        for (net, _) in &table.prefixes {
            for address in [net.network(), net.broadcast()] {
                let number = longest(table.prefixes.iter().copied(), address);
                assert_eq!(Some(image.find_prefix(&config.prefixes, address)), number, "{address}");
            }
        }
    }
}
