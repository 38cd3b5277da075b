//! A classic filter that lives as a BPF link does: it ends with what made it unless it is kept, and can be found again. The kernel keeps a
//! filter until it is deleted, whoever made it; so what says that it is to stay is a directory among the pins.
//!
//! ```text
//!  <pin>-filter      a filter of keysteer's is there, or was about to be      before the filter, and after it
//!  clsact-<index>    the qdisc of that interface is keysteer's                after it is made, until steering ends everywhere
//! ```
//! What is in place is what the kernel lists, never what these say.

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use super::clsact;
use super::link::{Direction, LinkFacts, Place};
use crate::fault::{Step, point};

/// What comes behind a pin's name in that of its marker.
pub(super) const MARK: &str = "-filter";
/// What the name of a qdisc's marker begins with.
const QDISC: &str = "clsact-";

/// A filter with keysteer's program.
#[derive(Debug)]
pub(super) struct Filter {
    index: u32,
    direction: Direction,
    /// Whether the qdisc was made for it.
    made_qdisc: bool,
    /// Its marker, once there is one.
    marker: Option<PathBuf>,
    /// Whether it outlives this.
    stays: bool,
}

/// Where the marker is of a filter that is pinned as `pin`.
fn marker(pin: &Path) -> PathBuf {
    let mut path = pin.as_os_str().to_owned();
    path.push(MARK);
    path.into()
}

impl Filter {
    /// Attaches `program` to interface `index`. If it will be pinned as `pin`, that is marked before: whatever becomes of this process, nothing
    /// steers that nobody knows of.
    pub(super) fn create(
        program: BorrowedFd<'_>,
        index: u32,
        direction: Direction,
        pin: Option<&Path>,
    ) -> io::Result<Self> {
        let marker = pin.map(marker);
        let marked = marker.as_deref().map(mark).transpose()?;
        point(Step::FilterMarked);
        let made_qdisc = match clsact::add(program, index, direction) {
            Ok(made_qdisc) => made_qdisc,
            Err(error) => {
                if let (Some(marker), Some(true)) = (marker, marked) {
                    unmark(&marker)?;
                }
                return Err(error);
            }
        };
        let filter = Self { index, direction, made_qdisc, marker, stays: false };
        filter.mark_qdisc()?;
        Ok(filter)
    }

    /// The filter that is pinned as `pin`, if one is. It may have gone.
    pub(super) fn from_pin(pin: &Path, index: u32, direction: Direction) -> io::Result<Option<Self>> {
        let marker = marker(pin);
        if !marker.try_exists()? {
            return Ok(None);
        }
        Ok(Some(Self { index, direction, made_qdisc: false, marker: Some(marker), stays: true }))
    }

    /// Has it stay.
    pub(super) fn pin(&mut self, pin: &Path) -> io::Result<()> {
        let marker = marker(pin);
        point(Step::FilterAdded);
        mark(&marker)?;
        self.marker = Some(marker);
        self.mark_qdisc()?;
        self.stays = true;
        Ok(())
    }

    /// Notes that the qdisc was made for it, beside its marker.
    fn mark_qdisc(&self) -> io::Result<()> {
        if let Some(marker) = self.marker.as_ref().filter(|_| self.made_qdisc) {
            mark(&marker.with_file_name(format!("{QDISC}{}", self.index)))?;
        }
        Ok(())
    }

    /// Has it end with this. Its marker stays as long as it does.
    pub(super) fn unpin(&mut self) {
        self.stays = false;
    }

    /// Gives it another program.
    pub(super) fn update(&self, program: BorrowedFd<'_>) -> io::Result<()> {
        clsact::replace(program, self.index, self.direction)
    }

    /// What is there now.
    pub(super) fn facts(&self) -> io::Result<LinkFacts> {
        let found = clsact::ours(self.index, self.direction)?;
        let (program, interface) = found.map_or((0, 0), |it| (it.program.unwrap_or_default(), self.index));
        Ok(LinkFacts { place: Place::Tc(self.direction), program, interface })
    }

    /// Deletes it.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.stays = true;
        self.delete()
    }

    fn delete(&self) -> io::Result<()> {
        clsact::delete(self.index, self.direction)?;
        point(Step::FilterDeleted);
        match &self.marker {
            Some(marker) => unmark(marker),
            // Nobody will know of the qdisc any more.
            None if self.made_qdisc => clsact::delete_unused_qdisc(self.index),
            None => Ok(()),
        }
    }
}

/// Deletes the qdiscs that were made for filters pinned in `root`, where nobody uses them. They outlive filters, because the kernel stops what
/// an interface sends for a moment when one comes or goes, and loses some of it: that is not for a change of the policy, but for the end.
pub(super) fn end_qdiscs(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let name = entry?.file_name();
        if let Some(index) = name.to_str().and_then(|name| name.strip_prefix(QDISC)?.parse().ok()) {
            clsact::delete_unused_qdisc(index)?;
            unmark(&root.join(name))?;
        }
    }
    Ok(())
}

impl Drop for Filter {
    fn drop(&mut self) {
        if !self.stays
            && let Err(error) = self.delete()
        {
            let (index, direction) = (self.index, self.direction.name());
            tracing::warn!(
                "cannot delete the filter at TC {direction} of interface {index}: {error}; `tc filter del dev \
                 INTERFACE {direction} pref {}` does",
                clsact::PRIORITY
            );
        }
    }
}

/// Makes a marker; whether it was not there.
fn mark(path: &Path) -> io::Result<bool> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        made => made.map(|()| true),
    }
}

fn unmark(path: &Path) -> io::Result<()> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
