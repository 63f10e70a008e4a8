//! Interruption: a flag that long transfers look at between pieces.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A shared flag; once set, transfers stop at the next piece.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cancel(Arc<AtomicBool>);

/// Says that the flag was set.
#[derive(Debug)]
pub(crate) struct Cancelled;

impl Cancel {
    pub(crate) fn new(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }

    pub(crate) fn check(&self) -> Result<(), Cancelled> {
        if self.0.load(Ordering::Relaxed) {
            return Err(Cancelled);
        }
        Ok(())
    }

    /// Waits, but no longer than until the flag is set.
    pub(crate) fn sleep(&self, time: Duration) -> Result<(), Cancelled> {
        let end = Instant::now() + time;
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}
