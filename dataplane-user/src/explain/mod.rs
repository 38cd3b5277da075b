//! Why a packet goes where it goes: one frame through the packet path's code over a generation's tables, told
//! stage by stage.
//!
//! ```text
//!  flow      a five-tuple in words -> a frame
//!  trace     the frame through the decision and its stages   (all that knows common's records)
//!  stages    numbers -> names
//!  advice    what would change the outcome
//!  types     the explanation, as the API and `-o json` have it
//!  picture   the explanation, for people
//!  offline   a policy file in place of an agent
//!  kernel    the same frame through the program in the kernel, compared
//! ```
//!
//! Nothing here counts or forwards: live tables are only read, and the frame is a copy.

mod advice;
pub mod flow;
pub mod kernel;
pub mod offline;
pub mod picture;
mod stages;
mod trace;
pub mod types;

#[cfg(test)]
mod tests;

use std::fmt;

use keysteer_common::vocabulary::Class;

use crate::control::types::PolicyStatus;
use crate::image::{Image, Names};
use types::Explanation;

/// The longest frame that is explained: what a host's own stack can make, with its header and tags.
pub const LONGEST: usize = 65_536 + 64;

/// What frames are explained by.
#[derive(Clone, Debug)]
pub struct Generation<'a> {
    /// The tables; their names need not be there.
    pub image: &'a Image,
    /// The names of their numbers.
    pub names: &'a Names,
    /// The policy they were compiled from.
    pub policy: PolicyStatus,
    /// Whether they are in the kernel now.
    pub live: bool,
    /// The shards whose interface has gone.
    pub lost: Vec<u16>,
    /// What is taken for granted, in words.
    pub assumed: Vec<String>,
}

impl Generation<'_> {
    /// Explains a frame that arrives on an interface with this name and index.
    pub fn explain(&self, frame: &[u8], interface: &str, ingress: u32) -> Explanation {
        let trace = trace::trace(self.image, self.names, &self.lost, frame, ingress);
        let ours = trace.class != Class::Foreign;
        let extracted = ours && trace.class != Class::Malformed;
        let extract = extracted.then(|| stages::extract(self, &trace));
        let resolve = extract.as_ref().map(|fields| stages::resolve(self, &trace, fields));
        let key = self.names.key(trace.key_id).filter(|_| trace.class == Class::Assigned);
        let mut explanation = Explanation {
            live: self.live,
            policy: self.policy.clone(),
            assumed: self.assumed.clone(),
            interface: interface.to_owned(),
            frame: hex(frame).to_string(),
            bytes: frame.len(),
            scope: stages::scope(self, &trace),
            extract,
            resolve,
            class: trace.class.name().to_owned(),
            key: key.map(stages::key),
            enforce: key.map(|info| stages::enforce(self, info)),
            select: stages::select(self, &trace, key),
            forward: stages::forward(self, &trace),
            would_change: Vec::new(),
            kernel: None,
            parse: trace.parse,
        };
        explanation.would_change = advice::advice(self, &explanation, trace.class, trace.reason);
        explanation
    }
}

/// Bytes as hexadecimal digits, without spaces.
pub fn hex(bytes: &[u8]) -> impl fmt::Display {
    struct Hex<'b>(&'b [u8]);
    impl fmt::Display for Hex<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        }
    }
    Hex(bytes)
}

/// A frame in hexadecimal digits that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// Something that is no digit, nor between two bytes.
    #[error("'{}' at character {at} is no hexadecimal digit: give bytes as two digits each, such as 0200c0ff", .found.escape_default())]
    NotADigit {
        /// What is there.
        found: char,
        /// Where, from 1.
        at: usize,
    },
    /// Half a byte.
    #[error("the last byte has one digit only: give two for each")]
    Half,
    /// No bytes at all.
    #[error("there are no bytes: give a frame from the Ethernet header on")]
    Empty,
    /// More than a frame can have.
    #[error("{0} bytes are more than a frame can have ({LONGEST})")]
    TooLong(usize),
}

/// The bytes of a frame in hexadecimal digits. Blanks, line ends and colons between bytes are allowed, so
/// that the output of other tools can be pasted.
///
/// # Errors
/// It is no frame in hexadecimal digits.
pub fn unhex(text: &str) -> Result<Vec<u8>, HexError> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut half = None;
    for (at, c) in (1..).zip(text.chars()) {
        match (c.to_digit(16), half.take()) {
            (Some(digit), None) => half = Some(digit),
            (Some(digit), Some(first)) => bytes.push((first << 4 | digit) as u8),
            (None, None) if c.is_ascii_whitespace() || c == ':' => {}
            (None, _) => return Err(HexError::NotADigit { found: c, at }),
        }
    }
    match bytes.len() {
        _ if half.is_some() => Err(HexError::Half),
        0 => Err(HexError::Empty),
        length if length > LONGEST => Err(HexError::TooLong(length)),
        _ => Ok(bytes),
    }
}
