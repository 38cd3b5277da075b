//! How far a capture has been read: one line on a terminal, redrawn; nothing anywhere else.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::error::safe;
use crate::capture::Capture;

/// How often the line is drawn.
const EVERY: Duration = Duration::from_millis(100);
/// Packets between looks at the clock.
const STEP: u64 = 64;
/// Characters of the bar, and of the name before it.
const BAR: usize = 20;
const NAME: usize = 24;
/// Back to the beginning of the line, and clear it.
const CLEAR: &str = "\r\x1b[K";

/// The line, which is cleared on drop.
#[derive(Debug)]
pub(super) struct Progress {
    /// None where it is not shown.
    begun: Option<Instant>,
    drawn: Option<Instant>,
}

impl Progress {
    /// A line on stderr, if that is a terminal and `alone` on it.
    pub(super) fn new(alone: bool) -> Self {
        let shown = alone && io::stderr().is_terminal();
        Self { begun: shown.then(Instant::now), drawn: None }
    }

    /// Draws, when it is time.
    pub(super) fn tick(&mut self, capture: &Capture<'_>) {
        let Some(begun) = self.begun.filter(|_| capture.packets().is_multiple_of(STEP)) else {
            return;
        };
        let now = Instant::now();
        if now.duration_since(self.drawn.unwrap_or(begun)) >= EVERY {
            self.drawn = Some(now);
            let took = now.duration_since(begun);
            let (read, size) = (capture.read(), capture.size());
            let line = line(&safe(capture.name()), read, size, capture.packets(), took);
            // What cannot be shown is not missed.
            let _ = write!(io::stderr(), "{CLEAR}{line}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(io::stderr(), "{CLEAR}");
        }
    }
}

/// The line for so many bytes read of a file of so many, and so many packets in this time.
fn line(name: &str, read: u64, size: Option<u64>, packets: u64, took: Duration) -> String {
    let mut shown: String = name.chars().rev().take(NAME).collect::<Vec<_>>().into_iter().rev().collect();
    if shown.len() < name.len() {
        shown.insert_str(0, "..");
    }
    let far = match size {
        Some(size) => {
            let part = (read as f64 / size.max(1) as f64).min(1.0);
            let full = (part * BAR as f64) as usize;
            format!("[{}{}] {:3.0} %", "#".repeat(full), ".".repeat(BAR - full), part * 100.0)
        }
        None => format!("{} KiB", read >> 10),
    };
    let rate = packets as f64 / took.as_secs_f64().max(f64::MIN_POSITIVE);
    format!("{shown} {far} {packets} packets {rate:.0}/s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_and_how_fast() {
        let second = Duration::from_secs(1);
        assert_eq!(
            line("a.pcap", 50, Some(200), 7, second),
            "a.pcap [#####...............]  25 % 7 packets 7/s"
        );
        assert_eq!(line("stdin", 4096, None, 10, second * 2), "stdin 4 KiB 10 packets 5/s");
        let long = line("/a/very/long/path/to/some/capture.pcap", 9, Some(3), 1, second);
        assert_eq!(long, "..ath/to/some/capture.pcap [####################] 100 % 1 packets 1/s");
        assert!(long.chars().count() < 80);
    }
}
