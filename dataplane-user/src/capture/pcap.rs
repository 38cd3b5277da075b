//! pcap (draft-ietf-opsawg-pcap): a header of 24 bytes that says the byte order and the link type, then packets,
//! each behind its time (in microseconds or nanoseconds, which nobody here asks) and its two lengths.

use super::input::Input;
use super::{Buffer, LONGEST_PACKET, Link, Problem, Record};

/// The number that a capture with microseconds begins with.
const MICROSECONDS: u32 = 0xa1b2_c3d4;
/// The number that a capture with nanoseconds begins with.
const NANOSECONDS: u32 = 0xa1b2_3c4d;

/// The only major version there has been since 1998.
const MAJOR: u16 = 2;

/// A byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// What the header said.
#[derive(Debug)]
pub(super) struct Pcap {
    order: Order,
    link: Link,
}

impl Pcap {
    /// Reads what follows the first four bytes; `None` where they are not those of this format.
    pub(super) fn open(magic: [u8; 4], input: &mut Input<'_>) -> Result<Option<Self>, Problem> {
        let begins = |order: Order| matches!(order.u32(magic), MICROSECONDS | NANOSECONDS);
        let Some(order) = [Order::Little, Order::Big].into_iter().find(|order| begins(*order)) else {
            return Ok(None);
        };
        // Time zone, accuracy and the longest packet are not used: writers do not keep to them.
        let [a, b, c, d, _, _, _, _, _, _, _, _, _, _, _, _, e, f, g, h] = input.array("its header")?;
        let (major, minor) = (order.u16([a, b]), order.u16([c, d]));
        if major != MAJOR {
            return Err(Problem::Version(format!("pcap {major}.{minor}")));
        }
        // The upper half says how much of a frame's check sequence there is, which counts as padding.
        let number = order.u32([e, f, g, h]) as u16;
        let link = Link::from_number(number).map_err(|link| Problem::Link { of: "it is".into(), link })?;
        Ok(Some(Self { order, link }))
    }

    /// Reads the next packet into `buffer`.
    pub(super) fn next(&self, input: &mut Input<'_>, buffer: &mut Buffer) -> Result<Option<Record>, Problem> {
        let Some(header) = input.array_or_end::<16>("a packet's header")? else {
            return Ok(None);
        };
        let [_, _, _, _, _, _, _, _, a, b, c, d, e, f, g, h] = header;
        let (captured, original) = (self.order.u32([a, b, c, d]), self.order.u32([e, f, g, h]));
        if captured > LONGEST_PACKET {
            return Err(too_long(captured));
        }
        buffer.read(input, captured)?;
        Ok(Some(Record { link: self.link, captured, original }))
    }
}

/// A packet that is longer than any.
pub(super) fn too_long(captured: u32) -> Problem {
    Problem::Damaged(format!(
        "a packet says it has {captured} bytes, and no capture has any above {LONGEST_PACKET}"
    ))
}
