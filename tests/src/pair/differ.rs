//! Where two snapshots of counters differ.

use std::collections::BTreeMap;
use std::fmt;

use keysteer::counters::Snapshot;
use keysteer_common::account::Counter;

/// The first counter in which two snapshots differ.
pub(super) fn unequal(kernel: &Snapshot, host: &Snapshot) -> Option<String> {
    fn list<T: PartialEq + fmt::Debug>(name: &str, kernel: &[T], host: &[T]) -> Option<String> {
        if kernel.len() != host.len() {
            return Some(format!("{name}: the kernel has {} and the host {}", kernel.len(), host.len()));
        }
        let at = kernel.iter().zip(host).position(|(kernel, host)| kernel != host)?;
        Some(format!("{name} {at}: kernel {:?}, host {:?}", kernel.get(at), host.get(at)))
    }
    list("verdict", &kernel.node.verdicts, &host.node.verdicts)
        .or_else(|| list("outcome", &kernel.node.outcomes, &host.node.outcomes))
        .or_else(|| list("key", &kernel.keys, &host.keys))
        .or_else(|| list("events of key", &kernel.events, &host.events))
        .or_else(|| list("shard", &kernel.shards, &host.shards))
        .or_else(|| unequal_maps("version", &kernel.versions, &host.versions))
        .or_else(|| unequal_maps("claim", &kernel.claims, &host.claims))
        .or_else(|| {
            let of = |snapshot: &Snapshot| snapshot.back.clone().unwrap_or_default();
            let (kernel, host) = (of(kernel), of(host));
            // Of what was never counted one of the two has no lists.
            if kernel.sent() == host.sent() && kernel.sent() == Counter::default() {
                return None;
            }
            list("class on the way back", &kernel.classes, &host.classes)
                .or_else(|| list("key on the way back", &kernel.keys, &host.keys))
                .or_else(|| list("shard on the way back", &kernel.shards, &host.shards))
        })
}

/// The first entry in which two maps of counters differ.
fn unequal_maps<K: Ord + fmt::Debug>(
    name: &str,
    kernel: &BTreeMap<K, Counter>,
    host: &BTreeMap<K, Counter>,
) -> Option<String> {
    let mut keys = kernel.keys().chain(host.keys());
    let key = keys.find(|key| kernel.get(key) != host.get(key))?;
    Some(format!("{name} {key:?}: kernel {:?}, host {:?}", kernel.get(key), host.get(key)))
}
