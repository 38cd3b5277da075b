//! A sender chooses five-tuples and keys. Whoever knew one secret could choose them so that all meet on
//! one shard, or begin their search in one bucket of the key table. These tests do just that, and then
//! show that under other secrets what was chosen spreads like anything else. So that they could fail,
//! the same attack is made on hashes without a secret, or with one that is added too late.
//!
//! Everything is drawn from a fixed seed: the figures are the same in every run.

use crate::hash::key;
use crate::tables::{KeyEntry, KeyMeta, SLOTS, SlotTable, WIDTH_ALL};

use super::world::{CLIENT6, IPV4, IPV6, Noted, SERVICE, SERVICE6, UDP, World, framed, ipv4, ipv6, udp};

/// Secrets that the sender does not know.
const OTHERS: usize = 64;

/// SplitMix64 (Steele et al. 2014).
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn pair(&mut self) -> [u64; 2] {
        [self.next(), self.next()]
    }
}

/// The secret that the sender knows, and those that it does not.
fn secrets() -> ([u64; 2], Vec<[u64; 2]>) {
    let mut draws = Draws(0x6b65_7973_7465_6572);
    (draws.pair(), std::iter::repeat_with(|| draws.pair()).take(OTHERS).collect())
}

/// Shards in the attack on flows.
const SHARDS: usize = 16;
/// Flows that the sender tries under the secret that it knows.
const TRIED: u16 = 1 << 14;
/// Chi-square of 15 degrees of freedom is above this once in a million times.
const RANDOM: f64 = 56.5;

fn chi_square(counts: &[u32]) -> f64 {
    let expected = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
}

/// Chooses those flows that meet on shard 0 under a known secret; gives the chi-square of their spread
/// under each of the others.
fn attack_shards(shard: impl Fn([u64; 2], u16) -> usize) -> Vec<f64> {
    let (known, others) = secrets();
    let chosen: Vec<u16> = (0..TRIED).filter(|flow| shard(known, *flow) == 0).collect();
    let expected = usize::from(TRIED) / SHARDS;
    assert!(chosen.len().abs_diff(expected) < expected / 4, "{} chosen", chosen.len());
    let spread = |secret: &[u64; 2]| {
        let mut counts = [0; SHARDS];
        for flow in &chosen {
            counts[shard(*secret, *flow)] += 1;
        }
        chi_square(&counts)
    };
    others.iter().map(spread).collect()
}

fn largest(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(0.0, f64::max)
}

fn least(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(f64::INFINITY, f64::min)
}

/// A datagram of flow `flow`: its sender has 64 addresses, and uses 256 ports of each.
fn flow4(flow: u16) -> Vec<u8> {
    let source = [10, 1, 2, (flow >> 8) as u8];
    framed(IPV4, &ipv4(UDP, source, SERVICE, &udp(1024 + (flow & 0xff), 443, 8)))
}

fn flow6(flow: u16) -> Vec<u8> {
    let mut source = CLIENT6;
    source[15] = (flow >> 8) as u8;
    framed(IPV6, &ipv6(UDP, source, SERVICE6, &udp(1024 + (flow & 0xff), 443, 8)))
}

/// The shard that a frame is steered to by a key of this width, over 16 shards.
fn steered(width: u32, secret: [u64; 2], mut frame: Vec<u8>) -> usize {
    thread_local! {
        static WORLD: std::cell::RefCell<World> = {
            let mut world = World::new();
            world.slots = (0..SLOTS).map(|slot| (slot % SHARDS as u32) as u16).collect();
            world.config.shards = SHARDS as u32;
            world.shards = vec![world.shards[0]; SHARDS];
            std::cell::RefCell::new(world)
        };
    }
    WORLD.with_borrow_mut(|world| {
        world.slot_tables = vec![SlotTable { first: 0, width }];
        world.key(KeyEntry { meta: KeyMeta::spread(0, 0), ..world.keys[0] });
        world.config.flow_secret = secret;
        let (_, work) = world.decide(&mut frame, &mut Noted::default());
        usize::from(work.record.decision.shard)
    })
}

