//! The files of a result as one uncompressed archive.

use super::dest::{Dest, write_to};
use super::error::ExportError;
use crate::archive::{Times, WriteOptions, write as write_tree};
use crate::fs::{Blobs, Forest, Root};

/// Writes the archive.
///
/// # Errors
///
/// If a file cannot be read or the destination cannot be written.
pub fn write(
    root: &Root,
    forest: &dyn Forest,
    blobs: &dyn Blobs,
    times: Times,
    dest: &Dest,
) -> Result<(), ExportError> {
    let options = WriteOptions { times, ..WriteOptions::default() };
    write_to(dest, |out, path| write_tree(out, root, forest, blobs, &options).map_err(ExportError::archive(path)))
}
