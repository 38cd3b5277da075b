//! Answers to packets, to prove and to test what is done when they leave: addresses and ports the other way round.

use keysteer_common::headers::found;
use keysteer_common::look::headers_of;
use keysteer_common::slice::Frame;

/// The answer to a frame; `None` where it has no IP header that could be read. Checksums stay right, because they are sums.
pub fn answer_to(frame: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = frame.to_vec();
    let headers = headers_of(&Frame::new(&mut bytes, 1));
    let l3 = usize::from(headers.l3);
    let (first, length) = match headers.found & (found::IPV4 | found::IPV6) {
        found::IPV4 => (l3 + 12, 4),
        found::IPV6 => (l3 + 8, 16),
        _ => return None,
    };
    swap(&mut bytes, first, length)?;
    // Of an error the ports are the quoted packet's, and that stays.
    if headers.found & (found::PORTS | found::QUOTED) == found::PORTS {
        swap(&mut bytes, usize::from(headers.l4), 2)?;
    }
    Some(bytes)
}

/// Swaps `length` bytes at `at` with those behind them.
fn swap(bytes: &mut [u8], at: usize, length: usize) -> Option<()> {
    let (one, other) = bytes.get_mut(at..at + 2 * length)?.split_at_mut(length);
    one.swap_with_slice(other);
    Some(())
}
