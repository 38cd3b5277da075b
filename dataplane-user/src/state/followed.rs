//! Which policy file was taken up last: an agent that starts applies the file only if it is another since. A policy that
//! came another way stands until then.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::StateError;
use super::file::Kind;
use crate::fault::{Step, point};

/// File name inside the state directory.
const FILE: &str = "followed";

const KIND: Kind = Kind {
    name: "followed",
    version: 1,
    consequence: "the policy file is applied at the next start, whatever is in force",
};

#[derive(Debug, Serialize, Deserialize)]
struct Body {
    /// Digest of the policy file and what it reads.
    digest: String,
}

/// The digest of what was taken up last; none where nothing was, or where that is not known any more.
///
/// # Errors
/// The file cannot be read, or is of a later version.
pub fn read(directory: &Path) -> Result<Option<String>, StateError> {
    match KIND.read_json::<Body>(&directory.join(FILE)) {
        Err(error @ StateError::Damaged { .. }) => {
            tracing::warn!(%error, "which policy file was taken up last is not known any more");
            Ok(None)
        }
        read => Ok(read?.map(|body| body.digest)),
    }
}

/// Remembers what was taken up. A crash leaves the old file or the new one.
///
/// # Errors
/// The file cannot be written.
pub fn write(directory: &Path, digest: &str) -> Result<(), StateError> {
    point(Step::BeforeFollowedWritten);
    KIND.write_json(&directory.join(FILE), &Body { digest: digest.to_owned() })?;
    point(Step::AfterFollowedWritten);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_remembered_and_damage_forgets_it() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path()).unwrap(), None);
        for digest in ["aa", "bb"] {
            write(directory.path(), digest).unwrap();
            assert_eq!(read(directory.path()).unwrap().as_deref(), Some(digest));
        }
        std::fs::write(directory.path().join(FILE), "bb").unwrap();
        assert_eq!(read(directory.path()).unwrap(), None);
        write(directory.path(), "cc").unwrap();
        assert_eq!(read(directory.path()).unwrap().as_deref(), Some("cc"));
    }
}
