//! Two things at once.

use std::panic::resume_unwind;
use std::thread;

/// From so many keys on it is worth a thread.
pub(crate) const MANY: usize = 50_000;

/// What `one` and `other` give; `other` runs in a thread of its own where that is `worth` it.
pub(crate) fn both<A, B: Send>(
    worth: bool,
    one: impl FnOnce() -> A,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    if !worth {
        return (one(), other());
    }
    thread::scope(|scope| {
        let other = scope.spawn(other);
        let one = one();
        (one, other.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Drops what is large, in a thread of its own where that is `worth` it, and gives the memory back to the system: the
/// allocator would keep what each thread had.
pub(crate) fn drop_aside<T: Send + 'static>(worth: bool, what: T) {
    if worth {
        thread::spawn(move || {
            drop(what);
            trim();
        });
    }
}

#[cfg(target_env = "gnu")]
fn trim() {
    // SAFETY: malloc_trim(3) may be called at any time, by any thread.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
fn trim() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_done_in_one_thread_or_two() {
        for worth in [false, true] {
            let here = thread::current().id();
            let (one, other) = both(worth, || thread::current().id(), || thread::current().id());
            assert_eq!((one == here, other == here), (true, !worth));
        }
    }
}
