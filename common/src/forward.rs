//! The shard to the frame's way out: MAC rewrite, translation, exit. Nothing is counted here, because an exit
//! can still fail.

use core::mem::offset_of;

use network_types::eth::EthHdr;

use crate::access::{PacketMut, Pos};
use crate::hint::rare;
use crate::seeded::bug;
use crate::segments::longest;
use crate::state::Frame;
use crate::tables::{Exits, ShardEntry, Tables, exit, target};
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
pub(crate) fn to_shard<P: PacketMut, T: Tables, E: Exits>(
    packet: &mut P,
    tables: &T,
    exits: &mut E,
    shard: u16,
    entry: &ShardEntry,
    frame: &Frame<'_>,
) -> Result<(Action, Verdict), Reason> {
    match entry.target {
        target::PASS => Ok((Action::Pass, Verdict::Pass)),
        target::CPU if exits.to_cpu(entry.port) => Ok((Action::Redirect, Verdict::Cpu)),
        target::CPU => Err(Reason::NoExit),
        target::INTERFACE => {
            fits(packet, entry, frame)?;
            rewrite(packet, entry).ok_or(Reason::NoExit)?;
            if tables.config().back.nat != 0 && entry.exit & exit::NAT != 0 {
                rare();
                let l3 = Pos::from_stored(frame.headers.l3);
                packet.to_pod(tables, shard as u32, l3).ok_or(Reason::NoExit)?;
            }
            leave(exits, shard, entry, Verdict::Interface)
        }
        target::NEXT_HOP => {
            fits(packet, entry, frame)?;
            rewrite(packet, entry).ok_or(Reason::NoExit)?;
            if entry.port == packet.ingress() {
                return Ok((Action::Transmit, Verdict::NextHop));
            }
            leave(exits, shard, entry, Verdict::NextHop)
        }
        _ => Err(Reason::TargetDrop),
    }
}

/// Whether every frame fits the interface. The kernel would drop what does not, and say nothing.
#[inline(always)]
fn fits<P: PacketMut>(packet: &P, entry: &ShardEntry, frame: &Frame<'_>) -> Result<(), Reason> {
    if entry.most != 0 && longest(packet, frame.carried) > entry.most as u64 {
        Err(Reason::TooBig)
    } else {
        Ok(())
    }
}

/// Redirects. A frame that cannot leave is dropped, so that it was rewritten harms nothing.
#[inline(always)]
fn leave<E: Exits>(
    exits: &mut E,
    shard: u16,
    entry: &ShardEntry,
    verdict: Verdict,
) -> Result<(Action, Verdict), Reason> {
    if exits.to_interface(shard as u32, entry.exit & exit::PEER != 0) {
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
