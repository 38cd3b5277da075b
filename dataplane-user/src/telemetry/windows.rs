//! What shards were given lately: rates over several windows from samples taken every ten seconds.
//!
//! Two rings, so that an hour of many shards stays small: every sample for the short windows, one a
//! minute for the long one.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use keysteer_common::account::ShardCounter;

use crate::control::types::Rate;

/// How often a sample is taken.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(10);

/// The windows: name, length.
pub const WINDOWS: [(&str, Duration); 4] = [
    ("10s", Duration::from_secs(10)),
    ("1m", Duration::from_secs(60)),
    ("5m", Duration::from_secs(300)),
    ("1h", Duration::from_secs(3600)),
];

/// Timers are late by a little; a sample this much older than a window still begins it.
const SLACK: Duration = Duration::from_secs(5);

/// All shards at one moment.
#[derive(Clone, Debug)]
struct Sample {
    at: Instant,
    shards: Vec<ShardCounter>,
}

/// Samples at least `every` apart, for `keep`.
#[derive(Clone, Debug)]
struct Ring {
    every: Duration,
    keep: Duration,
    samples: VecDeque<Sample>,
}

impl Ring {
    fn push(&mut self, sample: &Sample) {
        let due = self
            .samples
            .back()
            .is_none_or(|last| sample.at.saturating_duration_since(last.at) + SLACK >= self.every);
        if !due {
            return;
        }
        let keep = self.keep + SLACK;
        self.samples.push_back(sample.clone());
        while self.samples.front().is_some_and(|first| sample.at.saturating_duration_since(first.at) > keep) {
            self.samples.pop_front();
        }
    }

    /// The oldest sample that is no older than `window` at `now`.
    fn begin(&self, now: Instant, window: Duration) -> Option<&Sample> {
        self.samples.iter().find(|sample| now.saturating_duration_since(sample.at) <= window + SLACK)
    }
}

/// The samples of all shards.
#[derive(Clone, Debug)]
pub struct Windows {
    fine: Ring,
    coarse: Ring,
    latest: Option<Sample>,
}

impl Default for Windows {
    fn default() -> Self {
        let [_, (_, minute), (_, short), (_, long)] = WINDOWS;
        Self {
            fine: Ring { every: SAMPLE_EVERY, keep: short, samples: VecDeque::new() },
            coarse: Ring { every: minute, keep: long, samples: VecDeque::new() },
            latest: None,
        }
    }
}

impl Windows {
    /// Takes a sample; `at` must not go back.
    pub fn push(&mut self, at: Instant, shards: &[ShardCounter]) {
        let sample = Sample { at, shards: shards.to_vec() };
        self.fine.push(&sample);
        self.coarse.push(&sample);
        self.latest = Some(sample);
    }

    /// The rates of shard `index` by window name, up to the latest sample. A window that is not full
    /// covers what there is.
    pub fn rates(&self, index: usize) -> BTreeMap<String, Rate> {
        WINDOWS.iter().map(|(name, window)| ((*name).to_owned(), self.rate(index, *window))).collect()
    }

    fn rate(&self, index: usize, window: Duration) -> Rate {
        let Some(latest) = &self.latest else { return Rate::default() };
        let ring = if window <= self.fine.keep { &self.fine } else { &self.coarse };
        let Some(begin) = ring.begin(latest.at, window) else { return Rate::default() };
        let seconds = latest.at.saturating_duration_since(begin.at).as_secs_f64();
        let (Some(now), Some(then)) = (latest.shards.get(index), begin.shards.get(index)) else {
            return Rate::default();
        };
        if seconds == 0.0 {
            return Rate::default();
        }
        let per_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        Rate {
            packets_per_second: per_second(now.packets, then.packets),
            bytes_per_second: per_second(now.bytes, then.bytes),
            flows_per_second: per_second(now.flows, then.flows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(packets: u64) -> Vec<ShardCounter> {
        vec![ShardCounter { packets, bytes: packets * 100, flows: packets / 10, dropped: 0 }]
    }

    fn packets(windows: &Windows, name: &str) -> f64 {
        windows.rates(0)[name].packets_per_second
    }

    #[test]
    fn nothing_is_known_before_the_second_sample() {
        let mut windows = Windows::default();
        assert_eq!(windows.rates(0)["1h"], Rate::default());
        windows.push(Instant::now(), &shard(500));
        assert_eq!(windows.rates(0)["10s"], Rate::default());
        assert_eq!(windows.rates(7)["10s"], Rate::default());
    }

    #[test]
    fn a_window_not_yet_full_covers_what_there_is() {
        let start = Instant::now();
        let mut windows = Windows::default();
        windows.push(start, &shard(0));
        windows.push(start + Duration::from_secs(10), &shard(100));
        windows.push(start + Duration::from_secs(20), &shard(500));
        assert_eq!(packets(&windows, "10s"), 40.0);
        assert_eq!(packets(&windows, "1m"), 25.0);
        assert_eq!(packets(&windows, "1h"), 25.0);
    }

    #[test]
    fn full_windows_forget_what_lies_before_them() {
        let start = Instant::now();
        let mut windows = Windows::default();
        // 1,000 packets in the first ten seconds, then 10 a second for two hours; timers late by 3 ms.
        windows.push(start, &shard(0));
        for step in 1..=720u64 {
            let at = start + Duration::from_millis(step * 10_003);
            windows.push(at, &shard(1_000 + (step - 1) * 100));
        }
        for name in ["10s", "1m", "5m", "1h"] {
            let rate = packets(&windows, name);
            assert!((9.9..10.1).contains(&rate), "{name}: {rate}");
        }
        assert!(windows.fine.samples.len() <= 32);
        assert!(windows.coarse.samples.len() <= 74);
        assert_eq!(windows.rates(0)["1m"].bytes_per_second, packets(&windows, "1m") * 100.0);
    }
}
