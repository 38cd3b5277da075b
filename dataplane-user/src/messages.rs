//! What an operator is told on stderr, beside the log and whatever its filter: that the agent is ready,
//! a warning, why it ends. Plain lines, or events of the log where that is JSON, so that whoever
//! collects it reads one format.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// The target of those events. No filter takes them out.
pub(crate) const TARGET: &str = "message";

/// Whether the log is JSON.
static STRUCTURED: AtomicBool = AtomicBool::new(false);

/// From now on messages are events of the log. It must have been installed, and let [`TARGET`] pass.
pub(crate) fn be_structured() {
    STRUCTURED.store(true, Ordering::Relaxed);
}

fn structured() -> bool {
    STRUCTURED.load(Ordering::Relaxed)
}

/// A line on stderr. Whoever has closed that does not ask for it, and must not end an agent by that.
fn line(before: &str, message: &str) {
    let _ = writeln!(io::stderr(), "{before}{message}");
}

/// Tells what is going on.
pub(crate) fn say(message: &str) {
    if structured() {
        tracing::info!(target: TARGET, "{message}");
    } else {
        line("", message);
    }
}

/// Tells what looks wrong.
pub(crate) fn warn(message: &str) {
    if structured() {
        tracing::warn!(target: TARGET, "{message}");
    } else {
        line("warning: ", message);
    }
}

/// Tells why the command failed.
pub(crate) fn fail(message: &str) {
    if structured() {
        tracing::error!(target: TARGET, "{message}");
    } else {
        line("error: ", message);
    }
}
