//! Which claims without right have series of their own: those of a key on an interface, bounded and exact as those of keys
//! are ([`super::topk`]).
//!
//! An interface is another after it was gone and came back, and its series go on: they are of its name. So what is kept
//! is what each pair of key and name was counted more, reading by reading.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use keysteer_common::account::Counter;

use super::tally::Tally;
use super::topk::{Shares, TopKeys};
use crate::agent::node::Node;
use crate::control::claims::interface;
use crate::counters::Snapshot;
use crate::image::Names;

/// The number of what the kernel had no room to tell apart, which no series is of.
const NO_ROOM: usize = 0;

/// The series of claims.
#[derive(Debug)]
pub struct Claims {
    series: TopKeys,
    /// Numbers of pairs of a key's id and an interface's name, from 1.
    numbers: BTreeMap<(u32, String), u32>,
    /// By number.
    sums: Vec<Tally>,
    /// The latest reading.
    last: BTreeMap<(u32, u32), Counter>,
    /// The names of interfaces that were ever steered.
    interfaces: BTreeMap<u32, String>,
}

/// What a scrape shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimShares {
    /// A key's id (0: none that is registered), an interface, and what the pair's series hold.
    pub pairs: Vec<(u32, String, Tally)>,
    /// What was attributed to no pair.
    pub other: Tally,
    /// What series hold that are not shown now.
    pub withdrawn: Tally,
}

impl Claims {
    /// Shows up to rank `top`.
    pub fn new(top: usize) -> Self {
        Self {
            series: TopKeys::new(top, std::iter::empty()),
            numbers: BTreeMap::new(),
            sums: vec![Tally::default()],
            last: BTreeMap::new(),
            interfaces: BTreeMap::new(),
        }
    }

    /// Attributes what was counted since the last reading. A pair that was not seen before has its series at once, as long as
    /// there is room: what is claimed first is to be seen.
    pub fn attribute(&mut self, node: &Node, snapshot: &Snapshot) {
        self.interfaces.extend(node.interfaces.iter().map(|at| (at.index, at.name.clone())));
        let known = self.sums.len();
        for ((id, index), now) in &snapshot.claims {
            let number = if (*id, *index) == (0, 0) { NO_ROOM } else { self.number(*id, *index) };
            let last = self.last.entry((*id, *index)).or_default();
            if let Some(sum) = self.sums.get_mut(number) {
                sum.packets += now.packets.saturating_sub(last.packets);
                sum.bytes += now.bytes.saturating_sub(last.bytes);
            }
            *last = Counter { packets: now.packets.max(last.packets), bytes: now.bytes.max(last.bytes) };
        }
        if self.sums.len() > known {
            let mut new: Vec<(Reverse<u64>, u32)> = self.shown(&node.names).collect();
            new.retain(|(_, number)| *number as usize >= known);
            new.sort_unstable();
            self.series.meet(new.into_iter().map(|(_, number)| number));
            self.register(&node.names);
        }
        let sums = &self.sums;
        self.series
            .attribute_from(sums.len(), |number| sums.get(number as usize).copied().unwrap_or_default());
    }

    /// The policy has these keys from now on: the series of others are withdrawn.
    pub fn register(&mut self, names: &Names) {
        let numbers: Vec<u32> = self.shown(names).map(|(_, number)| number).collect();
        self.series.register(numbers.into_iter());
    }

    /// Ends a window.
    pub fn rank(&mut self) {
        self.series.rank();
    }

    /// What to show now.
    pub fn show(&mut self) -> ClaimShares {
        let Shares { keys, other, withdrawn } = self.series.show();
        let named: BTreeMap<u32, &(u32, String)> =
            self.numbers.iter().map(|(pair, number)| (*number, pair)).collect();
        let pairs = keys.into_iter().filter_map(|(number, tally)| {
            let (id, name) = named.get(&number)?;
            Some((*id, name.clone(), tally))
        });
        ClaimShares { pairs: pairs.collect(), other, withdrawn }
    }

    /// The pairs that may have series: of keys that the policy has, and of none that it has.
    fn shown(&self, names: &Names) -> impl Iterator<Item = (Reverse<u64>, u32)> {
        let known = self.numbers.iter().filter(|((id, _), _)| *id == 0 || names.key(*id).is_some());
        known.map(|(_, number)| {
            (Reverse(self.sums.get(*number as usize).map_or(0, |sum| sum.packets)), *number)
        })
    }

