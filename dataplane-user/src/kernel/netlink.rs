//! Lists that the kernel keeps for this network namespace, by netlink: one question, all answers, without a runtime or a
//! thread.
//!
//! Answers are read attribute by attribute (rtnetlink(7)): what a newer kernel adds, or a driver fills in oddly, is in
//! nobody's way.

use std::io;
use std::os::fd::AsRawFd;

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use rtnetlink::packet_core::{
    NLA_TYPE_MASK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer,
};

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// The kernel packs at most 32 KiB of answers together (`netlink_dump`).
const ANSWERS: usize = 64 << 10;
/// How often a list is read anew that changed while it was read.
const TRIES: usize = 4;

/// Asks rtnetlink for all of a kind, such as `RTM_GETLINK`, and gives what `read` makes of each answer behind its header. `ask` is the
/// question's own part, such as a `struct ifinfomsg`. A list that goes on changing is given as it was read last.
///
/// # Errors
/// The kernel does not answer.
pub fn dump<T>(kind: u16, ask: &[u8], read: impl Fn(&[u8]) -> Option<T>) -> io::Result<Vec<T>> {
    dump_by(SockProtocol::NetlinkRoute, kind, ask, read)
}

/// The same of any netlink.
///
/// # Errors
/// The kernel does not answer.
pub fn dump_by<T>(
    protocol: SockProtocol,
    kind: u16,
    ask: &[u8],
    read: impl Fn(&[u8]) -> Option<T>,
) -> io::Result<Vec<T>> {
    let mut found = Vec::new();
    for _ in 0..TRIES {
        let (all, whole) = dump_once(protocol, kind, ask, &read)?;
        found = all;
        if whole {
            break;
        }
    }
    Ok(found)
}

/// What was read, and whether nothing changed meanwhile.
fn dump_once<T>(
    protocol: SockProtocol,
    kind: u16,
    ask: &[u8],
    read: impl Fn(&[u8]) -> Option<T>,
) -> io::Result<(Vec<T>, bool)> {
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    let length = u32::try_from(HEADER + ask.len()).map_err(io::Error::other)?;
    let mut question = Vec::with_capacity(HEADER + ask.len());
    question.extend(length.to_ne_bytes());
    question.extend(kind.to_ne_bytes());
    question.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    // Sequence number and port: there is one question on this socket, and the kernel fills its port in.
    question.extend([0; 8]);
    question.extend(ask);
    send(socket.as_raw_fd(), &question, MsgFlags::empty())?;

    let mut found = Vec::new();
    let mut whole = true;
    let mut buffer = vec![0; ANSWERS];
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC)?;
        let mut rest = buffer.get(..length).ok_or_else(|| strange("an answer of more than 64 KiB"))?;
        while !rest.is_empty() {
            let message = NetlinkBuffer::new_checked(rest).map_err(strange)?;
            whole &= message.flags() & NLM_F_DUMP_INTR == 0;
            match message.message_type() {
                NLMSG_DONE => return Ok((found, whole)),
                NLMSG_ERROR => return Err(refused(message.payload())),
                _ => found.extend(read(message.payload())),
            }
            let length = usize::try_from(message.length()).map_err(strange)?;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

/// The attributes in `bytes`, by type, without the marks in their types' upper bits; up to one that is cut off.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        // Two bytes of length, these four included, two of type, and after the value padding to four.
        let (head, _) = rest.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([head[2], head[3]]) & NLA_TYPE_MASK, value))
    })
}

/// A number of 32 bits, at the beginning of `bytes`.
pub fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// A text that ends with a zero.
pub fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.get(..end).map(|text| String::from_utf8_lossy(text).into_owned())
}

/// `struct nlmsgerr` begins with a negative error number.
fn refused(payload: &[u8]) -> io::Error {
    match payload.first_chunk().map(|code| i32::from_ne_bytes(*code)) {
        Some(code @ i32::MIN..0) => io::Error::from_raw_os_error(code.saturating_neg()),
        _ => strange("an error without a number"),
    }
}

fn strange(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("netlink answers strangely: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_with_and_without_marks_and_padding() {
        // Type 3, "lo\0" and a byte of padding; type 18 with the mark of nested ones, empty; one that is cut off.
        let bytes = [7, 0, 3, 0, b'l', b'o', 0, 0, 4, 0, 18, 0x80, 9, 0, 1, 0, 1];
        let found: Vec<_> = attributes(&bytes).collect();
        assert_eq!(found, [(3, &b"lo\0"[..]), (18, &[][..])]);
        assert_eq!(text(found[0].1).as_deref(), Some("lo"));
        assert_eq!((number(&[1, 2, 3]), number(&7_u32.to_ne_bytes())), (None, Some(7)));
    }

    #[test]
    fn what_the_kernel_refuses_is_an_error_with_its_number() {
        assert_eq!(refused(&(-libc::EPERM).to_ne_bytes()).raw_os_error(), Some(libc::EPERM));
        for bytes in [&[][..], &[0; 4], &[0, 0]] {
            assert_eq!(refused(bytes).kind(), io::ErrorKind::InvalidData, "{bytes:?}");
        }
        // There is no such list.
        let error = dump(u16::MAX - 1, &[0; 16], |_| Some(())).unwrap_err();
        assert!(error.raw_os_error().is_some(), "{error}");
    }
}
