//! Files of an archive on their way into the store: small ones in batches on
//! rayon, large ones streamed by the reader itself.
//!
//! The reader never waits for a batch. When enough of them run, it stores
//! the next one itself, so it bounds the memory and cannot deadlock when it
//! is a rayon worker itself.

use std::io;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::build::ContentId;
use crate::fs::Blobs;
use crate::fs::{FileRef, Meta};

/// Files up to this size are read into memory.
pub(crate) const SMALL: u64 = 1 << 20;

const BATCH_BYTES: usize = 2 << 20;
const BATCH_FILES: usize = 128;

pub(crate) struct SmallFile {
    pub(crate) content: ContentId,
    pub(crate) name: Vec<u8>,
    pub(crate) meta: Meta,
    pub(crate) data: Vec<u8>,
}

/// A file that could not be stored.
pub(crate) struct Failure {
    pub(crate) name: Vec<u8>,
    pub(crate) error: io::Error,
}

#[derive(Default)]
struct Outcome {
    stored: Vec<(ContentId, FileRef)>,
    failure: Option<Failure>,
}

/// What the batches share.
pub(crate) struct Desk<'a> {
    blobs: &'a dyn Blobs,
    running: AtomicUsize,
    outcome: Mutex<Outcome>,
}

impl<'a> Desk<'a> {
    pub(crate) fn new(blobs: &'a dyn Blobs) -> Self {
        Self { blobs, running: AtomicUsize::new(0), outcome: Mutex::new(Outcome::default()) }
    }

    fn store(&self, batch: Vec<SmallFile>) {
        let mut stored = Vec::with_capacity(batch.len());
        for SmallFile { content, name, meta, data } in batch {
            match self.blobs.put(&data, &meta) {
                Ok(file) => stored.push((content, file)),
                Err(error) => {
                    self.outcome.lock().failure.get_or_insert(Failure { name, error });
                    return;
                }
            }
        }
        self.outcome.lock().stored.extend(stored);
    }

    /// Returns what was stored, after all batches have ended.
    pub(crate) fn close(self) -> Result<Vec<(ContentId, FileRef)>, Failure> {
        let outcome = self.outcome.into_inner();
        match outcome.failure {
            Some(failure) => Err(failure),
            None => Ok(outcome.stored),
        }
    }
}

/// Collects batches and hands them out.
pub(crate) struct Storing<'s, 'env> {
    desk: &'env Desk<'env>,
    scope: &'s rayon::Scope<'env>,
    /// Batches that may run beside the reader.
    width: usize,
    batch: Vec<SmallFile>,
    bytes: usize,
}

impl<'s, 'env> Storing<'s, 'env> {
    pub(crate) fn new(desk: &'env Desk<'env>, scope: &'s rayon::Scope<'env>, threads: usize) -> Self {
        let threads = if threads == 0 { rayon::current_num_threads() } else { threads };
        let width = if threads < 2 { 0 } else { threads * 2 };
        Self { desk, scope, width, batch: Vec::new(), bytes: 0 }
    }

    /// Tells whether a file could not be stored, so that going on is vain.
    pub(crate) fn has_failed(&self) -> bool {
        self.desk.outcome.lock().failure.is_some()
    }

    pub(crate) fn add(&mut self, file: SmallFile) {
        self.bytes += file.data.len();
        self.batch.push(file);
        if self.bytes >= BATCH_BYTES || self.batch.len() >= BATCH_FILES {
            self.flush();
        }
    }

    pub(crate) fn flush(&mut self) {
        let batch = mem::take(&mut self.batch);
        self.bytes = 0;
        let desk = self.desk;
        if batch.is_empty() || desk.running.load(Ordering::Relaxed) >= self.width {
            return desk.store(batch);
        }
        desk.running.fetch_add(1, Ordering::Relaxed);
        self.scope.spawn(move |_| {
            desk.store(batch);
            desk.running.fetch_sub(1, Ordering::Relaxed);
        });
    }
}
