//! Proofs about the counters.

use std::collections::BTreeMap;

use keysteer_common::account::drop_slot;
use keysteer_common::vocabulary::{Class, Reason, Verdict};

use super::proof::{Differences, Proof};
use super::readings::{Counted, Settled};
use super::site::Site;
use crate::control::types::Count;
use crate::counters::Snapshot;
use crate::image::Image;

/// What was captured was sent and received: nothing was missed on the way.
pub(super) fn complete(captured: usize, settled: &Settled) -> Proof {
    let mut differences = Differences::default();
    let captured = captured as u64;
    differences.equal("frames that the client's interfaces sent", settled.client, captured);
    differences.equal("frames that the program received", settled.counted.status.received.packets, captured);
    Proof::new(
        format!(
            "{captured} frames left the client (captured, none lost), as many as its interface sent and the \
             program in the kernel received"
        ),
        differences,
    )
}

/// The kernel counted exactly what the host engine counts over the frames that were sent.
pub(super) fn exact(counted: &Counted, expected: &Snapshot, image: &Image) -> Proof {
    let mut differences = Differences::default();
    for key in &counted.keys {
        let index = key.id as usize;
        let wanted = expected.keys.get(index).copied().unwrap_or_default();
        let events = expected.events.get(index).copied().unwrap_or_default();
        let name = &key.name;
        differences.equal(format_args!("packets of {name}"), key.packets, wanted.packets);
        differences.equal(format_args!("bytes of {name}"), key.bytes, wanted.bytes);
        differences.equal(format_args!("flows of {name}"), key.flows, events.flows);
        for reason in Reason::ALL {
            let Some(slot) = drop_slot(*reason) else { continue };
            let wanted = events.drops.get(slot).copied().unwrap_or_default();
            let found = key.drops.get(reason.name()).copied().unwrap_or_default();
            let what = format!("of {name} dropped as {}", reason.name());
            counts(&mut differences, &what, found, Count { packets: wanted.packets, bytes: wanted.bytes });
        }
    }
    differences.equal("keys that the agent lists", counted.keys.len(), image.names.keys.len());
    for (shard, wanted) in counted.shards.iter().zip(&expected.shards) {
        let name = &shard.name;
        differences.equal(format_args!("packets of shard {name}"), shard.packets, wanted.packets);
        differences.equal(format_args!("bytes of shard {name}"), shard.bytes, wanted.bytes);
        differences.equal(format_args!("flows of shard {name}"), shard.flows, wanted.flows);
        differences.equal(format_args!("drops of shard {name}"), shard.dropped, wanted.dropped);
    }
    differences.equal("shards that the agent lists", counted.shards.len(), expected.shards.len());
    let status = &counted.status;
    for verdict in Verdict::ALL {
        let wanted = expected.verdict(*verdict);
        let found = status.verdicts.get(verdict.name()).copied().unwrap_or_default();
        let what = format!("with verdict {}", verdict.name());
        counts(&mut differences, &what, found, Count { packets: wanted.packets, bytes: wanted.bytes });
    }
    let outcomes: BTreeMap<_, _> = status
        .outcomes
        .iter()
        .map(|outcome| {
            let count = Count { packets: outcome.packets, bytes: outcome.bytes };
            ((outcome.class.as_str(), outcome.reason.as_str()), count)
        })
        .collect();
    for class in Class::ALL {
        for reason in Reason::ALL {
            let wanted = expected.outcome(*class, *reason);
            let found = outcomes.get(&(class.name(), reason.name())).copied().unwrap_or_default();
            let what = format!("{} and {}", class.name(), reason.name());
            counts(&mut differences, &what, found, Count { packets: wanted.packets, bytes: wanted.bytes });
        }
    }
    Proof::new(
        format!(
            "the host engine over those frames counts exactly what the kernel counted: packets, bytes and flows of \
             {} keys and {} shards, every verdict, class and reason",
            counted.keys.len(),
            counted.shards.len()
        ),
        differences,
    )
}

/// `received = Σ verdicts = Σ keys + Σ other classes`, in packets and in bytes.
pub(super) fn balanced(counted: &Counted) -> Proof {
    let mut differences = Differences::default();
    let status = &counted.status;
    let received = status.received;
    let verdicts = sum(status.verdicts.values().copied());
    let keys = sum(counted.keys.iter().map(|key| Count { packets: key.packets, bytes: key.bytes }));
    let others = sum(status
        .outcomes
        .iter()
        .filter(|outcome| outcome.class != Class::Assigned.name())
        .map(|outcome| Count { packets: outcome.packets, bytes: outcome.bytes }));
    counts(&mut differences, "of all verdicts", verdicts, received);
    counts(&mut differences, "of all keys and other classes", sum([keys, others].into_iter()), received);
    differences.equal("whether the agent found its reading balanced", status.balanced, true);
    Proof::new(
        format!(
            "received {} = verdicts {} = keys {} + other classes {}, and the same in bytes ({})",
            received.packets, verdicts.packets, keys.packets, others.packets, received.bytes
        ),
        differences,
    )
}

/// Each shard host received what it was handed, and what the node's own stack sent it, and no more.
pub(super) fn delivered(settled: &Settled, site: &Site, routed: &BTreeMap<&str, u64>) -> Proof {
    let mut differences = Differences::default();
    let mut said = Vec::new();
    for (shard, statistics) in site.shards.iter().zip(&settled.shards) {
        let name = shard.plan.name;
        let counted = settled.counted.shards.iter().find(|counted| counted.name == name);
        let steered = counted.map_or(0, |counted| counted.packets - counted.dropped);
        let own = routed.get(shard.plan.port).copied().unwrap_or_default();
        differences.equal(
            format_args!("frames that host {name} received"),
            statistics.rx_packets,
            steered + own,
        );
        said.push(format!("{name} {} = {steered} + {own}", statistics.rx_packets));
    }
    Proof::new(
        format!(
            "each shard host received what was steered to it plus the node's own neighbour discovery: {}",
            said.join("; ")
        ),
        differences,
    )
}

fn counts(differences: &mut Differences, what: &str, found: Count, wanted: Count) {
    differences.equal(format_args!("packets {what}"), found.packets, wanted.packets);
    differences.equal(format_args!("bytes {what}"), found.bytes, wanted.bytes);
}

fn sum(counts: impl Iterator<Item = Count>) -> Count {
    counts.fold(Count::default(), |total, count| Count {
        packets: total.packets + count.packets,
        bytes: total.bytes + count.bytes,
    })
}
