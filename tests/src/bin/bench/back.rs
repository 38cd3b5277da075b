//! What leaves: configurations and rows at TC egress. A frame is the answer, so what varies is its destination.

use keysteer_common::program::Hook;
use keysteer_common::vocabulary::Class;

use crate::frames::{DESTINATION_PORT4, DESTINATION4, HEADER4, SERVICE4, answer4, summed, with_dscp};
use crate::policies::{BY_TENANT, Parts, Policy, by_source, policy};
use crate::proof::Way;
use crate::rows::{Row, Variation, flows4, row};

/// The code point that is stamped.
const STAMP: u8 = 34;

/// The configurations.
pub(crate) fn policies() -> Vec<Policy> {
    let of = |name, spec: &'static str, keys| {
        let parts = Parts { spec, ..Parts::default() };
        Policy { hook: Hook::Back, ..policy(name, &parts, BY_TENANT, by_source(keys)) }
    };
    vec![
        of("egress", "  egress: {count: true}\n", 1024),
        of("egress, stamped", "  egress: {stamp: {ip.dscp: {k0: 34}}}\n", 1),
    ]
}

/// A row of what leaves.
pub(crate) fn leaving(row: Row) -> Row {
    Row { hook: Hook::Back, ..row }
}

/// Answers of shards, for so many keys.
pub(crate) const fn answered(keys: usize, shards: usize) -> Way {
    Way::Leaves { class: Class::Assigned, keys, shards }
}

/// The rows of a configuration.
pub(crate) fn rows(configuration: &str) -> Vec<Row> {
    let udp = || answer4(17, SERVICE4);
    match configuration {
        "egress" => vec![
            leaving(row("an answer, one hot flow", udp(), Variation::NONE, answered(1, 1))),
            leaving(row(
                "answers, 65,536 flows of 1,024 keys",
                udp(),
                Variation { word_offset: DESTINATION4, port_offset: DESTINATION_PORT4, ..flows4(1024, 64) },
                answered(1024, 16),
            )),
            leaving(Row {
                segments: 44,
                ..row("an answer of 44 segments", answer4(6, SERVICE4), Variation::NONE, answered(1, 1))
            }),
            leaving(row(
                "foreign TCP that leaves",
                answer4(6, [198, 51, 100, 1]),
                Variation::NONE,
                Way::Leaves { class: Class::Foreign, keys: 0, shards: 0 },
            )),
        ],
        "egress, stamped" => {
            // The first word of the header is put back, so that each packet comes without the stamp.
            let plain = Variation { word_offset: HEADER4, word_base: 0x4500_002e, ..Variation::NONE };
            vec![leaving(Row {
                becomes: Some(summed(with_dscp(udp(), STAMP))),
                ..row("an answer, stamped", summed(udp()), plain, answered(1, 1))
            })]
        }
        _ => Vec::new(),
    }
}
