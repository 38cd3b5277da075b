//! What leaves a node after a frame has come to it: frames made of that one.

use keysteer::answer::answer_to;
use keysteer_common::headers::{Headers, found};
use keysteer_common::look::headers_of;
use keysteer_common::slice::Frame;

/// Bytes that an error quotes at most, as most routers do it (RFC 792 asks for 28, RFC 1812 for as much as fits).
const QUOTED: usize = 120;

/// The frame as it is, its answer, and where `handed` is what a pod was handed of it, the pod's answer and an error of the pod about it.
pub(crate) fn after(frame: &[u8], handed: Option<&[u8]>) -> Vec<Vec<u8>> {
    let of_pod = handed.into_iter().flat_map(|handed| [answer_to(handed), error_about(handed)]);
    [Some(frame.to_vec()), answer_to(frame)].into_iter().chain(of_pod).flatten().collect()
}

/// The positions and facts of a frame.
pub(crate) fn headers(frame: &[u8]) -> Headers {
    headers_of(&Frame::new(&mut frame.to_vec(), 1))
}

/// The ICMP error that whoever a frame is addressed to sends about it: nobody listens there. Its checksums are zero.
fn error_about(frame: &[u8]) -> Option<Vec<u8>> {
    let headers = headers(frame);
    let ip = frame.get(usize::from(headers.l3)..)?;
    let quote = ip.get(..ip.len().min(QUOTED))?;
    let mut error = [frame.get(6..12)?, frame.get(..6)?].concat();
    let length = |header: usize| u16::try_from(header + 8 + quote.len()).unwrap_or(u16::MAX).to_be_bytes();
    match headers.found & (found::IPV4 | found::IPV6) {
        found::IPV4 => {
            let [high, low] = length(20);
            error.extend([8, 0, 0x45, 0, high, low, 0, 0, 0, 0, 64, 1, 0, 0]);
            error.extend([ip.get(16..20)?, ip.get(12..16)?, &[3, 3]].concat());
        }
        found::IPV6 => {
            let [high, low] = length(0);
            error.extend([0x86, 0xdd, 0x60, 0, 0, 0, high, low, 58, 64]);
            error.extend([ip.get(24..40)?, ip.get(8..24)?, &[1, 4]].concat());
        }
        _ => return None,
    }
    error.extend([0; 6]);
    error.extend(quote);
    Some(error)
}
