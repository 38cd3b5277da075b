//! Changes that no packet notices: hundreds of applies and rollbacks of random policies, and `kill -9` of the agent at
//! random moments, under sequence-numbered packets on three interfaces that never pause.
//!
//! ```text
//!  clients            node                         wires
//!  far0 ─────────── up0                 to-a ─────────── at-a
//!  far1 ─────────── up1    [agent]       ...               ...     every frame that arrives here is a packet of ours
//!  far2 ─────────── up2                 to-f ─────────── at-f
//! ```
//! Of every packet it must be true that it arrives once, unchanged but for its addresses, at the shard that the policy
//! in force says; while a change is under way, at the shard that the old or the new one says, and on each interface never
//! again by the old one once the new one was seen. What the policies say is computed by the host engine. In the end the
//! counters in the kernel equal what was sent, key by key and shard by shard, keys that are long removed included.
//!
//! ```text
//!  world     the namespaces                      policies  random policies, and how one follows from another
//!  flows     the packets                         expected  what a policy says of each flow
//!  wire      packet sockets                      eras      which policies are in force
//!  traffic   senders, the receiver, the proof    drive     who changes and kills
//!  balance   what was counted
//! ```
//! `KEYSTEER_SOAK=1000` makes a thousand changes and a hundred kills, and demands 100,000 packets per second;
//! `KEYSTEER_SOAK_SEED` repeats a run's choices.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests state what must hold")]

mod balance;
mod drive;
mod eras;
mod expected;
mod flows;
mod policies;
mod traffic;
mod wire;
mod world;

use std::env;
use std::time::{Duration, Instant};

use drive::{Drive, Moment};
use keysteer_tests::site::binary;
use policies::Kind;

/// Changes of a plain run.
const CHANGES: u32 = 60;
/// One kill for so many changes.
const KILL_EVERY: u32 = 10;
/// Packets per second, all interfaces together, in a plain run.
const PLAIN_RATE: f64 = 30_000.0;
/// The same in a whole run, and what that must come to on average.
const WHOLE_RATE: f64 = 125_000.0;
const LEAST_RATE: f64 = 100_000.0;

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

#[test]
fn no_packet_notices_changes_or_kills() {
    binary::demand_root();
    let whole = number("KEYSTEER_SOAK");
    let changes = whole.map_or(CHANGES, |changes| u32::try_from(changes).unwrap());
    let seed = number("KEYSTEER_SOAK_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("soak: {changes} changes, seed {seed}");

    let mut drive = Drive::new(seed, if whole.is_some() { WHOLE_RATE } else { PLAIN_RATE });
    let begun = Instant::now();
    let mut kills = 0;
    for change in 1..=changes {
        drive.change();
        if change % KILL_EVERY == 0 {
            drive.kill(Moment::ALL[kills % Moment::ALL.len()]);
            kills += 1;
        }
        if change % 100 == 0 {
            println!("soak: {change} changes and {kills} kills after {:.0} s", begun.elapsed().as_secs_f64());
        }
    }
    let took = begun.elapsed();
    let done = drive.finish();
    let rate = done.packets as f64 / took.as_secs_f64();
    println!(
        "soak: {changes} changes and {kills} kills in {:.1} s, {} packets, {rate:.0} per second, each at its shard once\n\
         soak: changes {:?}\nsoak: kills {:?}; {} cut-off changes came to be, {} did not\n\
         soak: {} packets while a change was under way; {} ids in the counters, {} of them retired",
        took.as_secs_f64(),
        done.packets,
        done.kinds,
        done.moments,
        done.forward,
        done.back,
        done.between,
        done.ids,
        done.retired,
    );
    for kind in Kind::ALL {
        assert!(done.kinds.contains_key(kind), "no change of kind {kind:?}: more changes, or another seed");
    }
    if kills >= Moment::ALL.len() {
        for moment in Moment::ALL {
            assert!(done.moments.contains_key(&moment), "no kill {moment:?}");
        }
    }
    assert!(took > Duration::ZERO && done.between > 0, "no packet met a change");
    if whole.is_some() {
        assert!(rate >= LEAST_RATE, "{rate:.0} packets per second, less than {LEAST_RATE:.0}");
    }
}
