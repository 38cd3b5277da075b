//! A program before it has a policy, and its twin: the same instructions over the same tables, heeding the same words, but
//! counting in maps of its own. Test runs of the twin prove what the program will do, and leave no trace in any counter.
//!
//! The verifier takes longer over a program than everything else that a change of a small policy needs. So the two are
//! verified side by side, and can be loaded before there is a policy for them: what is verified hangs on the policy's
//! shape alone.

use std::path::Path;

use super::counter_set::{Capacity, Counting};
use super::load::Shape;
use super::{Dataplane, KernelError};
use crate::both::both;
use crate::image::Image;

/// How many keys a twin counts; of others it counts nothing.
pub(super) const COUNTED: u32 = 4_096;

/// A program and its twin, verified, with empty tables.
pub(super) struct Pair {
    pub(super) shape: Shape,
    /// The number of the counter set.
    pub(super) set: u64,
    program: Dataplane,
    twin: Dataplane,
}

impl Pair {
    /// Loads both. `tables` is an empty directory on a BPF file system, needed while this is done; `counters` is where
    /// set `set` is pinned, or will be by this.
    pub(super) fn load(
        shape: Shape,
        tables: &Path,
        set: u64,
        counters: (&Path, Capacity),
    ) -> Result<Self, KernelError> {
        let (pins, capacity) = counters;
        let back = shape.config.back.count != 0;
        let counted = Capacity { keys: COUNTED, shards: shape.config.shards.max(1), back };
        let mut program = Dataplane::make(&shape, Counting::Pinned(pins, capacity), Some(tables))?;
        let mut twin = Dataplane::make(&shape, Counting::Aside(pins, capacity, counted), Some(tables))?;
        let (one, other) = both(true, || program.verify(), || twin.verify());
        one.and(other)?;
        Ok(Self { shape, set, program, twin })
    }

    /// Gives both the tables of `image`: the program and its twin.
    pub(super) fn fill(self, image: &Image) -> Result<(Dataplane, Dataplane), KernelError> {
        let Self { mut program, twin, .. } = self;
        program.fill(image, Capacity::of(image))?;
        Ok((program, twin))
    }
}
