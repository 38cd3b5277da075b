//! What changes, but for keys.

use serde::{Deserialize, Serialize};

use super::List;

/// What changes, but for keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// Fields of the policy that have one value.
    pub settings: Vec<FieldChange>,
    /// Where the program is attached.
    pub interfaces: Difference,
    /// Destinations and their services.
    pub scope: Difference,
    /// Prefixes of prefix tables, each called by its table and itself.
    pub prefixes: Difference,
    /// Version, fields and levels of the schema.
    pub schema: Vec<FieldChange>,
    /// Shards.
    pub shards: Difference,
    /// Pools.
    pub pools: Difference,
    /// Tiers.
    pub tiers: Difference,
}

impl Changes {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        let Self { settings, interfaces, scope, prefixes, schema, shards, pools, tiers } = self;
        settings.is_empty()
            && schema.is_empty()
            && [interfaces, scope, prefixes, shards, pools, tiers].iter().all(|it| it.is_empty())
    }
}

/// What of a list of named things changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// New ones.
    pub added: List<Named>,
    /// Those that go.
    pub removed: List<Named>,
    /// Those that are there before and after, and not the same.
    pub changed: List<Changed>,
}

impl Difference {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// A named thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// Its name.
    pub name: String,
    /// What it is, in words.
    pub what: String,
}

/// A named thing that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// Its name.
    pub name: String,
    /// What changes.
    pub fields: Vec<FieldChange>,
}

/// A field that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// Its name, as in the policy.
    pub field: String,
    /// Its value before; none where it had none.
    pub before: Option<String>,
    /// Its value after.
    pub after: Option<String>,
}
