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

mod check;
mod diagnostic;
mod document;
pub mod examples;
mod json_schema;
mod lint;
mod model;
mod reader;
mod values;
mod yaml;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use diagnostic::{Diagnostic, Place, PolicyError};
pub use json_schema::json_schema;
pub use model::{
    AttachMode, ClassAction, Classes, Destination, Field, Interface, Key, Mode, Policy, Pool, PrefixTable,
    Schema, Shard, Target, Tier, Width, mac_text,
};

pub(crate) use diagnostic::lines;
pub(crate) use values::{protocol, protocol_text, service_text};

/// Reads and checks a policy file.
///
/// # Errors
/// The file cannot be read, or everything that is wrong with it.
pub fn load(path: &Path) -> Result<Policy, PolicyError> {
    let text =
        std::fs::read_to_string(path).map_err(|cause| PolicyError::Io { path: path.to_path_buf(), cause })?;
    parse(&text, &path.display().to_string(), path.parent())
}

/// Checks the text of a policy. `file` is what messages call it; `keysFrom` is looked for in `base`, or
/// in the working directory.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(text: &str, file: &str, base: Option<&Path>) -> Result<Policy, PolicyError> {
    parse_with(text, file, &|name| {
        let path = base.unwrap_or(Path::new("")).join(name);
        std::fs::read_to_string(&path).map_err(|cause| format!("cannot read {}: {cause}", path.display()))
    })
}

/// How the file that `keysFrom` names is read: its name as written, to its text or what is wrong in words.
pub type ReadKeys<'r> = &'r dyn Fn(&str) -> Result<String, String>;

/// Like [`parse`], for a text whose `keysFrom` must not open just any file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_with(text: &str, file: &str, keys: ReadKeys<'_>) -> Result<Policy, PolicyError> {
    let tree = yaml::read(text, file)?;
    let mut context = reader::Context { file, report: diagnostic::Report::default() };
    match document::read(&tree, &mut context) {
        Some(document) => check::check(document, file, keys),
        None => Err(PolicyError::Invalid(context.report.finish())),
    }
}

/// A MAC address as the policy writes it.
///
/// # Errors
/// It is none, in words.
pub(crate) fn mac(text: &str) -> Result<[u8; 6], String> {
    values::mac(text).map_err(|problem| problem.message)
}
