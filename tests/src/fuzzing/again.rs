//! What must not change the answer: padding, fragmentation, being quoted in an ICMP error.

use keysteer_common::carrier::Carrier;
use keysteer_common::headers::{Headers, found};
use keysteer_common::vocabulary::{Class, Fault};

use super::decision::{Answer, Case};
use super::model::bytes;

/// ICMP by family.
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// The extension header of fragments.
const FRAGMENT: u8 = 44;

/// Decides variants of a frame that was answered.
pub(super) fn check(case: &Case<'_>, frame: &[u8], answer: &Answer) {
    let headers = &answer.work.headers;
    if answer.class() == Class::Foreign || headers.fault != Fault::None as u8 {
        return;
    }
    padding(case, frame, answer);
    if !headers.has(found::QUOTED) && !headers.has(found::FRAGMENT) {
        fragments(case, frame, headers);
        if headers.has(found::PORTS) {
            error(case, frame, answer);
        }
    }
}

/// What follows the datagram is no part of it: links pad short frames, and some add trailers.
///
/// Left out is what the end of the frame itself decides: an ICMP message, or a quote, that is cut off.
fn padding(case: &Case<'_>, frame: &[u8], answer: &Answer) {
    let headers = &answer.work.headers;
    let icmp = matches!(headers.protocol, ICMP | ICMPV6) && !headers.has(found::QUOTED);
    let cut = headers.has(found::QUOTED) && !headers.has(found::PORTS);
    // A length of 0 does not say where the datagram ends.
    let endless = headers.has(found::IPV6) && bytes(frame, usize::from(headers.l3) + 4) == [0, 0];
    if icmp || cut || endless {
        return;
    }
    for pad in [&[0; 46][..], &[0x45; 3]] {
        let padded = case.decide(&[frame, pad].concat());
        assert_eq!(padded.decision(), answer.decision(), "with {} bytes of padding", pad.len());
    }
}

/// The fragments of a datagram meet, unless the policy looks at what only the first has.
fn fragments(case: &Case<'_>, frame: &[u8], headers: &Headers) {
    if reads(case, Carrier::is_behind_fragmentation) {
        return;
    }
    let l3 = usize::from(headers.l3);
    let (first, later) = if headers.has(found::IPV4) {
        (fragment4(frame, l3, 0x2000), fragment4(frame, l3, 0x20b9))
    } else {
        (fragment6(frame, l3, 0x0001), fragment6(frame, l3, 0x05c9))
    };
    let (Some(first), Some(later)) = (first, later) else {
        return;
    };
    assert_eq!(
        case.decide(&first).decision(),
        case.decide(&later).decision(),
        "the first and a later fragment"
    );
}

/// Whether the policy has a field of such a carrier.
fn reads(case: &Case<'_>, such: fn(Carrier) -> bool) -> bool {
    case.subject.policy.schemas.iter().flat_map(|schema| &schema.fields).any(|field| such(field.carrier))
}

/// The datagram with other fragment bits.
fn fragment4(frame: &[u8], l3: usize, bits: u16) -> Option<Vec<u8>> {
    let mut fragment = frame.to_vec();
    fragment.get_mut(l3 + 6..l3 + 8)?.copy_from_slice(&bits.to_be_bytes());
    Some(fragment)
}

/// The datagram with a fragment header in front of everything else.
fn fragment6(frame: &[u8], l3: usize, bits: u16) -> Option<Vec<u8>> {
    let mut fragment = frame.to_vec();
    let length = match u16::from_be_bytes(bytes(frame, l3 + 4)) {
        0 => 0,
        length => length.checked_add(8)?,
    };
    fragment.get_mut(l3 + 4..l3 + 6)?.copy_from_slice(&length.to_be_bytes());
    let next = std::mem::replace(fragment.get_mut(l3 + 6)?, FRAGMENT);
    let [high, low] = bits.to_be_bytes();
    fragment.splice(l3 + 40..l3 + 40, [next, 0, high, low, 0, 0, 0, 9]);
    Some(fragment)
}

/// An ICMP error about the answer to a packet goes where the packet went, unless the policy looks at more than it quotes.
fn error(case: &Case<'_>, frame: &[u8], answer: &Answer) {
    if reads(case, |carrier| carrier.is_deep() && carrier.is_behind_fragmentation()) {
        return;
    }
    let headers = &answer.work.headers;
    let l3 = usize::from(headers.l3);
    let (link, ip) = frame.split_at(l3.min(frame.len()));
    let ports = [headers.destination_port.to_be_bytes(), headers.source_port.to_be_bytes()];
    let payload = [ports.as_flattened(), &[0; 4]].concat();
    let about = if headers.has(found::IPV4) {
        let Some(header) = ip.first_chunk::<20>() else { return };
        let quoted = [&header4(header, headers.protocol, 28, true)[..], &payload].concat();
        [&header4(header, ICMP, 56, false)[..], &[3, 1, 0, 0, 0, 0, 0, 0], &quoted].concat()
    } else {
        let Some(header) = ip.first_chunk::<40>() else { return };
        let quoted = [&header6(header, headers.protocol, 8, true)[..], &payload].concat();
        [&header6(header, ICMPV6, 56, false)[..], &[1, 4, 0, 0, 0, 0, 0, 0], &quoted].concat()
    };
    let error = case.decide(&[link, &about].concat());
    assert!(error.work.headers.has(found::QUOTED));
    assert_eq!(error.decision(), answer.decision(), "an ICMP error about the flow");
}

/// An IPv4 header like `header`, without options, for another payload; turned round or not.
fn header4(header: &[u8; 20], protocol: u8, length: u8, turned: bool) -> [u8; 20] {
    let mut header = *header;
    header[0] = 0x45;
    header[2..4].copy_from_slice(&[0, length]);
    header[6..8].copy_from_slice(&[0, 0]);
    header[9] = protocol;
    if turned {
        header[12..].rotate_left(4);
    }
    header
}

/// An IPv6 header like `header` for another payload; turned round or not.
fn header6(header: &[u8; 40], next: u8, length: u8, turned: bool) -> [u8; 40] {
    let mut header = *header;
    header[4..7].copy_from_slice(&[0, length, next]);
    if turned {
        header[8..].rotate_left(16);
    }
    header
}
