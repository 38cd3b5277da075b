//! Flows that opened while their key was moving: which shard each is with. There is no other memory of flows, and this one only
//! for as long as a placement changes (see [`crate::migrate`]).
//!
//! ```text
//!  opens    offered: the current shard and the opening sequence number     no room: the previous shard, nothing is lost
//!  proves   a segment just behind that number: the flow is the shard's     until then nothing but such a segment is diverted
//!  goes on  near the last sequence number: the same shard                  anything else is another flow's: the previous shard
//! ```
//! So a forged SYN cannot capture a live flow: its sequence numbers are elsewhere (a window of 2^14 of 2^32). A newer SYN
//! takes the place of what was offered before, never of what was proved. QUIC has no sequence numbers that can be read: an Initial
//! packet offers, a Handshake packet proves, and until then long headers alone are diverted (RFC 9000, 17.2).
//!
//! A pin is two words, each written at once; it holds no address: it is found by 64 bits of SipHash over the flow, under the node's
//! secret. Two of 2^16 flows meet with a chance of 2^-33, and then one of them goes to a shard of the same key.

use crate::account::Counter;
use crate::migrate::Move;
use crate::overlay::takes;
use crate::seeded::bug;
use crate::tables::Tables;

/// What a packet says of its flow.
pub mod sign {
    /// Nothing: a datagram, a fragment, a protocol without a beginning.
    pub const LOOSE: u32 = 0;
    /// A TCP segment that opens one.
    pub const OPENS: u32 = 1;
    /// Any other TCP segment.
    pub const SEGMENT: u32 = 2;
    /// A QUIC packet that opens one (Initial).
    pub const INITIAL: u32 = 3;
    /// A QUIC packet of its beginning (0-RTT).
    pub const EARLY: u32 = 4;
    /// A QUIC packet that only who was answered can send (Handshake).
    pub const HANDSHAKE: u32 = 5;
    /// Any other QUIC packet.
    pub const SHORT: u32 = 6;
    /// An ICMP error about it, or an answer: it goes where the flow goes and says nothing.
    pub const ABOUT: u32 = 7;
}

/// How far behind the opening sequence number a segment proves a flow: more than any first window (RFC 6928), and 2^-18 of all numbers.
pub const PROOF: u32 = 1 << 14;

/// How far from the last sequence number seen a segment is still the flow's. Larger windows are possible (RFC 7323) and not seen; what is
/// beyond would be taken for an older flow's.
pub const REACH: u32 = 1 << 27;

/// From so much progress on the last sequence number is written anew.
const STRIDE: u32 = 1 << 20;

/// A flow that opened while its key moves.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pin {
    /// The shard that it was proved to be with, and its last sequence number.
    pub proved: Side,
    /// The shard that it was offered to, and the opening sequence number.
    pub offered: Side,
    /// [`Tables::epoch`] when it was last seen.
    pub seen: u64,
}

const _: () = assert!(size_of::<Pin>() == 24);

/// One shard of a pin, in a word.
///
/// ```text
///  63          32 31   18  17      16    15     0
///  [ sequence   | -      | again | is  | shard  ]       0: none
/// ```
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Side(pub u64);

impl Side {
    /// No shard.
    pub const NONE: Self = Self(0);

    const IS: u64 = 1 << 16;
    const AGAIN: u64 = 1 << 17;

    /// A shard, and a sequence number.
    #[inline(always)]
    pub const fn new(shard: u16, sequence: u32) -> Self {
        Self((sequence as u64) << 32 | Self::IS | shard as u64)
    }

    /// Whether there is one.
    #[inline(always)]
    pub const fn is(self) -> bool {
        self.0 & Self::IS != 0
    }

    /// The same; what opened it came more than once.
    #[must_use]
    #[inline(always)]
    pub const fn again(self) -> Self {
        Self(self.0 | Self::AGAIN)
    }

    /// Whether what opened it came more than once.
    #[inline(always)]
    pub const fn is_again(self) -> bool {
        self.0 & Self::AGAIN != 0
    }

    /// The shard.
    #[inline(always)]
    pub const fn shard(self) -> u16 {
        self.0 as u16
    }

    /// The sequence number.
    #[inline(always)]
    pub const fn sequence(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// What is counted of one [unit](Move::unit) of a migration, per CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moving {
    /// What went to another shard than the current one.
    pub left: Counter,
    /// Flows that opened on the current shard and were pinned to it.
    pub pinned: u64,
    /// Flows that opened, found no room for a pin, and went to the previous shard.
    pub full: u64,
    /// Of those that were pinned, the ones that were proved.
    pub proved: u64,
    /// And those whose opening segment came again: nobody answered for a second or more (RFC 6298).
    pub again: u64,
    /// Segments to or from the current shard that reset a connection.
    pub resets: u64,
    /// The span of the epoch that something went to another shard in last.
    pub span: u64,
    /// Which of [`MARKS`] hashes the flows had that went to another shard, in that span and the one before, by even and odd: how many flows
    /// these were can be estimated from it (linear counting: Whang et al. 1990).
    pub marks: [[u64; 4]; 2],
}

const _: () = assert!(size_of::<Moving>() == 128);

impl Moving {
    /// Counts a flow, or a segment.
    #[inline(always)]
    pub const fn count(&mut self, what: Happened) {
        match what {
            Happened::Nothing => {}
            Happened::Pinned => self.pinned += 1,
            Happened::Full => self.full += 1,
            Happened::Proved => self.proved += 1,
            Happened::Again => self.again += 1,
            Happened::Reset => self.resets += 1,
        }
    }

