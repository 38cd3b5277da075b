//! Steering by a table of connections, which keysteer is not: `dataplane-ebpf/src/lru.rs`, attached where the agent would attach.

use aya::maps::{Array, MapData};
use aya::programs::{Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use keysteer_tests::site::{Site, UP0};
use nix::net::if_::if_nametoindex;

static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/../dataplane-ebpf/object/bench.bpf.o"));

/// Slots of the table.
const SLOTS: u32 = 256;

/// A shard's entry, as the program has it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Exit {
    index: u32,
    mac: [u8; 6],
    from: [u8; 6],
}

// SAFETY: integers without padding.
unsafe impl aya::Pod for Exit {}

/// The program, attached in the node until it is dropped.
pub(super) struct Lru {
    object: Ebpf,
    /// By slot.
    now: Vec<u32>,
}

impl Lru {
    /// Attaches it, with room for so many connections, over the site's shards.
    pub(super) fn attach(site: &Site, room: u32) -> Self {
        let mut object = EbpfLoader::new().map_max_entries("LRU_CONNECTIONS", room).load(OBJECT).unwrap();
        let exits: Vec<Exit> = site
            .node
            .run(|| {
                let exit = |(shard, host): (u8, &keysteer_tests::site::Host)| Exit {
                    index: if_nametoindex(host.port).unwrap(),
                    mac: [2, 0, 0, 0, 0, 0x0a + shard],
                    from: [2, 0, 0, 0, 1, 0x0a + shard],
                };
                (0..).zip(&site.shards).map(exit).collect()
            })
            .unwrap();
        let mut map: Array<&mut MapData, Exit> = object.map_mut("LRU_EXITS").unwrap().try_into().unwrap();
        for (index, exit) in (0..).zip(exits) {
            map.set(index, exit, 0).unwrap();
        }
        let program: &mut Xdp = object.program_mut("lru_table").unwrap().try_into().unwrap();
        program.load().unwrap();
        site.node.run(|| program.attach(UP0, XdpMode::Skb).map(drop)).unwrap().unwrap();
        Self { object, now: Vec::new() }
    }

    /// Has connections that open go to these shards alike. What need not move does not.
    pub(super) fn place(&mut self, shards: &[u32]) {
        let before = std::mem::take(&mut self.now);
        self.now = (0..SLOTS)
            .map(|slot| {
                let fair = shards[slot as usize % shards.len()];
                before.get(slot as usize).copied().filter(|was| shards.contains(was)).unwrap_or(fair)
            })
            .collect();
        let slots = self.object.map_mut("LRU_SLOTS").unwrap();
        let mut slots: Array<&mut MapData, u32> = slots.try_into().unwrap();
        for (slot, shard) in (0..).zip(&self.now) {
            slots.set(slot, shard, 0).unwrap();
        }
    }
}
