//! Classic filters at TC, by rtnetlink in bytes: what is on an interface, and filters that are not keysteer's.

use std::os::fd::{AsRawFd, OwnedFd};

use keysteer::kernel::Direction;
use keysteer::world::Namespace;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

use super::foreign::load_at_tc;

/// Where keysteer's filters are, as the documentation says: priority, number at that priority, name.
pub const OURS: (u16, u32, &str) = (50_000, 0x6b73, "keysteer");
/// Packets of every kind, and of IPv4: `ETH_P_ALL`, `ETH_P_IP`.
pub const EVERY: u16 = 0x0003;
/// See [`EVERY`].
pub const IPV4: u16 = 0x0800;

/// What a filter that is not keysteer's does with packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `TC_ACT_SHOT`
    Drop = 2,
    /// `TC_ACT_UNSPEC`: the next filter decides.
    Next = -1,
}

/// A filter that the kernel listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its priority.
    pub priority: u16,
    /// Its number.
    pub handle: u32,
    /// Its name.
    pub name: String,
    /// The id of its program.
    pub program: u32,
}

impl Seen {
    /// Whether it is keysteer's.
    pub fn is_ours(&self) -> bool {
        (self.priority, self.handle, self.name.as_str()) == OURS
    }
}

const RTM_NEWQDISC: u16 = 36;
const RTM_GETQDISC: u16 = 38;
const RTM_NEWTFILTER: u16 = 44;
const RTM_DELTFILTER: u16 = 45;
const RTM_GETTFILTER: u16 = 46;
const REQUEST_ACK: u16 = 1 | 4;
const REQUEST_DUMP: u16 = 1 | 0x300;
const CREATE_EXCLUSIVE: u16 = 0x400 | 0x200;
const CLSACT: u32 = 0xffff_fff1;
const HANDLE: u32 = 0xffff_0000;

fn parent(direction: Direction) -> u32 {
    match direction {
        Direction::Ingress => 0xffff_fff2,
        Direction::Egress => 0xffff_fff3,
    }
}

/// Makes a `clsact` there.
///
/// # Panics
/// There is one.
pub fn add_qdisc(namespace: &Namespace, interface: &str) {
    let index = namespace.index(interface).unwrap();
    let kind = attribute(1, b"clsact\0");
    order(namespace, (RTM_NEWQDISC, CREATE_EXCLUSIVE), [index, HANDLE, CLSACT, 0], &kind);
}

/// Adds somebody else's filter to ingress, where a `clsact` is; `place` is its priority, its protocol and its number.
///
/// # Panics
/// The kernel refuses.
pub fn add(namespace: &Namespace, interface: &str, place: (u16, u16, u32), verdict: Verdict) {
    let index = namespace.index(interface).unwrap();
    let program = load_at_tc(verdict as i32);
    let options = [
        attribute(6, &program.as_raw_fd().to_ne_bytes()),
        attribute(7, b"theirs\0"),
        attribute(8, &1_u32.to_ne_bytes()),
    ]
    .concat();
    let attributes = [attribute(1, b"bpf\0"), attribute(2, &options)].concat();
    order(namespace, (RTM_NEWTFILTER, CREATE_EXCLUSIVE), subject(index, place), &attributes);
}

/// Deletes a filter of ingress.
///
/// # Panics
/// It is not there.
pub fn delete(namespace: &Namespace, interface: &str, place: (u16, u16, u32)) {
    let index = namespace.index(interface).unwrap();
    order(namespace, (RTM_DELTFILTER, 0), subject(index, place), &attribute(1, b"bpf\0"));
}

fn subject(index: u32, (priority, protocol, handle): (u16, u16, u32)) -> [u32; 4] {
    [index, handle, parent(Direction::Ingress), u32::from(priority) << 16 | u32::from(protocol.to_be())]
}

/// Whether the interface has a `clsact`.
///
/// # Panics
/// The kernel does not say.
pub fn has_qdisc(namespace: &Namespace, interface: &str) -> bool {
    let index = namespace.index(interface).unwrap();
    let listed = exchange(namespace, (RTM_GETQDISC, REQUEST_DUMP), [0; 4], &[]);
    listed.iter().any(|(words, attributes)| {
        (words[0], words[1]) == (index, HANDLE) && find(attributes, 1) == Some(b"clsact\0")
    })
}

/// The filters of a direction, in the order in which packets meet them.
///
/// # Panics
/// The kernel does not say, or there are others than of kind `bpf`.
pub fn filters(namespace: &Namespace, interface: &str, direction: Direction) -> Vec<Seen> {
    let index = namespace.index(interface).unwrap();
    let listed = exchange(namespace, (RTM_GETTFILTER, REQUEST_DUMP), [index, 0, parent(direction), 0], &[]);
    listed
        .iter()
        .filter(|(words, _)| words[1] != 0)
        .map(|(words, attributes)| {
            let options = find(attributes, 2).unwrap();
            let name = find(options, 7).unwrap();
            Seen {
                priority: (words[3] >> 16) as u16,
                handle: words[1],
                name: String::from_utf8_lossy(&name[..name.len() - 1]).into_owned(),
                program: u32::from_ne_bytes(find(options, 11).unwrap().try_into().unwrap()),
            }
        })
        .collect()
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap();
    let mut bytes = [&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn find(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    while attributes.len() >= 4 {
        let length = usize::from(half(attributes));
        if half(&attributes[2..]) & 0x3fff == kind {
            return Some(&attributes[4..length]);
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    None
}

fn half(bytes: &[u8]) -> u16 {
    u16::from_ne_bytes(bytes[..2].try_into().unwrap())
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_ne_bytes(bytes[..4].try_into().unwrap())
}

fn order(namespace: &Namespace, (kind, flags): (u16, u16), subject: [u32; 4], attributes: &[u8]) {
    exchange(namespace, (kind, flags | REQUEST_ACK), subject, attributes);
}

/// One request and its answer: of each thing that is listed interface, number, parent and info, and its attributes.
fn exchange(
    namespace: &Namespace,
    (kind, flags): (u16, u16),
    subject: [u32; 4],
    attributes: &[u8],
) -> Vec<([u32; 4], Vec<u8>)> {
    let body =
        [0_u32].into_iter().chain(subject).flat_map(u32::to_ne_bytes).chain(attributes.iter().copied());
    let body: Vec<u8> = body.collect();
    let length = u32::try_from(16 + body.len()).unwrap();
    let message =
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8], &body].concat();
    let open = || -> OwnedFd {
        let protocol = SockProtocol::NetlinkRoute;
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).unwrap()
    };
    let socket = namespace.run(open).unwrap();
    send(socket.as_raw_fd(), &message, MsgFlags::empty()).unwrap();
    let mut listed = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()).unwrap();
        let mut rest = &buffer[..length];
        while rest.len() >= 16 {
            let (length, kind) = (word(rest) as usize, half(&rest[4..]));
            let body = &rest[16..length];
            match kind {
                // NLMSG_ERROR, which says 0 where all is well, and NLMSG_DONE
                2 => {
                    assert_eq!(word(body).cast_signed(), 0, "the kernel refuses {subject:x?}");
                    return listed;
                }
                3 => return listed,
                _ => {
                    let words = [word(&body[4..]), word(&body[8..]), word(&body[12..]), word(&body[16..])];
                    listed.push((words, body[20..].to_vec()));
                }
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}