    /// Marks a flow that went to another shard in span `span`.
    #[inline(always)]
    pub const fn mark(&mut self, flow: u64, span: u32) {
        let at = span as usize & 1;
        if self.span != span as u64 {
            if self.span + 1 != span as u64 {
                self.marks[1 - at] = [0; 4];
            }
            self.marks[at] = [0; 4];
            self.span = span as u64;
        }
        let mark = flow as u32 & (MARKS - 1);
        self.marks[at][(mark >> 6) as usize & 3] |= 1 << (mark & 63);
    }

    /// What was marked in span `span` and the one before.
    pub const fn marked(&self, span: u32) -> [u64; 4] {
        let [even, odd] = self.marks;
        match (span as u64).wrapping_sub(self.span) {
            0 => [even[0] | odd[0], even[1] | odd[1], even[2] | odd[2], even[3] | odd[3]],
            1 => self.marks[self.span as usize & 1],
            _ => [0; 4],
        }
    }
}

/// What happens to a flow of a moving key, and is counted in [`Moving`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// Nothing that is counted.
    Nothing,
    /// It opened and was pinned.
    Pinned,
    /// It opened and found no room.
    Full,
    /// It was proved.
    Proved,
    /// What opened it came again.
    Again,
    /// It was reset.
    Reset,
}

/// How many hashes [`Moving::marks`] tells apart.
pub const MARKS: u32 = 256;

/// Which flows may have a pin: a bit for each hash, so that the many which have none are not looked for among those that have. Two halves
/// of bits, of which one is asked; whoever offers a pin sets its bit in both. User space makes the other half anew from the pins
/// that there are, and has that one asked.
pub mod filter {
    /// Words of a half: 65,536 bits.
    pub const WORDS: u32 = 1_024;
    /// The index of the word that says which half is asked: 0 or 1.
    pub const ASKED: u32 = 2 * WORDS;
    /// All words.
    pub const ALL: u32 = ASKED + 1;

    /// The index of a flow's word in half `half`.
    #[inline(always)]
    pub const fn word(flow: u64, half: u64) -> u32 {
        (half as u32 & 1) * WORDS + (flow >> 6) as u32 % WORDS
    }

    /// A flow's bit in its word.
    #[inline(always)]
    pub const fn bit(flow: u64) -> u64 {
        1 << (flow & 63)
    }
}

/// The bounded memory of flows, and what is counted of those that move.
pub trait Pins {
    /// The pin of a flow.
    fn pin(&mut self, flow: u64) -> Option<Pin>;
    /// Remembers a flow that has no pin; false where there is no room.
    fn offer(&mut self, flow: u64, pin: Pin) -> bool;
    /// Writes a flow's pin anew, word by word.
    fn renew(&mut self, flow: u64, pin: Pin);
    /// Counts what went to another shard than the current one.
    fn left(&mut self, unit: u32, flow: u64, carried: Counter, span: u32);
    /// Counts what happened to a flow.
    fn happened(&mut self, unit: u32, what: Happened);
}

/// Who knows where a flow of a moving key is: [`settle`] over its [`Pins`], which the kernel home has as a function of its own.
pub trait Settle {
    /// The shard that a packet goes to.
    fn settle<T: Tables>(&mut self, tables: &T, flow: u64, moving: Move, between: Between, said: Said)
    -> u16;
}

/// The shards that a packet may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Between {
    /// Where its key's flows go in the end.
    pub current: u16,
    /// Where those go that were there before.
    pub previous: u16,
    /// Where a flow opens now: the current shard, but of one that recovers slowly.
    pub opens: u16,
}

impl Between {
    /// As one number.
    #[inline(always)]
    pub const fn pack(self) -> u64 {
        self.current as u64 | (self.previous as u64) << 16 | (self.opens as u64) << 32
    }

    /// From [`Between::pack`].
    #[inline(always)]
    pub const fn unpack(word: u64) -> Self {
        Self { current: word as u16, previous: (word >> 16) as u16, opens: (word >> 32) as u16 }
    }
}

/// What a packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// One of [`sign`].
    pub sign: u32,
    /// Its sequence number, of a TCP segment.
    pub sequence: u32,
    /// Whether it is a TCP segment that resets.
    pub resets: bool,
    /// What it counts as; no packets: nothing is counted.
    pub carried: Counter,
}

