//! Where directories are kept, as the tree operations see it.

use std::sync::Arc;

use dashmap::DashMap;

use super::tree::{Dir, DirRef, Entry, Meta, Mtime, Name, Root, Totals, TreeId};

/// Why a directory cannot be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TreeError {
    /// The index lacks it.
    #[error("directory {0:?} is missing from the cache")]
    Missing(TreeId),
    /// The index holds something else.
    #[error("directory {0:?} is damaged in the cache")]
    Damaged(TreeId),
    /// The index cannot be read.
    #[error("cannot read the cache's index: {0}")]
    Index(String),
}

/// A set of immutable directories that only grows. Cheap to share: all
/// methods take `&self` and may be called from many threads.
pub trait Forest: Sync {
    /// Returns a directory.
    ///
    /// # Errors
    ///
    /// If it is missing or damaged.
    fn dir(&self, id: &TreeId) -> Result<Arc<Dir>, TreeError>;

    /// Keeps a directory.
    fn keep(&self, dir: Dir) -> Arc<Dir>;

    /// Returns the sums of a directory.
    ///
    /// # Errors
    ///
    /// If it is missing or damaged.
    fn totals(&self, id: &TreeId) -> Result<Totals, TreeError> {
        Ok(*self.dir(id)?.totals())
    }

    /// Makes and keeps a directory of entries (see [`Dir::new`]).
    ///
    /// # Errors
    ///
    /// If a subdirectory is missing.
    fn make(&self, entries: Vec<(Name, Entry)>) -> Result<Arc<Dir>, TreeError> {
        let mut failed = None;
        let dir = Dir::new(entries, |sub| match self.totals(&sub.id) {
            Ok(totals) => totals,
            Err(e) => {
                failed = Some(e);
                Totals::default()
            }
        });
        match failed {
            Some(e) => Err(e),
            None => Ok(self.keep(dir)),
        }
    }

    /// Returns the empty tree: what a `scratch` base is. Mode 0755, root's,
    /// time 0.
    fn empty(&self) -> Root {
        let dir = self.keep(Dir::new(Vec::new(), |_: &DirRef| Totals::default()));
        let meta = Meta { mode: 0o755, uid: 0, gid: 0, mtime: Mtime::default(), xattrs: None };
        Root { meta, dir: dir.reference() }
    }
}

/// Directories in memory only: for tests and for trees that are not kept.
#[derive(Debug, Default)]
pub struct MemoryForest(DashMap<TreeId, Arc<Dir>>);

impl Forest for MemoryForest {
    fn dir(&self, id: &TreeId) -> Result<Arc<Dir>, TreeError> {
        self.0.get(id).map(|d| d.clone()).ok_or(TreeError::Missing(*id))
    }

    fn keep(&self, dir: Dir) -> Arc<Dir> {
        self.0.entry(dir.id()).or_insert_with(|| Arc::new(dir)).clone()
    }
}
