//! Which types cross the kernel boundary as plain bytes.

use crate::account::{BackTally, Counter, KeyEvents, ShardCounter, Tally};
use crate::config::Config;
use crate::headers::Work;
use crate::pin::Moving;
use crate::shim::Signing;
use crate::tables::{Datagram, KeyEntry, Pod, PrefixStep, ServiceSet, ShardEntry, SlotTable};

/// A type that is the same bytes on both sides of the kernel boundary.
///
/// # Safety
/// `repr(C)`, without padding, and every bit pattern is a valid value. Sizes are asserted beside each
/// definition, so that a padded or changed layout does not compile.
pub unsafe trait Shared: Copy + 'static {}

// SAFETY: an integer.
unsafe impl Shared for u64 {}
// SAFETY: an integer.
unsafe impl Shared for u32 {}
// SAFETY: an integer.
unsafe impl Shared for u16 {}
// SAFETY: `repr(C)` of integers, padding explicit, size asserted beside the definition.
unsafe impl Shared for Config {}
// SAFETY: as above.
unsafe impl Shared for PrefixStep {}
// SAFETY: as above.
unsafe impl Shared for ServiceSet {}
// SAFETY: as above.
unsafe impl Shared for KeyEntry {}
// SAFETY: as above.
unsafe impl Shared for ShardEntry {}
// SAFETY: as above.
unsafe impl Shared for SlotTable {}
// SAFETY: as above.
unsafe impl Shared for Pod {}
// SAFETY: as above.
unsafe impl Shared for Datagram {}
// SAFETY: two u64.
unsafe impl Shared for Counter {}
// SAFETY: a u64 and an array of `Counter`.
unsafe impl Shared for KeyEvents {}
// SAFETY: four u64.
unsafe impl Shared for ShardCounter {}
// SAFETY: arrays of the above.
unsafe impl Shared for Tally {}
// SAFETY: arrays of the above.
unsafe impl Shared for BackTally {}
// SAFETY: a `Counter` and `u64`s.
unsafe impl Shared for Moving {}
// SAFETY: `repr(C)` of integers, padding explicit, size asserted beside the definition.
unsafe impl Shared for Work {}
// SAFETY: as above.
unsafe impl Shared for Signing {}
// SAFETY: an array of a shared type has its elements and nothing between them.
unsafe impl<T: Shared, const N: usize> Shared for [T; N] {}

/// The bytes of shared values.
pub fn bytes_of<T: Shared>(values: &[T]) -> &[u8] {
    // SAFETY: `Shared` has no padding, so all `size_of_val` bytes are initialised; u8 has alignment 1.
    unsafe { core::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// A shared value from the first bytes of `bytes`; `None` when there are too few.
pub fn from_bytes<T: Shared>(bytes: &[u8]) -> Option<T> {
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: there are size_of::<T>() bytes, and any bytes are a `T`.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}
