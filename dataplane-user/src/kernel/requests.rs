//! Requests to the kernel about qdiscs and filters, by rtnetlink: one socket for each, plain and blocking, for callers inside a
//! runtime and outside. Bytes are written and read here rather than by `rtnetlink`'s types: it does not know filters of kind `bpf`, and
//! gives up on whole answers where somebody else's filter has what it does not know.

use std::io;

use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer,
};
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// Message types of the netlink protocol itself.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// `NLMSGERR_ATTR_MSG`: what the kernel has to say of an error.
const ERROR_TEXT: u16 = 1;
/// How often a list is read again that changed while it was read.
const AGAIN: usize = 10;

/// `struct tcmsg` of linux/rtnetlink.h: what is meant, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Subject {
    /// The interface's index.
    pub(super) interface: u32,
    /// The qdisc's or the filter's own number.
    pub(super) handle: u32,
    /// What it is under.
    pub(super) parent: u32,
    /// Of a filter its priority and protocol.
    pub(super) info: u32,
}

impl Subject {
    /// Bytes of `struct tcmsg`.
    const LENGTH: usize = 20;

    /// As the kernel lays it out: the family first, which is none.
    fn bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let words = [0, self.interface, self.handle, self.parent, self.info];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut words = bytes.get(..Self::LENGTH)?.chunks_exact(4).filter_map(word);
        let (_, interface) = (words.next()?, words.next()?);
        Some(Self { interface, handle: words.next()?, parent: words.next()?, info: words.next()? })
    }
}

/// Attributes, written one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes(Vec<u8>);

impl Attributes {
    /// One more: a number.
    pub(super) fn number(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// One more: a text, which ends with a zero.
    pub(super) fn text(self, kind: u16, value: &str) -> Self {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// One more, of several.
    pub(super) fn nested(self, kind: u16, inside: &Self) -> Self {
        self.bytes(kind, &inside.0)
    }

    fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        // What is sent here is a few dozen bytes.
        let length = (4 + value.len()) as u16;
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }
}

/// A qdisc or a filter that the kernel listed.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) subject: Subject,
    attributes: Vec<u8>,
}

impl Listed {
    /// Its attributes.
    pub(super) fn attributes(&self) -> Read<'_> {
        Read(&self.attributes)
    }
}

/// Attributes to be read. What is cut short is not there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read<'b>(&'b [u8]);

impl<'b> Read<'b> {
    fn bytes(self, kind: u16) -> Option<&'b [u8]> {
        let mut rest = self.0;
        loop {
            let length = usize::from(half(rest)?);
            let value = rest.get(4..length)?;
            // The two upper bits say how it is written.
            if half(rest.get(2..)?)? & 0x3fff == kind {
                return Some(value);
            }
            rest = rest.get(length.next_multiple_of(4)..)?;
        }
    }

    /// A number.
    pub(super) fn number(self, kind: u16) -> Option<u32> {
        word(self.bytes(kind)?)
    }

    /// A text, without the zero at its end.
    pub(super) fn text(self, kind: u16) -> Option<String> {
        let bytes = self.bytes(kind)?;
        Some(String::from_utf8_lossy(bytes.strip_suffix(&[0]).unwrap_or(bytes)).into_owned())
    }

    /// Attributes inside of one.
    pub(super) fn nested(self, kind: u16) -> Option<Self> {
        self.bytes(kind).map(Self)
    }
}

fn word(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?))
}

fn half(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?))
}

/// Has the kernel do something: a message of type `kind`, with `flags` that say how.
///
/// # Errors
/// The kernel's answer, as its number where it gives no reason.
pub(super) fn order(kind: u16, flags: u16, subject: Subject, attributes: &Attributes) -> io::Result<()> {
    exchange(kind, flags | NLM_F_ACK, subject, attributes).map(drop)
}

