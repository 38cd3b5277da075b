//! The shape of what is said of signed keys.

use std::path::PathBuf;

use crate::policy::diagnostic::Problem;
use crate::policy::reader::{At, Context, Cursor};
use crate::policy::values;

use super::filled;

/// What is said of signed keys.
#[derive(Debug)]
pub(in crate::policy) struct RawSigning {
    pub(in crate::policy) secrets: At<Vec<RawSecret>>,
    pub(in crate::policy) source: Option<(u32, u32)>,
    pub(in crate::policy) destination: bool,
}

/// A secret.
#[derive(Debug)]
pub(in crate::policy) struct RawSecret {
    pub(in crate::policy) id: At<u32>,
    pub(in crate::policy) file: At<PathBuf>,
}

pub(super) fn signing(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<RawSigning> {
    let fields = at.fields(&["secrets", "bind"], context)?;
    let secrets = fields
        .require("secrets", context)
        .and_then(|at| Some(At { value: filled(&at, context, secret)?, at: at.node.at }));
    let (source, destination) = match fields.get("bind") {
        Some(at) => bind(&at, context)?,
        None => (None, false),
    };
    Some(RawSigning { secrets: secrets?, source, destination })
}

fn secret(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<RawSecret> {
    let fields = at.fields(&["id", "file"], context)?;
    let id = fields.require("id", context).and_then(|at| at.number(0, 255, context));
    let file = fields.require("file", context).and_then(|at| at.parsed(context, path));
    Some(RawSecret { id: id?, file: file? })
}

/// An absolute path: what a relative one begins at, a policy that comes over the socket could not say.
fn path(text: &str) -> Result<PathBuf, Problem> {
    values::free_text(text)?;
    if text.starts_with('/') {
        Ok(text.into())
    } else {
        Err(format!("\"{text}\" is not an absolute path: expected one such as /etc/keysteer/shim-1.key")
            .into())
    }
}

type Bind = (Option<(u32, u32)>, bool);

fn bind(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<Bind> {
    let fields = at.fields(&["source", "destination"], context)?;
    let [source, destination] = ["source", "destination"].map(|name| fields.get(name));
    if source.is_none() && destination.is_none() {
        return at.fail(context, "says nothing: give source, destination or both");
    }
    let source = match source {
        Some(at) => Some(lengths(&at, context)?),
        None => None,
    };
    let destination = match destination {
        Some(at) => at.boolean(context)?.value,
        None => false,
    };
    Some((source, destination))
}

/// Prefix lengths of the two families.
fn lengths(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<(u32, u32)> {
    let fields = at.fields(&["ipv4", "ipv6"], context)?;
    let [v4, v6] = [("ipv4", 32), ("ipv6", 128)].map(|(name, whole)| match fields.get(name) {
        Some(at) => at.number(0, whole, context).map(|at| at.value),
        None => Some(whole),
    });
    Some((v4?, v6?))
}
