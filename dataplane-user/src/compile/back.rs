//! The way back: whose an answer is, what it is translated to, what is stamped on it.

use keysteer_common::carrier::Carrier;
use keysteer_common::config::BackConfig;
use keysteer_common::stamp::stamp_of;
use keysteer_common::tables::Pod;

use super::keys::Placed;
use super::{CompileError, prefixes};
use crate::policy::{Addresses, Field, Policy, Schema, Stamp, StampValue, Target};

/// What the program is told of the way back, and its tables.
#[derive(Debug, Default)]
pub(super) struct Back {
    pub(super) config: BackConfig,
    /// By shard index.
    pub(super) pods: Vec<Pod>,
    /// By key id.
    pub(super) stamps: Vec<u32>,
}

/// The way back of a policy whose shards have `indices` and of whose keys `entries` are.
pub(super) fn compile(
    policy: &Policy,
    indices: &[u16],
    entries: &[Placed],
    prefixes: &mut prefixes::Tables,
) -> Result<Back, CompileError> {
    let mut back = Back::default();
    translation(policy, indices, prefixes, &mut back)?;
    if let Some(egress) = &policy.egress {
        let config = &mut back.config;
        config.count = egress.count.into();
        config.probes = egress.probes.into();
        config.fields = policy.schemas.first().map_or(0, fields);
        let id = |key: usize| entries.get(key).map_or(0, |placed| placed.entry.id);
        let senders: Vec<_> = egress.senders.iter().map(|(net, key)| (*net, id(*key))).collect();
        config.senders = prefixes.add("egress.senders", &senders)?;
        config.stamps = (!egress.stamps.is_empty()).into();
        if !egress.stamps.is_empty() {
            let most = entries.iter().map(|placed| placed.entry.id).max().unwrap_or_default();
            back.stamps = vec![0; most as usize + 1];
            for (key, placed) in entries.iter().enumerate().take(policy.keys.len()) {
                if let Some(stamp) = back.stamps.get_mut(placed.entry.id as usize) {
                    *stamp = stamp_for(policy, &egress.stamps, key);
                }
            }
        }
    }
    let BackConfig { count, nat, stamps, probes, .. } = back.config;
    back.config.on = (count | nat | stamps | probes != 0).into();
    Ok(back)
}

/// The pods' addresses, and the service's that they stand for.
fn translation(
    policy: &Policy,
    indices: &[u16],
    prefixes: &mut prefixes::Tables,
    back: &mut Back,
) -> Result<(), CompileError> {
    let mut addresses = Vec::new();
    for (shard, index) in policy.shards.iter().zip(indices) {
        let Target::Interface { nat: Some(nat), .. } = &shard.target else { continue };
        let at = usize::from(*index);
        if back.pods.len() <= at {
            back.pods.resize(at + 1, Pod::default());
        }
        if let Some(pod) = back.pods.get_mut(at) {
            *pod = pod_of(*nat);
        }
        addresses.extend(nat.all().map(|address| (address.into(), u32::from(*index) + 1)));
    }
    if addresses.is_empty() {
        return Ok(());
    }
    back.config.nat = 1;
    back.config.pods = prefixes.add("the pods' addresses", &addresses)?;
    // The check has left one address of each family.
    for destination in &policy.scope {
        match destination.prefix {
            ipnet::IpNet::V4(net) => back.config.service4 = net.addr().octets(),
            ipnet::IpNet::V6(net) => back.config.service6 = halves(net.addr()),
        }
    }
    Ok(())
}

fn pod_of(addresses: Addresses) -> Pod {
    Pod {
        v4: addresses.v4.map_or([0; 4], |address| address.octets()),
        v6: addresses.v6.map_or([[0; 8]; 2], halves),
        ..Pod::default()
    }
}

/// An address as in a packet, in two halves.
fn halves(address: std::net::Ipv6Addr) -> [[u8; 8]; 2] {
    let bits = address.to_bits();
    [((bits >> 64) as u64).to_be_bytes(), (bits as u64).to_be_bytes()]
}

/// Which fields of a schema an answer has.
fn fields(schema: &Schema) -> u8 {
    let has = |field: &Field| {
        matches!(
            field.carrier,
            Carrier::Ipv4Src
                | Carrier::Ipv4Dst
                | Carrier::Ipv6Src
                | Carrier::Ipv6Dst
                | Carrier::IpSrc
                | Carrier::IpDst
                | Carrier::IpProtocol
                | Carrier::L4SrcPort
                | Carrier::L4DstPort
        )
    };
    schema.fields.iter().enumerate().fold(0, |bits, (nth, field)| bits | u8::from(has(field)) << nth)
}

/// What is stamped for the key at an index of the policy.
fn stamp_for(policy: &Policy, stamps: &[Stamp], key: usize) -> u32 {
    let value = |carrier| {
        let stamp = stamps.iter().find(|stamp| stamp.carrier == carrier)?;
        match &stamp.value {
            StampValue::Field(at) => field_value(policy, key, *at),
            StampValue::Keys(numbers) => {
                let at = numbers.binary_search_by_key(&key, |(key, _)| *key).ok()?;
                numbers.get(at).map(|(_, number)| *number)
            }
        }
    };
    let dscp = value(Carrier::IpDscp).and_then(|dscp| u8::try_from(dscp).ok());
    stamp_of(dscp, value(Carrier::Ipv6FlowLabel))
}

/// A key's value of field `at` of the first schema; `None` where its level does not have the field.
fn field_value(policy: &Policy, key: usize, at: usize) -> Option<u32> {
    let schema = policy.schemas.first()?;
    let key = policy.keys.get(key)?;
    // Levels are numbered over all schemas, those of the first from 0.
    let level = schema.levels.get(usize::from(key.level))?;
    let field = schema.fields.get(at).filter(|_| level.contains(&at))?;
    u32::try_from(key.key >> field.place & field.largest()).ok()
}
