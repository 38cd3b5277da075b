//! What was counted, read from the pinned maps once no agent is there, against what was sent.

use std::collections::BTreeMap;

use keysteer::counters::Snapshot;
use keysteer::kernel::Steering;
use keysteer::state::Ids;
use keysteer_common::vocabulary::{Class, Reason, Verdict};
use keysteer_tests::site::place::Place;

use crate::flows::Flow;
use crate::policies::{Key, OF_NOBODY, OF_PRODUCTS, OF_TENANTS};
use crate::traffic::Arrived;
use crate::world::SHARDS;

/// Packets that were sent.
#[derive(Debug, Default)]
pub(crate) struct Balance {
    /// In all.
    pub(crate) packets: u64,
    keys: BTreeMap<Key, u64>,
    shards: [u64; SHARDS.len()],
    unregistered: u64,
    missing: u64,
}

impl Balance {
    /// Adds what arrived from all senders: the shard says whose key it was charged to.
    pub(crate) fn of(flows: &[Flow], arrived: &[Arrived]) -> Self {
        let mut balance = Self::default();
        for (flow, shards) in arrived.iter().flat_map(|arrived| flows.iter().zip(arrived)) {
            for (shard, packets) in shards.iter().enumerate().filter(|(_, packets)| **packets > 0) {
                balance.packets += packets;
                balance.shards[shard] += packets;
                match flow.tenant {
                    None => {
                        assert_eq!(shard, OF_NOBODY);
                        balance.missing += packets;
                    }
                    Some(_) if shard == OF_NOBODY => balance.unregistered += packets,
                    Some(tenant) => {
                        let of_product = OF_PRODUCTS.contains(&shard);
                        assert!(of_product || OF_TENANTS.contains(&shard));
                        let key = Key { tenant, product: of_product.then_some(flow.product) };
                        *balance.keys.entry(key).or_default() += packets;
                    }
                }
            }
        }
        balance
    }

    /// Reads the counters and compares all of them; gives how many ids there are.
    pub(crate) fn check(&self, place: &Place) -> usize {
        let pins = place.pins();
        let counted =
            place.pinboard().run(|| Steering::open(&pins).unwrap().counted().all().unwrap()).unwrap();
        counted.balanced().unwrap();
        self.node(&counted);
        let ids = Ids::open(&place.state()).unwrap();

        let mut keys: BTreeMap<u32, u64> = BTreeMap::new();
        for (key, packets) in &self.keys {
            let id = ids.keys.get(&key.identity());
            keys.insert(id.unwrap_or_else(|| panic!("{key:?} has no id, but {packets} packets")), *packets);
        }
        for (id, counter) in (0..).zip(&counted.keys) {
            let sent = keys.remove(&id).unwrap_or_default();
            assert_eq!(counter.packets, sent, "packets of key {id}");
        }
        assert!(keys.is_empty(), "no counters for {keys:?}");

        let mut shards = self.shards;
        for (name, index) in ids.shards.iter() {
            let shard = SHARDS.iter().position(|shard| *shard == name).unwrap();
            let counter = counted.shards[usize::from(index)];
            assert_eq!((counter.packets, counter.dropped), (shards[shard], 0), "shard {name}");
            shards[shard] = 0;
        }
        assert_eq!(shards, [0; SHARDS.len()], "shards without counters");
        let in_all: u64 = counted.shards.iter().map(|shard| shard.packets).sum();
        assert_eq!(in_all, self.packets);
        ids.keys.iter().count()
    }

    /// The node's counters: nothing was dropped, passed, or of another class.
    fn node(&self, counted: &Snapshot) {
        let assigned = self.keys.values().sum::<u64>();
        for class in Class::ALL {
            let sent = match class {
                Class::Assigned => assigned,
                Class::Unregistered => self.unregistered,
                Class::Missing => self.missing,
                _ => 0,
            };
            assert_eq!(counted.class(*class).packets, sent, "{}", class.name());
        }
        assert_eq!(counted.verdict(Verdict::Interface).packets, self.packets);
        assert_eq!(counted.reason(Reason::Steered).packets, self.packets);
        assert_eq!(counted.received().packets, self.packets);
    }
}
