//! What a read costs on this machine when it depends on the one before: the rows of many keys are made of such
//! reads, and say nothing without this.

use std::hint::black_box;
use std::time::Instant;

/// Sizes to read from, in KiB.
const SIZES: [usize; 6] = [256, 1_024, 2_048, 4_096, 16_384, 65_536];
/// Words of a cache line.
const LINE: usize = 8;
const READS: usize = 1_000_000;
const ROUNDS: usize = 3;

/// The least nanoseconds of a read, by KiB that the reads are spread over.
pub(crate) fn ladder() -> Vec<(usize, f64)> {
    SIZES.into_iter().map(|size| (size, nanoseconds(size * 1_024 / (LINE * size_of::<usize>())))).collect()
}

/// Follows a chain through `lines` cache lines that visits each of them once, in no order that can be guessed.
fn nanoseconds(lines: usize) -> f64 {
    let mut order: Vec<usize> = (0..lines).collect();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    // Sattolo's shuffle: one cycle.
    for at in (1..lines).rev() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        order.swap(at, random as usize % at);
    }
    let mut memory = vec![0_usize; lines * LINE];
    for (at, next) in order.into_iter().enumerate() {
        if let Some(word) = memory.get_mut(at * LINE) {
            *word = next * LINE;
        }
    }
    let mut best = f64::INFINITY;
    let mut at = 0;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..READS {
            at = memory.get(at).copied().unwrap_or(0);
        }
        best = best.min(begun.elapsed().as_secs_f64() * 1e9 / READS as f64);
    }
    black_box(at);
    best
}
