//! The shard of a packet in the end: what the tables chose ([`crate::select`]), around what does not take packets
//! ([`crate::overlay`]), and while placements change where its flow is ([`crate::migrate`]).

use crate::access::Packet;
use crate::headers::NO_SHARD;
use crate::hint::rare;
use crate::migrate::migrate;
use crate::overlay::{Chosen, DEAD, around, shard_word, takes};
use crate::pin::Settle;
use crate::select::Choice;
use crate::state::Frame;
use crate::tables::{KeyEntry, Tables};

/// What is being placed.
#[derive(Clone, Copy)]
pub(crate) enum Placed<'e> {
    /// A key.
    Key(&'e KeyEntry),
    /// A class that is spread over the pool whose slots begin here.
    Pool(u32),
}

impl Placed<'_> {
    /// The shard that takes a packet in the place of the chosen one, of which `word` is said; that itself where nothing stands in the way.
    #[inline(always)]
    pub(crate) fn around<T: Tables>(self, tables: &T, choice: Choice, word: u64) -> u16 {
        if word & DEAD == 0 {
            return choice.shard;
        }
        let other = self.beside(tables, choice);
        // Where no other is alive, one that is only thought dead is asked all the same.
        let alive = other != NO_SHARD && takes(tables, other);
        if !alive && word & shard_word::DISABLED == 0 { choice.shard } else { other }
    }

    /// The shard that would take the place of the chosen one; [`NO_SHARD`] if none does.
    #[inline(always)]
    pub(crate) fn beside<T: Tables>(self, tables: &T, choice: Choice) -> u16 {
        let chosen = match self {
            Self::Key(entry) => Chosen::for_key(tables, entry, choice.slot, choice.flow),
            Self::Pool(slots) => Some(Chosen::over_pool(slots, choice.flow)),
        };
        chosen.map_or(NO_SHARD, |chosen| around(tables, chosen))
    }
}

/// The shard of a packet for which the tables made `choice`. `at` is its [move's](crate::migrate::Move) index.
#[inline(always)]
pub(crate) fn place<P: Packet, T: Tables, H: Settle>(
    packet: &P,
    tables: &T,
    home: &mut H,
    frame: &Frame<'_>,
    placed: Placed<'_>,
    at: u32,
    choice: Choice,
) -> u16 {
    if tables.config().migrating != 0 {
        rare();
        migrate(packet, tables, home, frame, placed, at, choice)
    } else if tables.config().overlay != 0 {
        rare();
        placed.around(tables, choice, tables.shard_word(choice.shard as u32))
    } else {
        choice.shard
    }
}