/// Bits of [`Said::pack`] for bytes: 64 GiB.
const BYTES: u32 = 36;
/// The bit of [`Said::pack`] for what resets.
const RESETS: u32 = 8;

impl Said {
    /// As two numbers.
    #[inline(always)]
    pub const fn pack(self) -> (u64, u64) {
        let said = self.sign as u64 | (self.resets as u64) << RESETS | (self.sequence as u64) << 32;
        (said, self.carried.packets << BYTES | self.carried.bytes & ((1 << BYTES) - 1))
    }

    /// From [`Said::pack`].
    #[inline(always)]
    pub const fn unpack(said: u64, carried: u64) -> Self {
        let carried = Counter { packets: carried >> BYTES, bytes: carried & ((1 << BYTES) - 1) };
        Self {
            sign: said as u32 & 0xff,
            resets: said >> RESETS & 1 != 0,
            sequence: (said >> 32) as u32,
            carried,
        }
    }
}

/// The shard that a packet of a moving key goes to.
#[inline(always)]
pub fn settle<T: Tables, H: Pins>(
    home: &mut H,
    tables: &T,
    flow: u64,
    moving: Move,
    between: Between,
    said: Said,
) -> u16 {
    let epoch = tables.epoch();
    // Counted in one place: what each place would have of its own is on a stack that is full (see `with_pin`).
    let mut happened = Happened::Nothing;
    let mut shard = if said.sign == sign::LOOSE {
        if moving.holds() || moving.is_held() { between.previous } else { between.current }
    } else if between.current == between.previous && !moving.has_strays() {
        between.current
    } else {
        with_pin(home, flow, between, said, epoch, &mut happened)
    };
    if happened as u8 != Happened::Nothing as u8 {
        home.happened(moving.unit(), happened);
    }
    // A shard that died takes nobody's flows with it.
    if shard != between.current && tables.config().overlay != 0 && !takes(tables, shard) {
        shard = between.current;
    }
    if shard != between.current && said.carried.packets != 0 {
        home.left(moving.unit(), flow, said.carried, (epoch >> 32) as u32);
    }
    if said.resets && shard == between.current {
        home.happened(moving.unit(), Happened::Reset);
    }
    shard
}

/// The shard that a flow's pin says, or the previous one.
#[inline(always)]
fn with_pin<H: Pins>(
    home: &mut H,
    flow: u64,
    between: Between,
    said: Said,
    epoch: u64,
    happened: &mut Happened,
) -> u16 {
    let Between { previous, opens, .. } = between;
    let Said { sign, sequence, .. } = said;
    let opening = sign == sign::OPENS || sign == sign::INITIAL;
    let Some(mut pin) = home.pin(flow) else {
        if !opening || opens == previous {
            return previous;
        }
        let offered = Side::new(opens, sequence);
        let pinned = home.offer(flow, Pin { offered, seen: epoch, ..Pin::default() });
        *happened = if pinned { Happened::Pinned } else { Happened::Full };
        // Without room it is as if it had been there before: slower to move, and whole.
        return if bug!(Migrate, pinned, true) { opens } else { previous };
    };
    if sign == sign::ABOUT {
        return if pin.proved.is() { pin.proved.shard() } else { pin.offered.shard() };
    }
    // Told rather than compared: a copy would be on a stack that is full, below that of the deep program (Linux 6.1 counts both).
    let mut renews = pin.seen != epoch;
    // Of a QUIC flow that is proved an Initial packet may still come, with an acknowledgement.
    let shard = if opening && !(sign == sign::INITIAL && pin.proved.is()) {
        // One that is sent again goes where the first went.
        if !(pin.offered.is() && pin.offered.sequence() == sequence) {
            pin.offered = Side::new(opens, sequence);
            renews = true;
            *happened = Happened::Pinned;
        } else if sign == sign::OPENS && !pin.offered.is_again() {
            pin.offered = pin.offered.again();
            renews = true;
            *happened = Happened::Again;
        }
        pin.offered.shard()
    } else {
        let behind = sequence.wrapping_sub(pin.offered.sequence());
        let ahead = sequence.wrapping_sub(pin.proved.sequence());
        let proves =
            if sign == sign::SEGMENT { behind.wrapping_sub(1) < PROOF } else { sign == sign::HANDSHAKE };
        if pin.offered.is() && proves {
            pin.proved = Side::new(pin.offered.shard(), sequence);
            pin.offered = Side::NONE;
            renews = true;
            *happened = Happened::Proved;
            pin.proved.shard()
        } else if pin.offered.is() && sign == sign::EARLY {
            pin.offered.shard()
        } else if pin.proved.is() && (ahead <= REACH || ahead.wrapping_neg() <= REACH) {
            if ahead > STRIDE && ahead <= REACH {
                pin.proved = Side::new(pin.proved.shard(), sequence);
                renews = true;
            }
            pin.proved.shard()
        } else {
            return previous;
        }
    };
    pin.seen = epoch;
    if renews {
        home.renew(flow, pin);
    }
    shard
}
