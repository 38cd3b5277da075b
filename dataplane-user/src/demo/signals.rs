//! Ctrl-C and SIGTERM: noted, and obeyed at the next step, so that every guard cleans up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::DemoError;

static CAUGHT: AtomicBool = AtomicBool::new(false);

/// How often something that waits looks up.
const STEP: Duration = Duration::from_millis(20);

extern "C" fn note(_: libc::c_int) {
    if CAUGHT.swap(true, Ordering::SeqCst) {
        // Asked twice: end at once. The kernel takes namespaces and programs back with the process.
        // SAFETY: `_exit` is async-signal-safe and does not return.
        unsafe { libc::_exit(130) }
    }
}

/// Notes signals from now on.
///
/// # Errors
/// The kernel refuses.
pub(super) fn watch() -> Result<(), DemoError> {
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler only swaps an atomic and calls `_exit`, both async-signal-safe.
        unsafe { sigaction(signal, &action) }.map_err(DemoError::at("watch for signals"))?;
    }
    Ok(())
}

/// Whether a signal came.
pub(super) fn caught() -> bool {
    CAUGHT.load(Ordering::SeqCst)
}

/// Fails when a signal came.
///
/// # Errors
/// [`DemoError::Interrupted`].
pub(super) fn check() -> Result<(), DemoError> {
    if caught() { Err(DemoError::Interrupted) } else { Ok(()) }
}

/// Sleeps, but not through a signal.
///
/// # Errors
/// [`DemoError::Interrupted`].
pub(super) fn sleep(time: Duration) -> Result<(), DemoError> {
    let end = Instant::now() + time;
    loop {
        check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(STEP));
    }
}
