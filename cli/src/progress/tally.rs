//! Counts what a build did, for the summary.

use std::sync::atomic::{AtomicUsize, Ordering};

use rbc_vm::event::Event;

/// Counts while a build runs.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    ran: AtomicUsize,
    cached: AtomicUsize,
}

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Steps that ran.
    pub(crate) ran: usize,
    /// Steps whose result was in the cache.
    pub(crate) cached: usize,
}

impl Tally {
    /// Takes note of an event.
    pub(crate) fn note(&self, event: &Event) {
        match event {
            Event::Finished { .. } => self.ran.fetch_add(1, Ordering::Relaxed),
            Event::Cached { .. } => self.cached.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }

    /// Returns the counts so far.
    pub(crate) fn counts(&self) -> Counts {
        Counts { ran: self.ran.load(Ordering::Relaxed), cached: self.cached.load(Ordering::Relaxed) }
    }
}
