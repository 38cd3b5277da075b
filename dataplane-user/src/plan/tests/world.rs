//! Random policies over the same world: eight shards, three pools, sixteen tenants.

use std::fmt::Write as _;

use proptest::prelude::*;

/// A key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    pub(super) pool: usize,
    /// 0: all.
    pub(super) width: usize,
    pub(super) denied: bool,
    pub(super) owner: usize,
    pub(super) named: usize,
}

/// A policy.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct World {
    /// By shard: its weight; none where it is not there.
    pub(super) weights: Vec<Option<u32>>,
    /// By pool: which shards it wants, as bits.
    pub(super) pools: Vec<u8>,
    /// By tenant.
    pub(super) keys: Vec<Option<Key>>,
    /// Where unregistered keys go: a pool, or pass.
    pub(super) unregistered: Option<usize>,
}

pub(super) const TENANTS: usize = 16;

pub(super) fn worlds() -> impl Strategy<Value = World> {
    let key = (0..3_usize, 0..4_usize, prop::bool::weighted(0.1), 0..3_usize, 0..2_usize)
        .prop_map(|(pool, width, denied, owner, named)| Key { pool, width, denied, owner, named });
    let weights = prop::collection::vec(prop::option::weighted(0.8, 1..4_u32), 8);
    let keys = prop::collection::vec(prop::option::weighted(0.8, key), TENANTS);
    (weights, prop::collection::vec(1..=255_u8, 3), keys, prop::option::of(0..3_usize)).prop_map(
        |(mut weights, pools, keys, unregistered)| {
            // There is always one.
            weights[0].get_or_insert(1);
            World { weights, pools, keys, unregistered }
        },
    )
}

impl World {
    /// The shards of a pool: those it wants that are there, else the first.
    pub(super) fn members(&self, pool: usize) -> Vec<usize> {
        let wanted = |shard: &usize| self.pools[pool] >> shard & 1 == 1 && self.weights[*shard].is_some();
        let members: Vec<usize> = (0..8).filter(wanted).collect();
        if members.is_empty() { vec![0] } else { members }
    }

    /// The policy. In `reverse`, everything whose order means nothing is the other way round.
    pub(super) fn text(&self, reverse: bool) -> String {
        let order = |mut lines: Vec<String>| {
            if reverse {
                lines.reverse();
            }
            lines.join("")
        };
        let shards = (0..8).filter_map(|shard| {
            let weight = self.weights[shard]?;
            Some(format!("    - {{name: s{shard}, weight: {weight}, target: pass}}\n"))
        });
        let pools = (0..3).map(|pool| {
            let mut names: Vec<String> = self.members(pool).iter().map(|shard| format!("s{shard}")).collect();
            if reverse {
                names.reverse();
            }
            format!("    - {{name: p{pool}, shards: [{}]}}\n", names.join(", "))
        });
        let keys = self.keys.iter().enumerate().filter_map(|(tenant, key)| {
            let key = key.as_ref()?;
            let width = match key.width {
                0 => "all".to_owned(),
                width => width.min(self.members(key.pool).len()).to_string(),
            };
            let mut line = format!(
                "    - {{name: tenant-{tenant}-{}, match: {{tenant: 10.0.0.{tenant}}}, pool: p{}, width: {width}, owner: o{}",
                key.named, key.pool, key.owner
            );
            if key.denied {
                line.push_str(", deny: true");
            }
            Some(line + "}\n")
        });
        let mut text = "apiVersion: keysteer.dev/v1alpha1\nkind: SteeringPolicy\nmetadata: {name: p}\nspec:\n  \
            environment: prod\n  interfaces: [{name: eth0}]\n  scope: [{destinations: [203.0.113.0/24]}]\n  schemas:\n    \
            - {version: 1, fields: [{name: tenant, from: ipv4.src}]}\n"
            .to_owned();
        let _ = write!(text, "  shards:\n{}  pools:\n{}", order(shards.collect()), order(pools.collect()),);
        let keys = order(keys.collect());
        if !keys.is_empty() {
            let _ = write!(text, "  keys:\n{keys}");
        }
        if let Some(pool) = self.unregistered {
            let _ = writeln!(text, "  classes: {{unregistered: {{pool: p{pool}}}}}");
        }
        text
    }
}
