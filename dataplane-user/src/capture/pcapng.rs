//! pcapng (draft-ietf-opsawg-pcapng): blocks, each with its type, its length before and after, and its content.
//!
//! ```text
//!  section      byte order for what follows; forgets the interfaces before it
//!  interface    link type, numbered in order
//!  packet       enhanced, simple, or the obsolete one: interface, lengths, bytes, options
//!  any other    passed over
//! ```

use super::input::Input;
use super::pcap::{Order, too_long};
use super::{Buffer, LONGEST_PACKET, Link, Problem, Record};

/// The first bytes of a section, the same in either byte order.
pub(super) const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// [`SECTION`] as a block type.
const SECTION_TYPE: u32 = 0x0a0d_0d0a;
/// What a section says its byte order by.
const BYTE_ORDER: u32 = 0x1a2b_3c4d;

const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// The only major version.
const MAJOR: u16 = 1;

/// Bytes of a block around its content: type, length, and the length once more.
const AROUND: u32 = 12;

/// How many interfaces a section may have: far more than any host, so that memory is bounded.
const MOST_INTERFACES: usize = 65_536;

/// An interface that packets were captured on.
#[derive(Clone, Debug)]
struct Interface {
    /// Its link type; the name of one that is not supported.
    link: Result<Link, String>,
    /// The most bytes of a packet that were kept; 0: all.
    snap: u32,
}

/// What has been read of the section.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: Order,
    interfaces: Vec<Interface>,
    /// The type of the first block was read to recognise the format.
    at_start: bool,
}

impl Default for Pcapng {
    fn default() -> Self {
        Self { order: Order::Little, interfaces: Vec::new(), at_start: true }
    }
}

/// A block whose content is being read.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// Its length, with what is around its content.
    length: u32,
    /// Bytes of its content that are still to be read.
    left: u32,
}

impl Block {
    /// Takes `bytes` of the content.
    fn take(&mut self, bytes: u32) -> Result<(), Problem> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Problem::Damaged(format!(
                "a block of {} bytes is too short for its content",
                self.length
            ))),
        }
    }

    /// Reads an array from its content.
    fn array<const N: usize>(&mut self, input: &mut Input<'_>) -> Result<[u8; N], Problem> {
        self.take(N as u32)?;
        input.array("a block")
    }
}

impl Pcapng {
    /// Reads on until a packet is in `buffer`. `begins` is set to where its block, or the one that cannot be
    /// read, begins.
    pub(super) fn next(
        &mut self,
        input: &mut Input<'_>,
        buffer: &mut Buffer,
        begins: &mut u64,
    ) -> Result<Option<Record>, Problem> {
        loop {
            *begins = input.offset();
            let kind = if std::mem::take(&mut self.at_start) {
                *begins = 0;
                SECTION
            } else {
                match input.array_or_end::<4>("a block")? {
                    Some(kind) => kind,
                    None => return Ok(None),
                }
            };
            if let Some(record) = self.block(kind, input, buffer)? {
                return Ok(Some(record));
            }
        }
    }

    /// Reads a block of type `kind`, and gives the packet that was in it.
    fn block(
        &mut self,
        kind: [u8; 4],
        input: &mut Input<'_>,
        buffer: &mut Buffer,
    ) -> Result<Option<Record>, Problem> {
        let mut length = input.array::<4>("a block")?;
        if kind == SECTION {
            // Before the byte order is known, the length cannot be.
            let order = input.array::<4>("a block")?;
            self.order = match [Order::Little, Order::Big].into_iter().find(|it| it.u32(order) == BYTE_ORDER)
            {
                Some(order) => order,
                None => return Err(Problem::Damaged("a section without a byte order".into())),
            };
        }
        let mut block = self.checked(self.order.u32(length))?;
        let record = match self.order.u32(kind) {
            SECTION_TYPE => {
                block.take(4)?;
                self.section(&mut block, input)?;
                None
            }
            INTERFACE => {
                self.interface(&mut block, input)?;
                None
            }
            ENHANCED_PACKET => {
                let [a, b, c, d, times @ ..] = block.array::<20>(input)?;
                let [_, _, _, _, _, _, _, _, lengths @ ..] = times;
                Some(self.packet(self.order.u32([a, b, c, d]), lengths, &mut block, input, buffer)?)
            }
            OBSOLETE_PACKET => {
                let [a, b, _, _, times @ ..] = block.array::<20>(input)?;
                let [_, _, _, _, _, _, _, _, lengths @ ..] = times;
                Some(self.packet(self.order.u16([a, b]).into(), lengths, &mut block, input, buffer)?)
            }
            SIMPLE_PACKET => Some(self.simple_packet(&mut block, input, buffer)?),
            _ => None,
        };
        // Padding and options, or all of a block of another kind.
        input.skip(block.left.into(), "a block")?;
        let before = length;
        length = input.array::<4>("a block")?;
        if before != length {
            let [before, after] = [before, length].map(|length| self.order.u32(length));
            return Err(Problem::Damaged(format!(
                "a block begins with length {before} and ends with {after}"
            )));
        }
        Ok(record)
    }

