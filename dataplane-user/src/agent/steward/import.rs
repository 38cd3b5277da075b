//! Tables of another node, so that this one places as that one does.

use std::path::Path;
use std::sync::Arc;

use super::{ChangeError, Desk, Steward};
use crate::agent::meter::Source as _;
use crate::control::pools::Imported;
use crate::placement::Placement;
use crate::state::audit::{Event, Outcome, Subject};
use crate::state::generations::{export, import, set_imported};
use crate::state::{StateError, Who};

/// What the journal calls it.
const IMPORT: &str = "placement-import";

impl Steward {
    /// The tables in force, as a file that other nodes import.
    pub fn exported(&self) -> Vec<u8> {
        export(&self.node().placement)
    }

    /// Keeps the tables of another node: the next apply begins with them.
    ///
    /// # Errors
    /// They are none, or those of other pools or shards than are in force; another change is being made, or they cannot be
    /// kept. Refusals are journalled.
    pub fn import(&self, framed: &[u8], who: Who) -> Result<Imported, ChangeError> {
        let mut desk = self.free_desk()?;
        let live = self.node();
        let read = read(framed).and_then(|placement| {
            placement.fits_those_of(&live.placement).map(|()| placement).map_err(|what| {
                ChangeError::Invalid(format!(
                    "the tables are of other pools than are in force: {what}; apply the policy that the other node has first"
                ))
            })
        });
        let done = read.and_then(|placement| keep(&mut desk, placement, &live.placement));
        let event = Event {
            subject: Some(Subject::Other("placement".to_owned())),
            detail: Some(match &done {
                Ok(imported) => format!("digest {}", imported.digest),
                Err(error) => error.to_string(),
            }),
            ..Event::new(who, IMPORT, if done.is_ok() { Outcome::Ok } else { Outcome::Refused })
        };
        desk.journal(event)?;
        done
    }
}

fn read(framed: &[u8]) -> Result<Placement, ChangeError> {
    import(Path::new("the file"), framed).map_err(|error| match error {
        StateError::Damaged { what, .. } => ChangeError::Invalid(format!(
            "this is nothing that `keysteer pool export` wrote, or was changed since: {what}; export it again"
        )),
        error => error.into(),
    })
}

fn keep(desk: &mut Desk, placement: Placement, live: &Placement) -> Result<Imported, ChangeError> {
    let digest = placement.digest();
    let in_force = digest == live.digest();
    let keep = (!in_force).then(|| Arc::new(placement));
    set_imported(desk.state.path(), keep.as_deref())?;
    desk.imported = keep;
    Ok(Imported { digest, in_force })
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
