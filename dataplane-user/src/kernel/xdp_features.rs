//! What drivers say that they can do with XDP (the generic netlink family `netdev`, Linux 6.3), without a program being
//! attached to find out.

use std::collections::BTreeMap;
use std::io;

use nix::sys::socket::SockProtocol;

use super::netlink::{attributes, dump_by, number, text};

/// `GENL_ID_CTRL`, `CTRL_CMD_GETFAMILY`, and its attributes `CTRL_ATTR_FAMILY_ID` and `_NAME` of linux/genetlink.h.
const CONTROL: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
/// `NETDEV_CMD_DEV_GET`, and its attributes `NETDEV_A_DEV_IFINDEX` and `NETDEV_A_DEV_XDP_FEATURES` of linux/netdev.h.
const GET_DEVICE: u8 = 1;
const INDEX: u16 = 1;
const XDP_FEATURES: u16 = 3;
/// `NETDEV_XDP_ACT_BASIC` and `NETDEV_XDP_ACT_NDO_XMIT` of linux/netdev.h.
const BASIC: u32 = 1 << 0;
const NDO_XMIT: u32 = 1 << 2;

/// What a driver can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XdpFeatures {
    /// Run programs.
    pub runs: bool,
    /// Send frames that were redirected to it natively; a veth can where its other end is ready.
    pub sends: bool,
}

/// By index, what the drivers of this namespace's interfaces say.
///
/// # Errors
/// The kernel is older than 6.3, or does not answer.
pub fn read() -> io::Result<BTreeMap<u32, XdpFeatures>> {
    let family = dump_by(SockProtocol::NetlinkGeneric, CONTROL, &[GET_FAMILY, 1, 0, 0], |answer| {
        let mut id = None;
        let mut ours = false;
        for (kind, value) in attributes(answer.get(4..)?) {
            match kind {
                FAMILY_ID => id = value.first_chunk().map(|id| u16::from_ne_bytes(*id)),
                FAMILY_NAME => ours = text(value).as_deref() == Some("netdev"),
                _ => {}
            }
        }
        id.filter(|_| ours)
    })?;
    let family = family.first().copied();
    let family =
        family.ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "Linux before 6.3 does not say"))?;
    let found = dump_by(SockProtocol::NetlinkGeneric, family, &[GET_DEVICE, 1, 0, 0], |answer| {
        let answer = answer.get(4..)?;
        let find = |wanted| attributes(answer).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
        let features = find(XDP_FEATURES)?.first_chunk().map(|bits| u64::from_ne_bytes(*bits))?;
        let has = |feature: u32| features & u64::from(feature) != 0;
        Some((number(find(INDEX)?)?, XdpFeatures { runs: has(BASIC), sends: has(NDO_XMIT) }))
    })?;
    Ok(found.into_iter().collect())
}
