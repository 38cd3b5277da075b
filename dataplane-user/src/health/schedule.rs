//! When the next question is due. Intervals are shortened by a part that hangs on node, shard and question, so that nodes do not
//! ask in step; the same again by the same seed.

use std::fs;
use std::hash::Hasher;
use std::time::Duration;

use siphasher::sip::SipHasher13;

use crate::policy::Check;

/// What the times of this node's questions hang on.
pub fn seed() -> u64 {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    SipHasher13::new().hash(name.trim().as_bytes())
}

/// A number of a shard's `turn`-th question, evenly spread over all.
fn draw(seed: u64, shard: u16, turn: u64) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(seed, u64::from(shard));
    hasher.write_u64(turn);
    hasher.finish()
}

/// `part` of 2^64 of a span.
fn part(span: Duration, part: u64) -> Duration {
    let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    // Less than `nanos`, so nothing is cut off.
    Duration::from_nanos(((u128::from(nanos) * u128::from(part)) >> 64) as u64)
}

/// How long a new shard waits for its first question: some part of the interval.
pub(super) fn first(check: &Check, seed: u64, shard: u16) -> Duration {
    part(check.interval, draw(seed, shard, 0))
}

/// From one question to the next, of a shard that is as it was.
pub(super) fn steady(check: &Check, seed: u64, shard: u16, turn: u64) -> Duration {
    let most = check.interval.mul_f64(check.jitter.as_f64());
    check.interval.saturating_sub(part(most, draw(seed, shard, turn)))
}

/// From one question to the next, once one has failed of a shard that is up. It is asked faster by what it takes to wait for the
/// last answer: so a dead shard is noticed `interval x fall` after its last right answer was asked for, where the time-out is not longer
/// than `interval x (fall - 1) / fall`. It is half the interval at least, which is enough for that.
pub(super) fn hurried(check: &Check) -> Duration {
    let saved = match check.fall.saturating_sub(1) {
        0 => Duration::ZERO,
        // Rounded up.
        more => check.timeout / more + Duration::from_nanos(1),
    };
    check.interval.saturating_sub(saved).max(check.interval / 2)
}
