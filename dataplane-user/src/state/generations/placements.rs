//! The files that placements are kept in: beside each generation's bundle, by which tables it was compiled.

use std::path::{Path, PathBuf};

use super::{DIRECTORY, Generations};
use crate::placement::Placement;
use crate::state::file::Kind;
use crate::state::{StateError, disk};

/// What their names end with.
pub(super) const PLACEMENT: &str = "placement";

const PLACEMENTS: Kind = Kind {
    name: "placement",
    version: 1,
    consequence: "the generation's tables are computed as on a new node, and its flows may move",
};

/// The file in the state directory of a placement that was imported, until an apply begins with it.
const IMPORTED: &str = "imported.placement";

impl Generations {
    /// Keeps the tables that a generation is compiled to. Its bundle is kept first.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn put_placement(&self, number: u64, placement: &Placement) -> Result<(), StateError> {
        disk::make_directory(&self.directory)?;
        PLACEMENTS.write(&self.placement_path(number), &placement.to_bytes())
    }

    /// The tables that a generation was compiled to; none where it has no file, or a damaged one, which is logged.
    ///
    /// # Errors
    /// The file cannot be read, or is of a later version.
    pub fn placement(&self, number: u64) -> Result<Option<Placement>, StateError> {
        read(&self.placement_path(number))
    }

    /// The tables that a generation was compiled to, whatever the records say of it.
    ///
    /// # Errors
    /// As [`Generations::placement`].
    pub fn placement_of(state: &Path, number: u64) -> Result<Option<Placement>, StateError> {
        read(&state.join(DIRECTORY).join(format!("{number}.{PLACEMENT}")))
    }

    pub(super) fn placement_path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number}.{PLACEMENT}"))
    }
}

/// A placement's file; none where there is none, or a damaged one.
fn read(path: &Path) -> Result<Option<Placement>, StateError> {
    let opened = match PLACEMENTS.open(path) {
        Err(error @ StateError::Damaged { .. }) => {
            tracing::warn!(%error, "a generation's tables are not known any more");
            return Ok(None);
        }
        opened => opened?,
    };
    let Some(opened) = opened else { return Ok(None) };
    match Placement::from_bytes(opened.body()) {
        Ok(placement) => Ok(Some(placement)),
        Err(what) => {
            let error = PLACEMENTS.damaged(path, what);
            tracing::warn!(%error, "a generation's tables are not known any more");
            Ok(None)
        }
    }
}

/// A placement as a file has it, framed: to be carried to other nodes.
pub fn export(placement: &Placement) -> Vec<u8> {
    PLACEMENTS.framed(&placement.to_bytes())
}

/// What [`export`] made; `name` is what the text is called in errors.
///
/// # Errors
/// It is none, or not whole, or of a later version.
pub fn import(name: &Path, framed: &[u8]) -> Result<Placement, StateError> {
    let body = PLACEMENTS.body(name, framed)?;
    Placement::from_bytes(body).map_err(|what| PLACEMENTS.damaged(name, what))
}

/// The placement that was imported and that no apply began with yet.
///
/// # Errors
/// The file cannot be read, or is of a later version.
pub fn imported(state: &Path) -> Result<Option<Placement>, StateError> {
    read(&state.join(IMPORTED))
}

/// Keeps what was imported until an apply begins with it; none: forgets it.
///
/// # Errors
/// The file cannot be written or removed.
pub fn set_imported(state: &Path, placement: Option<&Placement>) -> Result<(), StateError> {
    let path = state.join(IMPORTED);
    match placement {
        Some(placement) => PLACEMENTS.write(&path, &placement.to_bytes()),
        None if path.exists() => disk::remove(&path),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::sync::Arc;

    use super::super::tests::{bundle, prepare};
    use super::*;
    use crate::placement::{Member, Moved, PoolPlacement, SLOTS, Table};

    fn placement(version: u64) -> Placement {
        let member = |name: &str| Member { name: name.to_owned(), weight: 1, zone: None };
        let cells = (0..SLOTS).map(|row| u16::from(row % 2 == 0)).collect();
        let tables = BTreeMap::from([(1, Table { cells, moved: Moved::default() })]);
        let pool = PoolPlacement { since: 1, shards: vec![member("a"), member("b")], tables };
        Placement { version, pools: BTreeMap::from([("general".to_owned(), Arc::new(pool))]) }
    }

    #[test]
    fn is_kept_beside_the_bundle_and_goes_with_it() {
        let state = tempfile::tempdir().unwrap();
        let mut generations = Generations::open(state.path()).unwrap();
        for version in 1..=3 {
            let number = prepare(&mut generations);
            assert!(generations.placement(number).unwrap().is_none());
            generations.put_placement(number, &placement(version)).unwrap();
            generations.set_live(number).unwrap();
            assert_eq!(generations.placement(number).unwrap(), Some(placement(version)));
        }
        let stray = state.path().join("generations/7.placement.new");
        fs::write(&stray, "cut").unwrap();
        assert_eq!(generations.prune().unwrap(), 3);
        assert!(generations.placement(1).unwrap().is_none() && !stray.exists());
        assert_eq!(Generations::placement_of(state.path(), 2).unwrap(), Some(placement(2)));
        assert_eq!(generations.bundle::<String>(3).unwrap(), bundle(3));
        fs::write(generations.placement_path(3), "nonsense").unwrap();
        assert!(generations.placement(3).unwrap().is_none());
    }

    #[test]
    fn is_carried_whole_or_not_at_all() {
        let state = tempfile::tempdir().unwrap();
        let framed = export(&placement(4));
        assert_eq!(import(Path::new("it"), &framed).unwrap(), placement(4));
        for at in [0, 30, framed.len() / 2, framed.len() - 1] {
            let mut other = framed.clone();
            other[at] ^= 1;
            import(Path::new("it"), &other).unwrap_err();
        }
        assert_eq!(imported(state.path()).unwrap(), None);
        set_imported(state.path(), Some(&placement(4))).unwrap();
        assert_eq!(imported(state.path()).unwrap(), Some(placement(4)));
        set_imported(state.path(), None).unwrap();
        set_imported(state.path(), None).unwrap();
        assert_eq!(imported(state.path()).unwrap(), None);
    }
}
