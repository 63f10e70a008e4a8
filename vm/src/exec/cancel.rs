//! A flag that wakes those who poll.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};

use super::ExecError;

/// Tells running sandboxes to end. Clones share one state; once cancelled,
/// always cancelled.
#[derive(Clone, Debug)]
pub struct CancelToken {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    cancelled: AtomicBool,
    /// Written once and never read, so that it stays readable for all.
    event: OwnedFd,
}

impl CancelToken {
    /// Creates a token that is not cancelled.
    pub fn new() -> Result<Self, ExecError> {
        let event =
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(ExecError::io("create an eventfd"))?;
        Ok(Self { inner: Arc::new(Inner { cancelled: AtomicBool::new(false), event }) })
    }

    /// Cancels everything that runs under this token, and whatever starts
    /// later. Async-signal-safe: one atomic store and one `write(2)`.
    pub fn cancel(&self) {
        self.inner.cancelled.store(true, Ordering::SeqCst);
        // Cannot fail but for EAGAIN at u64::MAX, when it is readable anyway.
        let _ = rustix::io::write(&self.inner.event, &1_u64.to_ne_bytes());
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled.load(Ordering::SeqCst)
    }
}

impl AsFd for CancelToken {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.event.as_fd()
    }
}
