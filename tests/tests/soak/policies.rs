//! Random policies, and how one follows from another.
//!
//! Keys of a tenant's product are on shards `a` to `c`, keys of a tenant as a whole on `d` and `e`, and who has neither
//! on `f`: so it shows by the shard that a packet arrives at to which of them it was charged, whatever policy it met.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use keysteer::policy::Bundle;
use keysteer_tests::dice::Dice;

use crate::flows::{PRODUCTS, TENANTS};
use crate::world::{SHARDS, UPLINKS, shard_mac};

/// The environment of every policy here.
pub(crate) const ENVIRONMENT: &str = "soak";

/// What a change can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Keys come.
    Added,
    /// Keys go.
    Removed,
    /// Keys go to another pool.
    Repooled,
    /// Keys have another width.
    Rewidened,
    /// A shard has another weight.
    Reweighed,
    /// A new schema version, with the same fields, in another order, or fewer.
    Schema,
    /// Back to the generation before.
    Rollback,
}

impl Kind {
    pub(crate) const ALL: &[Self] = &[
        Self::Added,
        Self::Removed,
        Self::Repooled,
        Self::Rewidened,
        Self::Reweighed,
        Self::Schema,
        Self::Rollback,
    ];
}

/// Whose key: a tenant's as a whole, or one of its products'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) tenant: u8,
    pub(crate) product: Option<u8>,
}

impl Key {
    /// Every key that a policy can have.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (1..=TENANTS).flat_map(|tenant| {
            let products = (0..PRODUCTS - 1).map(Some).chain([None]);
            products.map(move |product| Self { tenant, product })
        })
    }

    /// The text that its id hangs on.
    pub(crate) fn identity(self) -> String {
        let product = self.product.map(|product| format!(";product={product}")).unwrap_or_default();
        format!("{ENVIRONMENT}{product};tenant=t{}", self.tenant)
    }

    fn pools(self) -> &'static [Pool] {
        if self.product.is_some() { &FINE } else { &COARSE }
    }
}

/// The shards that packets of keys of products can be at, those of tenants, and those of nobody.
pub(crate) const OF_PRODUCTS: std::ops::Range<usize> = 0..3;
pub(crate) const OF_TENANTS: std::ops::Range<usize> = 3..5;
pub(crate) const OF_NOBODY: usize = 5;

/// Name, shards, how many.
type Pool = (&'static str, &'static str, u16);
const FINE: [Pool; 4] =
    [("fine", "a, b, c", 3), ("fine-ab", "a, b", 2), ("fine-bc", "b, c", 2), ("fine-c", "c", 1)];
const COARSE: [Pool; 3] = [("coarse", "d, e", 2), ("coarse-d", "d", 1), ("coarse-e", "e", 1)];

/// How packets are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    TenantProduct,
    ProductTenant,
    /// There are no keys of products.
    Tenant,
}

/// Where a key goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    pool: Pool,
    /// 0: all.
    width: u16,
}

/// A policy.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    version: u8,
    layout: Layout,
    keys: BTreeMap<Key, Place>,
    weights: [u32; SHARDS.len()],
}

impl Spec {
    /// Half of the keys.
    pub(crate) fn first(dice: &mut Dice) -> Self {
        let mut spec = Self {
            version: 1,
            layout: Layout::TenantProduct,
            keys: BTreeMap::new(),
            weights: [1; SHARDS.len()],
        };
        for key in Key::all().filter(|_| dice.once_in(2)).collect::<Vec<_>>() {
            spec.keys.insert(key, place(key, dice));
        }
        spec
    }

    /// Another policy, and what about it was changed: `kind`, and now and then something else too.
    pub(crate) fn next(&self, kind: Kind, dice: &mut Dice) -> (Self, BTreeSet<Kind>) {
        let mut next = self.clone();
        let mut kinds = BTreeSet::new();
        let mut wanted = vec![kind];
        while dice.once_in(2) {
            wanted.push(dice.one([Kind::Added, Kind::Removed, Kind::Repooled, Kind::Rewidened]));
        }
        for kind in wanted {
            if next.change(kind, dice) {
                kinds.insert(kind);
            }
        }
        (next, kinds)
    }

