//! What keysteer is not: steering by a table of connections, for the test that shows why. A connection that is not in the table goes where
//! the slots say now and is remembered; a table that is full forgets the ones that it has not seen for longest, about.

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::helpers::generated::bpf_redirect;
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::{Array, LruHashMap};
use aya_ebpf::programs::XdpContext;
use keysteer_common::access::{PacketMut, Pos};

use super::packet::Frame;

/// Addresses and ports, as they are in the packet.
type Connection = [u8; 12];

/// Where a shard is: `mac` behind interface `index`, whose own address is `from`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Exit {
    index: u32,
    mac: [u8; 6],
    from: [u8; 6],
}

/// By connection, its shard.
#[map]
static LRU_CONNECTIONS: LruHashMap<Connection, u32> = LruHashMap::with_max_entries(1, 0);
/// By slot, the shard of connections that open.
#[map]
static LRU_SLOTS: Array<u32> = Array::with_max_entries(SLOTS, 0);
#[map]
static LRU_EXITS: Array<Exit> = Array::with_max_entries(16, 0);

const SLOTS: u32 = 256;

/// Steers TCP over IPv4 without options, and lets everything else pass.
#[xdp(frags)]
#[inline(always)]
fn lru_table(context: XdpContext) -> u32 {
    steer(&mut Frame::new(&context)).unwrap_or(xdp_action::XDP_PASS)
}

#[inline(always)]
fn steer<P: PacketMut>(frame: &mut P) -> Option<u32> {
    let [0x08, 0x00, 0x45] = frame.load::<[u8; 3]>(Pos::START, 12)? else { return None };
    let [6] = frame.load::<[u8; 1]>(Pos::START, 23)? else { return None };
    let connection: Connection = frame.load(Pos::START, 26)?;
    // SAFETY: another CPU may write the value meanwhile, a word.
    let known = unsafe { LRU_CONNECTIONS.get(connection) }.copied();
    let shard = match known {
        Some(shard) => shard,
        None => {
            let slot = connection.iter().fold(5_381_u32, |hash, byte| hash.wrapping_mul(33) ^ *byte as u32);
            let shard = *LRU_SLOTS.get((slot ^ slot >> 15) & (SLOTS - 1))?;
            let _ = LRU_CONNECTIONS.insert(connection, shard, 0);
            shard
        }
    };
    let Exit { index, mac, from } = *LRU_EXITS.get(shard)?;
    frame.store(Pos::START, 0, mac)?;
    frame.store(Pos::START, 6, from)?;
    // SAFETY: the helper takes numbers, and notes them.
    Some(unsafe { bpf_redirect(index, 0) } as u32)
}
