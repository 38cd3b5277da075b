//! Keys that were claimed without right, as the API says it: by key and interface, what was claimed most first.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use keysteer_common::account::Counter;

use super::types::Claim;
use crate::agent::node::Node;
use crate::counters::{Snapshot, add};

/// What an interface is called that is not steered now.
pub fn interface(index: u32) -> String {
    format!("index {index}")
}

/// `GET /v1/claims`
pub fn claims(node: &Node, snapshot: &Snapshot) -> Vec<Claim> {
    list(node, snapshot.claims.iter())
}

/// The claims of key `id`.
pub fn of_key(node: &Node, snapshot: &Snapshot, id: u32) -> Vec<Claim> {
    list(node, snapshot.claims.range((id, 0)..=(id, u32::MAX)))
}

fn list<'s>(node: &Node, claims: impl Iterator<Item = (&'s (u32, u32), &'s Counter)>) -> Vec<Claim> {
    // An interface that was gone and came back is another with the same name.
    let mut sums: BTreeMap<(u32, Option<String>), Counter> = BTreeMap::new();
    for ((id, index), counter) in claims {
        let steered = node.interfaces.iter().find(|at| at.index == *index).map(|at| at.name.clone());
        let name = (*index != 0).then(|| steered.unwrap_or_else(|| interface(*index)));
        add(sums.entry((*id, name)).or_default(), *counter);
    }
    let mut list: Vec<Claim> = sums
        .into_iter()
        .map(|((id, interface), Counter { packets, bytes })| Claim {
            key: node.names.key(id).map(|key| key.name.clone()),
            id,
            interface,
            packets,
            bytes,
        })
        .collect();
    list.sort_by_key(|claim| Reverse(claim.packets));
    list
}
