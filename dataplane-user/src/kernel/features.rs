//! What a device does by itself, by the kernel's names for its features, as `ethtool -k` lists them.

use std::collections::BTreeSet;
use std::io;

use super::ioctl::{control, request};

/// `ETHTOOL_GSTRINGS`, `ETHTOOL_GSSET_INFO` and `ETHTOOL_GFEATURES` of linux/ethtool.h, and the set of features' names.
const GSTRINGS: u32 = 0x1b;
const GSSET_INFO: u32 = 0x37;
const GFEATURES: u32 = 0x3a;
const SET_FEATURES: u32 = 4;
/// Bytes of a feature's name (`ETH_GSTRING_LEN`).
const NAME: usize = 32;
/// The kernel has less than a hundred features.
const MOST: u32 = 1024;

/// Takes the outer VLAN tag (802.1Q) out of frames received.
pub const STRIPS_TAG: &str = "rx-vlan-hw-parse";
/// The same of service tags (802.1ad).
pub const STRIPS_SERVICE_TAG: &str = "rx-vlan-stag-hw-parse";
/// Merges what it receives, so that it can no longer be forwarded as it came.
pub const MERGES: &str = "rx-lro";

/// The features of an interface of this namespace that are on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features(pub BTreeSet<String>);

impl Features {
    /// Reads them.
    ///
    /// # Errors
    /// There is no such interface, or it has none that can be asked for.
    pub fn read(interface: &str) -> io::Result<Self> {
        // `struct ethtool_sset_info`: command, nothing, a mask of 64 bits, and the count of the one set asked for.
        let mut set = [GSSET_INFO, 0, 1 << SET_FEATURES, 0, 0];
        ask(interface, &mut set)?;
        let count = set[4].min(MOST);
        let names = names(interface, count)?;

        // `struct ethtool_gfeatures`: command, count of blocks, and of each: available, requested, active, never changed.
        let blocks = count.div_ceil(32);
        let mut features = vec![0; 2 + 4 * blocks as usize];
        features[..2].copy_from_slice(&[GFEATURES, blocks]);
        ask(interface, &mut features)?;
        let active: Vec<u32> = features[2..].chunks_exact(4).map(|block| block[2]).collect();
        let is_on = |at: usize| active.get(at / 32).is_some_and(|block| block >> (at % 32) & 1 == 1);
        let on = names.into_iter().enumerate().filter(|(at, name)| is_on(*at) && !name.is_empty());
        Ok(Self(on.map(|(_, name)| name).collect()))
    }

    /// Whether a feature is on.
    pub fn has(&self, feature: &str) -> bool {
        self.0.contains(feature)
    }

    /// What takes VLAN tags out of frames before XDP sees them, as `ethtool -K` turns it off; nothing if nothing does.
    pub fn strips_tags(&self) -> Option<&'static str> {
        match (self.has(STRIPS_TAG), self.has(STRIPS_SERVICE_TAG)) {
            (true, true) => Some("rxvlan off rx-vlan-stag-hw-parse off"),
            (true, false) => Some("rxvlan off"),
            (false, true) => Some("rx-vlan-stag-hw-parse off"),
            (false, false) => None,
        }
    }
}

/// The names of all features, by their bit.
fn names(interface: &str, count: u32) -> io::Result<Vec<String>> {
    // `struct ethtool_gstrings`: command, set, count, and the names, which the kernel fills in.
    let mut strings = vec![0; 3 + count as usize * NAME / 4];
    strings[..3].copy_from_slice(&[GSTRINGS, SET_FEATURES, count]);
    ask(interface, &mut strings)?;
    let bytes: Vec<u8> = strings[3..].iter().flat_map(|word| word.to_ne_bytes()).collect();
    Ok(bytes.chunks_exact(NAME).filter_map(super::netlink::text).collect())
}

/// An exchange about an interface. `about` begins with the command, and has room for the answer: the number of features is
/// a constant of the running kernel, which says it first.
fn ask(interface: &str, about: &mut [u32]) -> io::Result<()> {
    let mut request = request(interface)?;
    request.ifr_ifru.ifru_data = about.as_mut_ptr().cast();
    // SAFETY: `ifru_data` points to a structure that outlives the call and that the callers lay out as linux/ethtool.h
    // does. What the kernel writes into it is: one count for the one set in the mask; as many names as it counted; as
    // many blocks as the structure says it has room for.
    unsafe { control(libc::SIOCETHTOOL, &mut request) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_turned_off_is_said_as_ethtool_takes_it() {
        let with = |on: &[&str]| Features(on.iter().map(ToString::to_string).collect()).strips_tags();
        assert_eq!(with(&["rx-gro", STRIPS_TAG]), Some("rxvlan off"));
        assert_eq!(with(&[STRIPS_SERVICE_TAG]), Some("rx-vlan-stag-hw-parse off"));
        assert_eq!(with(&[STRIPS_TAG, STRIPS_SERVICE_TAG]), Some("rxvlan off rx-vlan-stag-hw-parse off"));
        assert_eq!(with(&["rx-gro", MERGES]), None);
    }

    #[test]
    fn the_loopback_has_features_and_what_is_not_there_has_none() {
        let features = Features::read("lo").unwrap();
        assert!(features.has("loopback") && features.has("rx-gro"), "{features:?}");
        assert_eq!(features.strips_tags(), None);
        assert_eq!(Features::read("not-here").unwrap_err().raw_os_error(), Some(libc::ENODEV));
        assert!(Features::read("a-name-that-is-too-long").is_err());
    }
}
