//! Decompression and the digest of the uncompressed stream, on a thread of
//! their own: they cost as much as everything that follows.
//!
//! The producer is a plain thread, not a rayon task, so that a parser that
//! runs on rayon can wait for it without a deadlock.

use std::io::{self, Read};

use crossbeam_channel::{Receiver, Sender};
use rbc_ir::{Digest, Hasher};

const CHUNK: usize = 256 << 10;

/// How many chunks may wait: 4 MiB in all.
pub(crate) const DEPTH: usize = 16;

/// What went through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// Sends all of `source`, in chunks, and returns their digest. Ends early,
/// with `None`, after an error (which is sent) or when no one listens.
pub(crate) fn produce(mut source: impl Read, to: &Sender<io::Result<Vec<u8>>>) -> Option<Passed> {
    let mut hasher = Hasher::new();
    let mut size = 0;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        match source.by_ref().take(CHUNK as u64).read_to_end(&mut chunk) {
            Ok(0) => return Some(Passed { digest: hasher.finish(), size }),
            Ok(n) => {
                hasher.update(&chunk);
                size += n as u64;
                to.send(Ok(chunk)).ok()?;
            }
            Err(e) => {
                to.send(Err(e)).ok();
                return None;
            }
        }
    }
}

/// The other end: the chunks as a stream.
pub(crate) struct Chunks {
    from: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    used: usize,
}

impl Chunks {
    pub(crate) fn new(from: Receiver<io::Result<Vec<u8>>>) -> Self {
        Self { from, chunk: Vec::new(), used: 0 }
    }
}

impl Read for Chunks {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.used == self.chunk.len() {
            match self.from.recv() {
                Ok(chunk) => (self.chunk, self.used) = (chunk?, 0),
                Err(_) => return Ok(0),
            }
        }
        let ready = self.chunk.get(self.used..).unwrap_or_default();
        let n = ready.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), ready.get(..n)) {
            to.copy_from_slice(from);
        }
        self.used += n;
        Ok(n)
    }
}
