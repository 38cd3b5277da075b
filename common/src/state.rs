//! Where a decision keeps what may not be on the kernel's stack, and what a tool may want to read later.

use crate::access::PacketMut;
use crate::account::Counter;
use crate::extract::extract;
use crate::headers::{Decision, Headers, NO_LEVEL, Record, Work, found};
use crate::hint::rare;
use crate::resolve::Resolved;
use crate::select::Choice;
use crate::tables::Tables;

/// This CPU's work area.
pub trait Area {
    /// The area; `None` cannot happen, and the verifier wants it asked.
    fn work(&mut self) -> Option<&mut Work>;
}

impl Area for Work {
    fn work(&mut self) -> Option<&mut Work> {
        Some(self)
    }
}

/// Where a program that records notes a packet.
pub(crate) trait Notes {
    /// The record of the packet with these headers, which opens a flow or not.
    fn record(&mut self, headers: &Headers, opens: bool) -> Option<&mut Record>;
}

/// Notes of a packet whose headers are not in the work area yet.
pub(crate) struct Apart<'a, A>(pub(crate) &'a mut A);

impl<A: Area> Notes for Apart<'_, A> {
    #[inline(always)]
    fn record(&mut self, headers: &Headers, opens: bool) -> Option<&mut Record> {
        let work = self.0.work()?;
        work.headers = *headers;
        if opens {
            work.headers.set(found::OPENS);
        }
        Some(&mut work.record)
    }
}

impl Notes for &mut Record {
    #[inline(always)]
    fn record(&mut self, _headers: &Headers, _opens: bool) -> Option<&mut Record> {
        Some(self)
    }
}

/// A frame as parsed.
pub(crate) struct Frame<'a> {
    pub(crate) headers: &'a Headers,
    /// [`found::OPENS`], which a plain frame's headers leave out.
    pub(crate) opens: bool,
    pub(crate) carried: Counter,
}

/// Records, if asked, that a frame is looked at.
#[inline(always)]
pub(crate) fn note_frame<T: Tables, N: Notes>(tables: &T, notes: &mut N, frame: &Frame<'_>) {
    if tables.config().record != 0
        && let Some(record) = notes.record(frame.headers, frame.opens)
    {
        rare();
        record.decision = Decision { bytes: frame.carried.bytes as u32, ..Decision::NONE };
    }
}

/// Records, if asked, a frame's key, before the frame may be rewritten. The deep program notes it as it reads it.
#[inline(always)]
pub(crate) fn note_key<P: PacketMut, T: Tables, N: Notes>(
    tables: &T,
    notes: &mut N,
    frame: &Frame<'_>,
    packet: &P,
) {
    if tables.config().record != 0
        && let Some(record) = notes.record(frame.headers, frame.opens)
    {
        rare();
        let key = extract(packet, tables, frame.headers, Some(&mut record.fields));
        record.key = key.key;
        record.decision.present = key.present;
    }
}

/// Records, if asked, what a frame's key was found to be.
#[inline(always)]
pub(crate) fn note_resolved<T: Tables, N: Notes>(
    tables: &T,
    notes: &mut N,
    frame: &Frame<'_>,
    resolved: &Resolved<'_>,
) {
    if tables.config().record == 0 {
        return;
    }
    rare();
    let Some(Record { decision, .. }) = notes.record(frame.headers, frame.opens) else {
        return;
    };
    decision.tried = resolved.tried;
    decision.claimed = resolved.claimed;
    if let Some(entry) = resolved.entry {
        decision.key_id = entry.id;
        decision.level = entry.meta.level();
    } else {
        decision.level = NO_LEVEL;
    }
}

/// Records, if asked, where a frame goes.
#[inline(always)]
pub(crate) fn note_choice<T: Tables, N: Notes>(tables: &T, notes: &mut N, frame: &Frame<'_>, choice: Choice) {
    if tables.config().record != 0
        && let Some(Record { decision, .. }) = notes.record(frame.headers, frame.opens)
    {
        rare();
        decision.shard = choice.shard;
        decision.slot = choice.slot;
        decision.flow = choice.flow;
    }
}