    fn number(&mut self, id: u32, index: u32) -> usize {
        let name = self.interfaces.get(&index).cloned().unwrap_or_else(|| interface(index));
        let next = self.sums.len();
        let number =
            *self.numbers.entry((id, name)).or_insert(u32::try_from(next).unwrap_or(u32::MAX)) as usize;
        if number == next {
            self.sums.push(Tally::default());
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::fake::image;
    use crate::control::types::InterfaceStatus;

    fn node(keys: &[&str], interfaces: &[(&str, u32)]) -> Node {
        let status = |(name, index): &(&str, u32)| InterfaceStatus {
            name: (*name).to_owned(),
            index: *index,
            mode: "native".to_owned(),
            fallback: None,
            note: None,
        };
        Node::new(image(keys), String::new(), interfaces.iter().map(status).collect())
    }

    fn snapshot(claims: &[(u32, u32, u64)]) -> Snapshot {
        let counter = |packets| Counter { packets, bytes: packets * 100 };
        Snapshot {
            claims: claims.iter().map(|(id, index, packets)| ((*id, *index), counter(*packets))).collect(),
            ..Snapshot::default()
        }
    }

    fn total(shares: &ClaimShares) -> (u64, u64) {
        let all = shares.pairs.iter().map(|(_, _, tally)| tally).chain([&shares.other, &shares.withdrawn]);
        all.fold((0, 0), |(packets, bytes), tally| (packets + tally.packets, bytes + tally.bytes))
    }

    #[test]
    fn the_first_claims_have_series_at_once() {
        let mut claims = Claims::new(10);
        let node = node(&["acme", "globex"], &[("eth0", 2), ("eth1", 3)]);
        claims.attribute(&node, &snapshot(&[(1, 2, 5), (2, 3, 7), (0, 3, 1), (0, 0, 4), (1, 9, 2)]));
        let shares = claims.show();
        let found: Vec<_> =
            shares.pairs.iter().map(|(id, name, tally)| (*id, name.as_str(), tally.packets)).collect();
        assert_eq!(found, [(0, "eth1", 1), (1, "eth0", 5), (1, "index 9", 2), (2, "eth1", 7)]);
        assert_eq!((shares.other.packets, shares.other.bytes), (4, 400));
    }

    #[test]
    fn an_interface_that_comes_back_goes_on_by_its_name() {
        let mut claims = Claims::new(10);
        claims.attribute(&node(&["acme"], &[("eth0", 2)]), &snapshot(&[(1, 2, 5)]));
        claims.attribute(&node(&["acme"], &[("eth0", 8)]), &snapshot(&[(1, 2, 5), (1, 8, 3)]));
        // The old number's next owner.
        claims.attribute(&node(&["acme"], &[("eth0", 8), ("eth1", 2)]), &snapshot(&[(1, 2, 6), (1, 8, 3)]));
        let shares = claims.show();
        let found: Vec<_> =
            shares.pairs.iter().map(|(_, name, tally)| (name.as_str(), tally.packets)).collect();
        assert_eq!(found, [("eth0", 8), ("eth1", 1)]);
    }

    #[test]
    fn claims_of_a_key_that_goes_are_withdrawn_and_resume() {
        let mut claims = Claims::new(10);
        let counted = snapshot(&[(1, 2, 5), (2, 2, 7)]);
        let (both, one) = (node(&["acme", "globex"], &[("eth0", 2)]), node(&["acme"], &[("eth0", 2)]));
        claims.attribute(&both, &counted);
        claims.register(&one.names);
        claims.attribute(&one, &counted);
        let shares = claims.show();
        assert_eq!((shares.pairs.len(), shares.withdrawn.packets), (1, 7));
        claims.register(&both.names);
        let shares = claims.show();
        assert_eq!((shares.pairs.len(), shares.withdrawn.packets), (2, 0));
        assert_eq!(shares.pairs[1].2.packets, 7);
    }

    /// More pairs than series: bounded, exact, and nothing ever falls.
    #[test]
    fn many_claims_are_bounded_and_their_sum_is_exact() {
        const TOP: usize = 4;
        let names: Vec<String> = (0..40).map(|number| format!("k{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let node = node(&names, &[("eth0", 2), ("eth1", 3)]);
        let mut claims = Claims::new(TOP);
        let mut counted: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        let mut before = ClaimShares::default();
        for round in 0..60_u64 {
            for id in 1..=40_u32 {
                let index = 2 + id % 2;
                *counted.entry((id, index)).or_default() += round * u64::from(id) * 13 % 29;
            }
            let list: Vec<_> = counted.iter().map(|((id, index), packets)| (*id, *index, *packets)).collect();
            claims.attribute(&node, &snapshot(&list));
            if round % 3 == 0 {
                claims.rank();
            }
            let shares = claims.show();
            let sum: u64 = counted.values().sum();
            assert_eq!(total(&shares), (sum, sum * 100));
            assert!(shares.pairs.len() <= 2 * TOP && shares.other.packets >= before.other.packets);
            for (id, name, tally) in &before.pairs {
                let now = shares.pairs.iter().find(|(other, at, _)| (other, at) == (id, name));
                assert!(now.is_none_or(|(_, _, now)| now.packets >= tally.packets));
            }
            before = shares;
        }
    }
}
