//! Why a packet goes where it goes: one frame through the packet path's code over a generation's tables, told
//! stage by stage.
//!
//! ```text
//!  flow      a five-tuple in words -> a frame
//!  trace     the frame through the decision and its stages   (all that knows common's records)
//!  stages    numbers -> names
//!  inside    what is beyond the outer headers, in words
//!  trust     who may assert the key
//!  advice    what would change the outcome
//!  types     the explanation, as the API and `-o json` have it
//!  picture   the explanation, for people
//!  offline   a policy file in place of an agent
//!  hex       frames in digits
//!  kernel    the same frame through the program in the kernel, compared
//! ```
//!
//! Nothing here counts or forwards: live tables are only read, and the frame is a copy.

mod advice;
pub mod flow;
mod hex;
mod inside;
pub mod kernel;
pub mod offline;
pub mod picture;
mod stages;
mod trace;
mod trust;
pub mod types;

#[cfg(test)]
mod inside_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trust_tests;
#[cfg(test)]
mod words_tests;

use keysteer_common::vocabulary::Class;

pub use hex::{HexError, hex, unhex};

use crate::control::types::PolicyStatus;
use crate::display::Veil;
use crate::image::{Image, Names};
use types::{ByVersion, Explanation};

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
    /// What values of fields are shown through.
    pub veil: Veil,
}

impl Generation<'_> {
    /// Explains a frame that arrives on an interface with this name and index.
    pub fn explain(&self, frame: &[u8], interface: &str, ingress: u32) -> Explanation {
        let trace = trace::trace(self.image, self.names, &self.lost, frame, ingress);
        let ours = trace.class != Class::Foreign;
        let extracted = ours && trace.class != Class::Malformed;
        let version = |at: usize| self.names.schemas.get(at).map_or(0, |schema| u32::from(schema.version));
        let others = (0..self.names.schemas.len()).filter(|at| extracted && *at != trace.schema);
        let others = others.map(|at| {
            let extract = stages::extract(self, &trace, at);
            let resolve = stages::resolve(self, &trace, at, &extract);
            ByVersion { schema: version(at), extract, resolve }
        });
        let others: Vec<ByVersion> = others.collect();
        let rule = trust::Rule::of(self, &trace, interface, ingress);
        let mut extract = extracted.then(|| stages::extract(self, &trace, trace.schema));
        let ignored = extract.as_mut().map(|fields| rule.silence(fields)).unwrap_or_default();
        let trust = if extracted { rule.explain(self, &trace, ignored) } else { None };
        let resolve = extract.as_ref().map(|fields| stages::resolve(self, &trace, trace.schema, fields));
        let key = self.names.key(trace.key_id).filter(|_| trace.class == Class::Assigned);
        let mut explanation = Explanation {
            live: self.live,
            policy: self.policy.clone(),
            assumed: self.assumed.clone(),
            interface: interface.to_owned(),
            frame: hex(frame).to_string(),
            bytes: frame.len(),
            scope: stages::scope(self, &trace),
            schema: extracted.then(|| version(trace.schema)),
            extract,
            resolve,
            others,
            trust,
            class: trace.class.name().to_owned(),
            key: key.map(|info| stages::key(self, info)),
            enforce: key.map(|info| stages::enforce(self, info)),
            select: stages::select(self, &trace, key),
            forward: stages::forward(self, &trace),
            would_change: Vec::new(),
            kernel: None,
            parse: trace.parse,
        };
        let readings = trace.readings.get(trace.schema).map_or(&[][..], Vec::as_slice);
        explanation.would_change = advice::advice(self, &explanation, readings, (trace.class, trace.reason));
        explanation
    }
}
