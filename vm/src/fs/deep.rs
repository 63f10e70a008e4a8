//! Recursion over trees that may be deep.
//!
//! An archive may nest a thousand directories, and copies of copies more than
//! that, while a thread of a pool has 2 MiB of stack. Every so many levels the
//! walk therefore goes on in a thread of its own. Ordinary trees never get
//! there.

use std::panic::resume_unwind;
use std::thread;

/// Levels that one stack surely holds, unoptimised code included.
pub(crate) const LEVELS: usize = 160;

/// Down to this level work is divided among threads. Below, a walk stays on its
/// thread: a thread of the pool that waits for a fresh one must not be needed.
pub(crate) const PARALLEL_LEVELS: usize = 32;

/// Runs the next level of a recursion, on a fresh stack if it is time.
pub(crate) fn deeper<R: Send>(level: usize, next: impl FnOnce() -> R + Send) -> R {
    if level == 0 || !level.is_multiple_of(LEVELS) {
        return next();
    }
    thread::scope(|scope| match scope.spawn(next).join() {
        Ok(result) => result,
        Err(panic) => resume_unwind(panic),
    })
}
