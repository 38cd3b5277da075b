//! The shard to the frame's way out: MAC rewrite and exit. Nothing is counted here, because an exit
//! can still fail.

use core::mem::offset_of;

use network_types::eth::EthHdr;

use crate::access::{PacketMut, Pos};
use crate::seeded::bug;
use crate::tables::{Exits, ShardEntry, target};
use crate::vocabulary::{Reason, Verdict};

/// What the hook must return to the kernel, by the numbers of an XDP program (`enum xdp_action`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Action {
    /// Drop it.
    Drop = 1,
    /// Hand the frame to this host's stack.
    Pass = 2,
    /// Send it out of the interface it came in by.
    Transmit = 3,
    /// It was given to an exit by [`Exits`].
    Redirect = 4,
}

/// Sends the frame to a shard: the action and verdict, or why it is dropped.
#[inline(always)]
pub fn to_shard<P: PacketMut, E: Exits>(
    packet: &mut P,
    exits: &mut E,
    shard: u16,
    entry: &ShardEntry,
) -> Result<(Action, Verdict), Reason> {
    match entry.target {
        target::PASS => Ok((Action::Pass, Verdict::Pass)),
        target::CPU if exits.to_cpu(entry.port) => Ok((Action::Redirect, Verdict::Cpu)),
        target::CPU => Err(Reason::NoExit),
        target::INTERFACE => leave(packet, exits, shard, entry, Verdict::Interface),
        target::NEXT_HOP if entry.port == packet.ingress() => {
            rewrite(packet, entry).ok_or(Reason::NoExit)?;
            Ok((Action::Transmit, Verdict::NextHop))
        }
        target::NEXT_HOP => leave(packet, exits, shard, entry, Verdict::NextHop),
        _ => Err(Reason::TargetDrop),
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
) -> Result<(Action, Verdict), Reason> {
    if rewrite(packet, entry).is_some() && exits.to_interface(shard as u32) {
        Ok((Action::Redirect, verdict))
    } else {
        Err(Reason::NoExit)
    }
}

/// Puts the shard's MAC addresses into the frame.
#[inline(always)]
fn rewrite<P: PacketMut>(packet: &mut P, entry: &ShardEntry) -> Option<()> {
    // Two stores: an array of both is put on the stack first, misaligned, which the verifier refuses.
    packet.store(Pos::START, offset_of!(EthHdr, dst_addr), entry.destination)?;
    packet.store(Pos::START, offset_of!(EthHdr, src_addr), bug!(Forward, entry.source, entry.destination))
}
