//! The classic way to TC: a qdisc `clsact`, which has a hook in each direction, and a filter of kind `bpf` there whose program decides
//! by itself ("direct action"). What the kernel is told and asked; [`super::filter`] makes something of it that lives as a link does.
//!
//! A filter is keysteer's by three things together: [`PRIORITY`], [`HANDLE`] and [`NAME`]. They are said in `docs/targets.md`.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};

use super::link::Direction;
use super::requests::{self, Attributes, Listed, Subject};

/// Where in the order of filters keysteer's is: behind all that `tc` numbers by itself, which counts down from 49,152.
pub(super) const PRIORITY: u16 = 50_000;
/// The filter's number at that priority: `ks`.
const HANDLE: u32 = 0x6b73;
/// The filter's name.
const NAME: &str = "keysteer";

/// Message types of linux/rtnetlink.h.
const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
const RTM_GETQDISC: u16 = 38;
const RTM_NEWTFILTER: u16 = 44;
const RTM_DELTFILTER: u16 = 45;
const RTM_GETTFILTER: u16 = 46;
/// Attributes of both: `TCA_KIND`, `TCA_OPTIONS`.
const KIND: u16 = 1;
const OPTIONS: u16 = 2;
/// Attributes of a filter of kind `bpf`: `TCA_BPF_*` of linux/pkt_cls.h.
const BPF_FD: u16 = 6;
const BPF_NAME: u16 = 7;
const BPF_FLAGS: u16 = 8;
const BPF_ID: u16 = 11;
/// `TCA_BPF_FLAG_ACT_DIRECT`
const ACT_DIRECT: u32 = 1;
/// `TC_H_CLSACT`: what such a qdisc is under.
const CLSACT: u32 = 0xffff_fff1;
/// The number that such a qdisc has.
const CLSACT_HANDLE: u32 = 0xffff_0000;
/// `ETH_P_ALL` in network byte order: packets of every kind.
const EVERY_PROTOCOL: u16 = 0x0003_u16.to_be();
/// The kinds of filter and qdisc.
const BPF: &str = "bpf";
const QDISC: &str = "clsact";

/// What stands in the way of a filter, each with what to do.
#[derive(Debug, thiserror::Error)]
enum Obstacle {
    #[error(
        "this kernel has no {what}, and no TCX (Linux 6.6) either: load the module {module} (`modprobe {module}`), or take a kernel that has it"
    )]
    Missing { what: &'static str, module: &'static str },
    #[error(
        "keysteer's place there, priority {PRIORITY} of TC {}, is taken by {by}, which keysteer leaves alone: move or delete it (`tc filter show dev INTERFACE {}` shows it)",
        direction.name(),
        direction.name()
    )]
    Taken { direction: Direction, by: Filter },
    #[error(
        "it has a qdisc `{kind}` where keysteer needs one of kind `{QDISC}`; replace it (`tc qdisc del dev INTERFACE ingress`, which deletes its filters)"
    )]
    OtherQdisc { kind: String },
    #[error("the filter has gone, or another is in its place")]
    Gone,
}

impl From<Obstacle> for io::Error {
    fn from(obstacle: Obstacle) -> Self {
        Self::other(obstacle)
    }
}

/// A filter, as far as the kernel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    priority: u16,
    handle: u32,
    kind: String,
    name: Option<String>,
    /// The id of its program.
    pub(super) program: Option<u32>,
}

impl Filter {
    /// What the kernel lists first of each priority has no number, and is no filter.
    fn read(listed: &Listed) -> Option<Self> {
        let Subject { handle, info, .. } = listed.subject;
        let attributes = listed.attributes();
        let kind = attributes.text(KIND)?;
        let options = attributes.nested(OPTIONS).filter(|_| kind == BPF);
        (handle != 0).then(|| Self {
            priority: (info >> 16) as u16,
            handle,
            kind,
            name: options.and_then(|options| options.text(BPF_NAME)),
            program: options.and_then(|options| options.number(BPF_ID)),
        })
    }

