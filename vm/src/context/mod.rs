//! Local build contexts: the part of a directory that a plan reads, as a tree.
//!
//! Two steps. `scan` looks at names and inodes of just the paths that are
//! wanted; `read` turns them into a tree, taking digests from the stat index
//! where an inode is unchanged and reading the others once: hashed and stored
//! in one go. An unchanged context is never opened for reading.
//!
//! Symbolic links are followed by hand, inside the context only; every
//! directory is opened by its name in its parent, never through a link.

mod read;
mod scan;
mod stat_index;
mod wanted;

use std::io;
use std::path::{Path, PathBuf};

use crate::fs::Root;
use crate::fs::ignore::Patterns;
use crate::store::{Store, StoreError};

pub(crate) use wanted::Wanted;

/// Why a local context cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// A directory or file cannot be read.
    #[error("cannot {action} {} in the build context: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The context itself is missing or no directory.
    #[error("build context {} {why}", path.display())]
    NoDirectory {
        /// The context.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file kept changing while it was read.
    #[error("{} changed while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads the wanted part of a context as a tree. Everything belongs to root
/// (as BuildKit's local source: `fsutil` resets owners).
///
/// # Errors
///
/// If something wanted is there but cannot be read. A wanted path that is not
/// there is simply not in the tree.
pub(crate) fn load(
    store: &Store,
    directory: &Path,
    ignore: &Patterns,
    wanted: &[Wanted],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Root, ContextError> {
    let found = scan::scan(directory, ignore, wanted)?;
    read::read(store, directory, &found, progress)
}
