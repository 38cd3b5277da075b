//! The same flows through pins and through a plain table of connections, as other balancers have it: what each breaks under a flood.
//! The packets are made here, and decided by the code that runs in the kernel.

use std::collections::{BTreeMap, HashMap};

use keysteer_common::account::Counter;
use keysteer_common::migrate::Move;
use keysteer_common::pin::{Between, Happened, Pin, Pins, Said, settle, sign};
use keysteer_common::tables::Tables;

use crate::image::Image;

/// A table of connections that forgets who was seen least lately.
struct Lru {
    room: usize,
    now: u64,
    flows: HashMap<u64, (u16, u64)>,
    order: BTreeMap<u64, u64>,
}

impl Lru {
    fn new(room: usize) -> Self {
        Self { room, now: 0, flows: HashMap::new(), order: BTreeMap::new() }
    }

    /// The shard of a flow: as it was remembered, else the current one, which is remembered.
    fn shard(&mut self, flow: u64, current: u16) -> u16 {
        self.now += 1;
        let (shard, before) = self.flows.get(&flow).copied().unwrap_or((current, 0));
        self.order.remove(&before);
        self.order.insert(self.now, flow);
        self.flows.insert(flow, (shard, self.now));
        if self.flows.len() > self.room
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.flows.remove(&oldest);
        }
        shard
    }
}

/// Pins in a map of so much room.
struct Room {
    pins: HashMap<u64, Pin>,
    room: usize,
}

impl Pins for Room {
    fn pin(&mut self, flow: u64) -> Option<Pin> {
        self.pins.get(&flow).copied()
    }

    fn offer(&mut self, flow: u64, pin: Pin) -> bool {
        let fits = self.pins.len() < self.room;
        if fits {
            self.pins.insert(flow, pin);
        }
        fits
    }

    fn renew(&mut self, flow: u64, pin: Pin) {
        self.pins.insert(flow, pin);
    }

    fn left(&mut self, _: u32, _: u64, _: Counter, _: u32) {}

    fn happened(&mut self, _: u32, _: Happened) {}
}

const FLOWS: u64 = 20_000;
const ROUNDS: u64 = 12;
/// Forged SYNs for each packet of a flow.
const FLOOD: u64 = 4;

/// A number that looks random.
fn mix(number: u64) -> u64 {
    let mut it = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    it ^= it >> 32;
    it.wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// Opens flows before and in a migration from shard 0 to 1, and has each go on; gives how many came to another shard than the one that they
/// opened on. `shard` decides a packet: its flow, sign, sequence number, and whether the migration has begun.
fn broken(mut shard: impl FnMut(u64, u32, u32, bool) -> u16) -> u64 {
    let mut homes: HashMap<u64, u16> = HashMap::new();
    let mut broken = std::collections::HashSet::new();
    for round in 0..ROUNDS {
        let moving = round >= ROUNDS / 3;
        for at in 0..FLOWS {
            let (flow, isn) = (mix(at), mix(at ^ 0xffff) as u32);
            // A flow in four opens once the migration is under way.
            let opens = if at % 4 == 0 { ROUNDS / 3 + at % 3 } else { 0 };
            if round < opens {
                continue;
            }
            let (sign, sequence) = if round == opens {
                (sign::OPENS, isn)
            } else {
                (sign::SEGMENT, isn.wrapping_add(1 + (round - opens) as u32))
            };
            let to = shard(flow, sign, sequence, moving);
            if *homes.entry(flow).or_insert(to) != to {
                broken.insert(flow);
            }
            for forged in 0..FLOOD {
                let number = mix((round * FLOWS + at) * FLOOD + forged + 1_000_000_000);
                shard(number, sign::OPENS, number as u32, moving);
            }
        }
    }
    broken.len() as u64
}

#[test]
fn a_flood_breaks_flows_of_a_connection_table_and_none_of_pins() {
    let image = Image::default();
    let pinned = |room: usize| {
        let mut pins = Room { pins: HashMap::new(), room };
        broken(|flow, sign, sequence, moving| {
            if !moving {
                return 0;
            }
            let said = Said { sign, sequence, resets: false, carried: Counter::frame(60) };
            let between = Between { current: 1, previous: 0, opens: 1 };
            settle(&mut pins, &image, flow, Move::from_shard(1, 0), between, said)
        })
    };
    let remembered = |room: usize| {
        let mut table = Lru::new(room);
        broken(|flow, _, _, moving| table.shard(flow, u16::from(moving)))
    };
    assert_eq!(image.epoch(), 0);
    let found = [pinned(2_048), pinned(65_536), remembered(16_384), remembered(65_536)];
    println!(
        "of {FLOWS} flows: pins 2,048 {}, 65,536 {}; table 16,384 {}, 65,536 {}",
        found[0], found[1], found[2], found[3]
    );
    assert_eq!(found[..2], [0, 0]);
    // Every established flow that is silent for longer than the table's memory is sent to the new shard.
    assert!(found[2] > FLOWS / 2 && found[3] > FLOWS / 2, "{found:?}");
}
