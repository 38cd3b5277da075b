//! Where a decision keeps what may not be on the kernel's stack, and what a tool may want to read later.

use crate::headers::{Headers, Record, Work, found};

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
