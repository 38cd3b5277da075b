//! What a look-up costs is decided by where a key's search begins. A sender who knew the secret could
//! send the keys whose search is longest; one who does not sends keys like any others. `common` has the
//! same of shards and of buckets.

use std::cell::Cell;
use std::fmt::Write as _;

use keysteer_common::account::{Counter, Meters};
use keysteer_common::decide::decide;
use keysteer_common::headers::Work;
use keysteer_common::migrate::Move;
use keysteer_common::pin::{Between, Said, Settle};
use keysteer_common::shim::Signing;
use keysteer_common::slice::Frame;
use keysteer_common::tables::{
    Datagram, Datagrams, Exits, KeyEntry, Pod, PrefixStep, ServiceSet, ShardEntry, Slot, SlotTable, Tables,
};
use keysteer_common::vocabulary::{Class, Reason, Verdict};

use super::tests::{frame, interfaces};
use super::*;
use crate::policy::parse_with;

/// Registered keys: the fullest that a table of 8,192 may be.
const KEYS: u32 = 4096;
/// Addresses that the sender tries, none of them registered.
const TRIED: usize = 1 << 14;

/// A policy of two levels, so that each look-up makes two searches.
fn policy() -> Policy {
    let text = "apiVersion: keysteer.dev/v1alpha1\nkind: SteeringPolicy\nmetadata: {name: aiming}\nspec:\n  \
        environment: prod\n  interfaces: [{name: eth0}]\n  \
        scope: [{destinations: [203.0.113.0/24], services: [udp/443]}]\n  \
        schemas:\n    - version: 1\n      \
        fields: [{name: tenant, from: ipv4.src}, {name: product, from: ip.dscp}]\n      \
        levels: [[tenant, product], [tenant]]\n  \
        shards: [{name: a, target: pass}]\n  pools: [{name: p, shards: [a]}]\n  keysFrom: keys.csv\n";
    let mut keys = String::from("name,match.tenant,match.product,pool\n");
    // Numbers below the half of the addresses are keys', those above are senders'.
    for (number, tenant) in (0..KEYS / 2).map(|number| (number, scattered(number) >> 1)) {
        let _ = writeln!(keys, "wide-{number},{tenant},,p\nnarrow-{number},{tenant},7,p");
    }
    parse_with(text, "aiming", &|_| Ok(keys.as_str().into())).unwrap()
}

/// Each number once, in no order (the finaliser of MurmurHash3).
fn scattered(number: u32) -> u32 {
    let mixed = (number ^ number >> 16).wrapping_mul(0x85eb_ca6b);
    let mixed = (mixed ^ mixed >> 13).wrapping_mul(0xc2b2_ae35);
    mixed ^ mixed >> 16
}

fn senders() -> Vec<u32> {
    (0..).map(|number| scattered(number) | 1 << 31).take(TRIED).collect()
}

fn image(secrets: Secrets) -> Image {
    let host = Host { interfaces: &interfaces(), cpus: &[0] };
    let mut image = compile_for(&policy(), host, &secrets, &mut Ids::default()).unwrap();
    // Recording looks everything up once more.
    image.config.record = 0;
    image
}

/// Secrets whose every byte is `byte`.
fn secrets(byte: u8) -> Secrets {
    Secrets::from_bytes(&[byte; 32])
}

/// Tables that count how many entries of the key table are read.
struct Watched<'i>(&'i Image, Cell<u32>);

impl Tables for Watched<'_> {
    fn config(&self) -> &Config {
        self.0.config()
    }
    fn prefix_index(&self, index: u32) -> Option<u64> {
        self.0.prefix_index(index)
    }
    fn prefix_step(&self, index: u32) -> Option<&PrefixStep> {
        self.0.prefix_step(index)
    }
    fn service_set(&self, index: u32) -> Option<&ServiceSet> {
        self.0.service_set(index)
    }
    fn prefix_low(&self, index: u32) -> Option<u64> {
        self.0.prefix_low(index)
    }
    fn key_high(&self, index: u64) -> Option<u64> {
        self.0.key_high(index)
    }
    fn slot_table(&self, index: u32) -> Option<&SlotTable> {
        self.0.slot_table(index)
    }
    fn key_entry(&self, index: u64) -> Option<&KeyEntry> {
        self.1.set(self.1.get() + 1);
        self.0.key_entry(index)
    }
    fn slot(&self, index: u32) -> Option<Slot> {
        self.0.slot(index)
    }
    fn shard(&self, index: u32) -> Option<&ShardEntry> {
        self.0.shard(index)
    }
    fn pair(&self, index: u32) -> Option<u64> {
        self.0.pair(index)
    }
    fn signing(&self) -> Option<&Signing> {
        self.0.signing()
    }
    fn now(&self) -> u64 {
        self.0.now()
    }
    fn key_word(&self, id: u32) -> u64 {
        self.0.key_word(id)
    }
    fn pod(&self, shard: u32) -> Option<&Pod> {
        self.0.pod(shard)
    }
    fn stamp(&self, id: u32) -> u32 {
        self.0.stamp(id)
    }
    fn shard_word(&self, shard: u32) -> u64 {
        self.0.shard_word(shard)
    }
    fn moving(&self, _: u32) -> Move {
        Move::NONE
    }

    fn old_table(&self, _: u32) -> Option<&SlotTable> {
        None
    }

    fn old_slot(&self, _: u32) -> Option<Slot> {
        None
    }

    fn epoch(&self) -> u64 {
        0
    }
}