#[test]
fn a_sender_without_the_secret_cannot_aim_at_a_shard() {
    for width in [WIDTH_ALL, SHARDS as u32] {
        for make in [flow4, flow6] {
            let spread = attack_shards(|secret, flow| steered(width, secret, make(flow)));
            assert!(largest(&spread) < RANDOM, "width {width}: {spread:?}");
        }
    }
}

/// FNV-1a, which has no secret.
fn fnv(flow: u16) -> u64 {
    let frame = flow4(flow);
    frame[26..38]
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn the_attack_on_shards_succeeds_where_the_secret_does_not_go_in() {
    let top = |hash: u64| (hash >> 60) as usize;
    let unkeyed = attack_shards(|_, flow| top(fnv(flow)));
    let keyed_too_late = attack_shards(|secret, flow| top(fnv(flow) ^ secret[0]));
    for spread in [unkeyed, keyed_too_late] {
        assert!(least(&spread) > 10.0 * RANDOM, "{spread:?}");
    }
}

/// Bits of a bucket's number in the attack on the key table.
const BUCKET_BITS: u32 = 10;
/// Keys that the sender tries under the secret that it knows.
const KEYS: u64 = 1 << 20;

/// Keys one after the other, as addresses are, in the low half or in both.
fn counted(number: u64) -> [u64; 2] {
    [0, 0x0a00_0000 + number]
}

fn counted_wide(number: u64) -> [u64; 2] {
    [0x2001_0db8_0000_0000 + (number >> 10), number & 0x3ff]
}

/// Keys all over the place, as an IPv6 sender could choose them.
fn scattered(number: u64) -> [u64; 2] {
    Draws(number).pair()
}

/// Chooses those keys whose search begins in bucket 0 under a known secret. Gives how many pairs of them
/// share a bucket under the others, on average, relative to what random hashes would give.
fn attack_buckets(make: Make, bucket: impl Fn([u64; 2], [u64; 2]) -> usize) -> f64 {
    let (known, others) = secrets();
    let chosen: Vec<[u64; 2]> = (0..KEYS).map(make).filter(|key| bucket(known, *key) == 0).collect();
    assert!(chosen.len() as u64 >= KEYS >> (BUCKET_BITS + 1), "{} chosen", chosen.len());
    let together = |secret: &[u64; 2]| {
        let mut counts = vec![0.0; 1 << BUCKET_BITS];
        for key in &chosen {
            counts[bucket(*secret, *key)] += 1.0;
        }
        counts.iter().map(|count: &f64| count * (count - 1.0) / 2.0).sum::<f64>()
    };
    let mean = others.iter().map(together).sum::<f64>() / OTHERS as f64;
    let chosen = chosen.len() as f64;
    mean / (chosen * (chosen - 1.0) / 2.0 / f64::from(1 << BUCKET_BITS))
}

/// The n-th key of a set.
type Make = fn(u64) -> [u64; 2];

/// Sets of keys, and whether they use both halves.
const SETS: [(&str, Make, bool); 3] =
    [("counted", counted, false), ("counted, wide", counted_wide, true), ("scattered", scattered, true)];

#[test]
fn a_sender_without_the_secret_cannot_aim_at_a_bucket() {
    for (name, make, wide) in SETS {
        let together = attack_buckets(make, |secret, sent| {
            (key(secret.map(|multiplier| multiplier | 1), sent, wide) >> (u64::BITS - BUCKET_BITS)) as usize
        });
        // 2-universal: two keys meet at most twice as often as by chance.
        assert!(together < 2.0, "{name}: {together}");
    }
}

#[test]
fn the_attack_on_buckets_succeeds_where_the_secret_does_not_go_in() {
    let fold = |sent: [u64; 2]| (sent[0] ^ sent[1]).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let top = |hash: u64| (hash >> (u64::BITS - BUCKET_BITS)) as usize;
    for (name, make, _) in SETS {
        let unkeyed = attack_buckets(make, |_, sent| top(fold(sent)));
        let keyed_too_late = attack_buckets(make, |secret, sent| top(fold(sent).wrapping_add(secret[0])));
        for together in [unkeyed, keyed_too_late] {
            assert!(together > 100.0, "{name}: {together}");
        }
    }
}
