//! The table of what is counted, redrawn in place on a terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use super::readings::Counted;

/// Draws tables.
pub(super) struct Table {
    terminal: bool,
    /// Lines of the table on the screen.
    drawn: usize,
}

impl Table {
    /// A table on stdout.
    pub(super) fn new() -> Self {
        Self { terminal: io::stdout().is_terminal(), drawn: 0 }
    }

    /// Whether tables in between are wanted.
    pub(super) fn live(&self) -> bool {
        self.terminal
    }

    /// Draws a table over the last one.
    pub(super) fn draw(&mut self, counted: &Counted) {
        let text = rows(counted);
        let mut out = io::stdout().lock();
        let back = if self.terminal && self.drawn > 0 {
            // Up to the first line of the last table, and clear from there.
            format!("\x1b[{}A\x1b[J", self.drawn)
        } else {
            String::new()
        };
        // A reader that has gone is no reason to end: the exit code still tells.
        let _ = write!(out, "{back}{text}").and_then(|()| out.flush());
        self.drawn = text.lines().count();
    }
}

fn rows(counted: &Counted) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "  {:<14} {:>5}  {:<8} {:>9} {:>10} {:>7} {:>8}",
        "KEY", "WIDTH", "SHARDS", "PACKETS", "BYTES", "FLOWS", "DROPPED"
    );
    for key in &counted.keys {
        let dropped: u64 = key.drops.values().map(|drops| drops.packets).sum();
        let _ = writeln!(
            text,
            "  {:<14} {:>5}  {:<8} {:>9} {:>10} {:>7} {:>8}",
            key.name,
            key.width,
            if key.denied.is_some() { "denied".to_owned() } else { key.shards.join(" ") },
            key.packets,
            key.bytes,
            key.flows,
            dropped
        );
    }
    for outcome in counted.status.outcomes.iter().filter(|outcome| outcome.class != "assigned") {
        let _ = writeln!(
            text,
            "  {:<14} {:<15} {:>9} {:>10}",
            format!("({})", outcome.class),
            outcome.reason,
            outcome.packets,
            outcome.bytes
        );
    }
    let _ = writeln!(
        text,
        "  {:<14} {:>5}  {:<8} {:>9} {:>10} {:>7} {:>8}",
        "SHARD", "", "WEIGHT", "PACKETS", "BYTES", "FLOWS", "DROPPED"
    );
    for shard in &counted.shards {
        let _ = writeln!(
            text,
            "  {:<14} {:>5}  {:<8} {:>9} {:>10} {:>7} {:>8}",
            shard.name, "", shard.weight, shard.packets, shard.bytes, shard.flows, shard.dropped
        );
    }
    text
}
