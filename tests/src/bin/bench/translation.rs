//! Translation, both ways. What it wrote is put back from packet to packet but for the checksums, which go on from what they were: it
//! costs the same. What the first packet becomes is compared byte by byte with a frame whose checksums were added up anew.

use keysteer_common::program::Hook;
use keysteer_common::vocabulary::{Class, Reason, Verdict};

use crate::back::{answered, leaving};
use crate::frames::{
    DESTINATION4, DESTINATION6_LAST, SERVICE4, SERVICE6, SOURCE4, answer4, ipv4, ipv6, steered_to, summed,
};
use crate::policies::{BY_TENANT, Parts, Policy, by_source, numbered, policy};
use crate::proof::Way;
use crate::rows::{Row, Variation, row};

/// A shard that is reached by translation. Its IPv6 address differs from the service's in one word, all that the wrapper puts back.
const TARGET: &str = "{interface: {name: lo, mac: \"02:00:00:00:00:0a\", nat: true, \
                      addresses: [10.244.1.7, \"2001:db8:10::11\"]}}";
/// Its IPv4 address.
const POD4: [u8; 4] = [10, 244, 1, 7];
/// Its IPv6 address.
const POD6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x11];

/// Every packet goes to the pod.
const TRANSLATED: Way =
    Way::Arrives { class: Class::Assigned, verdict: Verdict::Interface, reason: Reason::Steered, keys: 1 };

/// The configurations.
pub(crate) fn policies() -> Vec<Policy> {
    let parts = || Parts { target: TARGET, shards: 1, ..Parts::default() };
    let of = |name, hook, parts: &Parts<'_>| Policy { hook, ..policy(name, parts, BY_TENANT, by_source(1)) };
    vec![
        of("translation", Hook::Xdp, &parts()),
        Policy {
            hook: Hook::Xdp,
            ..policy(
                "translation, IPv6",
                &Parts {
                    fields: "        - {name: tenant, from: ipv6.src, bits: {offset: 32, length: 32}}\n",
                    ..parts()
                },
                BY_TENANT,
                numbered(1),
            )
        },
        of("translation at TC", Hook::Tc, &parts()),
        of("translation, egress", Hook::Back, &Parts { spec: "  egress: {count: true}\n", ..parts() }),
    ]
}

/// The rows of a configuration.
pub(crate) fn rows(configuration: &str) -> Vec<Row> {
    let to_pod4 = |name| Row {
        becomes: Some(steered_to(summed(ipv4(6, POD4, 0)))),
        ..row(name, summed(ipv4(6, SERVICE4, 0)), put_back(DESTINATION4, SERVICE4), TRANSLATED)
    };
    match configuration {
        "translation" => vec![to_pod4("to a pod, translated")],
        "translation, IPv6" => {
            let [.., a, b, c, d] = SERVICE6;
            vec![Row {
                becomes: Some(steered_to(summed(ipv6(POD6)))),
                ..row(
                    "to a pod, translated, IPv6",
                    summed(ipv6(SERVICE6)),
                    put_back(DESTINATION6_LAST, [a, b, c, d]),
                    TRANSLATED,
                )
            }]
        }
        "translation at TC" => vec![Row { hook: Hook::Tc, ..to_pod4("to a pod, translated at TC") }],
        "translation, egress" => vec![leaving(Row {
            becomes: Some(summed(answer4(6, SERVICE4))),
            ..row(
                "a pod's answer, translated",
                summed(answer4(6, POD4)),
                put_back(SOURCE4, POD4),
                answered(1, 1),
            )
        })],
        _ => Vec::new(),
    }
}

/// The same word in every packet.
const fn put_back(at: u32, word: [u8; 4]) -> Variation {
    Variation { word_offset: at, word_base: u32::from_be_bytes(word), ..Variation::NONE }
}