    /// A block of this length.
    fn checked(&self, length: u32) -> Result<Block, Problem> {
        match length.checked_sub(AROUND) {
            Some(left) if length.is_multiple_of(4) => Ok(Block { length, left }),
            _ => Err(Problem::Damaged(format!("a block says it has {length} bytes"))),
        }
    }

    fn section(&mut self, block: &mut Block, input: &mut Input<'_>) -> Result<(), Problem> {
        let [a, b, c, d, _section_length @ ..] = block.array::<12>(input)?;
        let (major, minor) = (self.order.u16([a, b]), self.order.u16([c, d]));
        if major != MAJOR {
            return Err(Problem::Version(format!("pcapng {major}.{minor}")));
        }
        self.interfaces.clear();
        Ok(())
    }

    fn interface(&mut self, block: &mut Block, input: &mut Input<'_>) -> Result<(), Problem> {
        let [a, b, _, _, snap @ ..] = block.array::<8>(input)?;
        if self.interfaces.len() == MOST_INTERFACES {
            return Err(Problem::Damaged(format!("a section has more than {MOST_INTERFACES} interfaces")));
        }
        let link = Link::from_number(self.order.u16([a, b]));
        self.interfaces.push(Interface { link, snap: self.order.u32(snap) });
        Ok(())
    }

    /// The link type of a packet's interface, and how much of its packets was kept.
    fn on(&self, number: u32) -> Result<(Link, u32), Problem> {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        let Some(interface) = self.interfaces.get(at) else {
            let known = self.interfaces.len();
            return Err(Problem::Damaged(format!(
                "a packet of interface {number}, of {known} in its section"
            )));
        };
        match &interface.link {
            Ok(link) => Ok((*link, interface.snap)),
            Err(link) => Err(Problem::Link { of: format!("interface {number} is"), link: link.clone() }),
        }
    }

    /// A packet with both lengths.
    fn packet(
        &self,
        interface: u32,
        lengths: [u8; 8],
        block: &mut Block,
        input: &mut Input<'_>,
        buffer: &mut Buffer,
    ) -> Result<Record, Problem> {
        let (link, _) = self.on(interface)?;
        let [a, b, c, d, original @ ..] = lengths;
        let (captured, original) = (self.order.u32([a, b, c, d]), self.order.u32(original));
        self.content(Record { link, captured, original }, block, input, buffer)
    }

    /// A packet with its original length alone: as much of it is there as its interface keeps.
    fn simple_packet(
        &self,
        block: &mut Block,
        input: &mut Input<'_>,
        buffer: &mut Buffer,
    ) -> Result<Record, Problem> {
        let (link, snap) = self.on(0)?;
        let original = self.order.u32(block.array(input)?);
        let captured = if snap == 0 { original } else { original.min(snap) };
        self.content(Record { link, captured, original }, block, input, buffer)
    }

    /// Reads a packet's bytes.
    fn content(
        &self,
        record: Record,
        block: &mut Block,
        input: &mut Input<'_>,
        buffer: &mut Buffer,
    ) -> Result<Record, Problem> {
        if record.captured > LONGEST_PACKET {
            return Err(too_long(record.captured));
        }
        block.take(record.captured)?;
        buffer.read(input, record.captured)?;
        Ok(record)
    }
}
