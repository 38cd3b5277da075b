//! The shard to the frame's way out: MAC rewrite and exit. Nothing is counted here, because an exit
//! can still fail.

use core::mem::offset_of;

use network_types::eth::EthHdr;

use crate::access::{PacketMut, Pos};
use crate::seeded::bug;
use crate::tables::{Exits, ShardEntry, target};
use crate::vocabulary::{Reason, Verdict};

/// What the hook must return to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Hand the frame to this host's stack.
    Pass,
    /// Drop it.
    Drop,
    /// Send it out of the interface it came in by.
    Transmit,
    /// It was given to an exit by [`Exits`].
    Redirect,
}

/// Sends the frame to a shard.
#[inline(always)]
pub fn to_shard<P: PacketMut, E: Exits>(
    packet: &mut P,
    exits: &mut E,
    shard: u16,
    entry: &ShardEntry,
) -> (Action, Verdict, Reason) {
    match entry.target {
        target::PASS => (Action::Pass, Verdict::Pass, Reason::Steered),
        target::CPU => {
            if exits.to_cpu(entry.port) {
                (Action::Redirect, Verdict::Cpu, Reason::Steered)
            } else {
                (Action::Drop, Verdict::Drop, Reason::NoExit)
            }
        }
        target::INTERFACE => leave(packet, exits, shard, entry, Verdict::Interface),
        target::NEXT_HOP if entry.port == packet.ingress() => match rewrite(packet, entry) {
            Some(()) => (Action::Transmit, Verdict::NextHop, Reason::Steered),
            None => (Action::Drop, Verdict::Drop, Reason::NoExit),
        },
        target::NEXT_HOP => leave(packet, exits, shard, entry, Verdict::NextHop),
        _ => (Action::Drop, Verdict::Drop, Reason::TargetDrop),
    }
}

/// Rewrites and redirects. A frame that cannot leave is dropped, so the rewrite harms nothing.
#[inline(always)]
fn leave<P: PacketMut, E: Exits>(
    packet: &mut P,
    exits: &mut E,
    shard: u16,
    entry: &ShardEntry,
    verdict: Verdict,
) -> (Action, Verdict, Reason) {
    if rewrite(packet, entry).is_some() && exits.to_interface(shard as u32) {
        (Action::Redirect, verdict, Reason::Steered)
    } else {
        (Action::Drop, Verdict::Drop, Reason::NoExit)
    }
}

/// Puts the shard's MAC addresses into the frame.
#[inline(always)]
fn rewrite<P: PacketMut>(packet: &mut P, entry: &ShardEntry) -> Option<()> {
    // Two stores: an array of both is put on the stack first, misaligned, which the verifier refuses.
    packet.store(Pos::START, offset_of!(EthHdr, dst_addr), entry.destination)?;
    packet.store(Pos::START, offset_of!(EthHdr, src_addr), bug!(Forward, entry.source, entry.destination))
}
