//! Where the bytes of files are kept, as tree operations, archives and
//! exports see it.

use std::fs::File;
use std::io::{self, Read};

use rbc_ir::Digest;

use super::tree::{FileRef, Meta};

/// A set of immutable byte strings that only grows. All methods take `&self`
/// and may be called from many threads.
pub trait Blobs: Sync {
    /// Keeps a file's bytes (as an inode with this metadata, ready to be
    /// linked). The result has no link group.
    ///
    /// # Errors
    ///
    /// If the bytes cannot be written; the error names the path.
    fn put(&self, data: &[u8], meta: &Meta) -> io::Result<FileRef>;

    /// Keeps a file's bytes, read to the end of `data`. `size` is how many
    /// are expected, and only a hint.
    ///
    /// # Errors
    ///
    /// If reading or writing fails; the error names the path.
    fn put_stream(&self, data: &mut dyn Read, size: u64, meta: &Meta) -> io::Result<FileRef>;

    /// Opens the bytes with this digest for reading. The empty blob can
    /// always be opened.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such blob; otherwise as the system says.
    fn open(&self, blob: &Digest) -> io::Result<File>;

    /// Reads a whole file that is expected to be small (`/etc/passwd`).
    ///
    /// # Errors
    ///
    /// As [`Blobs::open`]; `FileTooLarge` if it has more than `limit` bytes.
    fn read_small(&self, file: &FileRef, limit: u64) -> io::Result<Vec<u8>> {
        if file.size > limit {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        let mut data = Vec::new();
        self.open(&file.blob)?.take(limit).read_to_end(&mut data)?;
        Ok(data)
    }
}
