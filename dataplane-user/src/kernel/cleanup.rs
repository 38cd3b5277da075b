//! The end of all steering.

use std::path::Path;

use super::filter;
use super::link::{Direction, Link};
use super::pins::{EGRESS, LINK, PinError, indices, names, own, remove};

/// Detaches from every interface, and removes every pin of every version; says from how many interfaces and directions that was. Nothing there is
/// fine. Filters are found in the network namespace of the caller.
///
/// # Errors
/// An agent runs, or something cannot be removed.
pub fn cleanup(directory: &Path) -> Result<usize, PinError> {
    if !directory.exists() {
        return Ok(0);
    }
    let _lock = own(directory)?;
    let mut ended = 0;
    for version in names(directory)? {
        let root = directory.join(version);
        let pinned = names(&root)?;
        // The links first: from then on nobody is steered, whatever else fails.
        for (prefix, direction) in [(LINK, Direction::Ingress), (EGRESS, Direction::Egress)] {
            for index in indices(&pinned, prefix) {
                let pin = root.join(format!("{prefix}{index}"));
                // Of another version it may be something else.
                if let Ok(mut link) = Link::from_pin(&pin, index, direction) {
                    let end = link.unpin(&pin).and_then(|()| link.end());
                    end.map_err(PinError::io("end what is attached as", &pin))?;
                }
                remove(&pin)?;
                ended += 1;
            }
        }
        filter::end_qdiscs(&root).map_err(PinError::io("delete the qdiscs of", &root))?;
        remove(&root)?;
    }
    remove(directory)?;
    Ok(ended)
}