    fn is_ours(&self) -> bool {
        (self.priority, self.handle, self.kind.as_str()) == (PRIORITY, HANDLE, BPF)
            && self.name.as_deref() == Some(NAME)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a filter of kind {} (handle {:#x}", self.kind, self.handle)?;
        if let Some(name) = &self.name {
            write!(f, ", name \"{name}\"")?;
        }
        if let Some(program) = self.program {
            write!(f, ", program id {program}")?;
        }
        write!(f, ")")
    }
}

/// What filters of a direction are under: `TC_H_MIN_INGRESS` and `TC_H_MIN_EGRESS` of the qdisc.
const fn parent(direction: Direction) -> u32 {
    match direction {
        Direction::Ingress => CLSACT_HANDLE | 0xfff2,
        Direction::Egress => CLSACT_HANDLE | 0xfff3,
    }
}

/// Keysteer's place on interface `index`.
fn place(index: u32, direction: Direction) -> Subject {
    let info = u32::from(PRIORITY) << 16 | u32::from(EVERY_PROTOCOL);
    Subject { interface: index, handle: HANDLE, parent: parent(direction), info }
}

/// What the filter is to be.
fn filter(program: BorrowedFd<'_>) -> Attributes {
    let options = Attributes::default()
        .number(BPF_FD, program.as_raw_fd().unsigned_abs())
        .text(BPF_NAME, NAME)
        .number(BPF_FLAGS, ACT_DIRECT);
    Attributes::default().text(KIND, BPF).nested(OPTIONS, &options)
}

/// All filters of a direction, in the order in which packets meet them; none where there is no such qdisc or interface.
fn filters(index: u32, direction: Direction) -> io::Result<Vec<Filter>> {
    let all = Subject { interface: index, parent: parent(direction), ..Subject::default() };
    Ok(requests::list(RTM_GETTFILTER, all)?.iter().filter_map(Filter::read).collect())
}

/// Keysteer's filter, if it is there.
pub(super) fn ours(index: u32, direction: Direction) -> io::Result<Option<Filter>> {
    Ok(filters(index, direction)?.into_iter().find(Filter::is_ours))
}

/// Somebody else's filter at keysteer's priority; `exactly`: at its number there too.
fn intruder(index: u32, direction: Direction, exactly: bool) -> io::Result<Option<Filter>> {
    let mut found = filters(index, direction)?.into_iter();
    Ok(found.find(|it| it.priority == PRIORITY && !it.is_ours() && (!exactly || it.handle == HANDLE)))
}

/// Makes the qdisc, unless there is one; true if it was made.
fn make_qdisc(index: u32, direction: Direction) -> io::Result<bool> {
    let subject = Subject { interface: index, handle: CLSACT_HANDLE, parent: CLSACT, info: 0 };
    let kind = Attributes::default().text(KIND, QDISC);
    match requests::order(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, subject, &kind) {
        Ok(()) => Ok(true),
        Err(error) => match error.raw_os_error() {
            Some(libc::EEXIST) => match other_qdisc(index)?.filter(|_| direction == Direction::Egress) {
                // One of kind `ingress` has the hook of that direction, and takes filters for the other there too.
                Some(kind) => Err(Obstacle::OtherQdisc { kind }.into()),
                None => Ok(false),
            },
            Some(libc::ENOENT) => {
                Err(Obstacle::Missing { what: "qdisc `clsact`", module: "sch_ingress" }.into())
            }
            _ => Err(error),
        },
    }
}

/// The kind of the qdisc that is where a `clsact` would be, if it is another.
fn other_qdisc(index: u32) -> io::Result<Option<String>> {
    let listed = requests::list(RTM_GETQDISC, Subject::default())?;
    let there = listed.iter().find(|it| it.subject.interface == index && it.subject.handle == CLSACT_HANDLE);
    Ok(there.and_then(|it| it.attributes().text(KIND)).filter(|kind| kind != QDISC))
}

/// Deletes the qdisc where no filter of either direction is there any more.
pub(super) fn delete_unused_qdisc(index: u32) -> io::Result<()> {
    for direction in [Direction::Ingress, Direction::Egress] {
        if !filters(index, direction)?.is_empty() {
            return Ok(());
        }
    }
    let subject = Subject { interface: index, handle: CLSACT_HANDLE, parent: CLSACT, info: 0 };
    gone_is_fine(requests::order(RTM_DELQDISC, 0, subject, &Attributes::default()))
}

/// Puts a filter with `program` in keysteer's place, and the qdisc there if it is missing: true if it was. A filter of keysteer's
/// that is there, of which nobody knows any more, gets the program.
pub(super) fn add(program: BorrowedFd<'_>, index: u32, direction: Direction) -> io::Result<bool> {
    let made = make_qdisc(index, direction)?;
    let added = put(program, index, direction);
    if added.is_err() && made {
        // The error that matters is the first.
        let _ = delete_unused_qdisc(index);
    }
    added.map(|()| made)
}

fn put(program: BorrowedFd<'_>, index: u32, direction: Direction) -> io::Result<()> {
    let subject = place(index, direction);
    let Err(error) = requests::order(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, subject, &filter(program))
    else {
        return Ok(());
    };
    match error.raw_os_error() {
        Some(libc::EEXIST) => match intruder(index, direction, true)? {
            Some(by) => Err(Obstacle::Taken { direction, by }.into()),
            None => replace(program, index, direction),
        },
        // One priority has filters of one kind and for one protocol.
        Some(libc::EINVAL) => match intruder(index, direction, false)? {
            Some(by) => Err(Obstacle::Taken { direction, by }.into()),
            None => Err(error),
        },
        Some(libc::ENOENT) => Err(Obstacle::Missing { what: "filter `bpf`", module: "cls_bpf" }.into()),
        _ => Err(error),
    }
}

/// Gives keysteer's filter another program: the kernel exchanges the two in its list, and a packet meets one of them.
pub(super) fn replace(program: BorrowedFd<'_>, index: u32, direction: Direction) -> io::Result<()> {
    if ours(index, direction)?.is_none() {
        return Err(Obstacle::Gone.into());
    }
    let subject = place(index, direction);
    match requests::order(RTM_NEWTFILTER, NLM_F_REPLACE, subject, &filter(program)) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Err(Obstacle::Gone.into()),
        answer => answer,
    }
}

/// Deletes keysteer's filter, and nobody else's.
pub(super) fn delete(index: u32, direction: Direction) -> io::Result<()> {
    if ours(index, direction)?.is_none() {
        return Ok(());
    }
    let kind = Attributes::default().text(KIND, BPF);
    gone_is_fine(requests::order(RTM_DELTFILTER, 0, place(index, direction), &kind))
}

/// What is to go may have gone by itself, with its interface.
fn gone_is_fine(answer: io::Result<()>) -> io::Result<()> {
    match answer {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV | libc::EINVAL)) => {
            Ok(())
        }
        answer => answer,
    }
}