/// Counts nothing but the last packet's class, and leads nowhere.
struct Nothing(Option<Class>);

impl Settle for Nothing {
    fn settle<T: Tables>(&mut self, _: &T, _: u64, _: Move, between: Between, _: Said) -> u16 {
        between.current
    }
}

impl Meters for Nothing {
    fn node(&mut self, class: Class, _: Verdict, _: Reason, _: Counter, _: Option<u32>) {
        self.0 = Some(class);
    }
    fn key(&mut self, _: u32, _: Counter) {}
    fn key_dropped(&mut self, _: u32, _: Counter, _: usize) {}
    fn shard_dropped(&mut self, _: u32, _: u64) {}
    fn opened(&mut self, _: Option<u32>, _: Option<u32>) {}
    fn version(&mut self, _: u8, _: Counter) {}
    fn claim(&mut self, _: u32, _: u32, _: Counter) {}
}

impl Datagrams for Nothing {
    fn remember(&mut self, _: &Datagram, _: u32) {}
    fn forget(&mut self, _: &Datagram) {}
    fn recall(&mut self, _: &Datagram) -> Option<u32> {
        None
    }
}

impl Exits for Nothing {
    fn to_interface(&mut self, _: u32, _: bool) -> bool {
        false
    }
    fn to_cpu(&mut self, _: u32) -> bool {
        false
    }
}

/// How many entries of the key table the packet of each sender costs. None of them is registered.
fn costs(image: &Image, senders: &[u32]) -> Vec<u32> {
    let cost = |sender: &u32| {
        let watched = Watched(image, Cell::new(0));
        let mut frame = frame(sender.to_be_bytes(), [203, 0, 113, 9], 9, (1, 443));
        let mut nothing = Nothing(None);
        decide(&mut Frame::new(&mut frame, 2), &watched, &mut nothing, &mut Work::default());
        assert_eq!(nothing.0, Some(Class::Unregistered));
        watched.1.get()
    };
    senders.iter().map(cost).collect()
}

fn mean(costs: &[u32]) -> f64 {
    costs.iter().map(|cost| f64::from(*cost)).sum::<f64>() / costs.len() as f64
}

/// The addresses that cost most under a known secret, and how much more than any: under that secret, and
/// under another.
fn attack(known: &Image, other: &Image) -> (f64, f64) {
    let senders = senders();
    let before = costs(known, &senders);
    let mut chosen: Vec<(u32, u32)> = before.iter().copied().zip(senders.iter().copied()).collect();
    chosen.sort_unstable_by(|a, b| b.cmp(a));
    let chosen: Vec<u32> = chosen.into_iter().take(400).map(|(_, sender)| sender).collect();
    let more = |image: &Image| mean(&costs(image, &chosen)) / mean(&costs(image, &senders));
    (more(known), more(other))
}

#[test]
fn a_sender_without_the_secret_cannot_make_look_ups_long() {
    let known = image(secrets(1));
    for byte in 2..10 {
        let other = image(secrets(byte));
        let (under_known, under_other) = attack(&known, &other);
        assert!(under_known > 2.5, "{under_known}");
        assert!(under_other < 1.15, "{byte}: {under_other}");
    }
}

/// The same attack, where all nodes have the same multipliers: what the test above would see, if those
/// did not depend on the secret.
#[test]
fn the_attack_succeeds_on_a_node_with_the_same_key_secret() {
    let known = image(secrets(1));
    let other = image(Secrets { flow: secrets(2).flow, ..secrets(1) });
    let (_, under_other) = attack(&known, &other);
    assert!(under_other > 2.5, "{under_other}");
}

#[test]
fn no_look_up_costs_more_than_its_bound() {
    let image = image(secrets(3));
    let senders = senders();
    let most = 2 * image.config.key_probes;
    assert!(costs(&image, &senders).into_iter().all(|cost| cost <= most), "more than {most}");
}

#[test]
fn every_level_and_every_secret_has_its_own_odd_multipliers() {
    let schema = policy().schemas.remove(0);
    let mut seen = std::collections::HashSet::new();
    for secret in 0..1000 {
        let table = keys::arrange(&[], schema.levels.len(), secret, false).unwrap();
        for multiplier in table.multipliers[..2].iter().flatten() {
            assert_eq!(multiplier & 1, 1);
            assert!(seen.insert(*multiplier), "{secret}: a multiplier is used twice");
        }
    }
}

#[test]
fn debug_output_of_an_image_does_not_tell() {
    let image = image(secrets(4));
    assert_eq!(format!("{image:?}"), "Image { policy: \"aiming\", .. }");
}