/// Has the kernel list what there is of `kind`.
///
/// # Errors
/// The kernel's answer, or the list changes all the time.
pub(super) fn list(kind: u16, subject: Subject) -> io::Result<Vec<Listed>> {
    for _ in 0..AGAIN {
        match exchange(kind, NLM_F_DUMP, subject, &Attributes::default()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
    Err(io::Error::other("what is at TC changes faster than it can be read"))
}

/// One request, and all of its answer; [`io::ErrorKind::Interrupted`] where that is a list that has changed meanwhile.
fn exchange(kind: u16, flags: u16, subject: Subject, attributes: &Attributes) -> io::Result<Vec<Listed>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    // Errors with a reason, and without the request that is repeated before it.
    socket.set_ext_ack(true)?;
    socket.set_cap_ack(true)?;
    let length = (HEADER + Subject::LENGTH + attributes.0.len()) as u32;
    let mut message = Vec::with_capacity(length as usize);
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((flags | NLM_F_REQUEST).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(subject.bytes());
    message.extend(&attributes.0);
    socket.send(&message, 0)?;
    let mut listed = Vec::new();
    let mut changed = false;
    loop {
        let (answer, _) = socket.recv_from_full()?;
        let mut rest = answer.as_slice();
        while let Ok(message) = NetlinkBuffer::new_checked(rest) {
            let payload = message.payload();
            changed |= message.flags() & NLM_F_DUMP_INTR != 0;
            match message.message_type() {
                NLMSG_ERROR => {
                    refusal(payload, message.flags())?;
                    return Ok(listed);
                }
                NLMSG_DONE if changed => return Err(io::ErrorKind::Interrupted.into()),
                NLMSG_DONE => return Ok(listed),
                _ => listed.extend(Subject::parse(payload).map(|subject| Listed {
                    subject,
                    attributes: payload.get(Subject::LENGTH..).unwrap_or_default().to_vec(),
                })),
            }
            rest = rest.get((message.length() as usize).next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

/// What an error message says: nothing is wrong, or what is.
fn refusal(payload: &[u8], flags: u16) -> io::Result<()> {
    let code = word(payload).map_or(-libc::EPROTO, u32::cast_signed);
    if code == 0 {
        return Ok(());
    }
    let error = io::Error::from_raw_os_error(-code);
    let text = Read(payload.get(4 + HEADER..).unwrap_or_default()).text(ERROR_TEXT);
    match text.filter(|_| flags & NLM_F_ACK_TLVS != 0) {
        // Callers tell these apart by their numbers.
        Some(_) if [libc::EPERM, libc::ENODEV, libc::ENOENT, libc::EEXIST, libc::EINVAL].contains(&-code) => {
            Err(error)
        }
        Some(text) => Err(io::Error::new(error.kind(), format!("{error}: {text}"))),
        None => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let inside = Attributes::default().text(7, "keysteer").number(6, 42);
        let written = Attributes::default().text(1, "bpf").nested(2, &inside);
        let read = Read(&written.0);
        assert_eq!(read.text(1).as_deref(), Some("bpf"));
        let inside = read.nested(2).unwrap();
        assert_eq!((inside.text(7).as_deref(), inside.number(6)), (Some("keysteer"), Some(42)));
        assert_eq!((inside.number(8), read.number(1)), (None, Some(u32::from_ne_bytes(*b"bpf\0"))));
        let subject = Subject { interface: 5, handle: 6, parent: 7, info: 8 };
        assert_eq!(Subject::parse(&subject.bytes()), Some(subject));
    }

    #[test]
    fn what_is_cut_short_is_not_there() {
        let written = Attributes::default().text(1, "bpf").number(2, 7).0;
        for length in 0..written.len() {
            let read = Read(written.get(..length).unwrap());
            assert_eq!(read.number(2), None, "{length}");
            assert_eq!(read.text(1).is_some(), length >= 8, "{length}");
        }
        assert_eq!(Subject::parse(&[0; 19]), None);
    }

    #[test]
    fn errors_are_numbers_or_say_why() {
        let code = |number: i32| [number.to_ne_bytes().as_slice(), &[0; HEADER]].concat();
        assert!(refusal(&code(0), 0).is_ok());
        assert_eq!(refusal(&code(-libc::ENODEV), 0).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        let told =
            [code(-libc::EOPNOTSUPP), Attributes::default().text(ERROR_TEXT, "it is shared").0].concat();
        let error = refusal(&told, NLM_F_ACK_TLVS).unwrap_err();
        assert!(error.to_string().ends_with(": it is shared"), "{error}");
        assert!(refusal(&[], 0).is_err());
    }
}
