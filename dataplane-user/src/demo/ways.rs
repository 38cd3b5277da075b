//! The links between the client and the node, each steered at the node's end: one for both families or, where one policy is to
//! steer by two hooks at once, one for each.

/// What the command line calls the mixture: IPv4 in the driver, IPv6 at TC.
const MIXED: &str = "mixed";

/// A link between the client and the node.
#[derive(Debug)]
pub(super) struct Way {
    /// The client's interface.
    pub(super) client: &'static str,
    /// The node's, which is steered.
    pub(super) node: &'static str,
    /// In which mode.
    pub(super) mode: String,
    /// The number of the link, from which its addresses follow; shards have those from 1 on.
    pub(super) number: u8,
    /// Of the MAC addresses of both ends.
    pub(super) last_octet: u8,
}

/// Every way, IPv4's first and IPv6's last.
pub(super) fn ways(mode: &str) -> Vec<Way> {
    let first = |mode: &str| Way {
        client: "eth0",
        node: "ks-client",
        mode: mode.to_owned(),
        number: 0,
        last_octet: 0xc1,
    };
    let second =
        Way { client: "eth1", node: "ks-client6", mode: "tc".to_owned(), number: 4, last_octet: 0xc6 };
    if mode == MIXED { vec![first("native"), second] } else { vec![first(mode)] }
}

/// Whether the way at this place takes a family: alone it takes both.
pub(super) fn takes(ways: &[Way], place: usize, v6: bool) -> bool {
    ways.len() == 1 || (place > 0) == v6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_has_one_way() {
        for mode in ["auto", "tc", MIXED] {
            let ways = ways(mode);
            for v6 in [false, true] {
                let taking = (0..ways.len()).filter(|place| takes(&ways, *place, v6)).count();
                assert_eq!(taking, 1, "{mode}, IPv6: {v6}");
            }
        }
    }
}
