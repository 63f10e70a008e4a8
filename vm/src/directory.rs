//! Reading real directories by handle.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{Dir, OFlags};

use crate::fs::Name;

/// How a directory is opened by its name in its parent: never through a
/// symbolic link.
pub(crate) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Returns the names in a directory, in no particular order.
pub(crate) fn names(fd: BorrowedFd<'_>) -> io::Result<Vec<Name>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(fd)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.into());
        }
    }
    Ok(names)
}