    fn change(&mut self, kind: Kind, dice: &mut Dice) -> bool {
        let (have, lack): (Vec<Key>, Vec<Key>) = Key::all().partition(|key| self.keys.contains_key(key));
        match kind {
            Kind::Added => {
                let Some(key) = dice.pick(&lack) else { return false };
                self.keys.insert(*key, place(*key, dice));
            }
            Kind::Removed => {
                let Some(key) = dice.pick(&have) else { return false };
                self.keys.remove(key);
            }
            Kind::Repooled => {
                let Some(key) = dice.pick(&have) else { return false };
                let before = self.keys[key].pool;
                let others: Vec<_> = key.pools().iter().filter(|pool| **pool != before).collect();
                let pool = **dice.pick(&others).unwrap();
                self.keys.insert(*key, Place { pool, width: dice.below(usize::from(pool.2) + 1) as u16 });
            }
            Kind::Rewidened => {
                let wider: Vec<_> = have.into_iter().filter(|key| self.keys[key].pool.2 > 1).collect();
                let Some(key) = dice.pick(&wider) else { return false };
                let Place { pool, width } = self.keys[key];
                let width = (width + 1 + dice.below(usize::from(pool.2)) as u16) % (pool.2 + 1);
                self.keys.insert(*key, Place { pool, width });
            }
            Kind::Reweighed => {
                let shard = dice.below(SHARDS.len());
                self.weights[shard] = self.weights[shard] % 4 + 1;
            }
            Kind::Schema => {
                self.version = self.version % 200 + 1;
                self.layout = dice.one([Layout::TenantProduct, Layout::ProductTenant, Layout::Tenant]);
            }
            Kind::Rollback => return false,
        }
        true
    }

    /// The policy.
    pub(crate) fn bundle(&self) -> Bundle {
        Bundle { name: "soak.yaml".to_owned(), policy: self.text(), files: Vec::new() }
    }

    fn text(&self) -> String {
        let uplinks = UPLINKS.map(|(near, _)| format!("{{name: {near}}}")).join(", ");
        let tenants: Vec<_> = (1..=TENANTS)
            .map(|tenant| format!(r#"10.{tenant}.0.0/16: t{tenant}, "2001:db8:{tenant:x}::/48": t{tenant}"#))
            .collect();
        let (tenant, product) =
            ("{name: tenant, from: ip.src, table: tenants}", "{name: product, from: ip.dscp}");
        let (fields, levels) = match self.layout {
            Layout::TenantProduct => (format!("{tenant}, {product}"), "[tenant, product], [tenant]"),
            Layout::ProductTenant => (format!("{product}, {tenant}"), "[product, tenant], [tenant]"),
            Layout::Tenant => (tenant.to_owned(), "[tenant]"),
        };
        let mut text = format!(
            r#"apiVersion: keysteer.dev/v1alpha1
kind: SteeringPolicy
metadata: {{name: soak}}
spec:
  environment: {ENVIRONMENT}
  migration: none
  interfaces: [{uplinks}]
  scope:
    - {{destinations: [203.0.113.10/32, "2001:db8:10::10/128"], services: [udp/7000]}}
  prefixTables:
    tenants: {{{}}}
  schemas:
    - version: {}
      fields: [{fields}]
      levels: [{levels}]
  shards:
"#,
            tenants.join(", "),
            self.version
        );
        for (at, name) in SHARDS.into_iter().enumerate() {
            let mac = shard_mac(at).map(|byte| format!("{byte:02x}")).join(":");
            let weight = self.weights[at];
            let target = format!(r#"{{interface: {{name: to-{name}, mac: "{mac}"}}}}"#);
            writeln!(text, "    - {{name: {name}, weight: {weight}, target: {target}}}").unwrap();
        }
        text += "  pools:\n";
        for (name, shards, _) in FINE.iter().chain(&COARSE).chain(&[("rest", "f", 1)]) {
            writeln!(text, "    - {{name: {name}, shards: [{shards}]}}").unwrap();
        }
        text += "  classes: {missing: {pool: rest}, unregistered: {pool: rest}, malformed: drop}\n  keys:\n";
        let mut some = false;
        for (key, Place { pool: (pool, ..), width }) in &self.keys {
            let Key { tenant, product } = key;
            let width = if *width == 0 { "all".to_owned() } else { width.to_string() };
            let product = match (product, self.layout) {
                (Some(_), Layout::Tenant) => continue,
                (Some(product), _) => format!(", product: {product}"),
                (None, _) => String::new(),
            };
            some = true;
            let name = key.identity().replace([';', '='], "-");
            writeln!(
                text,
                "    - {{name: {name}, match: {{tenant: t{tenant}{product}}}, pool: {pool}, width: {width}}}"
            )
            .unwrap();
        }
        if !some {
            text.truncate(text.len() - "  keys:\n".len());
        }
        text
    }
}

/// Some place for a key.
fn place(key: Key, dice: &mut Dice) -> Place {
    let pool = *dice.pick(key.pools()).unwrap();
    Place { pool, width: dice.below(usize::from(pool.2) + 1) as u16 }
}
