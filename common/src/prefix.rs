//! Longest-prefix match in tables that do not change: an index over the leading bits, then a short
//! binary search over address ranges. One or two array reads where the kernel's LPM trie chases a
//! pointer per level; the figures are in `docs/performance.md`.
//!
//! ```text
//!  address  [ common bits | index bits | rest ]
//!               must equal     |
//!                              v
//!  index    [ value << 32 ] or [ first step << 32 | count ]     one u64 per bucket
//!                                        |
//!                                        v
//!  steps    start <= address < next start  ->  value            sorted, disjoint, gap-free
//! ```
//!
//! A family whose prefixes all say the same of one block of addresses (a single service address, say)
//! needs neither index nor steps: the common bits decide. The builder, in user space, flattens nested prefixes into disjoint steps; 0 is "no prefix".

use crate::config::{PrefixIndex, PrefixTable};
use crate::hint::rare;
use crate::tables::Tables;

/// The most halvings a search makes: buckets hold fewer than 2^20 steps.
pub const MAX_HALVINGS: u32 = 20;

/// An index entry whose whole bucket maps to `value`.
pub const fn uniform(value: u32) -> u64 {
    (value as u64) << 32
}

/// An index entry whose bucket begins inside or at step `first` and spans `count` steps.
pub const fn search(first: u32, count: u32) -> u64 {
    (first as u64) << 32 | count as u64
}

/// The number that an IPv4 address maps to; 0 where no prefix holds it.
#[inline(always)]
pub fn find4<T: Tables>(tables: &T, table: &PrefixTable, address: u32) -> u32 {
    find::<false, T>(tables, &table.v4, [(address as u64) << 32, 0])
}

/// The number that an IPv6 address maps to; 0 where no prefix holds it.
#[inline(always)]
pub fn find6<T: Tables>(tables: &T, table: &PrefixTable, address: [u64; 2]) -> u32 {
    find::<true, T>(tables, &table.v6, address)
}

/// Looks up a left-aligned address; `LONG` where its lower half counts.
#[inline(always)]
fn find<const LONG: bool, T: Tables>(tables: &T, index: &PrefixIndex, address: [u64; 2]) -> u32 {
    if LONG {
        if address[0] & index.mask[0] != index.common[0] || address[1] & index.mask[1] != index.common[1] {
            return 0;
        }
    } else if (address[0] >> 32) as u32 & index.mask4 != index.common4 {
        return 0;
    }
    if index.bits == 0 {
        return index.value;
    }
    rare();
    let bucket = (address[0] << (index.skip & 63)) >> ((64 - index.bits as u32) & 63);
    let Some(entry) = tables.prefix_index(index.base.wrapping_add(bucket as u32)) else {
        return 0;
    };
    let first = (entry >> 32) as u32;
    let count = entry as u32;
    if count == 0 {
        return first;
    }
    tables.last_step::<LONG>(first, count, address)
}

/// The value of the last step at or before `address` among `count` steps from `first`; the first
/// step is at or before it by construction.
#[inline(always)]
pub fn last_step<const LONG: bool, T: Tables>(tables: &T, first: u32, count: u32, address: [u64; 2]) -> u32 {
    let mut low = first;
    let mut left = count;
    let mut value = 0;
    let mut round = 0;
    // Invariant: the answer is in [low, low + left).
    while round < MAX_HALVINGS {
        let half = left / 2;
        let at = low.wrapping_add(half);
        let Some(step) = tables.prefix_step(at) else { break };
        let before = if LONG && step.start == address[0] {
            match tables.prefix_low(at) {
                Some(start) => start <= address[1],
                None => break,
            }
        } else {
            step.start <= address[0]
        };
        if before {
            value = step.value;
            low = at;
            left -= half;
            if half == 0 {
                break;
            }
        } else {
            left = half;
        }
        round += 1;
    }
    value
}
