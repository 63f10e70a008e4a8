//! What can go wrong with the store.

use std::io;
use std::path::PathBuf;

use crate::fs::TreeError;

/// A failure of the store. Most are faults of the machine, not of the build.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A system call on a path of the store failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried (`open`, `link`).
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// No space, no inodes, or over quota.
    #[error("no space left for the cache at {}", path.display())]
    NoSpace {
        /// Where.
        path: PathBuf,
    },
    /// The index failed.
    #[error("the cache's index at {}: {message}", path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// What LMDB says.
        message: String,
    },
    /// The index is no index any more.
    #[error("the cache's index at {} is damaged: {message}", path.display())]
    IndexDamaged {
        /// The index.
        path: PathBuf,
        /// What LMDB says.
        message: String,
    },
    /// The store was made by another version.
    #[error("the cache at {} has format {found}, this program uses {expected}: remove it or set RBC_HOME", path.display())]
    Format {
        /// The store.
        path: PathBuf,
        /// What VERSION says.
        found: String,
        /// What it should say.
        expected: &'static str,
    },
    /// The store's owners on disk are not those of this user.
    #[error(
        "the cache at {} was made by another user, or when this user had other ids (its VERSION belongs to {owner} here)",
        path.display()
    )]
    OtherIds {
        /// The store.
        path: PathBuf,
        /// Who it belongs to, as seen from here.
        owner: u32,
    },
    /// The store was made when its user had no ranges of ids.
    #[error("the cache at {} was made when this user had a single id; now it has more", path.display())]
    SingleId {
        /// The store.
        path: PathBuf,
    },
    /// Something that a record names is not there.
    #[error("the cache lacks {what}; it was removed or damaged from outside")]
    Missing {
        /// What.
        what: String,
    },
    /// A tree is missing or damaged.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Other processes use the store.
    #[error("the cache at {} is in use by another rbc", path.display())]
    Busy {
        /// The store.
        path: PathBuf,
    },
}

impl StoreError {
    /// Wraps an error of a system call; lack of space becomes [`StoreError::NoSpace`].
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { path },
            _ => Self::Io { action, path, source },
        }
    }

    /// Turns the error into one of the [`Blobs`](crate::fs::Blobs) trait.
    pub(crate) fn into_io(self) -> io::Error {
        let kind = match &self {
            Self::Io { source, .. } => source.kind(),
            Self::NoSpace { .. } => io::ErrorKind::StorageFull,
            Self::Missing { .. } => io::ErrorKind::NotFound,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, self)
    }
}

/// Gives an [`io::Error`] the action and path that it lacks.
pub(crate) trait IoContext<T> {
    /// Wraps the error.
    fn on(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T, StoreError>;
}

impl<T, E: Into<io::Error>> IoContext<T> for Result<T, E> {
    fn on(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T, StoreError> {
        self.map_err(|e| StoreError::io(action, path, e.into()))
    }
}
