//! The policy: one YAML document, and a CSV file of keys beside it, to a checked [`Policy`].
//!
//! ```text
//!  text      --yaml-->      a tree that knows its places         syntax: the first problem
//!  tree      --document-->  fields of the right names and types  shape: every problem
//!  document  --check-->     names resolved, nothing contradicts  sense: every problem, and warnings
//! ```
//!
//! Every problem names file, line, column and field. The language is described in `docs/policy.md`; what
//! needs the host is checked when the policy is compiled ([`crate::compile`]).

pub(crate) mod bundle;
mod check;
mod date;
mod diagnostic;
mod digits;
mod document;
mod egress;
pub mod examples;
mod health;
mod json_schema;
mod lint;
mod migration;
mod model;
mod reader;
mod rollout;
mod share;
mod shares;
mod signing;
mod source;
mod trust;
mod value_map;
mod values;
pub mod versions;
mod yaml;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::Path;

pub use bundle::{Bundle, File};
pub use date::Date;
pub use diagnostic::{Diagnostic, Place, PolicyError};
pub use egress::{Addresses, Egress, Leaving, Stamp, StampValue};
pub use health::{Check, Damping, Health, Probe};
pub use json_schema::json_schema;
pub use migration::{Migration, Udp};
pub use model::{
    AttachMode, BlastRadius, Carriers, ClassAction, Classes, Destination, Field, Interface, Key, Mode,
    Policy, Pool, PrefixTable, Schema, Shard, Spelling, Target, Tier, Width, mac_text,
};
pub use rollout::{AbortIf, Cohort, Rollout, RolloutStep};
pub use share::Share;
pub use shares::{ShareError, Shares};
pub use signing::{Signing, SigningSecret};
pub use trust::{InterfaceTrust, Trust, TrustMode, TrustRule};
pub use value_map::ValueMap;

pub(crate) use diagnostic::lines;
pub(crate) use values::{protocol, protocol_text, service_text};

/// Reads and checks a policy file, or the only one of a folder.
///
/// # Errors
/// The file cannot be read, or everything that is wrong with it.
pub fn load(path: &Path) -> Result<Policy, PolicyError> {
    bundle::load(path)
}

/// Checks the text of a policy. `file` is what messages call it; `keysFrom` is looked for in `base`, or
/// in the working directory.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(text: &str, file: &str, base: Option<&Path>) -> Result<Policy, PolicyError> {
    parse_with(text, file, &|name| bundle::read_beside(base, name).map(Cow::Owned))
}

/// How the file that `keysFrom` names is read: its name as written, to its text or what is wrong in words.
pub type ReadKeys<'r> = &'r dyn Fn(&str) -> Result<Cow<'r, str>, String>;

/// Like [`parse`], for a text whose `keysFrom` must not open just any file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_with(text: &str, file: &str, keys: ReadKeys<'_>) -> Result<Policy, PolicyError> {
    parse_tree(&yaml::read(text, file)?, file, keys)
}

fn parse_tree(tree: &yaml::Node, file: &str, keys: ReadKeys<'_>) -> Result<Policy, PolicyError> {
    let mut context = reader::Context { file, report: diagnostic::Report::default() };
    match document::read(tree, &mut context) {
        Some(document) => check::check(&document, file, keys),
        None => Err(PolicyError::Invalid(context.report.finish())),
    }
}

/// A whole number, decimal or hexadecimal with `0x`.
///
/// # Errors
/// It is none, in words.
pub(crate) fn number(text: &str) -> Result<u128, String> {
    values::number(text).map_err(|problem| problem.message)
}

/// A MAC address as the policy writes it.
///
/// # Errors
/// It is none, in words.
pub(crate) fn mac(text: &str) -> Result<[u8; 6], String> {
    values::mac(text).map_err(|problem| problem.message)
}
